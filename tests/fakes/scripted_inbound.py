"""The activities around inbound events, following a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.interfaces import Inbound, Webhooks
from app.worker import workflow_runner
from domain import task_queues
from domain.hms.messages import (
    ConnectionList,
    ConnectionRef,
    ProcessedEvents,
    ReconcileInput,
    ReconcileReport,
    RelayInput,
    RelayReport,
    SessionRef,
)
from domain.webhooks.delivery import (
    AttemptOutcome,
    AttemptRequest,
    OutboxRelayPass,
    PostponedAttempt,
)
from workflows.reconcile import ReconcileWorkflow
from workflows.relay import RelayWorkflow
from workflows.session import SessionWorkflow

QUICK_RELAY = RelayInput(timeout=20.0, heartbeat_timeout=10.0, retry_interval=0.01)
QUICK_RECONCILE = ReconcileInput(timeout=20.0, retry_interval=0.01, attempts=3, at_a_time=2)


class ScriptedInbound(Inbound, Webhooks):
    """Fails as often as it is told, then answers.

    Attributes:
        relay_failures: passes over inbound events that fail first.
        outbox_failures: passes over the outbox that fail first.
        outbox_passes: passes over the outbox that succeeded.
        processed: set once a batch was processed.
        pending: batches of stored events by partition, each its size, a failed attempt as -1.
        failures: attempts that fail first, by connection.
        refused: connections for which 100ms never gives a list.
    """

    def __init__(self, connections: int = 3) -> None:
        self.connections = [
            ConnectionRef(tenant_id=UUID(int=index), connection_id=UUID(int=100 + index))
            for index in range(connections)
        ]
        self.relay_failures = 0
        self.outbox_failures = 0
        self.outbox_passes = 0
        self.pending: dict[str, list[int]] = {}
        self.processed = asyncio.Event()
        self.failures: dict[UUID, int] = {}
        self.refused: set[UUID] = set()
        self.asked: list[UUID] = []

    @activity.defn(name="process_session_events")
    async def process_session_events(self, ref: SessionRef) -> ProcessedEvents:
        batches = self.pending.setdefault(ref.partition, [])
        found = batches.pop(0) if batches else 0
        if found < 0:
            raise ApplicationError("Temporal is away")
        self.processed.set()
        return ProcessedEvents(processed=found, has_more=bool(batches))

    @activity.defn(name="relay_events")
    async def relay_events(self) -> OutboxRelayPass:
        if self.outbox_failures > 0:
            self.outbox_failures -= 1
            raise ApplicationError("the database is away")
        self.outbox_passes += 1
        return OutboxRelayPass(tenants=1)

    @activity.defn(name="deliver")
    async def deliver(self, request: AttemptRequest) -> AttemptOutcome | PostponedAttempt:
        raise NotImplementedError

    @activity.defn(name="relay_inbound")
    async def relay_inbound(self, request: RelayInput) -> RelayReport:
        assert request.min_age >= 0
        if self.relay_failures > 0:
            self.relay_failures -= 1
            raise ApplicationError("the database is away")
        return RelayReport(tenants=2, delivered=5, left=1)

    @activity.defn(name="managed_connections")
    async def managed_connections(self) -> ConnectionList:
        return ConnectionList(connections=tuple(self.connections))

    @activity.defn(name="reconcile_connection")
    async def reconcile_connection(self, ref: ConnectionRef) -> ReconcileReport:
        self.asked.append(ref.connection_id)
        if ref.connection_id in self.refused:
            raise ApplicationError("100ms answered with status 401", non_retryable=True)
        if self.failures.get(ref.connection_id, 0) > 0:
            self.failures[ref.connection_id] -= 1
            raise ApplicationError("100ms answered with status 503")
        return ReconcileReport(connections=1, started=1, ended=2)


@asynccontextmanager
async def running(client: Client, script: ScriptedInbound) -> AsyncIterator[None]:
    """Workers of both queues, the activities being the script's."""
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[RelayWorkflow, ReconcileWorkflow, SessionWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(
            client,
            task_queue=task_queues.IO,
            activities=[
                script.process_session_events,
                script.relay_inbound,
                script.relay_events,
                script.managed_connections,
                script.reconcile_connection,
            ],
        ),
    ):
        yield


def new_id(name: str) -> str:
    return f"{name}/{uuid4()}"
