"""The local analyzer over a whole recording at once, in this process: for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from domain.analysis.detector import DetectorState, advance
from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import SegmentRef, TimedMetadata
from infra.media.signals import SegmentFile, measure_segments

_NOBODY: Final = UUID(int=0)


def analyze_segments(
    segments: Sequence[tuple[SegmentRef, Path]],
    *,
    metadata: Sequence[TimedMetadata] = (),
    tenant_id: UUID = _NOBODY,
    stream_id: UUID = _NOBODY,
) -> list[HighlightCandidate]:
    """Return the candidates of consecutive segments, each with the path of its file.

    Gives what the activity gives for the same segments; those that cannot be decoded are passed
    over. The files must be trusted: they are decoded in this process. fMP4 files must begin with
    their initialisation section.

    Raises:
        OSError: a file cannot be read.
    """
    files = tuple(
        SegmentFile(
            path=path,
            start=segment.start,
            duration=segment.duration,
            first_timestamp=segment.first_timestamp,
            audio_track=segment.audio_track,
        )
        for segment, path in segments
    )
    frames = [frame for each in measure_segments(files) if each for frame in each.frames]
    _, candidates = advance(
        DetectorState(), frames, metadata, tenant_id=tenant_id, stream_id=stream_id, last=True
    )
    return list(candidates)
