"""State of one BackfillWorkflow. Pure: no I/O and no clock."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.clips.models import ClipOutcome, ClipSpec
from domain.clips.tracker import ClipTracker
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.markers import count_invalid_marks
from domain.highlights.selection import (
    DecisionStatus,
    SelectHighlightsInput,
    SelectHighlightsResult,
    needs_selection,
)
from domain.ingest.messages import IngestCursor
from domain.media.segments import Gap, GapStatus, SegmentRef, Window
from domain.streams.backfill.messages import (
    AnalyzedMedia,
    BackfillInput,
    BackfillRecord,
    BackfillResult,
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    StoredStreamState,
    end_of,
    exclude_existing,
    selection_with,
    summarize_gap_filling,
    summarize_reanalysis,
    summarize_whole_stream,
)
from domain.streams.backfill.planning import GapOutcome, RecordingChunk, RecordingRange, gap_outcome
from domain.streams.ledger import segments_from
from domain.streams.status import StreamStatus, conclude

HORIZON: Final = 120.0
"""Media seconds for which segments are kept behind analysis: the longest lead of a clip."""

VARIANT: Final = "recording"


class BackfillLedger:
    """Mutable state of one backfill. Each method records one event or returns the next request."""

    def __init__(
        self, request: BackfillInput, stream: StoredStreamState, survey: RecordingSurvey
    ) -> None:
        self._request = request
        self._stream = stream
        self._survey = survey
        self._progress = stream.progress
        self._cursor: IngestCursor | None = None
        self._segments: list[SegmentRef] = []
        self._holes: list[Gap] = []
        self._analyzed: list[tuple[float, float]] = []
        self._outcomes: list[GapOutcome] = []
        self._unwritten: list[GapOutcome] = []
        self._unmetered: list[AnalyzedMedia] = []
        self._clips = ClipTracker()
        self._position = 0.0
        self._released = 0.0
        self._highlights = 0
        self._ready = 0
        plan = survey.plan
        self._selection = selection_with(stream.standing, plan.stretches, watermark=plan.begins)
        self._settle(plan.lost)
        if survey.problem is not None:
            self._settle([GapOutcome.lost(gap, survey.problem.message) for gap in stream.gaps])
        if stream.missed_altogether:
            self._progress = self._progress.replace(
                status=StreamStatus.ENDING, duration=plan.duration or None
            )

    @property
    def ranges(self) -> tuple[RecordingRange, ...]:
        """Ranges to fetch."""
        return self._survey.plan.ranges

    @property
    def is_whole_stream(self) -> bool:
        """True if nothing of the stream was ever stored, so that its row shows our progress."""
        return self._stream.missed_altogether

    @property
    def rendering(self) -> tuple[UUID, ...]:
        """IDs of the clips being rendered."""
        return self._clips.rendering

    def fetch_request(self, span: RecordingRange, piece: RecordingChunk) -> FetchRecordingInput:
        """Return the request for a chunk; the first one of a range starts a new clock."""
        if piece is span.pieces[0] or self._cursor is None:
            self._cursor = IngestCursor(position=piece.start, variant=VARIANT)
        return FetchRecordingInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            playlist_url=self._survey.playlist_url,
            audio_url=self._survey.audio_url,
            piece=piece,
            cursor=self._cursor.changed(window_index=piece.window),
            limits=self._request.limits,
            last=piece is span.pieces[-1],
            keep=self.is_whole_stream,
        )

    def record_fetched(self, result: FetchRecordingResult) -> None:
        """Record a fetched chunk."""
        self._cursor = result.cursor
        window = result.window
        if window is None:
            return
        self._segments += window.segments
        self._holes += window.gaps
        self._position = max(self._position, window.end)
        if self._stream.missed_altogether:
            self._progress = self._progress.replace(
                position=window.end,
                segments=self._progress.segments + len(window.segments),
                missed=self._progress.missed + sum(gap.segments for gap in window.gaps),
                windows=self._progress.windows + 1,
                refused_marks=self._progress.refused_marks + count_invalid_marks(window),
            )

    def record_fetch_failure(self) -> None:
        """Record that a chunk could not be fetched; the next one starts where the playlist says."""
        self._cursor = None

    def analysis_request(
        self, windows: tuple[Window, ...], *, previous: int | None, last: bool
    ) -> AnalyzeWindowInput:
        """Return the request to the analyzer, whose state starts fresh with each range."""
        return AnalyzeWindowInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            windows=windows,
            previous_window=previous,
            profile_id=self._stream.profile_id,
            profile_version=self._stream.profile_version,
            last=last,
        )

    def record_analyzed(self, request: AnalyzeWindowInput, result: AnalyzeWindowResult) -> None:
        """Record analyzed windows."""
        unread = [(gap.start, gap.end) for gap in result.gaps]
        self._analyzed += [
            (segment.start, segment.end)
            for window in request.windows
            for segment in window.segments
            if not any(start <= segment.start < end for start, end in unread)
        ]
        self._holes += result.gaps
        if not self._request.again:  # what is analysed once more was counted the first time
            self._unmetered += _analyzed_media(request, result)
        if self._stream.missed_altogether:
            self._progress = self._progress.replace(
                analyzed=max(self._progress.analyzed, result.watermark)
            )
        if self._request.again and result.status_message is not None:
            self._progress = self._progress.replace(notice=result.status_message)

    def selection_request(
        self, span: RecordingRange, result: AnalyzeWindowResult
    ) -> SelectHighlightsInput | None:
        """Return the request to select among a range's candidates; None if nothing is due."""
        missed = exclude_existing(
            [each for each in result.candidates if span.counts(each.peak)], self._stream.standing
        )
        return self._select(missed, watermark=result.watermark)

    def selection_request_before(self, span: RecordingRange) -> SelectHighlightsInput | None:
        """Return the request to selection before a range starts; earlier ranges are finished."""
        return self._select((), watermark=span.counts_from)

    def final_selection_request(self) -> SelectHighlightsInput | None:
        """Return the last request to selection; None if no candidate is open."""
        if not self._selection.open:
            return None
        return self._select((), watermark=self._position, ended=True)

    def record_decisions(self, result: SelectHighlightsResult) -> None:
        """Record decisions. Only confirmed highlights get a clip, since nobody is watching live."""
        self._selection = result.state
        for decision in result.decisions:
            confirmed = decision.status is DecisionStatus.CONFIRMED
            if confirmed and self._clips.track(decision):
                self._highlights += 1

    def pop_ready_to_render(self, *, range_over: bool) -> tuple[ClipSpec, ...]:
        """Return the clips whose media is complete, and mark them as rendering."""
        return self._clips.pop_ready_to_render(
            self._segments,
            media_end=self._position,
            ended=range_over,
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
        )

    def record_clip_outcome(self, outcome: ClipOutcome) -> None:
        """Record a finished or failed clip."""
        before = self._clips.is_ready(outcome.highlight_id)
        self._clips.record_outcome(outcome)
        self._ready += self._clips.is_ready(outcome.highlight_id) and not before

    def record_range_end(self, span: RecordingRange) -> None:
        """Record that all chunks of a range have been processed."""
        self._settle([gap_outcome(gap, self._analyzed, span.joined_by) for gap in span.gaps])
        self._analyzed.clear()

    def due_release(self) -> RecordingRelease | None:
        """Return which stored media to delete now; None if it is not worth a call."""
        point = min(
            [
                self._selection.watermark - HORIZON,
                *(each.clip_start for each in self._selection.open),
                *self._clips.needed_from,
            ]
        )
        if point - self._released < self._request.timing.release_interval:
            return None
        self._released = point
        self._segments = segments_from(self._segments, point)
        return RecordingRelease(
            tenant_id=self._request.tenant_id, stream_id=self._request.stream_id, before=point
        )

    def record(self) -> BackfillRecord:
        """Return the record to write: progress, and outcomes not yet written."""
        return BackfillRecord(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            progress=self._progress.replace(
                highlights=self._stream.progress.highlights + self._highlights,
                clips=self._stream.progress.clips + self._ready,
            ),
            outcomes=tuple(self._unwritten),
            analyzed=tuple(self._unmetered),
        )

    def mark_recorded(self, record: BackfillRecord) -> None:
        """Record that `record` has been written."""
        self._unwritten = self._unwritten[len(record.outcomes) :]
        self._unmetered = self._unmetered[len(record.analyzed) :]

    def close(self) -> None:
        """Record the end of a stream that was missed entirely; others have already ended."""
        if self._stream.missed_altogether:
            end = conclude(end_of(self._survey.problem), self._progress)
            self._progress = self._progress.replace(status=end.status, end=end)

    def result(self) -> BackfillResult:
        """Return the result of the backfill."""
        result = BackfillResult(
            filled=self._count(GapStatus.FILLED),
            lost=self._count(GapStatus.LOST),
            highlights=self._highlights,
            clips=self._ready,
        )
        problem = self._survey.problem
        if self._stream.missed_altogether:
            return summarize_whole_stream(result, conclude(end_of(problem), self._progress))
        if self._request.again:
            return summarize_reanalysis(result, problem, ranges=len(self.ranges))
        return summarize_gap_filling(result, problem)

    def report(self) -> str:
        """Return the progress of the backfill, in Markdown."""
        return (
            f"## {self._stream.game}: filled from the recording\n"
            f"**{len(self.ranges)}** stretches to fetch, {self._count(GapStatus.FILLED)} gaps "
            f"filled, {self._count(GapStatus.LOST)} lost, {self._highlights} highlights, "
            f"{self._ready} clips"
        )

    def _select(
        self, candidates: tuple[HighlightCandidate, ...], *, watermark: float, ended: bool = False
    ) -> SelectHighlightsInput | None:
        watermark = max(self._selection.watermark, watermark)
        if not needs_selection(
            self._selection, watermark=watermark, candidates=candidates, ended=ended
        ):
            return None
        return SelectHighlightsInput(
            tenant_id=self._request.tenant_id,
            stream_id=self._request.stream_id,
            profile_id=self._stream.profile_id,
            profile_version=self._stream.profile_version,
            state=self._selection,
            candidates=candidates,
            watermark=watermark,
            ended=ended,
            gaps=tuple(self._holes),
            media_end=self._position if ended and self._stream.missed_altogether else None,
        )

    def _settle(self, outcomes: tuple[GapOutcome, ...] | list[GapOutcome]) -> None:
        self._outcomes += outcomes
        self._unwritten += outcomes

    def _count(self, status: GapStatus) -> int:
        return sum(each.status is status for each in self._outcomes)


def _analyzed_media(
    request: AnalyzeWindowInput, result: AnalyzeWindowResult
) -> list[AnalyzedMedia]:
    """Return the analyzed media of each window; results of old analyzers count all of it."""
    seconds = result.analyzed_seconds
    if len(seconds) != len(request.windows):
        seconds = tuple(sum(each.duration for each in one.segments) for one in request.windows)
    return [
        AnalyzedMedia(start=window.start, seconds=analyzed)
        for window, analyzed in zip(request.windows, seconds, strict=True)
    ]
