"""What the product finds in a video: its own analyzer and selection, without Temporal."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from benchmarks.quality.metrics import Interval
from benchmarks.quality.packaging import package, windows
from domain.detection import DetectorState, advance
from domain.media import Window
from domain.profile import GameProfile
from domain.selection import Decision, DecisionStatus, HighlightSelector, SelectionState
from infra.media_signals import SegmentFile, measure_segments
from infra.profile_loader import load_shipped_catalog

_NOBODY: Final = UUID(int=0)

PROFILES: Final = {"soccer": "soccer", "basketball": "basketball", "esports": "valorant"}
"""The profile used for each kind of match."""


class Findings(NamedTuple):
    """The confirmed clips, how many candidates there were, and the analysis time (s of CPU)."""

    clips: list[Interval]
    candidates: int
    cpu_seconds: float


def find_highlights(video: Path, *, kind: str) -> Findings:
    """Analyse and select as a stream's workflow would, window by window, in order.

    Raises:
        subprocess.CalledProcessError: ffmpeg could not read the video.
    """
    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        return _follow(Path(folder), package_windows(video, Path(folder)), _profile(kind))


def package_windows(video: Path, folder: Path) -> list[Window]:
    """Return the video's windows, their segments stored in `folder`."""
    return list(windows(package(video, folder)))


def _profile(kind: str) -> GameProfile:
    return load_shipped_catalog().get(PROFILES[kind])


def _follow(folder: Path, stream: list[Window], profile: GameProfile) -> Findings:
    selector, detector, selection = HighlightSelector(profile), DetectorState(), SelectionState()
    decided: dict[UUID, Decision] = {}
    candidates, began = 0, time.process_time()
    for window in stream:
        last = window is stream[-1]
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
        detector, proposed = advance(
            detector, frames, window.metadata, tenant_id=_NOBODY, stream_id=_NOBODY, last=last
        )
        candidates += len(proposed)
        watermark = window.end if last else detector.watermark
        result = selector.select(selection, proposed, watermark=watermark, ended=last)
        selection = result.state
        decided.update((decision.highlight_id, decision) for decision in result.decisions)
    clips = [
        Interval(start=decision.clip_start, end=decision.clip_end, score=decision.score)
        for decision in decided.values()
        if decision.status is DecisionStatus.CONFIRMED
    ]
    return Findings(clips, candidates, time.process_time() - began)
