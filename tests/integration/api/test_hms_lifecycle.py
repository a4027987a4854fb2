"""What 100ms's events do to streams, over real PostgreSQL and real Temporal, in every order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from domain.hms.events import LONGEST_ID
from domain.ids import backfill_workflow_id
from domain.streams.backfill.messages import BackfillInput
from domain.streams.messages import RecordingReady, StreamInput, StreamWorkflowResult
from domain.streams.status import EndReason
from tests.factories.hms import URL, VOD
from tests.fakes.hms_sender import Sender, connect
from tests.integration.api.conftest import Account

STARTED, STOPPED = "hls.started.success", "hls.stopped.success"
FAILED, RECORDED = "hls.failure", "hls.recording.success"


@pytest.fixture
async def sender(account: Account, workflows: Client) -> Sender:
    return await connect(account, has_worker=True, game="Premier League", title="Cup, room {room}")


async def result_of(client: Client, sender: Sender, beam: str = "beam-1") -> StreamWorkflowResult:
    handle = client.get_workflow_handle(sender.workflow_id(beam), result_type=StreamWorkflowResult)
    result: StreamWorkflowResult = await handle.result()
    return result


async def status_of(
    client: Client, sender: Sender, beam: str = "beam-1"
) -> WorkflowExecutionStatus | None:
    """How the workflow of a beam is; None when there never was one."""
    try:
        found = await client.get_workflow_handle(sender.workflow_id(beam)).describe()
    except RPCError:
        return None
    return found.status


async def input_of(client: Client, sender: Sender) -> StreamInput:
    history = await client.get_workflow_handle(sender.workflow_id()).fetch_history()
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    (given,) = await client.data_converter.decode(payloads, [StreamInput])
    assert isinstance(given, StreamInput)
    return given


async def test_a_start_makes_a_stream_and_its_workflow(sender: Sender, workflows: Client) -> None:
    assert (await sender.send(STARTED)).status_code == 200
    (stream,) = await sender.streams()
    assert stream["id"] == str(sender.stream_id())
    assert (stream["url"], stream["external_id"]) == (URL, sender.room)
    assert (stream["game"], stream["title"]) == ("soccer", f"Cup, room {sender.room}")
    given = await input_of(workflows, sender)
    assert (given.playlist_url, given.tenant_id) == (URL, sender.account.tenant_id)
    assert await status_of(workflows, sender) is WorkflowExecutionStatus.RUNNING
    assert await sender.outcomes() == ["started"]


async def test_the_longest_names_start_a_stream_too(sender: Sender, workflows: Client) -> None:
    sender.session = "\N{STADIUM}" * LONGEST_ID
    await sender.send(STARTED)
    assert await sender.outcomes() == ["started"]
    assert await status_of(workflows, sender) is WorkflowExecutionStatus.RUNNING


async def test_a_stop_ends_the_stream_in_good_order(sender: Sender, workflows: Client) -> None:
    await sender.send(STARTED)
    await sender.send(STOPPED)
    end = (await result_of(workflows, sender)).end
    assert (end.reason, end.message) == (EndReason.STOPPED, "100ms: client request")
    assert await sender.outcomes() == ["started", "ended"]


async def test_a_failure_ends_the_stream_as_failed(sender: Sender, workflows: Client) -> None:
    await sender.send(STARTED)
    await sender.send(FAILED)
    end = (await result_of(workflows, sender)).end
    assert end.reason is EndReason.SOURCE_FAILED
    assert end.message == "UPLOAD_ERROR: segments could not be uploaded"


async def test_a_recording_is_signaled_to_the_stream(sender: Sender, workflows: Client) -> None:
    await sender.send(STARTED)
    await sender.send(RECORDED)
    handle = workflows.get_workflow_handle(sender.workflow_id())
    told = await handle.query("recordings", result_type=list[RecordingReady])
    assert told == [RecordingReady(url=VOD, duration=5400.0)]
    assert await sender.outcomes() == ["started", "recording"]


async def backfill_of(client: Client, sender: Sender) -> BackfillInput:
    identity = backfill_workflow_id(
        tenant_id=sender.account.tenant_id, stream_id=sender.stream_id()
    )
    handle = client.get_workflow_handle(identity, result_type=BackfillInput)
    result: BackfillInput = await handle.result()
    return result


async def test_a_recording_after_the_end_fills_the_stream(
    sender: Sender, workflows: Client
) -> None:
    for kind in (STARTED, STOPPED):
        await sender.send(kind)
    await result_of(workflows, sender)
    assert (await sender.send(RECORDED)).status_code == 200
    assert await sender.outcomes() == ["started", "ended", "recording"]
    given = await backfill_of(workflows, sender)
    assert given.stream_id == sender.stream_id()
    assert given.recording == RecordingReady(url=VOD, duration=5400.0)


@pytest.mark.parametrize("before", [(), (STOPPED,)])
async def test_a_stream_that_was_missed_altogether_is_made_for_its_recording(
    sender: Sender, workflows: Client, before: tuple[str, ...]
) -> None:
    for kind in (*before, RECORDED, STARTED):
        await sender.send(kind)
    assert (await sender.outcomes())[-2:] == ["recovered", "too_late"]
    (stream,) = await sender.streams()
    assert (stream["id"], stream["url"]) == (str(sender.stream_id()), VOD)
    assert (await backfill_of(workflows, sender)).recording.url == VOD
    assert await status_of(workflows, sender) is None


@pytest.mark.parametrize("end", [STOPPED, FAILED])
async def test_a_start_that_comes_after_its_end_opens_no_orphan(
    sender: Sender, workflows: Client, end: str
) -> None:
    await sender.send(end)
    await sender.send(STARTED)
    assert await sender.outcomes() == ["before_start", "too_late"]
    assert await sender.streams() == []
    assert await status_of(workflows, sender) is None


async def test_duplicates_start_one_workflow(sender: Sender, workflows: Client) -> None:
    raw = sender.event(STARTED)
    answers = await asyncio.gather(*(sender.post(raw) for _ in range(8)))
    assert {each.status_code for each in answers} == {200}
    assert [each.json()["is_new"] for each in answers].count(True) == 1
    await sender.processed()
    await sender.send(STARTED)  # the same start once more, under another id
    assert await sender.outcomes() == ["started", "started_before"]
    assert len(await sender.streams()) == 1
    await sender.send(STOPPED)
    await result_of(workflows, sender)
    await sender.send(STARTED)
    await sender.send(STOPPED)
    assert (await sender.outcomes())[-2:] == ["too_late", "ended_before"]
    assert await status_of(workflows, sender) is WorkflowExecutionStatus.COMPLETED


async def test_a_start_and_a_stop_at_the_same_moment_leave_nothing_running(
    sender: Sender, workflows: Client
) -> None:
    beams = [f"beam-{index}" for index in range(6)]
    await asyncio.gather(
        *(sender.send(kind, beam) for beam in beams for kind in (STARTED, STOPPED))
    )
    for beam in beams:
        if await status_of(workflows, sender, beam) is not None:
            assert (await result_of(workflows, sender, beam)).end.reason is EndReason.STOPPED


async def test_a_replayed_start_opens_nothing(sender: Sender, workflows: Client) -> None:
    await sender.send(STARTED, is_replay=True)
    assert await sender.outcomes() == ["noted"]
    assert await status_of(workflows, sender) is None


async def test_a_replayed_event_that_was_received_is_a_duplicate(
    sender: Sender, workflows: Client
) -> None:
    await sender.send(STARTED, id="start")
    again = await sender.send(STARTED, id="start", is_replay=True)
    assert (again.status_code, again.json()["is_new"]) == (200, False)


async def test_a_restart_of_the_room_is_another_stream_at_the_same_url(
    sender: Sender, workflows: Client
) -> None:
    await sender.send(STARTED, "beam-1")
    await sender.send(STARTED, "beam-2")  # before the stop of the first has come
    await sender.send(STOPPED, "beam-1")
    await result_of(workflows, sender, "beam-1")
    assert await status_of(workflows, sender, "beam-2") is WorkflowExecutionStatus.RUNNING
    streams = await sender.streams()
    assert len({each["id"] for each in streams}) == 2
    assert {each["url"] for each in streams} == {URL}


async def test_rooms_and_beams_of_two_tenants_may_have_the_same_names(
    sender: Sender, other_account: Account, workflows: Client
) -> None:
    other = await connect(other_account, has_worker=True)
    other.room, other.session = sender.room, sender.session
    await sender.send(STARTED)
    await other.send(STARTED)
    await sender.send("room.end.success")
    await result_of(workflows, sender)
    assert await status_of(workflows, other) is WorkflowExecutionStatus.RUNNING
    assert len(await other.streams()) == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("session.close.success", "100ms: the session closed"),
        ("room.end.success", "100ms: the room was ended: match over"),
    ],
)
async def test_the_end_of_a_session_ends_its_beams_and_those_to_come(
    sender: Sender, workflows: Client, kind: str, message: str
) -> None:
    await sender.send(STARTED, "beam-1")
    await sender.send(kind, None)
    assert (await result_of(workflows, sender)).end.message == message
    await sender.send(STARTED, "beam-2")
    assert await sender.outcomes() == ["started", "ended", "too_late"]
    assert await status_of(workflows, sender, "beam-2") is None


async def test_a_room_without_a_session_ends_what_is_open_in_it(
    sender: Sender, workflows: Client
) -> None:
    await sender.send(STARTED)
    await sender.send("room.end.success", None, data={"session_id": None})
    assert (await result_of(workflows, sender)).end.reason is EndReason.STOPPED


@pytest.mark.parametrize(
    "url", ["http://cdn.example.com/a.m3u8", "https://169.254.169.254/", "https://10.0.0.1/a.m3u8"]
)
async def test_a_playlist_that_must_not_be_requested_is_refused(
    sender: Sender, workflows: Client, url: str
) -> None:
    response = await sender.send(STARTED, data={"url": url})
    assert response.status_code == 200
    events = (await sender.account.http.get(f"/v1/connections/{sender.id}/events")).json()["data"]
    assert events[0]["outcome"] == "refused"
    assert events[0]["detail"].startswith("The URL")
    assert await sender.streams() == []
    assert await status_of(workflows, sender) is None


async def test_a_stream_that_the_tenant_stopped_takes_100ms_stop_too(
    sender: Sender, workflows: Client
) -> None:
    await sender.send(STARTED)
    await sender.account.http.post(f"/v1/streams/{sender.stream_id()}/stop")
    assert (await result_of(workflows, sender)).end.message == "stopped by the tenant"
    assert (await sender.send(STOPPED)).status_code == 200
    assert await sender.outcomes() == ["started", "ended"]


async def test_events_say_which_stream_they_are_about(sender: Sender, workflows: Client) -> None:
    await sender.send(STARTED)
    await sender.send("beam.started.success")
    await sender.send("peer.join.success")
    listed: list[dict[str, Any]] = (
        await sender.account.http.get(f"/v1/connections/{sender.id}/events")
    ).json()["data"]
    about = {each["type"]: each["stream_id"] for each in listed}
    stream = str(sender.stream_id())
    assert about == {
        STARTED: stream,
        "beam.started.success": stream,
        "peer.join.success": None,
    }
