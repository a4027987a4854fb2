"""Workflows on a real server with encryption: what it stores, and who can read it."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from app.dev import temporal as temporal_binary
from app.dev.supervisor import accepts, free_ports
from app.dev.temporal import TemporalServer
from app.worker import workflow_runner
from domain import task_queues
from domain.clips.models import ClipInput, ClipOutcome, ClipSpec, ClipStatus, ClipTiming
from infra.settings import Settings
from infra.temporal.client import connect
from tests.fakes.scripted_stream import Script, ScriptedActivities, failing, window
from workflows.clip import ClipWorkflow

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("temporal_client")]

KEY = f"2026-11:{'k' * 32}"
OLD_KEY = f"2026-05:{'o' * 32}"
MARK = "quokka-58e1 of a failed rendering"
SUMMARY = "quokka-58e1 of a summary"


async def encrypting(server: TemporalServer, keys: str | None) -> Client:
    return await connect(Settings(temporal_address=server.address, temporal_keys=keys))


@asynccontextmanager
async def serving(client: Client, script: Script) -> AsyncIterator[None]:
    steps = ScriptedActivities(script)
    workers = [
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[ClipWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(client, task_queue=task_queues.IO, activities=[steps.record_clip]),
        Worker(client, task_queue=task_queues.RENDER, activities=[steps.render_clip]),
    ]
    async with workers[0], workers[1], workers[2]:
        yield


async def start(client: Client) -> WorkflowHandle[ClipWorkflow, ClipOutcome]:
    spec = ClipSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        stream_id=uuid4(),
        highlight_id=None,
        start=0.0,
        end=6.0,
        peak=3.0,
        segments=window(0).segments,
    )
    return await client.start_workflow(
        ClipWorkflow.run,
        ClipInput(spec=spec, stream_workflow=None, timing=ClipTiming(retry_interval=0.01)),
        id=f"clip/{spec.id}",
        task_queue=task_queues.ORCHESTRATION,
        static_summary=SUMMARY,
    )


def refusing() -> Script:
    script = Script()
    script.before["render_clip"] = failing(1, ApplicationError(MARK, non_retryable=True))
    return script


async def raw_history(client: Client, workflow_id: str) -> bytes:
    answer = await client.workflow_service.get_workflow_execution_history(
        GetWorkflowExecutionHistoryRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )
    return answer.history.SerializeToString()


@contextmanager
def codec_server(keys: str) -> Iterator[str]:
    """`highlights codec-server` as a process; yields its address."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    environment = {
        **os.environ,
        "HIGHLIGHTS_TEMPORAL_KEYS": keys,
        "HIGHLIGHTS_CODEC_ADDRESS": address,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "app.cli", "codec-server"], env=environment
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not accepts(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://{address}"
        finally:
            process.terminate()


def show(home: Path, server: TemporalServer, workflow_id: str, *options: str) -> str:
    """Return what `temporal workflow show` prints, and the payloads in it, one per line."""
    binary = temporal_binary.find_binary(home)
    assert binary is not None
    command = ["workflow", "show", "--address", server.address, "--workflow-id", workflow_id]
    printed = subprocess.run(
        [str(binary.path), *command, "--output", "json", *options],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout
    found = re.findall(r'"data": "([^"]*)"', printed)
    payloads = [base64.b64decode(each).decode(errors="replace") for each in found]
    return "\n".join([printed, *payloads])


async def test_a_history_has_no_plain_text_and_the_codec_server_reads_it(
    temporal_server: TemporalServer, home: Path
) -> None:
    client = await encrypting(temporal_server, KEY)
    async with serving(client, refusing()):
        handle = await start(client)
        outcome = await handle.result()
    assert outcome.status is ClipStatus.FAILED
    raw = await raw_history(client, handle.id)
    assert b"quokka-58e1" not in raw
    assert b"segments" not in raw
    assert b"ClipWorkflow" in raw
    with codec_server(KEY) as address:
        shown = await asyncio.to_thread(
            show, home, temporal_server, handle.id, "--codec-endpoint", address
        )
    assert MARK in shown
    assert SUMMARY in shown
    assert '"segments"' in shown


@pytest.mark.parametrize("before", [None, OLD_KEY], ids=["no key", "another key"])
async def test_a_workflow_goes_on_when_the_first_key_changes(
    temporal_server: TemporalServer, before: str | None
) -> None:
    handle = await start(await encrypting(temporal_server, before))
    keys = KEY if before is None else f"{KEY},{before}"
    client = await encrypting(temporal_server, keys)
    async with serving(client, Script()):
        rest = client.get_workflow_handle(handle.id, result_type=ClipOutcome)
        outcome: ClipOutcome = await rest.result()
    assert outcome.status is ClipStatus.READY


async def test_the_commands_of_the_debugging_guide_work_as_written(
    temporal_server: TemporalServer, tmp_path: Path
) -> None:
    client = await encrypting(temporal_server, KEY)
    async with serving(client, Script()):
        handle = await start(client)
        await handle.result()
    page = (Path(__file__).parents[3] / "docs" / "debugging.md").read_text("utf-8")
    script = "\n".join(re.findall(r"^```shell\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert script.count("highlights replay") == 2
    script = script.replace("localhost:7233", temporal_server.address)
    script = script.replace("clip/…", handle.id)
    environment = {**os.environ, "HIGHLIGHTS_TEMPORAL_KEYS": KEY}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = await asyncio.to_thread(
        subprocess.run,
        ["/bin/bash", "-euc", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"ClipWorkflow {handle.id}, ") for line in lines)
    assert all(line.endswith(" events: replays") for line in lines)
