"""A stream's workflow on a real Temporal server, with scripted activities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    QueryWorkflowInput,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError, CancelledError

from app.services.streams import StreamStarter
from domain.clips.models import ClipOutcome, ClipStatus, ClipTiming
from domain.feed.messages import FeedEventsStored
from domain.highlights.feedback import HighlightCorrection
from domain.ids import clip_id, clip_workflow_id
from domain.ingest.messages import IngestLimits
from domain.streams.messages import (
    ClipCorrection,
    RecordingReady,
    SourceFailure,
    StopRequest,
    StreamWorkflowResult,
)
from domain.streams.status import EndReason, ProblemCode, StreamEnd, StreamProblem, StreamStatus
from infra.db.tables import Stream as Row
from infra.temporal.client import connected
from tests.fakes.scripted_stream import QUICK, Script, failing, result_of, running, start
from tests.integration.workflows.slow_hand_over import SlowHandOver
from workflows.steps import RECORD_MISSING, STREAM_STATUS
from workflows.stream import StreamWorkflow

Stream = WorkflowHandle[StreamWorkflow, StreamWorkflowResult]


async def test_a_stream_is_followed_to_its_end(temporal_client: Client) -> None:
    script = Script(windows=4, peaks=[9.0])
    async with running(temporal_client, script):
        result = await (await start(temporal_client)).result()
    assert result.end.reason is EndReason.PLAYLIST_ENDED
    assert result.progress.status is StreamStatus.COMPLETED
    assert (result.progress.segments, result.progress.missed) == (12, 0)
    assert (result.progress.highlights, result.progress.clips) == (1, 1)
    assert script.fetched == [0, 1, 2, 3]


async def test_every_window_is_analysed_once_and_in_order(temporal_client: Client) -> None:
    script = Script(windows=30)
    async with running(temporal_client, script):
        await (await start(temporal_client)).result()
    assert script.analyzed == list(range(30))


async def test_a_clip_waits_until_its_last_second_is_stored(temporal_client: Client) -> None:
    script = Script(windows=1, end=None, peaks=[5.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        await stream.query(StreamWorkflow.status)
        assert script.rendered == []
        script.end = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="")
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert [(spec.start, spec.end) for spec in script.rendered] == [(3.0, 6.0)]


async def test_a_correction_cuts_another_clip_and_the_first_one_stays(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        async with asyncio.timeout(60):
            while (await stream.query(StreamWorkflow.status)).clips < 1:
                pass
            (first,) = script.rendered
            for correction in (
                HighlightCorrection(start=8.0, end=11.0),
                HighlightCorrection(start=8.0, end=11.0),  # told twice
            ):
                await stream.signal(
                    StreamWorkflow.correct_clip,
                    ClipCorrection(highlight_id=first.highlight_id, correction=correction),
                )
            while len(script.clip_states) < 4:
                await stream.query(StreamWorkflow.status)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert [(spec.start, spec.end) for spec in script.rendered] == [
        (first.start, first.end),
        (8.0, 11.0),
    ]
    assert script.clip_states == [ClipStatus.RENDERING, ClipStatus.READY] * 2
    assert (result.progress.highlights, result.progress.clips) == (1, 1)
    assert script.deleted == []


async def test_a_correction_of_an_unknown_highlight_changes_nothing(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        await stream.signal(
            StreamWorkflow.correct_clip,
            ClipCorrection(
                highlight_id=UUID(int=7), correction=HighlightCorrection(start=0.0, end=3.0)
            ),
        )
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert (len(script.rendered), result.progress.clips) == (1, 1)


async def test_states_and_gaps_are_recorded_and_searchable(temporal_client: Client) -> None:
    script = Script(windows=2, lost=[1])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await stream.result()
    states = [record.progress.status for record in script.streams]
    assert states[-1] is StreamStatus.COMPLETED
    assert states == sorted(states, key=list(StreamStatus).index)
    assert [gap.first_sequence for record in script.streams for gap in record.gaps] == [5]
    attributes = (await stream.describe()).typed_search_attributes
    assert attributes.get(STREAM_STATUS) == "completed"


async def test_stop_ends_a_stream_in_good_order(temporal_client: Client) -> None:
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest(message="that was all"))
        result = await stream.result()
    assert result.end == StreamEnd(reason=EndReason.STOPPED, message="that was all")
    assert script.analyzed == [0, 1, 2]
    assert script.clip_states == [ClipStatus.RENDERING, ClipStatus.READY]


async def test_a_failure_of_the_source_fails_the_stream_after_its_clips(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        failure = SourceFailure(error_type="UPLOAD_ERROR", message="bucket full")
        await stream.signal(StreamWorkflow.source_failed, failure)
        result = await result_of(stream)
    assert result.progress.status is StreamStatus.FAILED
    assert result.end.message == "UPLOAD_ERROR: bucket full"
    assert result.progress.clips == 1


async def test_a_stream_that_never_started_is_a_result_not_a_crash(
    temporal_client: Client,
) -> None:
    never = StreamEnd(reason=EndReason.NEVER_STARTED, message="no segment within 300 s")
    script = Script(windows=0, end=never)
    async with running(temporal_client, script):
        result = await result_of(await start(temporal_client))
    assert result.end == never
    assert script.streams[-1].progress.status is StreamStatus.FAILED


async def test_a_failed_stream_is_a_failed_workflow_with_the_reason_for_operators(
    temporal_client: Client,
) -> None:
    never = StreamEnd(reason=EndReason.NEVER_STARTED, message="no segment within 300 s")
    async with running(temporal_client, Script(windows=0, end=never)):
        stream = await start(temporal_client)
        with pytest.raises(WorkflowFailureError) as failure:
            await stream.result()
        described = await stream.describe()
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == ("never_started", "no segment within 300 s")
    assert described.status is WorkflowExecutionStatus.FAILED


async def test_a_problem_is_recorded_while_it_lasts(temporal_client: Client) -> None:
    script = Script(windows=3)
    problem = StreamProblem(code=ProblemCode.STORE_FULL, message="Our media store is full.")
    script.problems = {1: problem}

    async def last_until_recorded() -> None:
        def recorded() -> bool:
            return any(record.progress.problems for record in script.streams)

        while len(script.fetched) == 2 and not recorded():  # noqa: ASYNC110 - an activity decides
            await asyncio.sleep(0.02)

    script.before["fetch_window"] = last_until_recorded
    async with running(temporal_client, script):
        await (await start(temporal_client)).result()
    shown = [record.progress.problems for record in script.streams]
    assert (problem,) in shown
    assert shown[-1] == ()
    assert script.known_problems == [None, None, problem]


async def test_fetching_that_fails_for_good_fails_the_stream_without_internals_in_its_message(
    temporal_client: Client,
) -> None:
    script = Script()
    script.before["fetch_window"] = failing(10_000)
    async with running(temporal_client, script):
        timing = QUICK.model_copy(update={"fetch_timeout": 1.5})
        result = await result_of(await start(temporal_client, timing=timing))
    assert result.end.reason is EndReason.INTERNAL
    assert result.end.message.startswith("A fault in our service")
    assert "scripted failure" not in result.end.message


async def test_an_outage_longer_than_the_fetch_timeout_does_not_end_a_stream(
    temporal_client: Client,
) -> None:
    script = Script(windows=1, end=None)
    timing = QUICK.model_copy(update={"fetch_timeout": 1.5, "heartbeat_timeout": 0.5})
    async with running(temporal_client, script):
        stream = await start(temporal_client, timing=timing)
        await script.waiting_at_edge.wait()
    await asyncio.sleep(2.0)  # no worker runs
    script.waiting_at_edge.clear()
    async with running(temporal_client, script), asyncio.timeout(30):
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert result.end.reason is EndReason.STOPPED


async def test_a_window_that_cannot_be_analysed_costs_nothing_but_itself(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None, peaks=[15.0])
    given_up = asyncio.Event()
    attempts = 0

    async def fail_six_times() -> None:  # once in `follow_stream`, then in `analyze_window`
        nonlocal attempts
        attempts += 1
        if attempts > 6:
            given_up.set()
        else:
            message = "scripted failure"
            raise ApplicationError(message)

    async def after_the_first_window() -> None:
        if script.fetched == [0, 1]:
            await given_up.wait()

    script.before["analyze_window"] = fail_six_times
    script.before["fetch_window"] = after_the_first_window
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert result.progress.status is StreamStatus.COMPLETED
    assert 2 in script.analyzed
    assert result.progress.clips == 1


async def test_a_database_that_is_away_delays_records_but_no_fetch(
    temporal_client: Client,
) -> None:
    script = Script(windows=6, end=None)
    back = asyncio.Event()

    async def away() -> None:
        if not back.is_set():
            await script.waiting_at_edge.wait()
            back.set()
            message = "database is away"
            raise ConnectionError(message)

    script.before["record_stream"] = away
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await back.wait()
        assert script.fetched == [0, 1, 2, 3, 4, 5]
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert script.streams[-1].progress.status is StreamStatus.COMPLETED


async def test_a_stream_whose_row_was_deleted_ends_and_leaves_no_media(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None)
    gone = ApplicationError("the stream does not exist", type=RECORD_MISSING)
    script.before["record_stream"] = failing(10_000, gone)
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        result = await result_of(stream)
        with pytest.raises(WorkflowFailureError) as failure:
            await stream.result()
    assert result.progress.status is StreamStatus.FAILED
    assert result.end.message.startswith("A fault in our service kept us from storing")
    assert "does not exist" not in result.end.message
    assert "does not exist" in str(_chain(failure.value))
    assert script.released[-1].before is None


async def test_a_fault_that_nobody_expected_ends_a_stream_without_its_text(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None)
    secret = ApplicationError("secret of the host", non_retryable=True)
    script.before["select_highlights"] = failing(10_000, secret)
    script.peaks = [3.0]
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        result = await result_of(stream)
        with pytest.raises(WorkflowFailureError) as failure:
            await stream.result()
    assert result.end.reason is EndReason.INTERNAL
    assert result.end.message.startswith("A fault in our service kept us from following")
    assert "secret of the host" in str(_chain(failure.value))
    recorded = [each.progress.end.message for each in script.streams if each.progress.end]
    assert recorded
    assert not any("secret" in message for message in recorded)


async def test_a_failed_clip_is_recorded_and_the_stream_goes_on(temporal_client: Client) -> None:
    script = Script(windows=4, peaks=[9.0])
    script.before["render_clip"] = failing(10_000, _fatal())
    async with running(temporal_client, script):
        result = await (await start(temporal_client)).result()
    assert result.progress.status is StreamStatus.COMPLETED
    assert result.progress.clips == 0
    assert script.clip_states == [ClipStatus.RENDERING, ClipStatus.FAILED]
    assert "media is gone" in script.clips[-1].message


@pytest.mark.parametrize("status", [ClipStatus.RENDERING, ClipStatus.READY])
async def test_nothing_is_kept_of_a_clip_whose_highlight_was_deleted(
    temporal_client: Client, status: ClipStatus
) -> None:
    script = Script(windows=3, peaks=[9.0])
    gone = ApplicationError("deleted", type=RECORD_MISSING)
    script.before[f"record_clip {status}"] = failing(1_000, gone)
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await stream.result()
        (highlight,) = script.seen
        identity = clip_id(highlight=highlight.id, start=highlight.start, end=highlight.end)
        tenant = UUID(stream.id.split("/")[1])
        clip = temporal_client.get_workflow_handle(
            clip_workflow_id(tenant_id=tenant, clip=identity), result_type=ClipOutcome
        )
        outcome = await clip.result()
    assert outcome.status is ClipStatus.FAILED
    assert "deleted" in outcome.message
    assert script.deleted == [identity]


async def test_a_clip_that_fails_once_is_rendered_again(temporal_client: Client) -> None:
    script = Script(windows=4, peaks=[9.0])
    script.before["render_clip"] = failing(1)
    async with running(temporal_client, script):
        result = await (await start(temporal_client)).result()
    assert result.progress.clips == 1


async def test_the_clip_of_a_retracted_highlight_is_deleted(temporal_client: Client) -> None:
    script = Script(windows=4, peaks=[9.0, 15.0])
    script.retract_at = {9.0: 24.0}
    async with running(temporal_client, script):
        result = await (await start(temporal_client)).result()
    gone = {record.spec.peak for record in script.clips if record.status is ClipStatus.DELETED}
    assert gone == {9.0}
    assert len(script.deleted) == 1
    assert (result.progress.highlights, result.progress.clips) == (1, 1)


async def test_a_clip_retracted_while_it_is_rendered_is_deleted_when_it_is_done(
    temporal_client: Client,
) -> None:
    script = Script(windows=4, peaks=[9.0])
    script.retract_at = {9.0: 24.0}
    decided = asyncio.Event()

    async def hold() -> None:
        await decided.wait()

    async def note_end() -> None:
        if len(script.analyzed) == script.windows:
            asyncio.get_running_loop().call_later(0.3, decided.set)

    script.before["render_clip"] = hold
    script.before["select_highlights"] = note_end
    async with running(temporal_client, script):
        result = await (await start(temporal_client)).result()
    assert script.clip_states[-1] is ClipStatus.DELETED
    assert len(script.deleted) == 1
    assert (result.progress.highlights, result.progress.clips) == (0, 0)


async def test_cancelling_a_stream_cancels_its_clips_and_deletes_its_media(
    temporal_client: Client,
) -> None:
    script = Script(windows=4, end=None, peaks=[9.0])
    rendering = asyncio.Event()

    async def hang() -> None:
        rendering.set()
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.05)

    script.before["render_clip"] = hang
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await rendering.wait()
        await stream.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await stream.result()
        assert isinstance(failure.value.cause, CancelledError)
        await script.clip_discarded.wait()
    assert script.streams[-1].progress.status is StreamStatus.CANCELLED
    assert script.released[-1].before is None
    assert script.fetching_at_release[-1] == 0


async def test_continue_as_new_loses_and_repeats_nothing(temporal_client: Client) -> None:
    script = Script(windows=40, peaks=[9.0, 69.0, 129.0, 189.0], lost=[5])
    async with running(temporal_client, script):
        stream = await start(temporal_client, history_limit=60)
        first_run = stream.result_run_id
        result = await stream.result()
        last_run = (await temporal_client.get_workflow_handle(stream.id).describe()).run_id
    assert last_run != first_run
    assert script.fetched == list(range(40))
    assert script.analyzed == list(range(40))
    assert [spec.peak for spec in script.rendered] == [9.0, 69.0, 129.0, 189.0]
    assert (result.progress.segments, result.progress.missed) == (119, 1)
    assert result.progress.clips == 4


async def test_a_run_that_is_old_continues_as_new(temporal_client: Client) -> None:
    script = Script(windows=12, peaks=[9.0])
    timing = QUICK.model_copy(update={"run_duration": 0.01})
    async with running(temporal_client, script):
        stream = await start(temporal_client, timing=timing)
        result = await stream.result()
        last_run = (await temporal_client.get_workflow_handle(stream.id).describe()).run_id
    assert last_run != stream.result_run_id
    assert script.fetched == script.analyzed == list(range(12))
    assert result.progress.clips == 1


async def test_the_status_is_written_to_the_search_attribute_only_when_it_changes(
    temporal_client: Client,
) -> None:
    script = Script(windows=30, lost=[5, 11, 17])  # a gap is worth a record
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await stream.result()
        history = await stream.fetch_history()
    upserts = [
        event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
        for event in history.events
    ]
    written = sum(STREAM_STATUS.name in fields for fields in upserts)
    states = list(dict.fromkeys(record.progress.status for record in script.streams))
    assert written == len(states) < len(script.streams)


async def test_a_decision_that_comes_late_does_not_hold_up_following(
    temporal_client: Client,
) -> None:
    script = Script(windows=9, end=None, peaks=[9.0])
    back = asyncio.Event()

    async def away() -> None:
        if not back.is_set():
            message = "database is away"
            raise ConnectionError(message)

    script.before["select_highlights"] = away
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        async with asyncio.timeout(60):
            await script.waiting_at_edge.wait()
        assert script.fetched == list(range(9))
        back.set()
        async with asyncio.timeout(60):
            while (await stream.query(StreamWorkflow.status)).clips < 1:
                pass
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert (result.progress.highlights, result.progress.clips) == (1, 1)


async def test_a_correction_that_needs_newer_media_makes_following_return(
    temporal_client: Client,
) -> None:
    script = Script(windows=4, end=None, peaks=[9.0])
    third, fourth = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        if script.fetched == [0, 1]:
            await third.wait()
        if script.fetched == [0, 1, 2]:
            fourth.set()
            await asyncio.Event().wait()

    script.before["fetch_window"] = hold
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        async with asyncio.timeout(60):
            while (await stream.query(StreamWorkflow.status)).clips < 1:
                pass
        third.set()
        await fourth.wait()  # to 18 s, but the workflow does not know
        assert (await stream.query(StreamWorkflow.status)).position == 12.0
        correction = HighlightCorrection(start=8.0, end=16.0)
        await stream.signal(
            StreamWorkflow.correct_clip,
            ClipCorrection(highlight_id=script.rendered[0].highlight_id, correction=correction),
        )
        async with asyncio.timeout(60):
            while len(script.rendered) < 2:
                await stream.query(StreamWorkflow.status)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert script.rendered[-1].end == 16.0


async def test_a_clip_that_ends_after_its_streams_run_was_continued_is_counted(
    temporal_client: Client,
) -> None:
    script = Script(windows=30, peaks=[3.0])
    far = asyncio.Event()

    async def until_far() -> None:
        await far.wait()

    async def note_progress() -> None:
        if len(script.fetched) > 25:
            far.set()

    script.before["render_clip"] = until_far
    script.before["fetch_window"] = note_progress
    async with running(temporal_client, script):
        result = await (await start(temporal_client, history_limit=60)).result()
    assert result.progress.clips == 1


async def test_a_clip_whose_workflow_is_terminated_has_failed(temporal_client: Client) -> None:
    script = Script(windows=8, peaks=[9.0])
    rendering = asyncio.Event()

    async def hang() -> None:
        rendering.set()
        await asyncio.Event().wait()

    script.before["render_clip"] = hang
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        async with asyncio.timeout(60):
            await rendering.wait()
        (clip,) = (await stream.describe()).raw_description.pending_children
        await temporal_client.get_workflow_handle(clip.workflow_id).terminate()
        result = await stream.result()
    assert (result.progress.highlights, result.progress.clips) == (1, 0)


async def test_a_clip_sends_its_stream_no_signal(temporal_client: Client) -> None:
    script = Script(windows=8, peaks=[9.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        assert (await stream.result()).progress.clips == 1
    events = (await stream.fetch_history()).events
    assert not any(each.HasField("workflow_execution_signaled_event_attributes") for each in events)


async def test_media_is_released_as_the_stream_goes_and_all_of_it_at_the_end(
    temporal_client: Client,
) -> None:
    script = Script(windows=40)
    async with running(temporal_client, script):
        await (await start(temporal_client)).result()
    points = [release.before for release in script.released]
    assert points[-1] is None
    live = [point for point in points if point is not None]
    assert live == sorted(live)
    assert 0 < live[0] < live[-1] <= 40 * 6.0 - QUICK.media_horizon


async def test_the_live_progress_has_what_the_running_activity_has_done(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None, lost=[1])
    blocked = asyncio.Event()

    async def stop_before_the_third() -> None:
        if script.fetched == [0, 1]:
            await blocked.wait()

    script.before["fetch_window"] = stop_before_the_third
    async with running(temporal_client, script):
        stream: Stream = await start(temporal_client)
        _, tenant, identity = stream.id.split("/")
        starter = StreamStarter(connected(temporal_client), limits=IngestLimits())
        row = Row(id=UUID(identity), tenant_id=UUID(tenant))
        async with asyncio.timeout(60):
            while (live := await starter.live_progress(row)) is None or live.analyzed < 12.0:
                pass
        known = await stream.query(StreamWorkflow.status)
        blocked.set()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert (known.position, known.windows) == (6.0, 1)
    assert (live.position, live.windows, live.segments, live.missed) == (12.0, 2, 5, 1)
    assert live.last_segment_at is not None


class QueryCounter(Interceptor):
    """Counts the queries of a client."""

    def __init__(self) -> None:
        self.queries = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        counter = self

        class Counting(OutboundInterceptor):
            async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002, ANN401
                counter.queries += 1
                return await super().query_workflow(input)

        return Counting(next)


async def test_a_workflow_is_queried_again_only_when_its_history_has_grown(
    temporal_client: Client,
) -> None:
    script, counter = Script(windows=1, end=None), QueryCounter()
    config = temporal_client.config()
    config["interceptors"] = [counter]
    client = Client(**config)
    async with running(temporal_client, script):
        stream: Stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        _, tenant, identity = stream.id.split("/")
        starter = StreamStarter(connected(client), limits=IngestLimits())
        row = Row(id=UUID(identity), tenant_id=UUID(tenant))
        calm = [await starter.live_progress(row) for _ in range(3)]
        queries = counter.queries
        await stream.signal(StreamWorkflow.feed_events_stored, FeedEventsStored(events=1))
        await starter.live_progress(row)
        grown = counter.queries
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert None not in calm
    assert queries < len(calm)
    assert grown == queries + 1


async def test_queries_tell_state_and_timeline(temporal_client: Client) -> None:
    script = Script(windows=3, end=None, peaks=[9.0], lost=[1])
    async with running(temporal_client, script):
        stream: Stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        recording = RecordingReady(url="https://cdn.example/vod.m3u8", duration=18.0)
        await stream.signal(StreamWorkflow.recording_ready, recording)
        progress = await stream.query(StreamWorkflow.status)
        timeline = await stream.query(StreamWorkflow.timeline)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert progress.status is StreamStatus.LIVE
    assert (timeline.start, timeline.end) == (0.0, 18.0)
    assert [gap.first_sequence for gap in timeline.gaps] == [5]
    assert timeline.recording == recording


def _fatal() -> Exception:
    return ApplicationError("media is gone", type="media_gone", non_retryable=True)


async def test_a_dead_worker_is_replaced_within_seconds(temporal_client: Client) -> None:
    script, attempts = Script(windows=2), 0

    async def die_once() -> None:
        nonlocal attempts
        attempts += 1
        script.dead = attempts == 1  # as a worker does that was killed: no heartbeat, no answer
        if script.dead:
            await asyncio.sleep(60)

    script.before["analyze_window"] = die_once
    lasting = {
        "analysis_timeout": 120.0,
        "analysis_heartbeat_timeout": 1.0,
        "heartbeat_timeout": 1.0,
    }
    async with running(temporal_client, script):
        stream = await start(temporal_client, timing=QUICK.model_copy(update=lasting))
        async with asyncio.timeout(45):
            result = await stream.result()
    assert result.progress.analyzed == 12.0
    assert script.analyzed == [0, 1]
    assert script.fetched == [0, 1]


class _DyingWorker:
    """Stops before the third window; after `die` it sends no heartbeat and sees no cancellation."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._dead = False
        script.before["fetch_window"] = self._step

    async def _step(self) -> None:
        self._script.dead = False
        if self._script.fetched == [0, 1] and not self._dead:
            await asyncio.Event().wait()

    async def die(self, client: Client, stream: Stream) -> None:
        """Die after a heartbeat with two analyzed windows."""
        _, tenant, identity = stream.id.split("/")
        starter = StreamStarter(connected(client), limits=IngestLimits())
        row = Row(id=UUID(identity), tenant_id=UUID(tenant))
        async with asyncio.timeout(60):
            while (live := await starter.live_progress(row)) is None or live.analyzed < 12.0:
                pass
        self._dead = self._script.dead = True


