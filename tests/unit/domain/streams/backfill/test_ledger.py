"""The ledger of a backfill."""

from __future__ import annotations

from uuid import UUID

from domain.analysis.messages import AnalyzeWindowResult
from domain.ingest.messages import IngestCursor
from domain.media.segments import Gap, GapReason, GapStatus, Window
from domain.streams.backfill.ledger import BackfillLedger
from domain.streams.backfill.messages import (
    BackfillInput,
    BackfillOutcome,
    FetchRecordingResult,
    RecordingSurvey,
    StoredStreamState,
)
from domain.streams.backfill.planning import plan_backfill, plan_whole
from domain.streams.messages import RecordingReady
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from tests.factories.backfill import gap, recording
from tests.factories.clips import segment

REQUEST = BackfillInput(
    tenant_id=UUID(int=1),
    stream_id=UUID(int=2),
    recording=RecordingReady(url="https://cdn.example/vod.m3u8"),
)
FAILED = StreamEnd(reason=EndReason.ORIGIN_UNREACHABLE, message="The recording is not there.")


def stream(*gaps: Gap, missed: bool = False) -> StoredStreamState:
    status = StreamStatus.STARTING if missed else StreamStatus.COMPLETED
    counted = {"position": 600.0, "segments": 290, "highlights": 4, "clips": 4}
    progress = StreamProgress(status=status).model_copy(update={} if missed else counted)
    return StoredStreamState(
        game="soccer", profile_id="soccer", profile_version="1", progress=progress, gaps=gaps
    )


def filling(*gaps: Gap) -> BackfillLedger:
    plan = plan_backfill(gaps, recording(300), stream_end=600.0)
    return BackfillLedger(REQUEST, stream(*gaps), RecordingSurvey(plan=plan))


def whole() -> BackfillLedger:
    survey = RecordingSurvey(plan=plan_whole(recording(30)))
    return BackfillLedger(REQUEST, stream(missed=True), survey)


def window(number: int, start: float, end: float, *, lost: bool = False) -> Window:
    hole = Gap(
        start=start,
        duration=end - start,
        first_sequence=number,
        last_sequence=number,
        reason=GapReason.NOT_FOUND,
    )
    return Window(
        index=number,
        variant="recording",
        segments=() if lost else (segment(number, start, end - start),),
        gaps=(hole,) if lost else (),
        start=start,
        end=end,
    )


def take(ledger: BackfillLedger, *, lost: bool = False) -> None:
    """Fetch and analyse all that is planned, as the workflow does."""
    for span in ledger.ranges:
        for piece in span.pieces:
            asked = ledger.fetch_request(span, piece)
            end = piece.start + 2.0 * (piece.last - piece.first + 1)
            got = window(piece.window, piece.start, end, lost=lost)
            ledger.record_fetched(FetchRecordingResult(cursor=asked.cursor, window=got))
            request = ledger.analysis_request((got,), previous=None, last=asked.last)
            ledger.record_analyzed(request, AnalyzeWindowResult(watermark=end))
        ledger.record_range_end(span)


def test_gaps_that_were_analysed_are_filled() -> None:
    ledger = filling(gap(100.0, 10.0), gap(400.0, 10.0))
    take(ledger)
    assert [each.status for each in ledger.record().outcomes] == [GapStatus.FILLED] * 2
    assert ledger.result().outcome is BackfillOutcome.FILLED


def test_gaps_that_the_recording_lacks_too_are_lost() -> None:
    ledger = filling(gap(100.0, 10.0))
    take(ledger, lost=True)
    assert [each.status for each in ledger.record().outcomes] == [GapStatus.LOST]
    assert ledger.result().outcome is BackfillOutcome.NO_RECORDING


def test_what_has_been_written_is_not_written_again() -> None:
    ledger = filling(gap(100.0, 10.0))
    take(ledger)
    ledger.mark_recorded(ledger.record())
    assert ledger.record().outcomes == ()


def test_without_a_recording_all_gaps_are_lost_and_say_why() -> None:
    ledger = BackfillLedger(REQUEST, stream(gap(100.0, 4.0)), RecordingSurvey(problem=FAILED))
    assert [each.resolution for each in ledger.record().outcomes] == [FAILED.message]
    assert ledger.result().outcome is BackfillOutcome.NO_RECORDING


def test_filling_gaps_leaves_the_end_of_the_stream_as_it_was() -> None:
    ledger = filling(gap(100.0, 10.0))
    take(ledger)
    ledger.close()
    progress = ledger.record().progress
    assert (progress.status, progress.position) == (StreamStatus.COMPLETED, 600.0)
    assert (progress.highlights, progress.clips) == (4, 4)


def test_a_stream_missed_altogether_ends_as_analysed_from_its_recording() -> None:
    ledger = whole()
    assert ledger.record().progress.status is StreamStatus.ENDING
    take(ledger)
    ledger.close()
    progress = ledger.record().progress
    assert progress.status is StreamStatus.COMPLETED
    assert progress.position == 60.0
    assert progress.end is not None
    assert progress.end.message == "Analysed from the stream's recording."


def test_a_missed_stream_whose_recording_holds_no_media_has_failed() -> None:
    ledger = whole()
    take(ledger, lost=True)
    ledger.close()
    end = ledger.record().progress.end
    assert end is not None
    assert end.reason is EndReason.NO_MEDIA
    assert ledger.result().outcome is BackfillOutcome.NO_RECORDING


def test_a_missed_stream_without_a_recording_has_failed_for_that_reason() -> None:
    ledger = BackfillLedger(REQUEST, stream(missed=True), RecordingSurvey(problem=FAILED))
    ledger.close()
    assert ledger.record().progress.end == FAILED


def test_a_piece_after_one_that_failed_begins_where_the_playlist_says() -> None:
    ledger = filling(gap(200.0, 100.0))
    first, second, *_ = ledger.ranges[0].pieces
    ledger.fetch_request(ledger.ranges[0], first)
    ledger.record_fetched(
        FetchRecordingResult(cursor=IngestCursor(position=201.5, last_timestamp=7.0))
    )
    going_on = ledger.fetch_request(ledger.ranges[0], second)
    assert going_on.cursor.position == 201.5
    ledger.record_fetch_failure()
    anew = ledger.fetch_request(ledger.ranges[0], second)
    assert (anew.cursor.position, anew.cursor.last_timestamp) == (second.start, None)


def test_media_behind_all_that_is_open_may_go() -> None:
    ledger = filling(gap(200.0, 300.0))
    assert ledger.due_release() is None
    assert REQUEST.final_release(keep=False).before is None
