"""The ledger of a stream: what follows from what has happened to it."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.analysis.gemini.budget import GateReason
from domain.analysis.messages import AnalyzeWindowResult, GeminiReport
from domain.analysis.signals import undecodable_gaps
from domain.clips.models import ClipSpec, ClipStatus
from domain.feed.messages import FeedEventsStored, LinkFeedResult
from domain.highlights.feedback import HighlightCorrection
from domain.highlights.selection import DecisionStatus, SelectHighlightsResult, SelectionState
from domain.ingest.messages import IngestCursor
from domain.media.segments import TimedMetadata
from domain.streams.ledger import (
    BATCH,
    KEPT_DECISIONS,
    RECORDED_SECONDS,
    RECORDED_WINDOWS,
    StreamLedger,
)
from domain.streams.messages import (
    LONG_PLAYLIST,
    ClipCorrection,
    RecordingReady,
    StreamState,
)
from domain.streams.status import EndReason, StreamProgress, StreamStatus
from tests.factories.clips import WHEN, decision, outcome, window
from tests.factories.ledgers import (
    OVER,
    STOPPED,
    TIMING,
    analyze,
    decide,
    fetch,
    follow,
    new_ledger,
    reloaded,
    status,
)
from tests.factories.selection import candidate

CANDIDATE = candidate(1, 3.0, 0.8)


class TestFollowing:
    def test_goes_on_from_where_the_last_call_ended(self) -> None:
        ledger = new_ledger()
        follow(ledger, window(0), window(1), analyzed=1)
        request = ledger.follow_request(analyze=True)
        assert request.fetch.cursor.window_index == 2
        assert [each.index for each in request.backlog] == [1]
        assert request.previous_window == 0
        assert not request.behind

    def test_windows_that_failed_are_left_to_the_other_activity(self) -> None:
        ledger = new_ledger()
        follow(ledger, window(0))
        request = ledger.follow_request(analyze=False)
        assert (request.analyze, request.backlog) == (False, ())
        assert ledger.has_backlog

    def test_more_windows_than_a_call_takes_are_analyzed_before_new_ones(self) -> None:
        ledger = new_ledger()
        follow(ledger, *(window(index) for index in range(BATCH + 1)))
        request = ledger.follow_request(analyze=True)
        assert len(request.backlog) == BATCH
        assert request.behind

    def test_the_first_window_is_shown_at_once_and_so_is_the_one_after_a_stall(self) -> None:
        ledger = new_ledger()
        assert ledger.follow_request(analyze=True).after_window
        follow(ledger, window(0))
        assert not ledger.follow_request(analyze=True).after_window
        fetch(ledger, None, stalled=True)
        assert ledger.follow_request(analyze=True).after_window

    def test_a_clip_that_waits_for_media_is_waited_for(self) -> None:
        ledger = new_ledger()
        follow(ledger, window(0), window(1))
        decide(ledger, decision(1, peak=11.0, status=DecisionStatus.PENDING))
        awaited = ledger.follow_request(analyze=True).return_at
        assert awaited is not None
        assert awaited > ledger.progress.position
        while ledger.progress.position < awaited:
            follow(ledger, window(ledger.progress.windows))
        assert ledger.follow_request(analyze=True).return_at is None
        assert ledger.has_ready_to_render

    @pytest.mark.parametrize(
        ("until", "calls"), [(10.0, 1), (80.0, 1), (130.0, 1), (140.0, 2), (270.0, 3)]
    )
    def test_calls_are_as_long_as_ends_with_the_next_decision(
        self, until: float, calls: int
    ) -> None:
        ledger = new_ledger()
        state = SelectionState(next_decision_at=until)
        ledger.record_decisions(SelectHighlightsResult(state=state))
        request = ledger.follow_request(analyze=True)
        assert request.decide_at == until
        assert (request.duration - 5.0) * calls == pytest.approx(until)

    def test_candidates_wait_for_selection_once(self) -> None:
        ledger = new_ledger()
        follow(ledger, window(0), analyzed=1, candidates=(CANDIDATE,))
        assert ledger.has_undecided
        request = ledger.next_selection(ended=False)
        assert request is not None
        assert (request.candidates, request.watermark) == ((CANDIDATE,), 6.0)
        follow(ledger, window(1), analyzed=1, candidates=(CANDIDATE,))  # meanwhile
        ledger.record_selected(request, SelectHighlightsResult(state=SelectionState()))
        request = ledger.next_selection(ended=False)
        assert request is not None
        assert len(request.candidates) == 1
        ledger.record_selected(request, SelectHighlightsResult(state=SelectionState()))
        assert not ledger.has_undecided
        assert ledger.next_selection(ended=False) is None

    def test_a_long_call_is_no_lag_of_analysis(self) -> None:
        ledger = new_ledger()
        ledger.track_problems()
        follow(ledger, *(window(index) for index in range(12)), analyzed=7)
        assert ledger.progress.position - ledger.progress.analyzed == 30.0
        assert ledger.progress.problems == ()

    def test_a_dead_worker_may_be_noticed_later_where_much_is_listed(self) -> None:
        ledger = new_ledger()
        follow(ledger, window(0), listed=12.0)
        assert ledger.heartbeat_timeout == TIMING.heartbeat_timeout
        follow(ledger, window(1), listed=LONG_PLAYLIST)
        assert ledger.heartbeat_timeout == TIMING.slow_heartbeat_timeout

    def test_counters_alone_are_recorded_after_minutes(self) -> None:
        ledger = new_ledger()
        ledger.start_following()
        follow(ledger, window(0), analyzed=1)
        ledger.mark_recorded(ledger.record())
        while (ledger.progress.windows - 1) * 6.0 < RECORDED_SECONDS:
            assert not ledger.record_is_due
            follow(ledger, window(ledger.progress.windows), analyzed=1)
        assert ledger.record_is_due


class TestFetching:
    def test_goes_on_from_where_the_last_window_ended(self) -> None:
        ledger = new_ledger()
        assert ledger.fetch_request().cursor == IngestCursor()
        fetch(ledger, window(0))
        assert ledger.fetch_request().cursor.window_index == 1

    def test_counts_what_was_stored_and_what_was_missed(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1, lost=[1, 2]))
        progress = ledger.progress
        assert (progress.position, progress.windows) == (12.0, 2)
        assert (progress.segments, progress.missed) == (4, 2)

    def test_media_makes_a_stream_live(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        assert status(ledger) is StreamStatus.LIVE

    def test_a_playlist_that_stands_still_stalls_it_until_media_comes(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        fetch(ledger, None, stalled=True)
        assert status(ledger) is StreamStatus.STALLED
        fetch(ledger, window(1))
        assert status(ledger) is StreamStatus.LIVE

    def test_nothing_new_changes_nothing(self) -> None:
        ledger = new_ledger()
        fetch(ledger, None)
        assert ledger.progress == StreamProgress()

    def test_the_last_window_may_come_with_the_end(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), end=OVER)
        assert ledger.end == OVER
        assert ledger.progress.status is StreamStatus.ENDING
        assert ledger.has_backlog

    def test_the_first_end_counts(self) -> None:
        ledger = new_ledger()
        ledger.record_media_end(STOPPED)
        ledger.record_media_end(OVER)
        assert ledger.end == STOPPED

    def test_a_window_of_gaps_alone_keeps_the_time_of_the_last_segment(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        seen = ledger.progress.last_segment_at
        fetch(ledger, window(1, lost=[0, 1, 2]))
        assert ledger.progress.last_segment_at == seen
        assert seen is not None


class TestAnalysis:
    def test_takes_the_oldest_windows_in_batches(self) -> None:
        ledger = new_ledger()
        fetch(ledger, *(window(index) for index in range(BATCH + 3)))
        request = ledger.analysis_request()
        assert [each.index for each in request.windows] == list(range(BATCH))
        assert not request.last
        analyze(ledger)
        assert [each.index for each in ledger.analysis_request().windows] == [20, 21, 22]

    def test_asking_takes_nothing_away(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        assert ledger.analysis_request() == ledger.analysis_request()

    def test_tells_the_analyzer_what_it_saw_last(self) -> None:
        ledger = new_ledger()
        assert ledger.analysis_request().previous_window is None
        fetch(ledger, window(0), window(1))
        analyze(ledger)
        assert ledger.analysis_request().previous_window == 1

    def test_the_last_batch_of_a_stream_that_ended_is_marked(self) -> None:
        ledger = new_ledger()
        fetch(ledger, *(window(index) for index in range(BATCH + 1)))
        ledger.record_media_end(OVER)
        assert not ledger.analysis_request().last
        analyze(ledger)
        assert ledger.analysis_request().last

    def test_a_stream_that_ends_with_nothing_to_analyse_is_settled_too(self) -> None:
        ledger = new_ledger()
        ledger.record_media_end(OVER)
        request = ledger.analysis_request()
        assert (request.windows, request.last) == ((), True)

    def test_progress_never_goes_back(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1))
        analyze(ledger, watermark=9.0)
        analyze(ledger, watermark=3.0)
        assert ledger.progress.analyzed == 9.0

    def test_windows_that_cannot_be_analysed_are_given_up_and_counted(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1, lost=[0]))
        result = ledger.record_analysis_failure(ledger.analysis_request())
        assert (result.watermark, result.undecodable_segments) == (12.0, 5)
        assert not ledger.has_backlog
        assert ledger.progress.analyzed == 12.0

    def test_after_windows_were_given_up_the_analyzer_goes_on_from_what_it_remembers(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        analyze(ledger)
        fetch(ledger, window(1), window(2))
        ledger.record_analysis_failure(ledger.analysis_request())
        fetch(ledger, window(3))
        assert ledger.analysis_request().previous_window == 0
        assert [each.billable_seconds for each in ledger.record().windows[1:]] == [0.0, 0.0]

    def test_stored_media_that_cannot_be_decoded_is_a_gap_and_not_billed(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1))
        request = ledger.analysis_request()
        gaps = undecodable_gaps(request.windows[1].segments[:2])
        ledger.record_analyzed(
            request,
            AnalyzeWindowResult(
                watermark=11.0, analyzer="local-1", analyzed_seconds=(6.0, 2.0), gaps=gaps
            ),
        )
        record = ledger.record()
        assert ledger.record_is_due
        assert [(gap.start, gap.duration, gap.segments) for gap in record.gaps] == [(6.0, 4.0, 2)]
        assert record.progress.missed == 2
        assert [each.billable_seconds for each in record.windows] == [6.0, 2.0]
        assert ledger.selection_request(AnalyzeWindowResult(watermark=11.0), ended=False).gaps

    def test_where_the_media_ends_is_known_once_it_has_ended(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1, lost=[2]))
        result = analyze(ledger)
        assert ledger.record().media_end is None
        ledger.record_media_end(OVER)
        end = window(1, lost=[2]).segments[-1].end
        assert ledger.record().media_end == end
        assert ledger.selection_request(result, ended=True).media_end == end

    def test_failing_to_settle_the_end_changes_nothing(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        analyze(ledger)
        assert ledger.record_analysis_failure(ledger.analysis_request()).watermark == 6.0

    def test_what_its_owner_should_know_of_it_stays_until_all_is_well(self) -> None:
        ledger = new_ledger()
        told = []
        for grounds in (GateReason.STREAM_BUDGET, GateReason.QUIET, GateReason.MOMENT):
            report = GeminiReport(pieces={grounds: 1})
            result = AnalyzeWindowResult(watermark=1.0, gemini=report)
            ledger.record_analyzed(ledger.analysis_request(), result)
            told.append(ledger.progress.notice)
        used_up = "Only the local analyzer is at work: the stream's budget was used up."
        assert told == [used_up, used_up, ""]

    def test_its_owner_sees_that_the_screen_is_not_read_until_it_is(self) -> None:
        ledger = new_ledger()
        notices = []
        for off in ("the model is missing: reinstall it", None, ""):
            result = AnalyzeWindowResult(watermark=1.0, screen_off=off)
            ledger.record_analyzed(ledger.analysis_request(), result)
            notices.append(ledger.progress.notice)
        not_read = "Text on the screen is not read: the model is missing: reinstall it."
        assert notices == [not_read, not_read, ""]

    def test_it_says_both_that_gemini_is_limited_and_that_the_screen_is_not_read(self) -> None:
        report = GeminiReport(pieces={GateReason.STREAM_BUDGET: 1})
        result = AnalyzeWindowResult(watermark=1.0, gemini=report, screen_off="no model")
        assert result.status_message == (
            "Only the local analyzer is at work: the stream's budget was used up. "
            "Text on the screen is not read: no model."
        )


class TestSelection:
    def test_is_asked_only_when_it_could_decide(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        result = analyze(ledger)
        assert not ledger.selection_is_due(result, ended=False)
        assert ledger.selection_is_due(result, ended=True)

    def test_is_told_of_the_gaps_and_of_its_own_state(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0, lost=[1]))
        ledger.record_decisions(SelectHighlightsResult(state=SelectionState(watermark=5.0)))
        request = ledger.selection_request(analyze(ledger), ended=False)
        assert request.state.watermark == 5.0
        assert [each.start for each in request.gaps] == [2.0]
        assert request.watermark == 6.0

    def test_a_shown_highlight_counts_once_however_often_it_is_decided(self) -> None:
        ledger = new_ledger()
        decide(ledger, decision(1, status=DecisionStatus.PENDING))
        decide(ledger, decision(1, status=DecisionStatus.CONFIRMED))
        assert ledger.progress.highlights == 1

    def test_what_is_not_shown_does_not_count(self) -> None:
        ledger = new_ledger()
        decide(ledger, decision(1, status=DecisionStatus.HELD))
        decide(ledger, decision(2, status=DecisionStatus.REJECTED))
        decide(ledger, decision(3, status=DecisionStatus.RETRACTED))
        assert ledger.progress.highlights == 0
        assert not ledger.has_ready_to_render

    def test_a_retracted_highlight_counts_no_more_even_when_told_twice(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1), window(2))
        decide(ledger, decision(1), decision(2, peak=12.0))
        ledger.pop_ready_to_render()
        for _ in range(2):
            decide(ledger, decision(1, status=DecisionStatus.RETRACTED))
        assert ledger.progress.highlights == 1

    def test_the_latest_decisions_are_remembered(self) -> None:
        ledger = new_ledger()
        decide(ledger, *(decision(number) for number in range(1, KEPT_DECISIONS + 3)))
        known = [each.highlight_id.int for each in ledger.timeline().decisions]
        assert known == list(range(3, KEPT_DECISIONS + 3))


class TestClips:
    def test_a_clip_is_cut_when_its_last_second_is_stored(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1))
        decide(ledger, decision(1, peak=10.0, after=4.0))
        assert not ledger.has_ready_to_render
        fetch(ledger, window(2))
        assert ledger.has_ready_to_render
        (spec,) = ledger.pop_ready_to_render()
        assert (spec.start, spec.end) == (6.0, 14.0)
        assert ledger.rendering == (spec.id,)
        assert not ledger.has_ready_to_render

    def test_the_end_cuts_what_there_is(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1), end=OVER)
        decide(ledger, decision(1, peak=10.0, after=4.0))
        (spec,) = ledger.pop_ready_to_render()
        assert spec.end == 12.0

    def test_a_finished_clip_counts_once(self) -> None:
        ledger, spec = self.rendering()
        for _ in range(2):
            assert ledger.record_clip_outcome(outcome(spec)) is None
        assert ledger.progress.clips == 1

    def test_a_failed_clip_does_not_count(self) -> None:
        ledger, spec = self.rendering()
        ledger.record_clip_outcome(outcome(spec, ClipStatus.FAILED))
        assert (ledger.progress.clips, ledger.progress.highlights) == (0, 1)

    def test_a_ready_clip_is_discarded_with_its_highlight(self) -> None:
        ledger, spec = self.rendering()
        ledger.record_clip_outcome(outcome(spec))
        (discarded,) = decide(ledger, decision(1, status=DecisionStatus.RETRACTED))
        assert discarded.id == spec.id
        assert (ledger.progress.clips, ledger.progress.highlights) == (0, 0)

    def test_a_clip_whose_highlight_went_while_it_was_made_is_discarded_when_done(self) -> None:
        ledger, spec = self.rendering()
        assert decide(ledger, decision(1, status=DecisionStatus.RETRACTED)) == ()
        doomed = ledger.record_clip_outcome(outcome(spec))
        assert doomed is not None
        assert doomed.id == spec.id
        assert ledger.progress.clips == 0

    def test_a_corrected_clip_is_another_one_and_the_highlights_count_as_before(self) -> None:
        ledger, spec = self.rendering()
        ledger.record_clip_outcome(outcome(spec))
        assert ledger.correct_clip(self.correction(start=8.0, end=12.0))
        (again,) = ledger.pop_ready_to_render()
        ledger.record_clip_outcome(outcome(again))
        assert (again.start, again.end) == (8.0, 12.0)
        assert (ledger.progress.clips, ledger.progress.highlights) == (1, 1)
        discarded = decide(ledger, decision(1, status=DecisionStatus.RETRACTED))
        assert [each.id for each in discarded] == [spec.id, again.id]
        assert (ledger.progress.clips, ledger.progress.highlights) == (0, 0)

    def test_what_reaches_into_deleted_media_is_not_corrected(self) -> None:
        ledger, spec = self.rendering()
        ledger.record_clip_outcome(outcome(spec))
        ledger._segments = ledger._segments[4:]
        assert not ledger.correct_clip(self.correction(start=7.9, end=12.0))
        assert ledger.correct_clip(self.correction(start=8.0, end=12.0))

    @staticmethod
    def correction(*, start: float, end: float) -> ClipCorrection:
        return ClipCorrection(
            highlight_id=UUID(int=1), correction=HighlightCorrection(start=start, end=end)
        )

    @staticmethod
    def rendering() -> tuple[StreamLedger, ClipSpec]:
        ledger = new_ledger()
        fetch(ledger, window(0), window(1), window(2))
        decide(ledger, decision(1))
        (spec,) = ledger.pop_ready_to_render()
        return ledger, spec


class TestReleasing:
    def test_waits_until_it_is_worth_the_call(self) -> None:
        ledger = new_ledger()
        self.follow(ledger, range(6))
        assert ledger.due_release() is None
        self.follow(ledger, range(6, 7))
        release = ledger.due_release()
        assert release is not None
        assert release.before == 12.0
        assert ledger.due_release() is None

    def test_what_was_released_is_cut_from_no_more(self) -> None:
        ledger = new_ledger()
        self.follow(ledger, range(8))
        ledger.due_release()
        assert ledger.timeline().start == 18.0

    def test_media_of_a_clip_being_made_stays(self) -> None:
        ledger = new_ledger()
        self.follow(ledger, range(3))
        decide(ledger, decision(1, peak=10.0))
        (spec,) = ledger.pop_ready_to_render()
        self.follow(ledger, range(3, 12))
        assert ledger.due_release() is None
        ledger.record_clip_outcome(outcome(spec))
        release = ledger.due_release()
        assert release is not None
        assert release.before == 42.0

    def test_media_that_waits_for_analysis_stays_with_what_its_moments_may_reach_back_to(
        self,
    ) -> None:
        ledger = new_ledger()
        self.follow(ledger, range(10))
        fetch(ledger, *(window(index) for index in range(10, 40)))
        release = ledger.due_release()
        assert release is not None
        assert release.before == 60.0 - TIMING.media_horizon

    def test_all_media_goes_at_the_end(self) -> None:
        assert new_ledger().final_release().before is None

    @staticmethod
    def follow(ledger: StreamLedger, indices: range) -> None:
        for index in indices:
            fetch(ledger, window(index))
            analyze(ledger)


class TestRecording:
    def test_a_new_stream_is_written_down_at_once(self) -> None:
        assert new_ledger().record_is_due

    def test_counters_alone_are_not_worth_a_write(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        ledger.mark_recorded(ledger.record())
        fetch(ledger, window(1))
        assert not ledger.record_is_due

    def test_each_gap_is_written_once(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0, lost=[0]))
        record = ledger.record()
        fetch(ledger, window(1, lost=[1]))
        ledger.mark_recorded(record)
        assert [each.start for each in record.gaps] == [0.0]
        assert [each.start for each in ledger.record().gaps] == [8.0]

    def test_a_minute_of_windows_is_worth_a_write(self) -> None:
        ledger = new_ledger()
        ledger.mark_recorded(ledger.record())
        ledger.transition_to(StreamStatus.LIVE)
        ledger.mark_recorded(ledger.record())
        for index in range(RECORDED_WINDOWS):
            assert not ledger.record_is_due
            fetch(ledger, window(index))
            analyze(ledger)
        assert ledger.record_is_due

    def test_each_window_is_written_once_with_who_looked_at_it_and_when(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        result = AnalyzeWindowResult(watermark=6.0, analyzer="local-1")
        ledger.record_analyzed(ledger.analysis_request(), result, at=WHEN)
        record = ledger.record()
        fetch(ledger, window(1, lost=[0]))
        ledger.record_analysis_failure(ledger.analysis_request())
        ledger.mark_recorded(record)
        (first,), (second,) = record.windows, ledger.record().windows
        assert (first.index, first.segments) == (0, 3)
        assert (first.analyzer, first.analyzed_at) == ("local-1", WHEN)
        assert (second.index, second.segments) == (1, 2)
        assert (second.analyzer, second.analyzed_at) == (None, None)

    def test_windows_not_yet_written_are_handed_to_the_next_run(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0))
        analyze(ledger)
        assert [each.index for each in reloaded(ledger).record().windows] == [0]

    def test_a_state_that_changed_during_the_write_is_written_next(self) -> None:
        ledger = new_ledger()
        record = ledger.record()
        ledger.transition_to(StreamStatus.LIVE)
        ledger.mark_recorded(record)
        assert ledger.record_is_due

    def test_a_recording_shows_in_the_timeline(self) -> None:
        ledger = new_ledger()
        offered = RecordingReady(url="https://cdn.example.com/vod.m3u8", duration=60.0)
        ledger.set_recording(offered)
        assert ledger.timeline().recording == offered
        assert reloaded(ledger).timeline().recording == offered

    def test_what_was_missed_is_to_be_filled_from_the_recording(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0, lost=[0]))
        assert ledger.backfill_request() is None
        offered = RecordingReady(url="https://cdn.example.com/vod.m3u8")
        ledger.set_recording(offered)
        request = reloaded(ledger).backfill_request()
        assert request is not None
        assert request.recording == offered
        assert request.timing.release_interval == TIMING.release_interval

    def test_a_recording_is_not_needed_where_nothing_was_missed(self) -> None:
        ledger = new_ledger()
        ledger.set_recording(RecordingReady(url="https://cdn.example.com/vod.m3u8"))
        assert ledger.backfill_request() is not None
        fetch(ledger, window(0))
        assert ledger.backfill_request() is None

    def test_marks_that_cannot_be_read_are_counted(self) -> None:
        ledger = new_ledger()
        payloads = ("goal", '{"highlight": {}}', "", "[broken")
        marks = tuple(TimedMetadata(id=each, at=1.0, payload=each) for each in payloads)
        changes = {"metadata": marks, "dropped_metadata": 40}
        fetch(ledger, window(0).model_copy(update=changes))
        assert reloaded(ledger).progress.refused_marks == 42
        assert "42 marks of the tenant could not be used." in ledger.report()

    def test_the_report_names_the_game(self) -> None:
        assert new_ledger().report().startswith("## valorant: starting")


class TestClosing:
    def test_a_stream_ends_as_its_media_did(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), end=OVER)
        assert ledger.close() == OVER
        assert (ledger.progress.status, ledger.progress.end) == (StreamStatus.COMPLETED, OVER)

    def test_a_stream_of_gaps_has_failed(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0, lost=[0, 1, 2]), end=OVER)
        assert ledger.close().reason is EndReason.NO_MEDIA
        assert ledger.progress.status is StreamStatus.FAILED

    def test_an_end_without_a_reason_is_our_fault(self) -> None:
        assert new_ledger().close().reason is EndReason.INTERNAL

    def test_a_cancelled_stream_is_cancelled_whatever_its_media_did(self) -> None:
        ledger = new_ledger()
        fetch(ledger, window(0), end=OVER)
        assert ledger.cancel().reason is EndReason.CANCELLED
        assert ledger.progress.status is StreamStatus.CANCELLED

    def test_closing_again_changes_nothing(self) -> None:
        ledger = new_ledger()
        ledger.record_media_end(STOPPED)
        first = ledger.close()
        assert ledger.cancel() == first
        assert ledger.progress.status is StreamStatus.COMPLETED
        assert not ledger.transition_to(StreamStatus.LIVE)


@pytest.mark.parametrize("runs", [1, 3])
def test_the_runs_of_a_stream_are_counted(runs: int) -> None:
    ledger = new_ledger()
    for _ in range(runs):
        ledger = reloaded(ledger)
    assert ledger.state().runs == runs + 1


class TestFeed:
    def test_events_are_linked_until_none_waits(self) -> None:
        ledger = new_ledger()
        assert not ledger.has_feed_events
        ledger.note_feed_events(FeedEventsStored(events=2))
        assert ledger.has_new_feed_events
        ledger.link_request(ended=False)
        ledger.record_linked(LinkFeedResult(waiting=1))
        assert (ledger.has_feed_events, ledger.has_new_feed_events) == (True, False)
        ledger.link_request(ended=True)
        ledger.record_linked(LinkFeedResult())
        assert not ledger.has_feed_events

    def test_events_that_come_while_others_are_linked_are_linked_next(self) -> None:
        ledger = new_ledger()
        ledger.note_feed_events(FeedEventsStored(events=1))
        ledger.link_request(ended=False)
        ledger.note_feed_events(FeedEventsStored(events=1))
        ledger.record_linked(LinkFeedResult())
        assert reloaded(ledger).has_feed_events

    def test_analysis_looks_for_events_once_the_feed_has_sent_one(self) -> None:
        ledger = new_ledger()
        assert not ledger.follow_request(analyze=True).fed
        ledger.note_feed_events(FeedEventsStored(events=1))
        ledger.link_request(ended=False)
        ledger.record_linked(LinkFeedResult())
        for each in (ledger, reloaded(ledger)):
            assert each.follow_request(analyze=True).fed
            assert each.analysis_request().fed

    def test_events_that_an_earlier_release_left_waiting_are_looked_for(self) -> None:
        ledger = new_ledger()
        ledger.note_feed_events(FeedEventsStored(events=1))
        state = ledger.state().model_dump_json(exclude={"fed"})
        assert new_ledger(StreamState.model_validate_json(state)).follow_request(analyze=True).fed

    def test_the_wall_clock_of_the_latest_media_goes_with_the_request(self) -> None:
        ledger = new_ledger()
        assert ledger.link_request(ended=False).anchor is None
        follow(ledger, window(0))
        assert ledger.link_request(ended=False).anchor is not None

    def test_a_withdrawn_highlight_is_no_clip_again_also_in_the_next_run(self) -> None:
        ledger = new_ledger()
        follow(ledger, window(0), window(1), analyzed=2)
        made = decision(1, 6.0)
        ledger.record_decisions(SelectHighlightsResult(state=SelectionState(), decisions=(made,)))
        (spec,) = ledger.pop_ready_to_render()
        ledger.record_clip_outcome(outcome(spec))
        discarded = ledger.record_linked(LinkFeedResult(retracted=(made.highlight_id,)))
        assert [each.id for each in discarded] == [spec.id]
        assert (ledger.progress.highlights, ledger.progress.clips) == (0, 0)
        (kept,) = ledger.timeline().decisions
        assert kept.status is DecisionStatus.RETRACTED
        again = reloaded(ledger)
        again.record_decisions(SelectHighlightsResult(state=SelectionState(), decisions=(made,)))
        assert again.progress.highlights == 0
        assert again.pop_ready_to_render() == ()
