"""What the tests of clips and of a stream's books are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import strategies as st

from domain.clips.models import ClipOutcome, ClipSpec, ClipStatus, RenderedClip
from domain.highlights.selection import Decision, DecisionStatus, Tier
from domain.media.segments import Gap, GapReason, SegmentRef, Window

TENANT, STREAM = UUID(int=1), UUID(int=2)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def segment(
    number: int,
    start: float,
    duration: float = 2.0,
    *,
    published_at: datetime = WHEN,
    program_date_time: datetime | None = None,
) -> SegmentRef:
    return SegmentRef(
        media_sequence=number,
        start=start,
        duration=duration,
        first_timestamp=start,
        key=f"{number}.ts",
        size=1,
        program_date_time=program_date_time,
        published_at=published_at,
    )


def segments_of(*spans: tuple[float, float]) -> list[SegmentRef]:
    """Segments of two seconds that fill each span of media time."""
    starts = [
        start + 2.0 * number for start, end in spans for number in range(round((end - start) / 2))
    ]
    return [segment(number, start) for number, start in enumerate(starts)]


def gap(start: float, duration: float, *, first: int = 0, count: int = 1) -> Gap:
    return Gap(
        start=start,
        duration=duration,
        first_sequence=first,
        last_sequence=first + count - 1,
        reason=GapReason.ROLLED_OFF,
    )


def window(index: int, *, lost: Iterable[int] = ()) -> Window:
    """Window `index`: six seconds in three segments, those numbered in `lost` being gaps."""
    numbers = [(3 * index + part, 6.0 * index + 2.0 * part) for part in range(3)]
    missing = [numbers[part] for part in sorted(set(lost))]
    return Window(
        index=index,
        variant="720p",
        start=6.0 * index,
        end=6.0 * index + 6.0,
        segments=tuple(segment(*place) for place in numbers if place not in missing),
        gaps=tuple(gap(start, 2.0, first=number) for number, start in missing),
    )


def decision(
    number: int = 1,
    peak: float = 10.0,
    *,
    status: DecisionStatus = DecisionStatus.CONFIRMED,
    before: float = 4.0,
    after: float = 4.0,
    decided_at: float = 20.0,
) -> Decision:
    return Decision(
        highlight_id=UUID(int=number),
        status=status,
        tier=Tier.STANDARD,
        score=0.8,
        peak=peak,
        clip_start=max(0.0, peak - before),
        clip_end=peak + after,
        decided_at=decided_at,
    )


def outcome(spec: ClipSpec, status: ClipStatus = ClipStatus.READY) -> ClipOutcome:
    return ClipOutcome(clip_id=spec.id, highlight_id=spec.highlight_id, status=status)


def rendered_clip(spec: ClipSpec, *, key: str, at: datetime = WHEN) -> RenderedClip:
    """The clip of a specification, rendered at `at` without a thumbnail."""
    return RenderedClip(
        clip_id=spec.id,
        key=key,
        thumbnail_key=None,
        start=spec.start,
        duration=spec.duration,
        size=1,
        width=1280,
        height=720,
        has_audio=True,
        sha256="0" * 64,
        rendered_at=at,
    )


def broken_media() -> st.SearchStrategy[list[SegmentRef]]:
    """Segments in order, with holes and seams of any width between them."""
    hole = st.one_of(st.just(0.0), st.floats(0.0, 0.25), st.floats(0.3, 20.0))
    return st.lists(st.tuples(hole, st.floats(0.5, 6.0)), max_size=12).map(_laid_out)


def _laid_out(parts: Sequence[tuple[float, float]]) -> list[SegmentRef]:
    laid: list[SegmentRef] = []
    position = 0.0
    for number, (hole, duration) in enumerate(parts):
        laid.append(segment(number, position + hole, duration))
        position = laid[-1].end
    return laid
