from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.highlights.candidate import HighlightCandidate, propose
from domain.media.timestamps import TimestampError, WallClockAnchor
from tests.factories.selection import score

ANCHOR = WallClockAnchor(at=datetime(2026, 5, 1, 18, 0, tzinfo=UTC), media_time=600.0)


def proposed(start: float | str, peak: float | str, end: float | str) -> HighlightCandidate:
    return propose(
        id=UUID(int=1),
        start=start,
        peak=peak,
        end=end,
        score=score(0.9),
        analyzer="gemini",
        offset=600.0,
        earliest=600.0,
        latest=660.0,
        anchor=ANCHOR,
    )


def test_times_in_mixed_forms_land_on_the_media_timeline() -> None:
    candidate = proposed("00:10", "2026-05-01T18:00:14Z", 20.5)
    assert (candidate.start, candidate.peak, candidate.end) == (610.0, 614.0, 620.5)
    assert candidate.settled_at == 620.5
    assert candidate.corrections == ()


def test_the_peaks_wall_clock_is_kept_beside_it() -> None:
    assert proposed(10, 14, 20).peak_wall_clock == datetime(2026, 5, 1, 18, 0, 14, tzinfo=UTC)


def test_times_that_drifted_out_of_the_analysed_piece_are_corrected_and_said_so() -> None:
    candidate = proposed("00:50", "01:10", "01:20")
    assert (candidate.start, candidate.peak, candidate.end) == (650.0, 660.0, 660.0)
    assert len(candidate.corrections) == 2


def test_a_time_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(TimestampError, match="'kick-off' is not a time"):
        proposed("kick-off", 14, 20)


def test_a_candidate_survives_json() -> None:
    candidate = proposed(10, 14, 20)
    assert HighlightCandidate.model_validate_json(candidate.model_dump_json()) == candidate
