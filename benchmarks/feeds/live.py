"""How long a settled bet waits for its clip, and a goal that is taken back for its end.

`python -m benchmarks.feeds.live [--seeds 11 12] [--duration 180]` plays scripted matches at real
time, each as one live stream, to a `highlights dev` that it starts. Some seconds after each true
moment it sends a settlement, and measures until that is linked to a highlight that can be played.
Between the moments it reports goals that nothing shows, takes each back once it has made a
highlight, and measures until the highlight is retracted. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.load.report import figures_of
from benchmarks.quality.report import machine
from demo.match import Match, ensure_match
from demo.origin import LiveOrigin, OriginOptions
from demo.stack import Ready, Stack
from demo.truth import Span, read_truth
from tldrtv_highlights import AsyncHighlightsClient
from tldrtv_highlights.models import FeedEvent

LINKED_TARGET: Final = 30.0
"""Seconds from a settlement to its clip, at the 95th percentile."""

RETRACTED_TARGET: Final = 10.0
"""Seconds from a rollback to the retraction, at most."""

_SETTLED_AFTER: Final = 8.0
_QUIET: Final = 20.0
_WAIT: Final = 120.0
_INTERVAL: Final = 0.25


@dataclass
class Waits:
    """Seconds from sending to the effect; None if there was none within two minutes."""

    linked: list[float | None] = field(default_factory=list)
    retracted: list[float | None] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    options = _options()
    console = Console(width=100)
    matches = [ensure_match(options.home, seed=s, duration=options.duration) for s in options.seeds]
    waits = asyncio.run(_measure(matches, options.home))
    table = Table(title="seconds from sending")
    for heading in ("", "sent", "answered", "p50", "p95", "max"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, measured in (
        (f"settlement to playable highlight (p95 <= {LINKED_TARGET:g})", waits.linked),
        (f"rollback to retraction (max <= {RETRACTED_TARGET:g})", waits.retracted),
    ):
        known = [each for each in measured if each is not None]
        figures = figures_of(known) if known else None
        row = ("-",) * 3 if figures is None else (figures.p50, figures.p95, figures.max)
        table.add_row(
            name,
            str(len(measured)),
            str(len(known)),
            *(each if isinstance(each, str) else f"{each:.1f}" for each in row),
        )
    console.print(table)
    console.print(f"{machine()}; load average {os.getloadavg()[0]:.2f}")


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feeds.live", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12])
    parser.add_argument("--duration", type=float, default=180.0, help="seconds of each match")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    return parser.parse_args()


async def _measure(matches: Sequence[Match], home: Path) -> Waits:
    waits = Waits()
    with tempfile.TemporaryDirectory(prefix="feeds-", dir=home) as directory:
        folder = Path(directory)
        async with Stack(state_dir=folder / "stack", home=home, log=folder / "log") as stack:
            ready = await stack.ready()
            await asyncio.gather(*(_play(match, ready, waits) for match in matches))
    return waits


async def _play(match: Match, ready: Ready, waits: Waits) -> None:
    moments = read_truth(match.truth).moments
    async with (
        AsyncHighlightsClient(ready.api_url, ready.api_key) as client,
        LiveOrigin(match.video, OriginOptions(autostart=False)) as origin,
    ):
        started = await client.streams.analyze(origin.master_url, game="soccer")
        await origin.wait_requested()
        origin.begin()
        sender = _Sender(client, started.id, origin)
        await asyncio.gather(
            _collect(waits.linked, [sender.settle(n, _peak(m)) for n, m in enumerate(moments)]),
            _collect(
                waits.retracted,
                [sender.take_back(n, at) for n, at in enumerate(_quiet(moments, origin.duration))],
            ),
        )


async def _collect(
    into: list[float | None], measuring: list[Coroutine[Any, Any, float | None]]
) -> None:
    into += await asyncio.gather(*measuring)


@dataclass(frozen=True)
class _Sender:
    client: AsyncHighlightsClient
    stream_id: str
    origin: LiveOrigin

    async def settle(self, number: int, peak: float) -> float | None:
        """Settle a bet after a moment; return the seconds until its highlight can be played."""
        name = f"settled-{number}"
        await self._until(peak + _SETTLED_AFTER)
        at = {"media": peak + _SETTLED_AFTER}
        began = await self._send({"id": name, "kind": "settled", "at": at, "result": "won"})

        async def is_playable() -> bool:
            found = await self._event(name)
            if found.outcome != "linked" or found.highlight_id is None:
                return False
            highlight = await self.client.highlights.get(found.highlight_id)
            return highlight.playback is not None and highlight.playback.ready is not None

        return await _seconds_until(is_playable, began)

    async def take_back(self, number: int, at: float) -> float | None:
        """Report a goal and take it back; return the seconds until its highlight is retracted."""
        name = f"false-{number}"
        await self._until(at)
        goal = {"id": name, "kind": "score", "label": "goal", "importance": 1.0}
        began = await self._send({**goal, "at": {"media": at}})

        async def is_marked() -> bool:
            return (await self._event(name)).outcome == "marked"

        if await _seconds_until(is_marked, began) is None:
            return None
        highlight_id = (await self._event(name)).highlight_id or ""
        undo = {"id": f"undo-{number}", "kind": "review", "at": {"media": at}, "retracts": name}
        began = await self._send(undo)

        async def is_retracted() -> bool:
            return (await self.client.highlights.get(highlight_id)).status == "retracted"

        return await _seconds_until(is_retracted, began)

    async def _until(self, media: float) -> None:
        left = (self.origin.live_at(media) - datetime.now(UTC)).total_seconds()
        await asyncio.sleep(max(0.0, left))

    async def _send(self, event: dict[str, Any]) -> float:
        await self.client.feed.send(self.stream_id, [event])
        return time.monotonic()

    async def _event(self, name: str) -> FeedEvent:
        found = [each async for each in self.client.feed.list(self.stream_id, limit=100)]
        return next(each for each in found if each.id == name)


async def _seconds_until(condition: Callable[[], Awaitable[bool]], began: float) -> float | None:
    while (waited := time.monotonic() - began) < _WAIT:
        if await condition():
            return waited
        await asyncio.sleep(_INTERVAL)
    return None


def _peak(moment: Span) -> float:
    return (moment.start + moment.end) / 2 if moment.peak is None else moment.peak


def _quiet(moments: Sequence[Span], duration: float) -> list[float]:
    """Return times that are far from all true moments."""
    times = range(round(_QUIET), round(duration - _QUIET), round(_QUIET))
    peaks = [_peak(each) for each in moments]
    return [float(at) for at in times if all(abs(at - peak) >= _QUIET for peak in peaks)]


if __name__ == "__main__":
    main()