async def _result_after_death(
    client: Client, script: Script, *, send: Callable[[Stream], Awaitable[None]]
) -> StreamWorkflowResult:
    """Run a stream whose worker dies just before the workflow gets a signal."""
    worker = _DyingWorker(script)
    timing = QUICK.model_copy(update={"heartbeat_timeout": 1.0})
    async with running(client, script):
        stream: Stream = await start(client, timing=timing)
        await worker.die(client, stream)
        await send(stream)
        async with asyncio.timeout(60):
            return await stream.result()


async def test_a_worker_that_dies_as_it_is_asked_to_return_ends_no_stream(
    temporal_client: Client,
) -> None:
    script = Script(windows=3)
    result = await _result_after_death(
        temporal_client,
        script,
        send=lambda stream: stream.signal(
            StreamWorkflow.feed_events_stored, FeedEventsStored(events=1)
        ),
    )
    assert result.end.reason is EndReason.PLAYLIST_ENDED
    assert script.fetched == [0, 1, 2]
    assert script.analyzed == [0, 1, 2]


async def test_a_worker_that_dies_as_the_stream_is_stopped_loses_no_media(
    temporal_client: Client,
) -> None:
    script = Script(windows=3)
    result = await _result_after_death(
        temporal_client,
        script,
        send=lambda stream: stream.signal(StreamWorkflow.stop, StopRequest()),
    )
    assert result.end.reason is EndReason.STOPPED
    assert (result.progress.windows, result.progress.analyzed) == (2, 12.0)
    assert script.analyzed == [0, 1]


