"""The books of a stream: what follows from what has happened to it."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.analysis.gemini.budget import GateReason
from domain.analysis.gemini.report import GeminiReport
from domain.analysis.messages import AnalyzeWindowResult
from domain.analysis.signals import undecodable_gaps
from domain.clips.models import ClipSpec, ClipStatus
from domain.highlights.feedback import Correction
from domain.highlights.selection import DecisionStatus, SelectHighlightsResult, SelectionState
from domain.ingest.messages import IngestCursor
from domain.media.segments import TimedMetadata
from domain.streams.ledger import BATCH, KEPT_DECISIONS, RECORDED_WINDOWS, StreamLedger
from domain.streams.messages import ClipCorrection, RecordingReady
from domain.streams.status import EndReason, StreamProgress, StreamStatus
from tests.unit.domain.clip_cases import WHEN, decision, outcome, window
from tests.unit.domain.ledger_cases import (
    OVER,
    STOPPED,
    TIMING,
    analyze,
    decide,
    fetch,
    ledger,
    reloaded,
    status,
)


class TestFetching:
    def test_goes_on_from_where_the_last_window_ended(self) -> None:
        books = ledger()
        assert books.fetch_request().cursor == IngestCursor()
        fetch(books, window(0))
        assert books.fetch_request().cursor.window_index == 1

    def test_counts_what_was_stored_and_what_was_missed(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1, lost=[1, 2]))
        progress = books.progress
        assert (progress.position, progress.windows) == (12.0, 2)
        assert (progress.segments, progress.missed) == (4, 2)

    def test_media_makes_a_stream_live(self) -> None:
        books = ledger()
        fetch(books, window(0))
        assert status(books) is StreamStatus.LIVE

    def test_a_playlist_that_stands_still_stalls_it_until_media_comes(self) -> None:
        books = ledger()
        fetch(books, window(0))
        fetch(books, None, stalled=True)
        assert status(books) is StreamStatus.STALLED
        fetch(books, window(1))
        assert status(books) is StreamStatus.LIVE

    def test_nothing_new_changes_nothing(self) -> None:
        books = ledger()
        fetch(books, None)
        assert books.progress == StreamProgress()

    def test_the_last_window_may_come_with_the_end(self) -> None:
        books = ledger()
        fetch(books, window(0), end=OVER)
        assert books.end == OVER
        assert books.progress.status is StreamStatus.ENDING
        assert books.has_backlog

    def test_the_first_end_counts(self) -> None:
        books = ledger()
        books.media_ended(STOPPED)
        books.media_ended(OVER)
        assert books.end == STOPPED

    def test_a_window_of_gaps_alone_keeps_the_time_of_the_last_segment(self) -> None:
        books = ledger()
        fetch(books, window(0))
        seen = books.progress.last_segment_at
        fetch(books, window(1, lost=[0, 1, 2]))
        assert books.progress.last_segment_at == seen
        assert seen is not None


class TestAnalysis:
    def test_takes_the_oldest_windows_in_batches(self) -> None:
        books = ledger()
        fetch(books, *(window(index) for index in range(BATCH + 3)))
        request = books.analysis_request()
        assert [each.index for each in request.windows] == list(range(BATCH))
        assert not request.last
        analyze(books)
        assert [each.index for each in books.analysis_request().windows] == [20, 21, 22]

    def test_asking_takes_nothing_away(self) -> None:
        books = ledger()
        fetch(books, window(0))
        assert books.analysis_request() == books.analysis_request()

    def test_tells_the_analyzer_what_it_saw_last(self) -> None:
        books = ledger()
        assert books.analysis_request().previous_window is None
        fetch(books, window(0), window(1))
        analyze(books)
        assert books.analysis_request().previous_window == 1

    def test_the_last_batch_of_a_stream_that_ended_is_marked(self) -> None:
        books = ledger()
        fetch(books, *(window(index) for index in range(BATCH + 1)))
        books.media_ended(OVER)
        assert not books.analysis_request().last
        analyze(books)
        assert books.analysis_request().last

    def test_a_stream_that_ends_with_nothing_to_analyse_is_settled_too(self) -> None:
        books = ledger()
        books.media_ended(OVER)
        request = books.analysis_request()
        assert (request.windows, request.last) == ((), True)

    def test_progress_never_goes_back(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1))
        analyze(books, watermark=9.0)
        analyze(books, watermark=3.0)
        assert books.progress.analyzed == 9.0

    def test_windows_that_cannot_be_analysed_are_given_up_and_counted(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1, lost=[0]))
        result = books.analysis_failed(books.analysis_request())
        assert (result.watermark, result.undecodable_segments) == (12.0, 5)
        assert not books.has_backlog
        assert books.progress.analyzed == 12.0

    def test_after_windows_were_given_up_the_analyzer_goes_on_from_what_it_remembers(self) -> None:
        books = ledger()
        fetch(books, window(0))
        analyze(books)
        fetch(books, window(1), window(2))
        books.analysis_failed(books.analysis_request())
        fetch(books, window(3))
        assert books.analysis_request().previous_window == 0
        assert [each.billable_seconds for each in books.record().windows[1:]] == [0.0, 0.0]

    def test_stored_media_that_cannot_be_decoded_is_a_gap_and_not_billed(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1))
        request = books.analysis_request()
        gaps = undecodable_gaps(request.windows[1].segments[:2])
        books.analyzed(
            request,
            AnalyzeWindowResult(
                watermark=11.0, analyzer="local-1", analyzed_seconds=(6.0, 2.0), gaps=gaps
            ),
        )
        record = books.record()
        assert books.record_is_due
        assert [(gap.start, gap.duration, gap.segments) for gap in record.gaps] == [(6.0, 4.0, 2)]
        assert record.progress.missed == 2
        assert [each.billable_seconds for each in record.windows] == [6.0, 2.0]
        assert books.selection_request(AnalyzeWindowResult(watermark=11.0), ended=False).gaps

    def test_where_the_media_ends_is_known_once_it_has_ended(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1, lost=[2]))
        result = analyze(books)
        assert books.record().media_end is None
        books.media_ended(OVER)
        end = window(1, lost=[2]).segments[-1].end
        assert books.record().media_end == end
        assert books.selection_request(result, ended=True).media_end == end

    def test_failing_to_settle_the_end_changes_nothing(self) -> None:
        books = ledger()
        fetch(books, window(0))
        analyze(books)
        assert books.analysis_failed(books.analysis_request()).watermark == 6.0

    def test_what_its_owner_should_know_of_it_stays_until_all_is_well(self) -> None:
        books = ledger()
        told = []
        for grounds in (GateReason.STREAM_BUDGET, GateReason.QUIET, GateReason.MOMENT):
            report = GeminiReport(pieces={grounds: 1})
            result = AnalyzeWindowResult(watermark=1.0, gemini=report)
            books.analyzed(books.analysis_request(), result)
            told.append(books.progress.notice)
        used_up = "Only the local analyzer is at work: the stream's budget was used up."
        assert told == [used_up, used_up, ""]


class TestSelection:
    def test_is_asked_only_when_it_could_decide(self) -> None:
        books = ledger()
        fetch(books, window(0))
        result = analyze(books)
        assert not books.selection_is_due(result, ended=False)
        assert books.selection_is_due(result, ended=True)

    def test_is_told_of_the_gaps_and_of_its_own_state(self) -> None:
        books = ledger()
        fetch(books, window(0, lost=[1]))
        books.decided(SelectHighlightsResult(state=SelectionState(watermark=5.0)))
        request = books.selection_request(analyze(books), ended=False)
        assert request.state.watermark == 5.0
        assert [each.start for each in request.gaps] == [2.0]
        assert request.watermark == 6.0

    def test_a_shown_highlight_counts_once_however_often_it_is_decided(self) -> None:
        books = ledger()
        decide(books, decision(1, status=DecisionStatus.PENDING))
        decide(books, decision(1, status=DecisionStatus.CONFIRMED))
        assert books.progress.highlights == 1

    def test_what_is_not_shown_does_not_count(self) -> None:
        books = ledger()
        decide(books, decision(1, status=DecisionStatus.HELD))
        decide(books, decision(2, status=DecisionStatus.REJECTED))
        decide(books, decision(3, status=DecisionStatus.RETRACTED))
        assert books.progress.highlights == 0
        assert not books.has_cuttable

    def test_a_retracted_highlight_counts_no_more_even_when_told_twice(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1), window(2))
        decide(books, decision(1), decision(2, peak=12.0))
        books.take_cuttable()
        for _ in range(2):
            decide(books, decision(1, status=DecisionStatus.RETRACTED))
        assert books.progress.highlights == 1

    def test_the_latest_decisions_are_remembered(self) -> None:
        books = ledger()
        decide(books, *(decision(number) for number in range(1, KEPT_DECISIONS + 3)))
        known = [each.highlight_id.int for each in books.timeline().decisions]
        assert known == list(range(3, KEPT_DECISIONS + 3))


class TestClips:
    def test_a_clip_is_cut_when_its_last_second_is_stored(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1))
        decide(books, decision(1, peak=10.0, after=4.0))
        assert not books.has_cuttable
        fetch(books, window(2))
        assert books.has_cuttable
        (spec,) = books.take_cuttable()
        assert (spec.start, spec.end) == (6.0, 14.0)
        assert books.rendering == (spec.id,)
        assert not books.has_cuttable

    def test_the_end_cuts_what_there_is(self) -> None:
        books = ledger()
        fetch(books, window(0), window(1), end=OVER)
        decide(books, decision(1, peak=10.0, after=4.0))
        (spec,) = books.take_cuttable()
        assert spec.end == 12.0

    def test_a_finished_clip_counts_once(self) -> None:
        books, spec = self.rendering()
        for _ in range(2):
            assert books.clip_finished(outcome(spec)) is None
        assert books.progress.clips == 1

    def test_a_failed_clip_does_not_count(self) -> None:
        books, spec = self.rendering()
        books.clip_finished(outcome(spec, ClipStatus.FAILED))
        assert (books.progress.clips, books.progress.highlights) == (0, 1)

    def test_a_ready_clip_is_discarded_with_its_highlight(self) -> None:
        books, spec = self.rendering()
        books.clip_finished(outcome(spec))
        (discarded,) = decide(books, decision(1, status=DecisionStatus.RETRACTED))
        assert discarded.id == spec.id
        assert (books.progress.clips, books.progress.highlights) == (0, 0)

    def test_a_clip_whose_highlight_went_while_it_was_made_is_discarded_when_done(self) -> None:
        books, spec = self.rendering()
        assert decide(books, decision(1, status=DecisionStatus.RETRACTED)) == ()
        doomed = books.clip_finished(outcome(spec))
        assert doomed is not None
        assert doomed.id == spec.id
        assert books.progress.clips == 0

    def test_a_corrected_clip_is_another_one_and_the_highlights_count_as_before(self) -> None:
        books, spec = self.rendering()
        books.clip_finished(outcome(spec))
        assert books.correct_clip(self.correction(start=8.0, end=12.0))
        (again,) = books.take_cuttable()
        books.clip_finished(outcome(again))
        assert (again.start, again.end) == (8.0, 12.0)
        assert (books.progress.clips, books.progress.highlights) == (1, 1)
        discarded = decide(books, decision(1, status=DecisionStatus.RETRACTED))
        assert [each.id for each in discarded] == [spec.id, again.id]
        assert (books.progress.clips, books.progress.highlights) == (0, 0)

    def test_what_reaches_into_deleted_media_is_not_corrected(self) -> None:
        books, spec = self.rendering()
        books.clip_finished(outcome(spec))
        books._segments = books._segments[4:]
        assert not books.correct_clip(self.correction(start=7.9, end=12.0))
        assert books.correct_clip(self.correction(start=8.0, end=12.0))

    @staticmethod
    def correction(*, start: float, end: float) -> ClipCorrection:
        return ClipCorrection(highlight_id=UUID(int=1), correction=Correction(start=start, end=end))

    @staticmethod
    def rendering() -> tuple[StreamLedger, ClipSpec]:
        books = ledger()
        fetch(books, window(0), window(1), window(2))
        decide(books, decision(1))
        (spec,) = books.take_cuttable()
        return books, spec


class TestReleasing:
    def test_waits_until_it_is_worth_the_call(self) -> None:
        books = ledger()
        self.follow(books, range(6))
        assert books.due_release() is None
        self.follow(books, range(6, 7))
        release = books.due_release()
        assert release is not None
        assert release.before == 12.0
        assert books.due_release() is None

    def test_what_was_released_is_cut_from_no_more(self) -> None:
        books = ledger()
        self.follow(books, range(8))
        books.due_release()
        assert books.timeline().start == 18.0

    def test_media_of_a_clip_being_made_stays(self) -> None:
        books = ledger()
        self.follow(books, range(3))
        decide(books, decision(1, peak=10.0))
        (spec,) = books.take_cuttable()
        self.follow(books, range(3, 12))
        assert books.due_release() is None
        books.clip_finished(outcome(spec))
        release = books.due_release()
        assert release is not None
        assert release.before == 42.0

    def test_media_that_waits_for_analysis_stays_with_what_its_moments_may_reach_back_to(
        self,
    ) -> None:
        books = ledger()
        self.follow(books, range(10))
        fetch(books, *(window(index) for index in range(10, 40)))
        release = books.due_release()
        assert release is not None
        assert release.before == 60.0 - TIMING.media_horizon

    def test_all_media_goes_at_the_end(self) -> None:
        assert ledger().final_release().before is None

    @staticmethod
    def follow(books: StreamLedger, indices: range) -> None:
        for index in indices:
            fetch(books, window(index))
            analyze(books)


class TestRecording:
    def test_a_new_stream_is_written_down_at_once(self) -> None:
        assert ledger().record_is_due

    def test_counters_alone_are_not_worth_a_write(self) -> None:
        books = ledger()
        fetch(books, window(0))
        books.recorded(books.record())
        fetch(books, window(1))
        assert not books.record_is_due

    def test_each_gap_is_written_once(self) -> None:
        books = ledger()
        fetch(books, window(0, lost=[0]))
        record = books.record()
        fetch(books, window(1, lost=[1]))
        books.recorded(record)
        assert [each.start for each in record.gaps] == [0.0]
        assert [each.start for each in books.record().gaps] == [8.0]

    def test_a_minute_of_windows_is_worth_a_write(self) -> None:
        books = ledger()
        books.recorded(books.record())
        books.become(StreamStatus.LIVE)
        books.recorded(books.record())
        for index in range(RECORDED_WINDOWS):
            assert not books.record_is_due
            fetch(books, window(index))
            analyze(books)
        assert books.record_is_due

    def test_each_window_is_written_once_with_who_looked_at_it_and_when(self) -> None:
        books = ledger()
        fetch(books, window(0))
        result = AnalyzeWindowResult(watermark=6.0, analyzer="local-1")
        books.analyzed(books.analysis_request(), result, at=WHEN)
        record = books.record()
        fetch(books, window(1, lost=[0]))
        books.analysis_failed(books.analysis_request())
        books.recorded(record)
        (first,), (second,) = record.windows, books.record().windows
        assert (first.index, first.segments) == (0, 3)
        assert (first.analyzer, first.analyzed_at) == ("local-1", WHEN)
        assert (second.index, second.segments) == (1, 2)
        assert (second.analyzer, second.analyzed_at) == (None, None)

    def test_windows_not_yet_written_are_handed_to_the_next_run(self) -> None:
        books = ledger()
        fetch(books, window(0))
        analyze(books)
        assert [each.index for each in reloaded(books).record().windows] == [0]

    def test_a_state_that_changed_during_the_write_is_written_next(self) -> None:
        books = ledger()
        record = books.record()
        books.become(StreamStatus.LIVE)
        books.recorded(record)
        assert books.record_is_due

    def test_a_recording_shows_in_the_timeline(self) -> None:
        books = ledger()
        offered = RecordingReady(url="https://cdn.example.com/vod.m3u8", duration=60.0)
        books.note_recording(offered)
        assert books.timeline().recording == offered
        assert reloaded(books).timeline().recording == offered

    def test_what_was_missed_is_to_be_filled_from_the_recording(self) -> None:
        books = ledger()
        fetch(books, window(0, lost=[0]))
        assert books.backfill_request() is None
        offered = RecordingReady(url="https://cdn.example.com/vod.m3u8")
        books.note_recording(offered)
        request = reloaded(books).backfill_request()
        assert request is not None
        assert request.recording == offered
        assert request.timing.release_interval == TIMING.release_interval

    def test_a_recording_is_not_needed_where_nothing_was_missed(self) -> None:
        books = ledger()
        books.note_recording(RecordingReady(url="https://cdn.example.com/vod.m3u8"))
        assert books.backfill_request() is not None
        fetch(books, window(0))
        assert books.backfill_request() is None

    def test_marks_that_cannot_be_read_are_counted(self) -> None:
        books = ledger()
        payloads = ("goal", '{"highlight": {}}', "", "[broken")
        marks = tuple(TimedMetadata(id=each, at=1.0, payload=each) for each in payloads)
        changes = {"metadata": marks, "dropped_metadata": 40}
        fetch(books, window(0).model_copy(update=changes))
        assert reloaded(books).progress.refused_marks == 42
        assert "42 marks of the tenant could not be used." in books.report()

    def test_the_report_names_the_game(self) -> None:
        assert ledger().report().startswith("## valorant: starting")


class TestClosing:
    def test_a_stream_ends_as_its_media_did(self) -> None:
        books = ledger()
        fetch(books, window(0), end=OVER)
        assert books.close() == OVER
        assert (books.progress.status, books.progress.end) == (StreamStatus.COMPLETED, OVER)

    def test_a_stream_of_gaps_has_failed(self) -> None:
        books = ledger()
        fetch(books, window(0, lost=[0, 1, 2]), end=OVER)
        assert books.close().reason is EndReason.NO_MEDIA
        assert books.progress.status is StreamStatus.FAILED

    def test_an_end_without_a_reason_is_our_fault(self) -> None:
        assert ledger().close().reason is EndReason.INTERNAL

    def test_a_cancelled_stream_is_cancelled_whatever_its_media_did(self) -> None:
        books = ledger()
        fetch(books, window(0), end=OVER)
        assert books.cancel().reason is EndReason.CANCELLED
        assert books.progress.status is StreamStatus.CANCELLED

    def test_closing_again_changes_nothing(self) -> None:
        books = ledger()
        books.media_ended(STOPPED)
        first = books.close()
        assert books.cancel() == first
        assert books.progress.status is StreamStatus.COMPLETED
        assert not books.become(StreamStatus.LIVE)


@pytest.mark.parametrize("runs", [1, 3])
def test_the_runs_of_a_stream_are_counted(runs: int) -> None:
    books = ledger()
    for _ in range(runs):
        books = reloaded(books)
    assert books.state().runs == runs + 1
