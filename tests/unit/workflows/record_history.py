"""Records the histories of `test_replay.py`: `python -m tests.unit.workflows.record_history`.

To be run when workflows have changed on purpose and no stream of the old code is running any more.
Until then a change must keep the old histories replaying (`workflow.patched`): `inbound-relay` and
`outbox-relay` are of the two relays that one has replaced, and stay as they are;
`recorded-before-backfill` is of the code that only remembered a recording, and stays as it is.
So do the lives of streams without `follow-` in their name: they are of the code that ran one
activity per window, and can go with its loops (`workflows/stream.py`). Those with `follow-`, and
`clip`, are of the code whose clips signaled their ends; those with `awaited-` replaced them.
`missed` is of the code that recorded a recording's progress at its end only; `recording` replaced
it.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from app.dev import temporal as temporal_binary
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from domain import task_queues
from domain.feed.messages import FeedEventsStored
from domain.highlights.feedback import HighlightCorrection
from domain.hms.messages import SessionInput, SessionRef, SessionTiming
from domain.ids import clip_workflow_id
from domain.streams.messages import ClipCorrection, StopRequest, StreamWorkflowResult
from domain.tenants.retention import MaintenanceInput
from infra.settings import Settings
from infra.temporal.client import connect
from tests.fakes.scripted_backfill import (
    MISSED,
    RECORDING,
    BackfillScript,
    filling,
    one_range,
    start_backfill,
)
from tests.fakes.scripted_inbound import QUICK_RECONCILE, QUICK_RELAY, ScriptedInbound, new_id
from tests.fakes.scripted_inbound import running as running_inbound
from tests.fakes.scripted_stream import Script, failing, running, start
from workflows.maintenance import MaintenanceWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.relay import RelayWorkflow
from workflows.session import SessionWorkflow
from workflows.stream import StreamWorkflow

HISTORIES: Final = Path(__file__).with_name("histories")
_PROCESS: Final = re.compile(r"^\d+@[\w.-]+")
_RECORDER: Final = "recorder"

Stream = WorkflowHandle[StreamWorkflow, StreamWorkflowResult]
Recording = Callable[[Client], Awaitable[None]]


async def record_completed(client: Client) -> None:
    """A stream with a gap, two clips and one that is retracted; and one of the clips."""
    script = Script(windows=8, peaks=[9.0, 21.0, 33.0], lost=[2])
    script.retract_at = {21.0: 48.0}
    async with running(client, script):
        stream = await start(client)
        await stream.result()
    await store(stream, "awaited-completed")
    spec = script.rendered[0]
    clip = client.get_workflow_handle(clip_workflow_id(tenant_id=spec.tenant_id, clip=spec.id))
    await store(clip, "awaited-clip")


async def record_continued(client: Client) -> None:
    """A stream whose workflow continues as new: both of its runs."""
    script = Script(windows=14, peaks=[9.0, 69.0])
    async with running(client, script):
        stream = await start(client, history_limit=40)
        await stream.result()
    first = client.get_workflow_handle(stream.id, run_id=stream.first_execution_run_id)
    await store(first, "awaited-continued-first")
    await store(client.get_workflow_handle(stream.id), "awaited-continued-last")


async def record_stopped(client: Client) -> None:
    """A stream that its tenant stops."""
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(client, script):
        stream = await start(client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    await store(stream, "awaited-stopped")


async def record_corrected(client: Client) -> None:
    """A stream of which a clip is cut anew at corrected bounds."""
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(client, script):
        stream = await start(client)
        await script.waiting_at_edge.wait()
        while (await stream.query(StreamWorkflow.status)).clips < 1:
            pass
        correction = HighlightCorrection(start=8.0, end=11.0)
        highlight = script.rendered[0].highlight_id
        await stream.signal(
            StreamWorkflow.correct_clip,
            ClipCorrection(highlight_id=highlight, correction=correction),
        )
        while len(script.clip_states) < 4:
            await stream.query(StreamWorkflow.status)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    await store(stream, "awaited-corrected")


async def record_cancelled(client: Client) -> None:
    """A stream that is cancelled while its clip is rendered."""
    script = Script(windows=4, end=None, peaks=[9.0])
    rendering = asyncio.Event()

    async def render_for_ever() -> None:
        rendering.set()
        await script.clip_discarded.wait()

    script.before["render_clip"] = render_for_ever
    async with running(client, script):
        stream = await start(client)
        await rendering.wait()
        await stream.cancel()
        with suppress(WorkflowFailureError):
            await stream.result()
    await store(stream, "awaited-cancelled")


async def record_reanalyzed(client: Client) -> None:
    """A stream of which an analysis fails in `follow_stream` and is given up after it."""
    script = Script(windows=9, peaks=[21.0])
    script.before["analyze_window"] = failing(6)
    async with running(client, script):
        stream = await start(client)
        await stream.result()
    await store(stream, "awaited-reanalyzed")


async def record_late(client: Client) -> None:
    """A stream whose selection fails for longer than following waits for it."""
    script = Script(windows=9, end=None, peaks=[9.0])
    script.before["select_highlights"] = failing(4)
    async with running(client, script):
        stream = await start(client)
        await script.waiting_at_edge.wait()
        while (await stream.query(StreamWorkflow.status)).clips < 1:
            pass
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    await store(stream, "awaited-late")


async def record_fed(client: Client) -> None:
    """A stream with events of a feed, of which one takes its highlight with it."""
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(client, script):
        stream = await start(client)
        await script.waiting_at_edge.wait()
        while (await stream.query(StreamWorkflow.status)).clips < 1:
            pass
        highlight = script.rendered[0].highlight_id
        assert highlight is not None
        script.withdraw.append(highlight)
        await stream.signal(StreamWorkflow.feed_events_stored, FeedEventsStored(events=2))
        await script.clip_discarded.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    await store(stream, "fed")


async def record_maintenance(client: Client) -> None:
    """A round of maintenance."""
    async with running(client, Script()):
        round_ = await client.start_workflow(
            MaintenanceWorkflow.run,
            MaintenanceInput(),
            id="maintenance",
            task_queue=task_queues.ORCHESTRATION,
        )
        await round_.result()
    await store(round_, "maintenance")


async def record_inbound(client: Client) -> None:
    """A round of the relay, and one of reconciliation in which two connections fail at first."""
    script = ScriptedInbound(connections=3)
    script.relay_failures = 1
    script.failures[script.connections[0].connection_id] = 1
    script.refused.add(script.connections[1].connection_id)
    async with running_inbound(client, script):
        relay = await client.start_workflow(
            RelayWorkflow.run,
            QUICK_RELAY,
            id=new_id("relay"),
            task_queue=task_queues.ORCHESTRATION,
        )
        await relay.result()
        reconcile = await client.start_workflow(
            ReconcileWorkflow.run,
            QUICK_RECONCILE,
            id=new_id("inbound-reconcile"),
            task_queue=task_queues.ORCHESTRATION,
        )
        await reconcile.result()
    await store(relay, "relay")
    await store(reconcile, "inbound-reconcile")


async def record_session(client: Client) -> None:
    """A session with two batches of events, of which the second fails at first."""
    script = ScriptedInbound()
    script.pending["session:one"] = [50, -1, 3]
    ref = SessionRef(tenant_id=UUID(int=1), connection_id=UUID(int=2), partition="session:one")
    async with running_inbound(client, script):
        session = await client.start_workflow(
            SessionWorkflow.run,
            SessionInput(ref=ref, timing=SessionTiming(idle_timeout=0.5, retry_interval=0.01)),
            id=new_id("session"),
            task_queue=task_queues.ORCHESTRATION,
            start_signal=SessionWorkflow.events_stored.__name__,
        )
        await session.result()
    await store(session, "session")


async def record_backfilled(client: Client) -> None:
    """A stream with a gap and a recording; and the backfill that it starts."""
    script = BackfillScript(peaks=(9.0,))
    script.windows, script.lost, script.end = 4, (1,), None
    async with filling(client, script):
        stream = await start(client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.recording_ready, RECORDING)
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
        backfill = client.get_workflow_handle(stream.id.replace("stream/", "backfill/"))
        await backfill.result()
    await store(stream, "awaited-recorded")
    await store(backfill, "backfill")


async def record_missed(client: Client) -> None:
    """A stream that was missed altogether, of which a piece of the recording is not to be had."""
    script = BackfillScript(peaks=(9.0,))
    script.stream, script.plan = MISSED, one_range(gaps=())
    script.before["fetch_recording"] = failing(5)
    async with filling(client, script):
        backfill = await start_backfill(client)
        await backfill.result()
    await store(backfill, "recording")


RECORDINGS: Final[tuple[Recording, ...]] = (
    record_completed,
    record_continued,
    record_stopped,
    record_corrected,
    record_cancelled,
    record_reanalyzed,
    record_late,
    record_fed,
    record_maintenance,
    record_inbound,
    record_session,
    record_backfilled,
    record_missed,
)


async def record_on_own_server(recordings: Iterable[Recording]) -> None:
    """Make recordings on a server of our own."""
    binary = temporal_binary.find_binary(Settings().home_path())
    if binary is None:
        raise SystemExit("There is no Temporal binary: run `highlights setup` once.")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "temporal.log"
        server = TemporalServer(binary, port=port, ui_port=None, database=None, log=log)
        try:
            server.wait_ready()
            client = await connect(Settings(temporal_address=server.address))
            for record in recordings:
                await record(client)
        finally:
            server.stop()


async def store(workflow: WorkflowHandle[Any, Any], name: str) -> None:
    """Keep a workflow's history for `test_replay.py`."""
    history = (await workflow.fetch_history()).to_json_dict()
    text = json.dumps({"workflow_id": workflow.id, **_anonymous(history)}, separators=(",", ":"))
    await asyncio.to_thread((HISTORIES / f"{name}.json").write_text, text + "\n")


def _anonymous(value: Any) -> Any:  # noqa: ANN401 any part of a JSON document
    """Leave out what a replay does not need and others need not know: hosts, paths."""
    if isinstance(value, list):
        return [_anonymous(item) for item in value]
    if isinstance(value, dict):
        return {key: _anonymous(item) for key, item in value.items() if key != "stackTrace"}
    return _PROCESS.sub(_RECORDER, value) if isinstance(value, str) else value


if __name__ == "__main__":
    asyncio.run(record_on_own_server(RECORDINGS))
