"""What to cut: when the moment of a clip was live."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from domain.clips.models import ClipSpec
from domain.media.segments import SegmentRef
from tests.factories.clips import STREAM, TENANT, WHEN, segment

LISTED = WHEN + timedelta(seconds=4)
HIGHLIGHT = UUID(int=3)


def spec(*segments: SegmentRef, highlight: UUID | None = HIGHLIGHT) -> ClipSpec:
    return ClipSpec(
        id=UUID(int=4),
        tenant_id=TENANT,
        stream_id=STREAM,
        highlight_id=highlight,
        start=10.0,
        end=14.0,
        peak=12.5,
        segments=segments,
    )


def clocked(number: int, start: float) -> SegmentRef:
    return segment(
        number, start, published_at=LISTED, program_date_time=WHEN + timedelta(seconds=start)
    )


def test_the_peak_of_a_live_moment_has_the_clock_of_its_segment() -> None:
    found = spec(clocked(5, 10.0), clocked(6, 12.0)).live_peak
    assert found == WHEN + timedelta(seconds=12.5)


@pytest.mark.parametrize(
    "cut",
    [
        spec(clocked(5, 10.0), clocked(6, 12.0), highlight=None),
        spec(segment(5, 10.0), segment(6, 12.0)),
        spec(clocked(5, 10.0)),
        spec(segment(6, 12.0, published_at=WHEN + timedelta(minutes=30), program_date_time=WHEN)),
    ],
    ids=["on demand", "without a clock", "peak in a gap", "of a recording"],
)
def test_others_have_none(cut: ClipSpec) -> None:
    assert cut.live_peak is None
