"""The product against the 100ms simulator: real events to the real endpoint, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from app.serve import build_app
from demo.hms import Beam, EventFault, Simulator, SimulatorOptions, Webhook
from demo.hms.management import Keys
from demo.origin.server import bind, serving
from domain.hms.effects import beam_stream_id
from domain.hms.events import parse_event
from domain.hms.messages import ConnectionRef, ReconcileReport
from domain.ids import stream_workflow_id
from domain.streams.messages import StreamWorkflowResult
from domain.streams.status import EndReason
from infra.db.engine import Database
from infra.encryption import ConnectionSecrets
from infra.hms_api import HmsApi
from infra.settings import Settings
from tests.factories.media import make_video
from tests.fakes.hms_sender import Sender, connect
from tests.fakes.hms_worker import inbound_activities
from tests.integration.api.conftest import SECRET, Account

PACE = 40.0
KEYS = Keys(access_key="access", app_secret="secret of the app, which is long enough")
STARTED, STOPPED = "hls.started.success", "hls.stopped.success"
Simulated = Callable[..., AbstractAsyncContextManager[Simulator]]
Reconcile = Callable[[Simulator], Awaitable[ReconcileReport]]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("media") / "match.mp4", seconds=8)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The simulator is on this machine."""
    return settings.model_copy(update={"allow_private_urls": True})


