"""A backfill's workflow on a real Temporal server, with scripted activities."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from domain.clips.models import ClipStatus
from domain.ids import backfill_workflow_id
from domain.media.segments import GapStatus
from domain.streams.backfill.messages import BackfillOutcome, BackfillResult
from domain.streams.messages import StopRequest
from domain.streams.status import EndReason, StreamEnd, StreamStatus
from tests.fakes.scripted_backfill import (
    MISSED,
    OVER,
    RECORDING,
    BackfillScript,
    filling,
    one_range,
    start_backfill,
)
from tests.fakes.scripted_stream import failing, start
from workflows.stream import StreamWorkflow

NOT_THERE = StreamEnd(reason=EndReason.ORIGIN_UNREACHABLE, message="The recording is not there.")


async def test_a_gap_is_filled_and_its_moment_gets_a_clip(temporal_client: Client) -> None:
    script = BackfillScript(peaks=(9.0,))
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert (result.outcome, result.filled, result.lost) == (BackfillOutcome.FILLED, 1, 0)
    assert (result.highlights, result.clips) == (1, 1)
    assert script.pieces == script.analyzed == [100_000, 100_001, 100_002]
    assert [(spec.start, spec.end) for spec in script.rendered] == [(7.0, 11.0)]
    assert script.clip_states == [ClipStatus.RENDERING, ClipStatus.READY]


async def test_moments_outside_the_gap_are_left_to_what_was_decided_live(
    temporal_client: Client,
) -> None:
    script = BackfillScript(peaks=(3.0, 9.0, 16.5))
    async with filling(temporal_client, script):
        await (await start_backfill(temporal_client)).result()
    assert [each.peak for each in script.seen] == [9.0]


async def test_what_came_of_it_is_recorded_and_the_media_is_released(
    temporal_client: Client,
) -> None:
    script = BackfillScript(peaks=(9.0,))
    async with filling(temporal_client, script):
        await (await start_backfill(temporal_client)).result()
    outcomes = [each.status for record in script.backfills for each in record.outcomes]
    assert outcomes == [GapStatus.FILLED]
    last = script.backfills[-1].progress
    assert (last.status, last.highlights, last.clips) == (StreamStatus.COMPLETED, 1, 1)
    assert script.recording_released == [None]


async def test_a_stream_missed_altogether_is_analysed_whole(temporal_client: Client) -> None:
    script = BackfillScript(peaks=(3.0, 16.5))
    script.stream, script.plan = MISSED, one_range(gaps=())
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert (result.outcome, result.highlights) == (BackfillOutcome.FILLED, 2)
    assert script.surveyed[0].gaps is None
    *under_way, last = [record.progress for record in script.backfills]
    assert {each.status for each in under_way} == {StreamStatus.ENDING}
    assert last.status is StreamStatus.COMPLETED
    positions = [each.position for each in under_way]
    assert len(set(positions)) > len(script.plan.ranges[0].pieces), "no progress of each piece"


async def test_a_stream_without_gaps_needs_no_recording(temporal_client: Client) -> None:
    script = BackfillScript()
    script.stream = OVER.model_copy(update={"gaps": ()})
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert result.outcome is BackfillOutcome.NOTHING_MISSING
    assert script.surveyed == []


async def test_a_deleted_stream_is_left_alone(temporal_client: Client) -> None:
    script = BackfillScript()
    script.stream = None
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert result.outcome is BackfillOutcome.NO_STREAM


async def test_without_a_recording_the_gaps_are_lost_and_say_why(temporal_client: Client) -> None:
    script = BackfillScript()
    script.problem = NOT_THERE
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert (result.outcome, result.message) == (BackfillOutcome.NO_RECORDING, NOT_THERE.message)
    (outcome,) = script.backfills[0].outcomes
    assert (outcome.status, outcome.resolution) == (GapStatus.LOST, NOT_THERE.message)


async def test_a_recording_that_comes_late_is_waited_for(temporal_client: Client) -> None:
    script = BackfillScript()
    script.before["survey_recording"] = failing(3)
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert result.outcome is BackfillOutcome.FILLED


async def test_a_recording_that_never_answers_is_given_up(temporal_client: Client) -> None:
    script = BackfillScript()
    script.before["survey_recording"] = failing(10_000, ApplicationError("no answer"))
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client, patience=1.0)).result()
    assert result.outcome is BackfillOutcome.NO_RECORDING
    assert result.message == "The recording could not be read in any of our attempts."


async def test_a_piece_that_cannot_be_had_costs_itself_and_not_the_rest(
    temporal_client: Client,
) -> None:
    script = BackfillScript(peaks=(9.0,))
    script.before["fetch_recording"] = failing(5)
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert script.pieces == [100_001, 100_002]
    assert (result.outcome, result.highlights) == (BackfillOutcome.FILLED, 1)


async def test_windows_that_cannot_be_analysed_leave_the_gap_lost(temporal_client: Client) -> None:
    script = BackfillScript(peaks=(9.0,))
    script.before["analyze_window"] = failing(10_000)
    async with filling(temporal_client, script):
        result = await (await start_backfill(temporal_client)).result()
    assert (result.outcome, result.lost) == (BackfillOutcome.NO_RECORDING, 1)


async def test_cancelled_it_leaves_no_media_behind(temporal_client: Client) -> None:
    script = BackfillScript()
    fetching = asyncio.Event()

    async def fetch_for_ever() -> None:
        fetching.set()
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.02)

    script.before["fetch_recording"] = fetch_for_ever
    async with filling(temporal_client, script):
        backfill = await start_backfill(temporal_client)
        await fetching.wait()
        await backfill.cancel()
        with pytest.raises(WorkflowFailureError) as error:
            await backfill.result()
    assert isinstance(error.value.cause, CancelledError)
    assert script.recording_released == [None]


async def test_cancelled_while_a_worker_dies_it_does_not_go_on(temporal_client: Client) -> None:
    script = BackfillScript()
    fetching = asyncio.Event()

    async def fetch_without_a_sign_of_life() -> None:
        fetching.set()
        await asyncio.Event().wait()

    script.before["fetch_recording"] = fetch_without_a_sign_of_life
    async with filling(temporal_client, script):
        backfill = await start_backfill(temporal_client, heartbeat_timeout=1.0)
        await fetching.wait()
        await backfill.cancel()
        with pytest.raises(WorkflowFailureError) as error:
            await backfill.result()
    assert isinstance(error.value.cause, CancelledError)
    assert script.analyzed == []
    assert script.recording_released == [None]


async def test_a_stream_that_has_a_recording_starts_its_backfill_at_its_end(
    temporal_client: Client,
) -> None:
    script = BackfillScript(peaks=(9.0,))
    script.windows, script.lost, script.end = 4, (1,), None
    async with filling(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.recording_ready, RECORDING)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
        _, tenant, identity = stream.id.split("/")
        backfill = temporal_client.get_workflow_handle(
            backfill_workflow_id(tenant_id=UUID(tenant), stream_id=UUID(identity)),
            result_type=BackfillResult,
        )
        result: BackfillResult = await backfill.result()
    assert result.outcome is BackfillOutcome.FILLED
    assert script.surveyed[0].recording == RECORDING


async def test_a_stream_that_missed_nothing_starts_none(temporal_client: Client) -> None:
    script = BackfillScript()
    script.windows, script.end = 2, None
    async with filling(temporal_client, script):
        stream = await start(temporal_client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.recording_ready, RECORDING)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    kinds = [event.WhichOneof("attributes") async for event in stream.fetch_history_events()]
    assert "start_child_workflow_execution_initiated_event_attributes" not in kinds
