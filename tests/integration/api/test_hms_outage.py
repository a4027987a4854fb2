"""Temporal away: every event is received all the same, and arrives afterwards, in order."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from temporalio.client import Client

from domain.streams.messages import RecordingReady, StreamWorkflowResult
from domain.streams.status import EndReason
from infra.db.engine import Database
from infra.settings import Settings
from tests.fakes.hms_sender import Sender, connect
from tests.fakes.hms_worker import Relay, relay_to
from tests.integration.api.conftest import Account, OpenClient


@pytest.fixture
def relay(temporal_client: Client, database: Database, settings: Settings) -> Relay:
    return relay_to(temporal_client, database, settings)


@pytest.fixture
async def sender(account: Account) -> Sender:
    return await connect(account, has_worker=True)


async def burst(sender: Sender, client: httpx.AsyncClient, beams: list[str]) -> None:
    """The whole lives of some streams, interleaved, each in its order."""

    async def life(beam: str) -> None:
        for kind in ("hls.started.success", "hls.recording.success", "hls.stopped.success"):
            raw = sender.event(kind, beam, data={"session_id": f"session-{beam}"})
            response = await sender.post(raw, client=client)
            assert response.status_code == 200

    await asyncio.gather(*(life(beam) for beam in beams))


async def test_a_burst_during_an_outage_arrives_in_order_afterwards(
    sender: Sender,
    workflows: Client,
    settings_without_temporal: Settings,
    open_client: OpenClient,
    relay: Relay,
) -> None:
    beams = [f"beam-{index}" for index in range(5)]
    async with open_client(settings_without_temporal) as cut_off:
        await burst(sender, cut_off, beams)
    assert set(await sender.outcomes_so_far()) == {None}

    await relay()
    outcomes = await sender.outcomes()
    assert sorted(outcomes) == sorted(["started", "recording", "ended"] * len(beams))
    for beam in beams:
        handle = workflows.get_workflow_handle(
            sender.workflow_id(beam), result_type=StreamWorkflowResult
        )
        assert (await handle.result()).end.reason is EndReason.STOPPED
        told = await handle.query("recordings", result_type=list[RecordingReady])
        assert len(told) == 1, "the recording came before the stop, as it was sent"


async def test_an_event_after_the_outage_waits_for_those_before_it(
    sender: Sender,
    workflows: Client,
    settings_without_temporal: Settings,
    open_client: OpenClient,
) -> None:
    async with open_client(settings_without_temporal) as cut_off:
        await sender.post(sender.event("hls.started.success"), client=cut_off)
    await sender.send("hls.stopped.success")
    assert await sender.outcomes() == ["started", "ended"]
    handle = workflows.get_workflow_handle(sender.workflow_id(), result_type=StreamWorkflowResult)
    assert (await handle.result()).end.reason is EndReason.STOPPED


async def test_an_outage_costs_one_event_some_time_and_the_others_none(
    sender: Sender, settings_without_temporal: Settings, open_client: OpenClient
) -> None:
    async with open_client(settings_without_temporal) as cut_off:
        await sender.post(sender.event("hls.started.success"), client=cut_off)
        services = cut_off._transport.app.state.services  # type: ignore[attr-defined]
        assert services.event_dispatcher.is_unavailable, "so it is not called for a while"
        await sender.post(sender.event("hls.stopped.success"), client=cut_off)
    assert await sender.outcomes_so_far() == [None, None]


async def test_a_second_round_finds_nothing(
    sender: Sender,
    workflows: Client,
    settings_without_temporal: Settings,
    open_client: OpenClient,
    relay: Relay,
) -> None:
    async with open_client(settings_without_temporal) as cut_off:
        await sender.post(sender.event("hls.started.success"), client=cut_off)
    await relay()
    first = await sender.outcomes()
    await relay()
    assert (first, await sender.outcomes()) == (["started"], ["started"])
