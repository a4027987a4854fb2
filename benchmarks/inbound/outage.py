"""Temporal stops while whole lives of streams arrive; then pending events are delivered.

Its process is suspended by a signal: it accepts connections and does not respond, which is worse
than refusing them. Afterwards the relay's passes, which a Temporal Schedule starts, are run here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.inbound.processing import deliver_rest, reading, waiting
from benchmarks.inbound.stage import Stage, send
from domain.ids import stream_workflow_id
from infra.settings import Settings
from infra.temporal.client import connect

_LIFE: Final = ("hls.started.success", "hls.recording.success", "hls.stopped.success")
_HISTORY: Final = ["started", "recording_ready", "stop"]
_RATE: Final = 20.0
"""Events a second: streams of a large event, not a flood."""

_CONNECTIONS: Final = 8
_AROUND: Final = 3.0
"""Seconds that the burst starts before Temporal stops and continues after it is back."""

_EVENTS: Final = "SELECT count(*) FROM inbound_events WHERE type = ANY($1) AND outcome = ANY($2)"
_STREAMS: Final = "SELECT DISTINCT stream_id FROM inbound_events WHERE type = $1"
_DONE: Final = ["started", "started_before", "recording", "ended", "ended_before"]


def measure_outage(running: Stage, *, seconds: float) -> str:
    """Return the result in words."""
    return asyncio.run(_measure(running, seconds))


async def _measure(running: Stage, seconds: float) -> str:
    load = running.load(
        "ours",
        types=_LIFE,
        names="outage",
        connections=_CONNECTIONS,
        duration=seconds + 2 * _AROUND,
        rate=_RATE,
    )
    sending = asyncio.create_task(asyncio.to_thread(send, load))
    await asyncio.sleep(_AROUND)
    os.killpg(running.temporal.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.killpg(running.temporal.pid, signal.SIGCONT)
    outcome = await sending
    client = await connect(Settings(temporal_address=running.temporal.address))
    back = time.perf_counter()
    async with reading(running) as connection:
        left = await waiting(connection)
        await deliver_rest(running)
        took = time.perf_counter() - back
        done = await connection.fetchval(_EVENTS, list(_LIFE), _DONE)
        streams = [row["stream_id"] for row in await connection.fetch(_STREAMS, _LIFE[0])]
    wrong = 0
    for stream_id in streams:
        workflow_id = stream_workflow_id(tenant_id=running.tenant_id, stream_id=stream_id)
        wrong += not _is_in_order(await _history(client, workflow_id))
    ranked = sorted(outcome.seconds)
    return (
        f"Temporal stopped for {seconds:.0f} s: {len(ranked)} events received, p99 "
        f"{ranked[int(0.99 * (len(ranked) - 1))] * 1e3:.1f} ms; {left} waited, and were delivered "
        f"in {took:.1f} s; {done} done, {len(streams)} streams, {wrong} of them out of order"
    )


async def _history(client: Client, workflow_id: str) -> list[str]:
    """Return the start and the signals of a workflow, in order."""
    told = []
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            told.append("started")
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            told.append(event.workflow_execution_signaled_event_attributes.signal_name)
    return told


def _is_in_order(told: list[str]) -> bool:
    """Return True if a workflow received a whole life, or its beginning, in order."""
    once = list(dict.fromkeys(told))  # each may arrive twice
    return once == _HISTORY[: len(once)] and told == sorted(told, key=_HISTORY.index)
