"""What comes of a backfill."""

from __future__ import annotations

from enum import StrEnum

from pydantic import NonNegativeInt

from domain.model import Model
from domain.stream import EndReason, StreamEnd


class BackfillOutcome(StrEnum):
    """What came of a backfill."""

    FILLED = "filled"  # all that was missing has been analysed
    PARTLY = "partly"  # some of it
    NOTHING_MISSING = "nothing_missing"  # the recording was not needed
    NO_RECORDING = "no_recording"  # nothing of it could be had; the message says why
    NO_STREAM = "no_stream"  # it has been deleted


class BackfillResult(Model):
    """What came of a backfill, and the highlights and clips that it added."""

    outcome: BackfillOutcome
    message: str
    filled: NonNegativeInt = 0
    lost: NonNegativeInt = 0
    highlights: NonNegativeInt = 0
    clips: NonNegativeInt = 0


def judge_gaps(*, filled: int, lost: int) -> tuple[BackfillOutcome, str]:
    """Say what came of filling gaps, for programs and in a sentence."""
    if not filled and not lost:
        return BackfillOutcome.NOTHING_MISSING, "Nothing was missing."
    if not filled:
        return BackfillOutcome.NO_RECORDING, f"The recording filled none of {lost} gaps."
    if lost:
        return BackfillOutcome.PARTLY, f"The recording filled {filled} gaps and not {lost}."
    return BackfillOutcome.FILLED, f"The recording filled all {filled} gaps."


def judge_whole(end: StreamEnd) -> tuple[BackfillOutcome, str]:
    """Say what came of analysing a whole stream from its recording, given how that ended."""
    analyzed = end.reason is EndReason.PLAYLIST_ENDED
    outcome = BackfillOutcome.FILLED if analyzed else BackfillOutcome.NO_RECORDING
    return outcome, end.message
