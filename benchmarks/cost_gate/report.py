"""The gate's figures and its cost, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.cost_gate.bill import Bill
from benchmarks.cost_gate.stream import LongStream
from benchmarks.cost_gate.watching import Seen
from benchmarks.quality.metrics import hits
from benchmarks.quality.metrics.detection import LOOSE
from domain.analysis.gemini.fusion import SAME_MOMENT
from domain.analysis.gemini.pricing import ModelPrice, TokenUsage

MOST_SHARE: Final = 0.35
LEAST_RECALL: Final = 0.95
MOST_DOLLARS: Final = 0.25
"""What issue 7 asks for: of the video, of the ungated recall, for an hour of a stream."""

_HOUR: Final = 3600.0


class Count(NamedTuple):
    """Of how many true moments what is true: `clips` is that a confirmed clip shows them (IoU 0.3).

    Attributes:
        found: how many clips were confirmed in all.
        clips: moments that a clip hits.
        seen: moments that Gemini detected, within `SAME_MOMENT` of their peaks.
    """

    found: int
    clips: int
    seen: int

    def plus(self, other: Count) -> Count:
        """Return the sum."""
        return Count(*(one + two for one, two in zip(self, other, strict=True)))


class Result(NamedTuple):
    """One kind of match, or all: three analyses of the same stream."""

    name: str
    seconds: float
    moments: int
    local: Count
    gated: Count
    ungated: Count
    bill: Bill
    ungated_bill: Bill

    def plus(self, other: Result, *, name: str) -> Result:
        """Return both as one, under a name."""
        return Result(
            name,
            self.seconds + other.seconds,
            self.moments + other.moments,
            self.local.plus(other.local),
            self.gated.plus(other.gated),
            self.ungated.plus(other.ungated),
            self.bill.plus(other.bill),
            self.ungated_bill.plus(other.ungated_bill),
        )

    @property
    def share(self) -> float:
        """Share of the video that was sent for detection."""
        return self.bill.shown / self.seconds

    @property
    def clips_kept(self) -> float:
        """Recall of the clips, gated to ungated."""
        return self.gated.clips / self.ungated.clips if self.ungated.clips else 1.0

    @property
    def seen_kept(self) -> float:
        """Recall of Gemini's detections, gated to ungated."""
        return self.gated.seen / self.ungated.seen if self.ungated.seen else 1.0

    def dollars(self, price: ModelPrice) -> float:
        """What an hour of the stream costs."""
        return price.dollars(_whole(self.bill)) * _HOUR / self.seconds

    def misses(self, price: ModelPrice) -> list[str]:
        """Name the targets that are missed."""
        held = {
            "share": self.share <= MOST_SHARE,
            "recall": min(self.clips_kept, self.seen_kept) >= LEAST_RECALL,
            "dollars": self.dollars(price) <= MOST_DOLLARS,
        }
        return [name for name, holds in held.items() if not holds]


def counted(seen: Seen, stream: LongStream) -> Count:
    """Compare the results of a stream with its ground truth."""
    told = [
        each.peak
        for each in seen.candidates
        if any(
            evidence.signal == "gemini" and evidence.words.startswith("Gemini saw")
            for evidence in each.evidence
        )
    ]
    return Count(
        found=len(seen.clips),
        clips=sum(hits(seen.clips, stream.moments, LOOSE)),
        seen=sum(
            any(abs(moment.height - peak) <= SAME_MOMENT for peak in told)
            for moment in stream.moments
        ),
    )


def show(results: Sequence[Result], model: str, price: ModelPrice, console: Console) -> None:
    """Print the figures of each kind and of all, and the sum of the last."""
    console.print(_figures(results, price))
    console.print(_sum(results[-1], model, price))
    for line in _reading(results, price):
        console.print(f"- {line}", highlight=False, markup=False, soft_wrap=True)


def _figures(results: Sequence[Result], price: ModelPrice) -> Table:
    table = Table(title="gated and ungated", box=box.SIMPLE, title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in (
        "moments", "clips hit\nlocal", "clips hit\nungated", "clips hit\ngated", "kept",
        "seen\nungated", "seen\ngated", "kept", "sent\nungated", "sent\ngated",
        "$/h\nungated", "$/h\ngated",
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for each in results:
        table.add_row(
            each.name,
            str(each.moments),
            *(f"{way.clips} of {way.found}" for way in (each.local, each.ungated, each.gated)),
            f"{each.clips_kept:.0%}",
            str(each.ungated.seen),
            str(each.gated.seen),
            f"{each.seen_kept:.0%}",
            f"{each.ungated_bill.shown / each.seconds:.0%}",
            f"{each.share:.1%}",
            f"{price.dollars(_whole(each.ungated_bill)) * _HOUR / each.seconds:.3f}",
            f"{each.dollars(price):.3f}",
        )
    return table


def _sum(result: Result, model: str, price: ModelPrice) -> Table:
    """Return the cost of an hour: calls, tokens, price and product, by kind of query."""
    table = Table(title=f"an hour of {result.name}, {model}", box=box.SIMPLE, title_justify="left")
    table.add_column("look")
    for heading in ("calls", "pictures and text", "sound", "output", "$"):
        table.add_column(heading, justify="right", no_wrap=True)
    hours = result.seconds / _HOUR
    looks = [
        (step.value, result.bill.calls[step], used) for step, used in result.bill.usage.items()
    ]
    for name, calls, usage in (
        *looks,
        ("sum", sum(result.bill.calls.values()), _whole(result.bill)),
    ):
        table.add_row(
            name,
            f"{calls / hours:.0f}",
            f"{usage.text / hours:,.0f} x ${price.text:g}/M",
            f"{usage.audio / hours:,.0f} x ${price.audio:g}/M",
            f"{usage.output / hours:,.0f} x ${price.output:g}/M",
            f"{price.dollars(usage) / hours:.4f}",
        )
    return table


def _reading(results: Sequence[Result], price: ModelPrice) -> Iterator[str]:
    yield "clips hit: true moments that a confirmed clip shows (IoU 0.3), of the clips confirmed"
    yield f"seen: true moments that Gemini detected, within {SAME_MOMENT:g} s of their peaks"
    yield "kept: gated to ungated; sent: share of the video looked through, overlaps counted twice"
    yield "a call costs its own tokens or those that the product expects, whichever is more"
    for each in results:
        missed = each.misses(price)
        yield f"{each.name}: " + (f"misses {', '.join(missed)}" if missed else "within all targets")


def _whole(bill: Bill) -> TokenUsage:
    total = TokenUsage()
    for usage in bill.usage.values():
        total = total.plus(usage)
    return total
