"""Messages and results of BackfillWorkflow, and the existing highlights that it respects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.selection import DecisionStatus, SelectionState
from domain.highlights.selection.models import ConfirmedHighlight, ConfirmedPeak, RejectedCandidate
from domain.highlights.similarity import describe
from domain.ingest.messages import IngestCursor, IngestLimits
from domain.media.segments import Gap, VariantPolicy, Window
from domain.media.timestamps import ClockAnchor
from domain.model import Model
from domain.streams.backfill.planning import BackfillPlan, GapOutcome, RecordingChunk
from domain.streams.messages import RecordingReady, StreamTiming
from domain.streams.status import EndReason, StreamEnd, StreamProgress

NEAR: Final = 300.0
"""Seconds from a stretch within which a highlight is remembered whole: sameness reaches 90 s. Of
the others the peaks are, for spacing and quotas."""


SHOWN: Final = frozenset({DecisionStatus.PENDING, DecisionStatus.CONFIRMED})


class ExistingHighlight(Model):
    """A highlight as it was decided live; times in seconds of media time."""

    id: UUID
    status: DecisionStatus
    start: NonNegativeFloat
    peak: NonNegativeFloat
    end: NonNegativeFloat
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    override: bool = False


SHARED: Final = 0.5
"""Share of the shorter of two spans from which on both are taken for one moment."""


SEEN_LATER: Final = Evidence(
    signal="recording", strength=0.0, words="seen in the recording, after the stream"
)


Stretch = tuple[float, float]


def selection_with(
    standing: Iterable[ExistingHighlight], stretches: Sequence[Stretch], *, watermark: float
) -> SelectionState:
    """Return the selection state with which a backfill starts; `stretches` in s of media time.

    Highlights that were shown are kept and cannot be displaced; rejected ones stay rejected. The
    watermark is the start of the first stretch, so that its moments are selected by the same rules
    as live ones, and take the places that are left.
    """
    placed: list[ConfirmedHighlight] = []
    past: list[ConfirmedPeak] = []
    refused: list[RejectedCandidate] = []
    for each in sorted(standing, key=lambda each: (each.peak, each.id.int)):
        near = any(start - NEAR <= each.peak <= end + NEAR for start, end in stretches)
        if each.status not in SHOWN:
            if near:
                refused.append(RejectedCandidate(each.id, each.peak))
        elif near:
            placed.append(_placed(each))
        else:
            past.append(ConfirmedPeak(each.id, each.peak, each.override, each.start, each.end))
    return SelectionState(
        placed=tuple(placed), past=tuple(past), refused=tuple(refused), watermark=watermark
    )


def exclude_existing(
    candidates: Iterable[HighlightCandidate], standing: Sequence[ExistingHighlight]
) -> tuple[HighlightCandidate, ...]:
    """Return the candidates that do not repeat a highlight that was already shown.

    At the edge of a gap, the live analysis saw only part of a moment. The spacing of selection
    would reject the complete one, except if it is exceptional and may ignore spacing; so spans are
    compared here first.
    """
    shown = [each for each in standing if each.status in SHOWN]
    return tuple(
        each.replace(evidence=(*each.evidence, SEEN_LATER))
        for each in candidates
        if not any(_shares(each, other) for other in shown)
    )


def _shares(one: HighlightCandidate, two: ExistingHighlight) -> bool:
    common = min(one.end, two.end) - max(one.start, two.start)
    return common > SHARED * min(one.end - one.start, two.end - two.start)


def _placed(each: ExistingHighlight) -> ConfirmedHighlight:
    return ConfirmedHighlight(
        id=each.id,
        start=each.start,
        peak=each.peak,
        end=each.end,
        title=each.title,
        text=describe(each.title, each.description),
        tags=each.tags,
        override=each.override,
    )


class BackfillTiming(StreamTiming):
    """Timers and timeouts of BackfillWorkflow, in seconds; the shared ones as in StreamTiming.

    `recording_patience` is how long to wait for a recording that does not answer or is still being
    written.
    """

    recording_patience: PositiveFloat = 3600.0


class BackfillInput(Model):
    """Input of BackfillWorkflow, whose id is `domain.ids.backfill_workflow_id`.

    `again` requests the reanalysis of the whole stream, with or without gaps.
    """

    tenant_id: UUID
    stream_id: UUID
    name: str = ""
    recording: RecordingReady
    again: bool = False
    limits: IngestLimits = IngestLimits()
    variant: VariantPolicy = VariantPolicy()
    timing: BackfillTiming = BackfillTiming()

    def final_release(self, *, keep: bool) -> RecordingRelease:
        """Return the request for the end; with `keep`, a whole recording's media stays a while."""
        return RecordingRelease(tenant_id=self.tenant_id, stream_id=self.stream_id, keep=keep)


