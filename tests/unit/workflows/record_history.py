"""Records the histories of `test_replay.py`: `python -m tests.unit.workflows.record_history`.

To be run when workflows have changed on purpose and no stream of the old code is running any more.
Until then a change must keep the old histories replaying (`workflow.patched`).
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

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from domain import task_queues
from domain.expiry import MaintenanceInput
from domain.ids import clip_workflow_id
from domain.stream_input import StopRequest, StreamResult
from infra.embedded import temporal_binary
from infra.embedded.ports import free_ports
from infra.embedded.temporal_server import TemporalServer
from infra.settings import Settings
from infra.temporal import connect
from tests.integration.workflows.scripted import Script, running, start
from workflows.maintenance import MaintenanceWorkflow
from workflows.stream import StreamWorkflow

HISTORIES: Final = Path(__file__).with_name("histories")
_PROCESS: Final = re.compile(r"^\d+@[\w.-]+")
_RECORDER: Final = "recorder"

Stream = WorkflowHandle[StreamWorkflow, StreamResult]
Recording = Callable[[Client], Awaitable[None]]


async def record_completed(client: Client) -> None:
    """A stream with a gap, two clips and one that is retracted; and one of the clips."""
    script = Script(windows=8, peaks=[9.0, 21.0, 33.0], lost=[2])
    script.retract_at = {21.0: 48.0}
    async with running(client, script):
        stream = await start(client)
        await stream.result()
    await store(stream, "completed")
    spec = script.rendered[0]
    clip = client.get_workflow_handle(clip_workflow_id(tenant_id=spec.tenant_id, clip=spec.id))
    await store(clip, "clip")


async def record_continued(client: Client) -> None:
    """A stream whose workflow continues as new: both of its runs."""
    script = Script(windows=14, peaks=[9.0, 69.0])
    async with running(client, script):
        stream = await start(client, history_limit=90)
        await stream.result()
    first = client.get_workflow_handle(stream.id, run_id=stream.first_execution_run_id)
    await store(first, "continued-first")
    await store(client.get_workflow_handle(stream.id), "continued-last")


async def record_stopped(client: Client) -> None:
    """A stream that its tenant stops."""
    script = Script(windows=3, end=None, peaks=[9.0])
    async with running(client, script):
        stream = await start(client)
        await script.waiting_at_edge.wait()
        await stream.signal(StreamWorkflow.stop, StopRequest())
        await stream.result()
    await store(stream, "stopped")


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
    await store(stream, "cancelled")


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


RECORDINGS: Final[tuple[Recording, ...]] = (
    record_completed,
    record_continued,
    record_stopped,
    record_cancelled,
    record_maintenance,
)


async def record_on_own_server(recordings: Iterable[Recording]) -> None:
    """Make recordings on a server of our own."""
    binary = temporal_binary.find(Settings().home_path())
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
