"""The activities around inbound events, following a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.interfaces import Inbound
from domain import task_queues
from domain.hms.messages import (
    ConnectionList,
    ConnectionRef,
    ReconcileInput,
    ReconcileReport,
    RelayInput,
    RelayReport,
)
from workflows.inbound_relay import InboundRelayWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.sandbox import workflow_runner

QUICK_RELAY = RelayInput(timeout=20.0, heartbeat_timeout=10.0, retry_interval=0.01)
QUICK_RECONCILE = ReconcileInput(timeout=20.0, retry_interval=0.01, attempts=3, at_a_time=2)


class ScriptedInbound(Inbound):
    """Fails as often as it is told, then answers.

    Attributes:
        relay_failures: rounds of the relay that fail first.
        failures: attempts that fail first, by connection.
        refused: connections for which 100ms never gives a list.
    """

    def __init__(self, connections: int = 3) -> None:
        self.connections = [
            ConnectionRef(tenant_id=UUID(int=index), connection_id=UUID(int=100 + index))
            for index in range(connections)
        ]
        self.relay_failures = 0
        self.failures: dict[UUID, int] = {}
        self.refused: set[UUID] = set()
        self.asked: list[UUID] = []

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
            workflows=[InboundRelayWorkflow, ReconcileWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(
            client,
            task_queue=task_queues.IO,
            activities=[
                script.relay_inbound,
                script.managed_connections,
                script.reconcile_connection,
            ],
        ),
    ):
        yield


def new_id(name: str) -> str:
    return f"{name}/{uuid4()}"
