"""How much of a stream the cost gate shows to Gemini, what of it matters, and what that costs.

Run with `python -m benchmarks.cost_gate`. Scripted matches are played one after the other as one
stream; no call is made. A moment counts as seen when what is watched of a piece holds its peak, and
as told when it is seen or the local analyzer proposes it. Each look is billed as if Gemini saw
every true moment in it, with answers as long as we expect them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from rich.console import Console
from rich.table import Table

from benchmarks.quality.packaging import package_windows
from benchmarks.quality.product import PROFILES
from benchmarks.quality.report import machine
from demo.match import ensure_match
from demo.match.truth import Truth
from domain.candidate import HighlightCandidate
from domain.cost_gate import GateLimits, GateState, PieceValue, judge
from domain.detection import DetectorState, advance
from domain.gemini.ask import Ask
from domain.gemini.cost import ModelPrice, TokenUsage
from domain.gemini.pieces import Piece, WatchState
from domain.gemini.questions import AROUND_MOMENT, AROUND_PEAK, Questions
from domain.media import Window
from domain.profile import GameProfile
from domain.readings import highest_level
from infra.media_signals import SegmentFile, measure_segments
from infra.profile_loader import load_shipped_catalog
from infra.settings import Settings

SEEDS: Final = [101, 102, 103]
_NOBODY: Final = UUID(int=0)
_NEAR: Final = 5.0


class Heard(NamedTuple):
    """A window of the long stream: what the local analyzer settled in it, and its excitement."""

    window: Window
    candidates: tuple[HighlightCandidate, ...]
    rank: float


class Stream(NamedTuple):
    """Matches one after the other: what was heard, and the peaks of the true moments (s)."""

    heard: list[Heard]
    peaks: list[float]


class Bill:
    """What the looks took, term by term."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.usage: dict[str, TokenUsage] = {}

    def add(self, ask: Ask, price: ModelPrice) -> float:
        """Enter a call; return its dollars."""
        name = ask.step.value
        self.calls[name] += 1
        self.usage[name] = self.usage.get(name, TokenUsage()).plus(ask.expected())
        return price.dollars(ask.expected())


def main() -> None:
    options = _options()
    profile = load_shipped_catalog().get(PROFILES[options.kind])
    stream = _stream(options)
    questions, limits = _asked_by_default()
    bill, grounds, seen, gate = Bill(), Counter[str](), set[float](), GateState()
    state = WatchState()
    for heard in stream.heard:
        state = state.with_window(heard.window, heard.candidates, rank=heard.rank)
        piece = state.due(last=heard is stream.heard[-1])
        if piece is None:
            continue
        value = _value(piece, questions, profile)
        verdict = judge(gate, value, limits, tenant_left=float("inf"))
        grounds[verdict.grounds.value] += 1
        watched = spent = 0.0
        if verdict.look:
            shown = [peak for peak in stream.peaks if _shows(piece, peak)]
            seen.update(shown)
            watched = piece.watched_seconds
            spent = _look(piece, len(shown), questions, profile, bill)
        gate = gate.after(value, watched=watched, spent=spent)
        state = state.after(piece, piece.candidates, gate)
    proposed = [each.peak for heard in stream.heard for each in heard.candidates]
    told = {peak for peak in stream.peaks if any(abs(peak - each) <= _NEAR for each in proposed)}
    _print(stream, gate, bill, questions.price, grounds, seen=len(seen), told=len(seen | told))


def _options() -> argparse.Namespace:
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost_gate", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--duration", type=float, default=300.0, help="seconds of each match")
    parser.add_argument("--kind", choices=sorted(PROFILES), default="soccer")
    parser.add_argument("--home", type=Path, default=Path(home).expanduser())
    return parser.parse_args()


def _asked_by_default() -> tuple[Questions, GateLimits]:
    settings = Settings()
    price = settings.gemini_prices[settings.gemini_model]
    return Questions(model=settings.gemini_model, price=price), GateLimits(
        dollars_per_hour=settings.gemini_dollars_per_stream_hour,
        video_share=settings.gemini_video_share,
    )


