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
    REANALYZED = "reanalyzed"  # all of it has been analysed once more
    NOTHING_MISSING = "nothing_missing"  # the recording was not needed
    NO_RECORDING = "no_recording"  # nothing of it could be had; the message says why
    NO_STREAM = "no_stream"  # it has been deleted


class BackfillResult(Model):
    """What came of a backfill, and the highlights and clips that it added."""

    outcome: BackfillOutcome = BackfillOutcome.NOTHING_MISSING
    message: str = "Nothing was missing."
    filled: NonNegativeInt = 0
    lost: NonNegativeInt = 0
    highlights: NonNegativeInt = 0
    clips: NonNegativeInt = 0

    def told(self, outcome: BackfillOutcome, message: str) -> BackfillResult:
        """Return it with what it means, for programs and in a sentence."""
        return self.model_copy(update={"outcome": outcome, "message": message})


def judge_gaps(result: BackfillResult, problem: StreamEnd | None) -> BackfillResult:
    """Say what came of filling gaps, given what was wrong with the recording."""
    filled, lost = result.filled, result.lost
    if problem is not None:
        return result.told(BackfillOutcome.NO_RECORDING, problem.message)
    if not filled and not lost:
        return result
    if not filled:
        message = f"The recording filled none of {lost} gaps."
        return result.told(BackfillOutcome.NO_RECORDING, message)
    if lost:
        message = f"The recording filled {filled} gaps and not {lost}."
        return result.told(BackfillOutcome.PARTLY, message)
    return result.told(BackfillOutcome.FILLED, f"The recording filled all {filled} gaps.")


def judge_again(
    result: BackfillResult, problem: StreamEnd | None, *, ranges: int
) -> BackfillResult:
    """Say what came of analysing a stream once more."""
    if problem is not None:
        return result.told(BackfillOutcome.NO_RECORDING, problem.message)
    if not ranges:
        message = "Where the stream lies in the recording cannot be told, or it is too long."
        return result.told(BackfillOutcome.NO_RECORDING, message)
    message = f"Analysed once more: {result.highlights} highlights are new."
    return result.told(BackfillOutcome.REANALYZED, message)


def end_of(problem: StreamEnd | None) -> StreamEnd:
    """Return how a stream ends that was missed, given what was wrong with its recording."""
    return problem or StreamEnd(
        reason=EndReason.PLAYLIST_ENDED, message="Analysed from the stream's recording."
    )


def judge_whole(result: BackfillResult, end: StreamEnd) -> BackfillResult:
    """Say what came of analysing a stream that was missed, given how that ended."""
    analyzed = end.reason is EndReason.PLAYLIST_ENDED
    outcome = BackfillOutcome.FILLED if analyzed else BackfillOutcome.NO_RECORDING
    return result.told(outcome, end.message)
