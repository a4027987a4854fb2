"""What the demo shows: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from demo.truth import Comparison, Span, Truth, clock
from tldrtv_highlights.models import Highlight, Stream

_PLAIN_STEPS: Final = 10
_STYLE_BY_TIER: Final = {"exceptional": "bold magenta", "high_quality": "bold green"}
_WORDS: Final = 3


class Display:
    """Tells the user what is happening; a context manager while there is progress to show."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._plain_step = -1

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str, style: str = "") -> None:
        """Print one line, above the progress bar."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def busy(self, detail: str) -> None:
        """Show what is being waited for."""
        if self._task is None:
            self._task = self._progress.add_task("starting", total=None, detail="")
        self._progress.update(self._task, detail=detail[:100])

    def playing(self, stream: Stream, *, position: float, duration: float, clips: int) -> None:
        """Show how far the input has been played and analysed, in seconds."""
        detail = (
            f"{clock(position)} of {clock(duration)} played, {clock(stream.analyzed)} analysed, "
            f"{clips} clips"
        )
        if self._task is None:
            self.busy(detail)
        if self._task is not None:
            self._progress.update(
                self._task,
                description=stream.status,
                total=2 * duration,
                completed=position + min(stream.analyzed, duration),
                detail=detail,
            )
        step = int(position / duration * _PLAIN_STEPS) if duration else 0
        if not self._console.is_terminal and step > self._plain_step:
            self._plain_step = step
            self.say(f"  … {detail}")

    def clip_ready(self, highlight: Highlight, *, name: str, latency: float) -> None:
        """Announce a highlight whose clip can be watched."""
        line = Text("  ")
        line.append(clock(highlight.peak), style="bold cyan")
        line.append(f"  {highlight.score:.2f} ", style=_STYLE_BY_TIER.get(highlight.tier, "green"))
        line.append(f" {in_a_word(highlight)}")
        line.append(f"  {name}", style="blue")
        line.append(f"  {latency:.1f} s after the moment", style="dim")
        self._console.print(line, soft_wrap=True)

    def retracted(self, highlight: Highlight) -> None:
        """Announce that a highlight was displaced by a better one."""
        self.say(f"  {clock(highlight.peak)}  retracted: {because(highlight)}", style="yellow")

    def comparison(self, truth: Truth, found: list[Span], result: Comparison) -> None:
        """Show what was found beside what should have been."""
        table = Table(title="Compared with the ground truth", title_justify="left")
        for heading in ("true moment", "kind", "clip", "overlap"):
            table.add_column(heading)
        rows: list[tuple[float, tuple[str, str, str, str], str]] = []
        for i, j in result.matched:
            moment, clip = truth.moments[i], found[j]
            cells = (_range(moment), moment.kind, _range(clip), f"{moment.overlap(clip):.2f}")
            rows.append((moment.start, cells, "green"))
        for i in result.missed:
            moment = truth.moments[i]
            rows.append((moment.start, (_range(moment), moment.kind, "missed", ""), "red"))
        for j in result.false:
            clip = found[j]
            mistaken = [d.kind for d in truth.distractors if d.overlap(clip) > 0]
            kind = ", ".join(filter(None, mistaken))
            rows.append((clip.start, ("none", kind, _range(clip), ""), "yellow"))
        for _, cells, style in sorted(rows):
            table.add_row(*cells, style=style)
        self._console.print(table)
        self.say(
            f"{len(result.matched)} of {len(truth.moments)} moments found, "
            f"{len(result.false)} false: precision {result.precision:.2f}, "
            f"recall {result.recall:.2f}"
        )


def in_a_word(highlight: Highlight) -> str:
    """Say in a few words what speaks for a moment."""
    strongest = sorted(highlight.evidence, key=lambda evidence: -evidence.strength)
    said = [*highlight.tags, *(evidence.words for evidence in strongest)]
    return ", ".join(dict.fromkeys(said[:_WORDS])).replace("_", " ") or highlight.title


def kind_of(highlight: Highlight) -> str:
    """Name the kind of a moment, as far as the product does."""
    dimensions = highlight.dimensions
    strongest = max(dimensions, key=lambda name: dimensions[name], default="highlight")
    return next(iter(highlight.tags), strongest.replace("_", " "))


def because(highlight: Highlight) -> str:
    """Say why it was decided upon as it was."""
    last = highlight.reasons[-1] if highlight.reasons else None
    return (last.words or last.code) if last else "a better moment is too near"


def _range(span: Span) -> str:
    return f"{clock(span.start)}-{clock(span.end)}"
