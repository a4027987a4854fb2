"""Feedback on highlights: likes and corrected bounds."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

from pydantic import FiniteFloat, model_validator

from domain.model import Model

LONGEST_CORRECTION: Final = 300.0
"""Maximum length of a highlight (s)."""


class FeedbackVerdict(StrEnum):
    """Whether a user liked a highlight."""

    LIKE = "like"
    DISLIKE = "dislike"


class CorrectionError(ValueError):
    """The highlight cannot have these bounds; the message states the possible bounds."""


class HighlightCorrection(Model):
    """Where a highlight really starts and ends, in seconds of its stream's media time."""

    start: FiniteFloat
    end: FiniteFloat

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 0 <= self.start < self.end:
            message = "a highlight starts at 0 s or later, and before it ends"
            raise ValueError(message)
        return self


def check_correction(
    correction: HighlightCorrection, *, start: float, end: float, media_end: float
) -> HighlightCorrection:
    """Return the correction if it is possible.

    Args:
        correction: the requested bounds.
        start: start of the highlight (s of media time).
        end: end of the highlight (s of media time).
        media_end: end of the stream's media so far (s).

    Raises:
        CorrectionError: the bounds exceed the stream, do not overlap the moment, or are too long.
    """
    if correction.end > media_end:
        message = f"the stream has {media_end:.1f} s so far: end the highlight before"
        raise CorrectionError(message)
    if correction.start >= end or correction.end <= start:
        message = f"the moment lies at {start:.1f}-{end:.1f} s: keep a part of it"
        raise CorrectionError(message)
    if correction.end - correction.start > LONGEST_CORRECTION:
        message = f"a highlight lasts at most {LONGEST_CORRECTION:.0f} s: shorten it"
        raise CorrectionError(message)
    return correction