@pytest.fixture
async def endpoint(settings: Settings) -> AsyncIterator[str]:
    """The API, on a port of its own."""
    app = build_app(settings)
    listener = bind("127.0.0.1", 0)
    async with app.router.lifespan_context(app), serving(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/webhooks/100ms"


@pytest.fixture
async def sender(account: Account, workflows: Client) -> Sender:
    key = {"access_key": KEYS.access_key, "secret": KEYS.app_secret}
    return await connect(account, has_worker=True, management=key)


@pytest.fixture
def simulated(endpoint: str, sender: Sender) -> Simulated:
    @asynccontextmanager
    async def open_simulator(*faults: EventFault, **options: object) -> AsyncIterator[Simulator]:
        webhook = Webhook(url=f"{endpoint}/{sender.id}", headers=sender.headers(b""))
        given = {"webhook": webhook, "event_faults": faults, "pace": PACE, "keys": KEYS}
        async with Simulator(SimulatorOptions.model_validate({**given, **options})) as simulator:
            yield simulator

    return open_simulator


@pytest.fixture
def reconcile(
    database: Database, settings: Settings, sender: Sender, workflows: Client
) -> Reconcile:
    async def once(simulator: Simulator) -> ReconcileReport:
        api = HmsApi(simulator.base_url)
        activities = inbound_activities(
            workflows, database, settings, secrets=ConnectionSecrets(SECRET.encode()), api=api
        )
        ref = ConnectionRef(tenant_id=sender.account.tenant_id, connection_id=sender.id)
        try:
            report = await ActivityEnvironment().run(activities.reconcile_connection, ref)
        finally:
            await api.close()
        await sender.processed()
        return ReconcileReport.model_validate(report)

    return once


def stream_of(sender: Sender, beam: Beam) -> UUID:
    return beam_stream_id(
        tenant_id=sender.account.tenant_id, connection_id=sender.id, key=f"beam:{beam.id}"
    )


async def result_of(client: Client, sender: Sender, beam: Beam) -> StreamWorkflowResult:
    workflow_id = stream_workflow_id(
        tenant_id=sender.account.tenant_id, stream_id=stream_of(sender, beam)
    )
    await sender.processed()
    handle = client.get_workflow_handle(workflow_id, result_type=StreamWorkflowResult)
    result: StreamWorkflowResult = await handle.result()
    return result


async def play(simulator: Simulator, video: Path) -> Beam:
    """A whole session, told in every event."""
    session = simulator.room("Derby").open()
    session.join()
    beam = await session.start_beam(video)
    await beam.finished()
    await beam.stop()
    await simulator.publish_recording(beam)
    session.end()
    await simulator.sender.settled()
    return beam


async def test_every_event_of_a_session_is_accepted_at_once_and_known(
    simulated: Simulated, video: Path
) -> None:
    async with simulated() as simulator:
        await play(simulator, video)
        sent = simulator.sender
        assert [(d.number, d.status) for d in sent.deliveries] == [(1, 200)] * len(sent.events)
        assert all(parse_event(event.body.encode()).is_known for event in sent.events)


async def test_a_session_is_one_stream_that_ends_for_100mss_reason(
    simulated: Simulated, sender: Sender, workflows: Client, video: Path
) -> None:
    async with simulated() as simulator:
        beam = await play(simulator, video)
        (stream,) = await sender.streams()
        assert (stream["id"], stream["url"]) == (str(stream_of(sender, beam)), beam.url)
        end = (await result_of(workflows, sender, beam)).end
        assert (end.reason, end.message) == (EndReason.STOPPED, "100ms: client request")


async def test_events_that_come_twice_late_or_in_another_order_change_nothing(
    simulated: Simulated, sender: Sender, workflows: Client, video: Path
) -> None:
    faults = (
        EventFault(type=STARTED, copies=3),
        EventFault(type=STOPPED, after="room.end.success"),
        EventFault(type="session.open.success", delay=40.0),
    )
    async with simulated(*faults) as simulator:
        beam = await play(simulator, video)
        assert len(await sender.streams()) == 1
        assert (await result_of(workflows, sender, beam)).end.reason is EndReason.STOPPED


async def test_a_stop_that_overtakes_its_start_leaves_nothing_running(
    simulated: Simulated, sender: Sender, workflows: Client, video: Path
) -> None:
    async with simulated(EventFault(type=STARTED, after=STOPPED)) as simulator:
        await play(simulator, video)
        running = [each for each in await sender.streams() if each["status"] == "live"]
        assert running == []


async def test_the_next_session_of_a_room_is_another_stream(
    simulated: Simulated, sender: Sender, video: Path
) -> None:
    async with simulated() as simulator:
        room = simulator.room()
        for _ in range(2):
            session = room.open()
            beam = await session.start_beam(video, recorded=False)
            await beam.stop()
            session.end()
        await simulator.sender.settled()
        first, second = await sender.streams()
        assert first["url"] != second["url"]


async def test_an_unauthenticated_sender_starts_nothing(
    endpoint: str, simulated: Simulated, sender: Sender, video: Path
) -> None:
    stranger = Webhook(url=f"{endpoint}/{sender.id}", headers={"X-Guess": "secret"})
    async with simulated(webhook=stranger) as simulator:
        await play(simulator, video)
        assert {delivery.status for delivery in simulator.sender.deliveries} == {403}
        assert await sender.streams() == []


async def test_a_start_that_was_lost_is_found_in_the_list(
    simulated: Simulated,
    sender: Sender,
    reconcile: Reconcile,
    video: Path,
) -> None:
    async with simulated(EventFault(type=STARTED, drop=True)) as simulator:
        beam = await simulator.room().open().start_beam(video)
        await simulator.sender.settled()
        assert await sender.streams() == []
        _long_ago(beam)
        report = await reconcile(simulator)
        assert (report.started, report.ended) == (1, 0)
        (stream,) = await sender.streams()
        assert stream["url"] == beam.url


@pytest.mark.parametrize("listed_id", ["job", "beam"])
async def test_later_events_find_the_stream_that_reconciliation_started(
    simulated: Simulated,
    sender: Sender,
    reconcile: Reconcile,
    workflows: Client,
    *,
    video: Path,
    listed_id: str,
) -> None:
    late = EventFault(type=STARTED, after=STOPPED)
    async with simulated(late, listed_id=listed_id) as simulator:
        beam = await simulator.room().open().start_beam(video)
        _long_ago(beam)
        await reconcile(simulator)
        await beam.stop()
        await simulator.publish_recording(beam)
        await simulator.sender.settled()
        (stream,) = await sender.streams()
        handle = workflows.get_workflow_handle(
            stream_workflow_id(tenant_id=sender.account.tenant_id, stream_id=UUID(stream["id"])),
            result_type=StreamWorkflowResult,
        )
        assert (await handle.result()).end.message == "100ms: client request"
        assert (await reconcile(simulator)).started == 0
        told = {
            each["type"]: (each["outcome"], each["stream_id"]) for each in await sender.events()
        }
    assert told["reconcile.start"] == ("started", stream["id"])
    assert told[STOPPED] == ("ended", stream["id"])
    assert told[STARTED] == ("too_late", stream["id"])
    assert told["hls.recording.success"] == ("recording", stream["id"])


@pytest.mark.parametrize("kind", [STARTED, STOPPED])
async def test_a_recording_without_a_job_is_of_the_stream_that_was_listed_in_its_session(
    simulated: Simulated,
    sender: Sender,
    reconcile: Reconcile,
    workflows: Client,
    *,
    video: Path,
    kind: str,
) -> None:
    lost = [EventFault(type=each, drop=True) for each in {STARTED, kind}]
    async with simulated(*lost) as simulator:
        beam = await simulator.room().open().start_beam(video)
        _long_ago(beam)
        await reconcile(simulator)
        await beam.stop()
        await simulator.publish_recording(beam)
        await simulator.sender.settled()
        (stream,) = await sender.streams()
        (told,) = [
            each for each in await sender.events() if each["type"] == "hls.recording.success"
        ]
    assert (told["outcome"], told["stream_id"]) == ("recording", stream["id"])


@pytest.mark.parametrize("listed_id", ["job", "beam"])
async def test_a_stop_that_was_lost_is_found_in_the_list(
    simulated: Simulated,
    sender: Sender,
    reconcile: Reconcile,
    workflows: Client,
    *,
    video: Path,
    listed_id: str,
) -> None:
    lost = EventFault(type=STOPPED, drop=True)
    async with simulated(lost, listed_id=listed_id) as simulator:
        beam = await simulator.room().open().start_beam(video)
        await beam.stop()
        await simulator.sender.settled()
        await sender.processed()
        _long_ago(beam)
        report = await reconcile(simulator)
        assert (report.started, report.ended) == (0, 1)
        assert (await result_of(workflows, sender, beam)).end.reason is EndReason.STOPPED


def _long_ago(beam: Beam) -> None:
    """Let it all have happened a minute ago, when no event can be under way any more."""
    minute = timedelta(minutes=1)
    beam.started_at = beam.started_at and beam.started_at - minute
    beam.stopped_at = beam.stopped_at and beam.stopped_at - minute
