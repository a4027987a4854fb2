"""From the outbox to delivery workflows, after the commit that filled it.

Whoever commits an event dispatches it at once; should that fail, for Temporal is away or the
process dies between the two, the relay's next look at the outbox does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.service import RPCError

from app.services.streams import TenantNames
from domain import task_queues
from domain.ids import delivery_workflow_id
from domain.webhooks.delivery import DeliveryInput, DeliveryOrder, DeliveryTiming
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import deliveries
from infra.db.repositories.deliveries import WaitingDelivery
from infra.temporal.client import TemporalUnavailableError

WORKFLOW: Final = "DeliveryWorkflow"
SIGNAL: Final = "deliver"
_TENANT_ID: Final = SearchAttributeKey.for_keyword("TenantId")
_RPC_TIMEOUT: Final = timedelta(seconds=3)
_PATIENCE: Final = 5.0
_BATCH: Final = 100
_BATCHES: Final = 10
_log = structlog.get_logger(__name__)


class WebhookDispatcher:
    """Makes deliveries of events and hands them to their workflows.

    Args:
        database: with the outbox.
        connect: gives a client of Temporal.
        timing: the waits of new workflows.
    """

    def __init__(
        self,
        database: Database,
        connect: Callable[[], Awaitable[Client]],
        *,
        timing: DeliveryTiming | None = None,
    ) -> None:
        self._database = database
        self._connect = connect
        self._names = TenantNames(database)
        self._timing = timing or DeliveryTiming()

    async def try_dispatch(self, tenant_id: UUID, *, at_once: Collection[UUID] = ()) -> bool:
        """Dispatch within a few seconds, or leave it to the relay; answer whether it was done."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.dispatch(tenant_id, at_once=at_once)
        except (
            RPCError,
            TimeoutError,
            TemporalUnavailableError,
            DatabaseUnavailableError,
        ) as error:
            _log.warning("webhooks_left_to_relay", tenant_id=str(tenant_id), error=str(error))
            return False
        return True

    async def dispatch(self, tenant_id: UUID, *, at_once: Collection[UUID] = ()) -> None:
        """Dispatch what waits for a tenant's endpoints, oldest first.

        At most a thousand events and deliveries: the rest is for the relay's next look, so that
        no tenant's backlog keeps it from the others.

        Args:
            tenant_id: the tenant.
            at_once: deliveries that are not to wait for their next attempt.

        Raises:
            RPCError: Temporal does not answer; what was not handed over stays to be.
            DatabaseUnavailableError: PostgreSQL does not.
        """
        for _ in range(_BATCHES):
            if await self._fan_out(tenant_id) < _BATCH:
                break
        for _ in range(_BATCHES):
            async with self._database.session(tenant_id) as session:
                waiting = await deliveries.unqueued(session, tenant_id=tenant_id, limit=_BATCH)
            if waiting:
                await self._hand_over(tenant_id, waiting, at_once)
            if len(waiting) < _BATCH:
                return

    async def _fan_out(self, tenant_id: UUID) -> int:
        async with self._database.session(tenant_id) as session:
            return await deliveries.fan_out(session, tenant_id=tenant_id, limit=_BATCH)

    async def _hand_over(
        self, tenant_id: UUID, waiting: Sequence[WaitingDelivery], at_once: Collection[UUID]
    ) -> None:
        client = await self._connect()
        tenant = await self._names.of(tenant_id)
        by_workflow: dict[tuple[UUID, str], list[DeliveryOrder]] = defaultdict(list)
        for each in waiting:
            by_workflow[each.endpoint_id, each.ordering_key].append(
                DeliveryOrder(
                    delivery_id=each.id, position=each.position, at_once=each.id in at_once
                )
            )
        await asyncio.gather(
            *(
                _tell(
                    client,
                    DeliveryInput(
                        tenant_id=tenant_id,
                        endpoint_id=endpoint,
                        ordering_key=key,
                        timing=self._timing,
                    ),
                    orders,
                    tenant=tenant,
                )
                for (endpoint, key), orders in by_workflow.items()
            )
        )
        async with self._database.session(tenant_id) as session:
            await deliveries.mark_queued(session, tenant_id=tenant_id, deliveries=waiting)


async def _tell(
    client: Client, request: DeliveryInput, orders: Sequence[DeliveryOrder], *, tenant: str
) -> None:
    """Give a workflow its orders, oldest first; it is started unless it is running."""
    for order in orders:
        await client.start_workflow(
            WORKFLOW,
            request,
            id=delivery_workflow_id(
                tenant_id=request.tenant_id,
                endpoint_id=request.endpoint_id,
                ordering_key=request.ordering_key,
            ),
            task_queue=task_queues.ORCHESTRATION,
            start_signal=SIGNAL,
            start_signal_args=[order],
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(_TENANT_ID, str(request.tenant_id))]
            ),
            priority=Priority(fairness_key=str(request.tenant_id)),
            static_summary=f"{tenant} · webhooks about {request.ordering_key}",
            rpc_timeout=_RPC_TIMEOUT,
        )
