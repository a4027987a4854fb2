"""What the product finds in a video: its own analyzer and selection, without Temporal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from benchmarks.quality.measurements import Measurements
from benchmarks.quality.metrics import Interval
from domain.analysis.detector import DetectorState, advance
from domain.analysis.fusion import Fusion, load_fusion
from domain.analysis.signals import SegmentSignals
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.markers import apply_marker
from domain.highlights.selection import Decision, DecisionStatus, HighlightSelector, SelectionState
from domain.media.segments import TimedMetadata
from domain.profiles.model import FillMethod, GameProfile

PROFILES: Final = {"soccer": "soccer", "basketball": "basketball", "esports": "valorant"}
"""The profile used for each kind of match."""

Feed = Callable[[float, Sequence[HighlightCandidate]], Sequence[TimedMetadata]]
"""The markers at the end of a window (s), given the moments that were found before."""

_NOBODY: Final = UUID(int=0)
_SHOWN: Final = (DecisionStatus.PENDING, DecisionStatus.CONFIRMED)


class Clip(Interval):
    """A confirmed clip; `shown_at` is when it was first shown, in seconds of media time.

    That is the end of the window whose analysis found it. Fetching, analysis and rendering are
    additional: `benchmarks/load` measures those.
    """

    shown_at: float


class Findings(BaseModel):
    """What was found; `cpu_seconds` is the CPU time of detection and selection.

    `candidates` are all moments that the analyzer proposed, selected or not, with their combined
    scores; `proposed` are the same as the analyzer described them.
    """

    model_config = ConfigDict(frozen=True)

    clips: tuple[Clip, ...]
    candidates: tuple[Interval, ...]
    proposed: tuple[HighlightCandidate, ...]
    cpu_seconds: float


def follow(
    measured: Measurements,
    profile: GameProfile,
    *,
    signals: Sequence[SegmentSignals | None] | None = None,
    feed: Feed | None = None,
    fusion: Fusion | None = None,
) -> Findings:
    """Detect and select as a stream's workflow would, window by window, in order.

    Args:
        measured: the video.
        profile: of the game.
        signals: what to follow instead of what was measured, segment by segment.
        feed: gives the markers of a feed's events before each window.
        fusion: instead of the shipped one.
    """
    began = time.process_time()
    selector, detector, selection = HighlightSelector(profile), DetectorState(), SelectionState()
    fills = profile.selection.fill is FillMethod.BEST_OF
    used = (fusion or load_fusion()) if fills else None
    decided: dict[UUID, Decision] = {}
    shown: dict[UUID, float] = {}
    proposed: dict[UUID, HighlightCandidate] = {}
    coming = iter(measured.signals if signals is None else signals)
    for window in measured.windows:
        last = window is measured.windows[-1]
        fed = () if feed is None else feed(window.end, tuple(proposed.values()))
        following = [next(coming) for _ in window.segments]
        detector, candidates = advance(
            detector,
            [frame for each in following if each for frame in each.frames],
            (*window.metadata, *fed),
            tenant_id=_NOBODY,
            stream_id=_NOBODY,
            screen=[reading for each in following if each for reading in each.readings],
            hud=profile.hud,
            until=window.end,
            fusion=used,
            last=last,
        )
        candidates = tuple(apply_marker(candidate, profile) for candidate in candidates)
        proposed.update((candidate.id, candidate) for candidate in candidates)
        watermark = window.end if last else detector.watermark
        result = selector.select(selection, candidates, watermark=watermark, ended=last)
        selection = result.state
        for decision in result.decisions:
            decided[decision.highlight_id] = decision
            if decision.status in _SHOWN:
                shown.setdefault(decision.highlight_id, window.end)
    return Findings(
        clips=tuple(
            Clip(
                start=decision.clip_start,
                end=decision.clip_end,
                score=decision.score,
                shown_at=shown[decision.highlight_id],
            )
            for decision in decided.values()
            if decision.status is DecisionStatus.CONFIRMED
        ),
        candidates=tuple(
            Interval(
                start=candidate.start,
                end=candidate.end,
                score=candidate.score.calculate_combined_score(profile.weights),
            )
            for candidate in proposed.values()
        ),
        proposed=tuple(proposed.values()),
        cpu_seconds=time.process_time() - began,
    )
