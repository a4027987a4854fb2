"""A correction of a highlight's boundaries must be one of the same moment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from domain.highlights.feedback import CorrectionError, HighlightCorrection, check_correction


def check(start: float, end: float) -> HighlightCorrection:
    return check_correction(
        HighlightCorrection(start=start, end=end), start=100.0, end=110.0, media_end=500.0
    )


@pytest.mark.parametrize(("start", "end"), [(95, 112), (101, 105), (109.9, 120), (80, 100.1)])
def test_boundaries_around_or_within_the_moment_are_accepted(start: float, end: float) -> None:
    assert check(start, end) == HighlightCorrection(start=start, end=end)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (105, 501, "the stream has 500.0 s so far"),
        (110, 120, "the moment lies at 100.0-110.0 s"),
        (80, 100, "the moment lies at 100.0-110.0 s"),
        (50, 350.5, "at most 300 s"),
    ],
)
def test_impossible_boundaries_are_refused_in_words(start: float, end: float, words: str) -> None:
    with pytest.raises(CorrectionError, match=words):
        check(start, end)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 5), (6, 5), (0, float("inf"))])
def test_what_is_no_stretch_of_time_is_no_correction(start: float, end: float) -> None:
    with pytest.raises(ValidationError):
        HighlightCorrection(start=start, end=end)