class StreamRef(Model):
    """A stream of a tenant; `again` requests its reanalysis."""

    tenant_id: UUID
    stream_id: UUID
    again: bool = False


class StoredStreamState(Model):
    """Stored state of a stream: progress, open gaps and decided highlights.

    `anchor` is a point known on both clocks; set only for a reanalysis.
    """

    game: str
    profile_id: str
    profile_version: str
    progress: StreamProgress
    gaps: tuple[Gap, ...] = ()
    standing: tuple[ExistingHighlight, ...] = ()
    anchor: ClockAnchor | None = None

    @property
    def missed_altogether(self) -> bool:
        """True if nothing of the stream was ever stored, so that only its recording exists."""
        return self.progress.segments == 0 and self.progress.position == 0.0


class SurveyInput(Model):
    """Request to read a recording's playlist and plan what to fetch.

    `gaps` is None if the whole stream was missed. `again` requests the reanalysis of the whole
    stream, which `anchor` aligns with the recording. `stream_end` is in seconds of media time.
    """

    tenant_id: UUID
    stream_id: UUID
    recording: RecordingReady
    gaps: tuple[Gap, ...] | None
    stream_end: NonNegativeFloat
    limits: IngestLimits
    variant: VariantPolicy
    again: bool = False
    anchor: ClockAnchor | None = None


class RecordingSurvey(Model):
    """The plan and its playlist; or, as `problem`, why there is no usable recording.

    `audio_url` is the playlist of separate audio; empty if there is none.
    """

    playlist_url: str = ""
    audio_url: str = ""
    plan: BackfillPlan = BackfillPlan()
    problem: StreamEnd | None = None


class FetchRecordingInput(Model):
    """Request to fetch one chunk of a recording; `cursor` stands at the end of the previous chunk.

    `last` is True for the last chunk of a range. With `keep`, the media is stored and indexed as
    that of a live stream is, and outlives the backfill.
    """

    tenant_id: UUID
    stream_id: UUID
    playlist_url: str
    piece: RecordingChunk
    cursor: IngestCursor
    limits: IngestLimits
    last: bool = False
    audio_url: str = ""
    keep: bool = False


class FetchRecordingResult(Model):
    """The chunk as a window (None if nothing was stored), and the cursor for the next chunk."""

    cursor: IngestCursor
    window: Window | None = None


class RecordingRelease(Model):
    """Request to delete stored media of a recording that ends before `before` (s).

    `before` is None when the backfill is over and all of it can be deleted. Media that was fetched
    with `keep` stays then, for as long as the installation keeps media.
    """

    tenant_id: UUID
    stream_id: UUID
    before: NonNegativeFloat | None = None
    keep: bool = False


class AnalyzedMedia(Model):
    """Analyzed media of a recording: start of its window and duration (s)."""

    start: NonNegativeFloat
    seconds: NonNegativeFloat


