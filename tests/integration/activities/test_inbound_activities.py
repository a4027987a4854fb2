"""Relay and reconciliation over real PostgreSQL and Temporal, and 100ms's API as a server here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from starlette.responses import Response
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.hms import InboundActivities
from app.services.hms_events import MAX_ATTEMPTS, EventWriter
from app.services.streams import StreamStarter
from domain.hms.admission import Checks
from domain.hms.beam import Outcome
from domain.hms.effects import beam_stream_id
from domain.hms.events import parse_event
from domain.hms.messages import (
    ConnectionRef,
    ProcessedEvents,
    ReconcileReport,
    RelayInput,
    RelayReport,
    SessionRef,
)
from domain.ids import stream_workflow_id
from domain.streams.messages import StreamWorkflowResult
from domain.streams.status import EndReason
from domain.tenants.usage import PlanName
from infra.db.engine import Database
from infra.db.repositories import connections, inbound_events
from infra.db.tables import InboundEvent
from infra.encryption import ConnectionSecrets
from infra.hms_api import HmsApi
from infra.settings import Settings
from infra.temporal.client import TemporalRefusedError, TemporalUnavailableError
from tests.factories.hms import body
from tests.fakes.hms_api import MANAGEMENT_ACCESS_KEY, MANAGEMENT_SECRET, FakeHmsApi
from tests.fakes.hms_worker import inbound_activities, processing

SECRETS = ConnectionSecrets(b"s" * 32)
LIMIT = 60.0
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


@pytest.fixture
def remote() -> Iterator[FakeHmsApi]:
    with FakeHmsApi() as api:
        yield api


@pytest.fixture
async def activities(
    temporal_client: Client, database: Database, remote: FakeHmsApi
) -> AsyncIterator[InboundActivities]:
    api = HmsApi(remote.url)
    settings = Settings(default_plan=PlanName.ENTERPRISE)
    yield inbound_activities(temporal_client, database, settings, secrets=SECRETS, api=api)
    await api.close()


@pytest.fixture
async def temporal(temporal_client: Client, activities: InboundActivities) -> AsyncIterator[Client]:
    """A client, and a worker that processes what is signaled."""
    async with processing(temporal_client, activities):
        yield temporal_client


@pytest.fixture
async def ref(database: Database, tenant: UUID) -> ConnectionRef:
    """A connection with a management key."""
    identity = uuid4()
    plain = SECRETS.generate()
    async with database.session(tenant) as session:
        await connections.create(
            session,
            tenant_id=tenant,
            id=identity,
            name="Cup",
            title="",
            checks=Checks().model_dump(mode="json"),
            management_access_key=MANAGEMENT_ACCESS_KEY,
            management_secret=SECRETS.encrypt(MANAGEMENT_SECRET, connection_id=identity),
            **SECRETS.stored(plain, connection_id=identity),
        )
    return ConnectionRef(tenant_id=tenant, connection_id=identity)


class Room:
    """What a connection brings, and what became of it."""

    def __init__(self, ref: ConnectionRef, database: Database) -> None:
        self.ref = ref
        self._writer = EventWriter(database)
        self._database = database

    async def record(self, kind: str, beam: str, **data: object) -> None:
        """Store an event without dispatching it."""
        named = {"room_id": "room", "session_id": f"session-{beam}", "beam_id": beam}
        raw = body(kind, {**named, **data}, id=str(uuid4()))
        await self._writer.store(
            parse_event(raw),
            tenant_id=self.ref.tenant_id,
            connection_id=self.ref.connection_id,
            body=raw,
        )

    async def events(self) -> list[InboundEvent]:
        async with self._database.session(self.ref.tenant_id) as session:
            found = await inbound_events.list_newest(
                session,
                tenant_id=self.ref.tenant_id,
                connection_id=self.ref.connection_id,
                limit=100,
            )
        return list(reversed(found))

    async def outcomes(self) -> list[str | None]:
        return [each.outcome for each in await self.events()]

    async def processed(self) -> list[str | None]:
        """The outcomes, once every event has one."""
        async with asyncio.timeout(LIMIT):
            while True:
                outcomes = await self.outcomes()
                if None not in outcomes:
                    return outcomes
                await asyncio.sleep(0.02)

    def session(self, beam: str) -> SessionRef:
        return SessionRef(
            tenant_id=self.ref.tenant_id,
            connection_id=self.ref.connection_id,
            partition=f"session:session-{beam}",
        )

    def workflow_id(self, beam: str) -> str:
        stream = beam_stream_id(
            tenant_id=self.ref.tenant_id,
            connection_id=self.ref.connection_id,
            key=f"beam:{beam}",
        )
        return stream_workflow_id(tenant_id=self.ref.tenant_id, stream_id=stream)


@pytest.fixture
def room(ref: ConnectionRef, database: Database) -> Room:
    return Room(ref, database)


async def relay(activities: InboundActivities, *, min_age: float = 0.0) -> RelayReport:
    request = RelayInput(min_age=min_age)
    return await ActivityEnvironment().run(activities.relay_inbound, request)


async def process(activities: InboundActivities, ref: SessionRef) -> ProcessedEvents:
    return await ActivityEnvironment().run(activities.process_session_events, ref)


async def reconcile(activities: InboundActivities, ref: ConnectionRef) -> ReconcileReport:
    return await ActivityEnvironment().run(activities.reconcile_connection, ref)


async def test_the_relay_delivers_what_waits_in_order(
    activities: InboundActivities, room: Room, temporal: Client
) -> None:
    for beam in ("a", "b"):
        await room.record("hls.started.success", beam)
        await room.record("hls.stopped.success", beam)
    assert await relay(activities) == RelayReport(tenants=1, delivered=2)
    assert await room.processed() == ["started", "ended", "started", "ended"]
    for beam in ("a", "b"):
        handle = temporal.get_workflow_handle(
            room.workflow_id(beam), result_type=StreamWorkflowResult
        )
        assert (await handle.result()).end.reason is EndReason.STOPPED


async def test_a_session_that_began_before_it_had_a_workflow_is_ended_by_it(
    activities: InboundActivities, room: Room, temporal: Client
) -> None:
    """The release before processed events in the API: it left rows, and no workflow."""
    await room.record("hls.started.success", "a")
    await process(activities, room.session("a"))
    await room.record("hls.stopped.success", "a")
    await relay(activities)
    assert await room.processed() == ["started", "ended"]
    handle = temporal.get_workflow_handle(room.workflow_id("a"), result_type=StreamWorkflowResult)
    assert (await handle.result()).end.reason is EndReason.STOPPED


async def test_the_relay_leaves_the_api_time_for_its_own(
    activities: InboundActivities, room: Room
) -> None:
    await room.record("hls.started.success", "a")
    await relay(activities, min_age=3600.0)
    assert await room.outcomes() == [None]


async def test_an_event_that_temporal_refuses_is_given_up_and_one_that_waits_is_not(
    activities: InboundActivities,
    room: Room,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object) -> None:
        raise TemporalRefusedError("too large")

    async def be_away(*_: object) -> None:
        raise TemporalUnavailableError("no answer")

    await room.record("hls.started.success", "a")
    monkeypatch.setattr(StreamStarter, "start", be_away)
    for _ in range(MAX_ATTEMPTS + 1):
        with pytest.raises(TemporalUnavailableError):
            await process(activities, room.session("a"))
    assert await room.outcomes() == [None]
    monkeypatch.setattr(StreamStarter, "start", refuse)
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(TemporalRefusedError):
            await process(activities, room.session("a"))
    assert await process(activities, room.session("a")) == ProcessedEvents(processed=1)
    assert await room.outcomes() == ["given_up"]


async def test_an_event_that_fails_holds_up_its_session_and_is_given_up_in_the_end(
    activities: InboundActivities,
    room: Room,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    await room.record("hls.started.success", "a")
    await room.record("hls.stopped.success", "a")
    await room.record("hls.stopped.success", "b")
    with monkeypatch.context() as patch:
        patch.setattr(StreamStarter, "start", break_down)
        await process(activities, room.session("b"))
        for _ in range(MAX_ATTEMPTS - 1):
            with pytest.raises(RuntimeError, match="a mistake of ours"):
                await process(activities, room.session("a"))
            assert await room.outcomes() == [None, None, "before_start"]
        await process(activities, room.session("a"))
    events = await room.events()
    assert [each.outcome for each in events] == [Outcome.GIVEN_UP, "ended", "before_start"]
    assert events[0].detail == "RuntimeError: a mistake of ours"
    assert events[0].attempts == MAX_ATTEMPTS


async def test_connections_with_a_management_key_are_listed(
    activities: InboundActivities, ref: ConnectionRef
) -> None:
    listed = await ActivityEnvironment().run(activities.managed_connections)
    assert ref in listed.connections


async def test_a_missed_start_is_repaired_once(
    activities: InboundActivities, room: Room, remote: FakeHmsApi, temporal: Client
) -> None:
    remote.add("a", "running")
    assert (await reconcile(activities, room.ref)).started == 1
    await room.processed()
    assert (await reconcile(activities, room.ref)).started == 0
    found = await temporal.get_workflow_handle(room.workflow_id("a")).describe()
    assert found.status is WorkflowExecutionStatus.RUNNING
    assert [(each.type, each.outcome) for each in await room.events()] == [
        ("reconcile.start", "started")
    ]


@pytest.mark.usefixtures("temporal")
async def test_the_webhook_that_comes_after_all_changes_nothing(
    activities: InboundActivities, room: Room, remote: FakeHmsApi
) -> None:
    remote.add("a", "running")
    await reconcile(activities, room.ref)
    await room.record("hls.started.success", "a")
    await relay(activities)
    assert await room.processed() == ["started", "started_before"]


@pytest.mark.parametrize(
    "end", [("completed", EndReason.STOPPED), ("failed", EndReason.SOURCE_FAILED)]
)
async def test_a_missed_end_is_repaired(
    activities: InboundActivities,
    room: Room,
    remote: FakeHmsApi,
    temporal: Client,
    end: tuple[str, EndReason],
) -> None:
    status, reason = end
    await room.record("hls.started.success", "a")
    await relay(activities)
    await room.processed()
    remote.add("a", status)
    assert (await reconcile(activities, room.ref)).ended == 1
    await room.processed()
    handle = temporal.get_workflow_handle(room.workflow_id("a"), result_type=StreamWorkflowResult)
    assert (await handle.result()).end.reason is reason
    assert (await reconcile(activities, room.ref)).ended == 0


@pytest.mark.usefixtures("temporal")
async def test_agreement_repairs_nothing(
    activities: InboundActivities, room: Room, remote: FakeHmsApi
) -> None:
    await room.record("hls.started.success", "a")
    await relay(activities)
    await room.processed()
    remote.add("a", "running")
    remote.add("b", "completed")
    assert await reconcile(activities, room.ref) == ReconcileReport(connections=1)


@pytest.mark.parametrize(
    ("refusal", "final", "wait"),
    [
        (Response(status_code=429, headers={"Retry-After": "7"}), False, timedelta(seconds=7)),
        (Response(status_code=500), False, None),
        (Response(status_code=401), True, None),
    ],
)
async def test_a_refusal_of_100ms_says_when_to_ask_again(
    activities: InboundActivities,
    ref: ConnectionRef,
    remote: FakeHmsApi,
    refusal: Response,
    *,
    final: bool,
    wait: timedelta | None,
) -> None:
    remote.refusals.append(refusal)
    with pytest.raises(ApplicationError) as caught:
        await reconcile(activities, ref)
    assert (caught.value.non_retryable, caught.value.next_retry_delay) == (final, wait)


async def test_a_connection_that_was_deleted_meanwhile_is_passed_over(
    activities: InboundActivities, ref: ConnectionRef
) -> None:
    gone = ref.model_copy(update={"connection_id": uuid4()})
    assert await reconcile(activities, gone) == ReconcileReport()
