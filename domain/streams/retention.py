"""How long stored media is kept while its stream is live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.media.segments import Gap, SegmentRef, Window

KEPT_GAPS = 500
"""Gaps remembered for the timeline query; the database has them all."""


def keep_from(
    *, analyzed: float, horizon: float, backlog: Iterable[Window], clip_starts: Iterable[float]
) -> float:
    """Return the media time (s) before which stored media may be deleted.

    Media stays until analysis is `horizon` seconds past it, since a moment that is found now may
    begin, or be shown after a better one fell, that far back; and longer while a window waits for
    analysis or a clip for its renderer.
    """
    return max(
        0.0,
        min(
            [analyzed - horizon, *(window.start for window in backlog), *clip_starts],
        ),
    )


def segments_from(segments: Sequence[SegmentRef], start: float) -> list[SegmentRef]:
    """Return the segments that reach beyond `start` seconds."""
    return [segment for segment in segments if segment.end > start]


def latest_gaps(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return the gaps worth remembering."""
    return tuple(gaps[-KEPT_GAPS:])