def _stream(options: argparse.Namespace) -> Stream:
    heard: list[Heard] = []
    peaks: list[float] = []
    detector, offset = DetectorState(), 0.0
    for seed in options.seeds:
        match = ensure_match(options.home, seed=seed, duration=options.duration, kind=options.kind)
        truth = Truth.model_validate_json(match.truth.read_text(encoding="utf-8"))
        peaks += [moment.peak + offset for moment in truth.moments]
        with tempfile.TemporaryDirectory(prefix="cost-gate-") as folder:
            for window in package_windows(match.video, Path(folder)):
                detector, found = _hear(detector, _moved(window, offset, len(heard)), Path(folder))
                heard.append(found)
        offset = heard[-1].window.end
    return Stream(heard, peaks)


def _moved(window: Window, offset: float, index: int) -> Window:
    """Place a window behind the matches before it."""
    return window.model_copy(
        update={
            "index": index,
            "start": window.start + offset,
            "end": window.end + offset,
            "segments": tuple(
                each.model_copy(update={"start": each.start + offset}) for each in window.segments
            ),
        }
    )


def _hear(detector: DetectorState, window: Window, folder: Path) -> tuple[DetectorState, Heard]:
    files = tuple(
        SegmentFile(
            path=folder / segment.key,
            start=segment.start,
            duration=segment.duration,
            first_timestamp=segment.first_timestamp,
        )
        for segment in window.segments
    )
    frames = [frame for each in measure_segments(files) if each for frame in each.frames]
    detector, candidates = advance(detector, frames, tenant_id=_NOBODY, stream_id=_NOBODY)
    return detector, Heard(window, candidates, highest_level(detector.readings, since=window.start))


def _value(piece: Piece, questions: Questions, profile: GameProfile) -> PieceValue:
    return PieceValue(
        seconds=piece.seconds,
        watch_seconds=piece.watched_seconds,
        rank=piece.rank,
        has_moment=bool(piece.candidates),
        dollars=questions.expected_dollars(piece, profile),
        chance=piece.chance(_NOBODY),
    )


def _shows(piece: Piece, peak: float) -> bool:
    return piece.segments[0].start <= peak < piece.end


def _look(
    piece: Piece, moments: int, questions: Questions, profile: GameProfile, bill: Bill
) -> float:
    closely = 2 * AROUND_PEAK
    shown = closely + 2 * AROUND_MOMENT
    asks = [questions.detect(piece, profile)]
    for _ in range(moments):
        asks.append(questions.refine(profile, start=0.0, end=closely, kind="moment"))
        asks.append(questions.score(profile, start=0.0, end=shown))
    return sum(bill.add(ask, questions.price) for ask in asks)


def _print(
    stream: Stream,
    gate: GateState,
    bill: Bill,
    price: ModelPrice,
    grounds: Counter[str],
    *,
    seen: int,
    told: int,
) -> None:
    hours, moments = gate.passed / 3600, len(stream.peaks)
    table = Table("look", "calls/h", "picture and text", "sound", "output", "$/h")
    for name, usage in bill.usage.items():
        table.add_row(
            name,
            f"{bill.calls[name] / hours:.0f}",
            f"{usage.text / hours:,.0f} x ${price.text}/M",
            f"{usage.audio / hours:,.0f} x ${price.audio}/M",
            f"{usage.output / hours:,.0f} x ${price.output}/M",
            f"{price.dollars(usage) / hours:.3f}",
        )
    console = Console(width=110)
    console.print(table)
    console.print(f"sum: ${gate.spent / hours:.3f} for each hour, over {gate.passed:.0f} s")
    console.print(f"watched: {gate.watched / gate.passed:.1%} of the video")
    console.print(f"of {moments} moments: {seen} seen, {told} told")
    console.print(f"pieces: {dict(grounds)}\n{machine()}")


if __name__ == "__main__":
    main()