async def test_a_stop_that_arrives_as_the_workflow_continues_as_new_ends_the_stream(
    temporal_client: Client,
) -> None:
    script = Script(windows=60)
    async with running(temporal_client, script, stream=SlowHandOver):
        stream = await start(temporal_client, history_limit=60)
        async with asyncio.timeout(60):
            while not await stream.query("is_handing_over"):
                pass
            await stream.signal(StreamWorkflow.stop, StopRequest())
            result = await stream.result()
    assert result.end.reason is EndReason.STOPPED
    assert result.progress.windows < script.windows


async def test_a_retracted_clip_that_ends_as_the_workflow_continues_as_new_is_deleted(
    temporal_client: Client,
) -> None:
    script = Script(windows=60, peaks=[9.0])
    retracted, finished = asyncio.Event(), asyncio.Event()

    async def wait_after_two() -> None:
        if len(script.fetched) > 1:
            await retracted.wait()

    async def wait_to_finish() -> None:
        await finished.wait()

    script.before = {"fetch_window": wait_after_two, "render_clip": wait_to_finish}
    patient = ClipTiming(render_timeout=60.0, heartbeat_timeout=60.0)
    timing = QUICK.model_copy(update={"clip": patient, "clip_timeout": 60.0})
    async with running(temporal_client, script, stream=SlowHandOver), asyncio.timeout(60):
        stream = await start(temporal_client, timing=timing, history_limit=60)
        while (await stream.query(StreamWorkflow.status)).highlights < 1:
            pass
        script.withdraw.append(script.seen[0].id)
        await stream.signal(StreamWorkflow.feed_events_stored, FeedEventsStored(events=1))
        while (await stream.query(StreamWorkflow.status)).highlights > 0:
            pass
        retracted.set()
        while not await stream.query("is_handing_over"):
            pass
        finished.set()
        await script.clip_discarded.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert script.deleted == [spec.id for spec in script.rendered]
    assert result.progress.clips == 0


def _chain(error: BaseException | None) -> list[str]:
    """Return the messages of an error and all that caused it."""
    return [] if error is None else [str(error), *_chain(error.__cause__)]


async def test_events_of_a_feed_are_linked_and_take_a_highlight_with_them(
    temporal_client: Client,
) -> None:
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        while (await stream.query(StreamWorkflow.status)).clips < 1:
            pass
        highlight = script.rendered[0].highlight_id
        assert highlight is not None
        script.withdraw.append(highlight)
        await stream.signal(StreamWorkflow.feed_events_stored, FeedEventsStored(events=1))
        await script.clip_discarded.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        result = await stream.result()
    assert [each.ended for each in script.linked] == [False]
    assert script.deleted == [script.rendered[0].id]
    assert (result.progress.highlights, result.progress.clips) == (0, 0)


async def test_the_first_event_of_a_feed_makes_analysis_look_for_events(
    temporal_client: Client,
) -> None:
    script = Script(windows=2, end=None)
    async with running(temporal_client, script), asyncio.timeout(60):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        assert not any(script.followed_fed)
        for _ in range(3):
            await stream.signal(StreamWorkflow.feed_events_stored, FeedEventsStored(events=1))
            await script.following_fed.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    assert sum(script.followed_fed) == 1