class BackfillRecord(Model):
    """Outcomes of gaps, and the stream's progress.

    `analyzed` is the media analyzed since the last record, which usage counts.
    """

    tenant_id: UUID
    stream_id: UUID
    progress: StreamProgress
    outcomes: tuple[GapOutcome, ...] = ()
    analyzed: tuple[AnalyzedMedia, ...] = ()


def survey_request(request: BackfillInput, stream: StoredStreamState) -> SurveyInput:
    """Return the request to survey the recording of a stream."""
    return SurveyInput(
        tenant_id=request.tenant_id,
        stream_id=request.stream_id,
        recording=request.recording,
        gaps=None if stream.missed_altogether else stream.gaps,
        stream_end=stream.progress.position,
        limits=request.limits,
        variant=request.variant,
        again=request.again,
        anchor=stream.anchor,
    )


class BackfillOutcome(StrEnum):
    """Outcome of a backfill."""

    FILLED = "filled"  # all that was missing has been analysed
    PARTLY = "partly"  # some of it
    REANALYZED = "reanalyzed"  # all of it has been analysed once more
    NOTHING_MISSING = "nothing_missing"  # the recording was not needed
    NO_RECORDING = "no_recording"  # nothing of it could be had; the message says why
    NO_STREAM = "no_stream"  # it has been deleted


class BackfillResult(Model):
    """Result of BackfillWorkflow, with the highlights and clips that it added."""

    outcome: BackfillOutcome = BackfillOutcome.NOTHING_MISSING
    message: str = "Nothing was missing."
    filled: NonNegativeInt = 0
    lost: NonNegativeInt = 0
    highlights: NonNegativeInt = 0
    clips: NonNegativeInt = 0

    def with_outcome(self, outcome: BackfillOutcome, message: str) -> BackfillResult:
        """Return a copy with an outcome for programs and a message for people."""
        return BackfillResult(
            outcome=outcome,
            message=message,
            filled=self.filled,
            lost=self.lost,
            highlights=self.highlights,
            clips=self.clips,
        )


def summarize_gap_filling(result: BackfillResult, problem: StreamEnd | None) -> BackfillResult:
    """Return the result of filling gaps; `problem` is what was wrong with the recording."""
    filled, lost = result.filled, result.lost
    if problem is not None:
        return result.with_outcome(BackfillOutcome.NO_RECORDING, problem.message)
    if not filled and not lost:
        return result
    if not filled:
        message = f"The recording filled none of {lost} gaps."
        return result.with_outcome(BackfillOutcome.NO_RECORDING, message)
    if lost:
        message = f"The recording filled {filled} gaps and not {lost}."
        return result.with_outcome(BackfillOutcome.PARTLY, message)
    return result.with_outcome(BackfillOutcome.FILLED, f"The recording filled all {filled} gaps.")


def summarize_reanalysis(
    result: BackfillResult, problem: StreamEnd | None, *, ranges: int
) -> BackfillResult:
    """Return the result of a reanalysis; `problem` is what was wrong with the recording."""
    if problem is not None:
        return result.with_outcome(BackfillOutcome.NO_RECORDING, problem.message)
    if not ranges:
        message = "Where the stream lies in the recording cannot be told, or it is too long."
        return result.with_outcome(BackfillOutcome.NO_RECORDING, message)
    message = f"Analysed once more: {result.highlights} highlights are new."
    return result.with_outcome(BackfillOutcome.REANALYZED, message)


def end_of(problem: StreamEnd | None) -> StreamEnd:
    """Return the end of a missed stream, given the problem with its recording."""
    return problem or StreamEnd(
        reason=EndReason.PLAYLIST_ENDED, message="Analysed from the stream's recording."
    )


def summarize_whole_stream(result: BackfillResult, end: StreamEnd) -> BackfillResult:
    """Return the result of analyzing a missed stream, given its end."""
    analyzed = end.reason is EndReason.PLAYLIST_ENDED
    outcome = BackfillOutcome.FILLED if analyzed else BackfillOutcome.NO_RECORDING
    return result.with_outcome(outcome, end.message)
