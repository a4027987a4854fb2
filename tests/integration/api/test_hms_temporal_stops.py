"""A Temporal server that stops in the middle of a burst: nothing is lost, and order is kept.

The server is a real one of the test's own. Frozen, it takes connections and does not answer;
killed, it refuses them, and comes back with what it had written down.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from app.dev import temporal as temporal_binary
from app.dev.supervisor import free_ports
from app.dev.temporal import TemporalServer
from infra.db.engine import Database
from infra.settings import Settings
from infra.temporal.client import connect as connect_temporal
from tests.fakes.hms_sender import Sender, connect
from tests.fakes.hms_worker import inbound_activities, processing, relay_to
from tests.integration.api.conftest import Account, OpenClient

LIFE = ("hls.started.success", "hls.recording.success", "hls.stopped.success")
HISTORY = ["started", "recording_ready", "stop"]


class Stoppable:
    """A Temporal server that can be frozen or killed, and comes back at the same address."""

    def __init__(self, how: str, home: Path, directory: Path) -> None:
        binary = temporal_binary.find_binary(home)
        assert binary is not None
        self._how = how
        self._binary = binary
        self._directory = directory
        (self._port,) = free_ports(1)
        self.server = self._start()

    def _start(self) -> TemporalServer:
        server = TemporalServer(
            self._binary,
            port=self._port,
            ui_port=None,
            database=self._directory / "temporal.db",
            log=self._directory / "temporal.log",
        )
        server.wait_ready()
        return server

    @contextmanager
    def stopped(self) -> Iterator[None]:
        if self._how == "killed":
            self.server.kill_group()
            yield
            self.server = self._start()
            return
        os.killpg(self.server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.server.pid, signal.SIGCONT)


@pytest.fixture(params=["frozen", "killed"])
def temporal(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[Stoppable]:
    stoppable = Stoppable(request.param, home, tmp_path)
    yield stoppable
    stoppable.server.stop()


async def live(
    sender: Sender, client: httpx.AsyncClient, beams: list[str], kinds: tuple[str, ...] = LIFE
) -> None:
    """Send the lives of some streams, interleaved, each in its order."""

    async def one(beam: str) -> None:
        for kind in kinds:
            raw = sender.event(kind, beam, data={"session_id": f"session-{beam}"})
            response = await sender.post(raw, client=client)
            assert response.status_code == 200

    await asyncio.gather(*(one(beam) for beam in beams))


async def history(client: Client, workflow_id: str) -> list[str]:
    """How a workflow was started and what it was told, in order."""
    told = []
    async for event in client.get_workflow_handle(workflow_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            told.append("started")
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            told.append(event.workflow_execution_signaled_event_attributes.signal_name)
    return told


@pytest.mark.slow
async def test_every_event_of_a_burst_arrives_in_order_once_temporal_is_back(
    temporal: Stoppable,
    account: Account,
    settings: Settings,
    open_client: OpenClient,
    database: Database,
) -> None:
    sender = await connect(account)
    ours = settings.model_copy(
        update={"temporal_address": temporal.server.address, "inbound_ack_timeout": 0.05}
    )
    before, across, during, after = (
        [f"{name}-{number}" for number in range(3)]
        for name in ("before", "across", "during", "after")
    )
    async with open_client(ours) as client:
        await live(sender, client, before)
        await live(sender, client, across, LIFE[:1])
        with temporal.stopped():
            await asyncio.gather(
                live(sender, client, across, LIFE[1:]), live(sender, client, during)
            )
            assert None in await sender.outcomes_so_far(), "some wait"
        await live(sender, client, after)

    again = await connect_temporal(ours)
    relay = relay_to(again, database, ours)
    sender.has_worker = True
    async with processing(again, inbound_activities(again, database, ours)):
        await relay()
        assert None not in await sender.outcomes()
    beams = [*before, *across, *during, *after]
    assert len(await sender.outcomes()) == len(beams) * len(LIFE)
    histories = [await history(again, sender.workflow_id(beam)) for beam in beams]
    assert [list(dict.fromkeys(each)) for each in histories] == [HISTORY] * len(beams)
    assert [each == sorted(each, key=HISTORY.index) for each in histories] == [True] * len(beams)
