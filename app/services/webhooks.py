"""Webhooks: manage endpoints, and dispatch events from the outbox to delivery workflows.

Each change of an endpoint is recorded in the audit log with the host of its URL only, because the
path or query may contain a secret of the receiver.

The writer of an event dispatches it right after its commit. If that fails (Temporal is down, or the
process dies between the two), the outbox relay dispatches it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.service import RPCError

from app.services.tenants import TenantNames
from domain import task_queues
from domain.ids import delivery_workflow_id
from domain.tenants.audit import Actor, AuditAction
from domain.webhooks.delivery import DeliveryInput, DeliveryOrder, DeliveryTiming
from domain.webhooks.events import DisabledReason, EndpointStatus
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, deliveries, endpoints
from infra.db.repositories.deliveries import WaitingDelivery
from infra.db.tables import WebhookEndpoint
from infra.temporal.client import TemporalUnavailableError
from infra.webhooks.sender import EndpointSecrets, new_secret
from workflows.delivery import DeliveryWorkflow


async def create_endpoint(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    url: str,
    description: str,
    event_types: list[str],
    secret: bytes,
    actor: Actor,
) -> WebhookEndpoint:
    """Make an endpoint; `secret` is sealed."""
    row = await endpoints.create(
        session,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        url=url,
        description=description,
        event_types=event_types,
        secret=secret,
    )
    details = {"host": _host(url), "event_types": event_types}
    await _record(session, row, AuditAction.ENDPOINT_CREATED, actor, details)
    return row


class EndpointLimitError(Exception):
    """The tenant has as many endpoints as it may."""


async def subscribe(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    url: str,
    description: str,
    event_types: list[str],
    secrets: EndpointSecrets,
    limit: int,
    actor: Actor,
) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint of a tenant that has fewer than `limit`; return it with its new secret.

    Raises:
        EndpointLimitError: the tenant has `limit` endpoints.
    """
    if await endpoints.count(session, tenant_id=tenant_id) >= limit:
        raise EndpointLimitError
    secret = new_secret()
    row = await create_endpoint(
        session,
        tenant_id=tenant_id,
        endpoint_id=endpoint_id,
        url=url,
        description=description,
        event_types=event_types,
        secret=secrets.encrypt(secret, tenant_id=tenant_id, endpoint_id=endpoint_id),
        actor=actor,
    )
    return row, secret


async def change_endpoint(
    session: AsyncSession,
    endpoint_id: UUID,
    values: Mapping[str, Any],
    *,
    tenant_id: UUID,
    actor: Actor,
    status: EndpointStatus | None = None,
) -> WebhookEndpoint:
    """Change what differs of an endpoint; with a `status`, stop or resume calling it.

    Raises:
        RecordMissingError: the tenant has no such endpoint.
    """
    row = await _lock(session, endpoint_id, tenant_id=tenant_id)
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    if changed:
        await endpoints.change(session, row, changed)
        details: dict[str, Any] = {"changed": sorted(changed)}
        if "url" in changed:
            details["host"] = _host(row.url)
        await _record(session, row, AuditAction.ENDPOINT_UPDATED, actor, details)
    if status is EndpointStatus.DISABLED:
        await endpoints.disable(session, row, reason=DisabledReason.TENANT, actor=actor)
    if status is EndpointStatus.ENABLED and row.status != EndpointStatus.ENABLED:
        await endpoints.enable(session, row)
        await _record(session, row, AuditAction.ENDPOINT_ENABLED, actor)
    return row


async def rotate_endpoint(
    session: AsyncSession,
    endpoint_id: UUID,
    *,
    tenant_id: UUID,
    secret: bytes,
    overlap: timedelta,
    actor: Actor,
) -> WebhookEndpoint:
    """Give an endpoint another secret, sealed; the present one signs beside it for a while.

    Raises:
        RecordMissingError: the tenant has no such endpoint.
    """
    row = await _lock(session, endpoint_id, tenant_id=tenant_id)
    await endpoints.rotate(session, row, secret=secret, previous_until=datetime.now(UTC) + overlap)
    details = {"overlap": int(overlap.total_seconds())}
    await _record(session, row, AuditAction.ENDPOINT_ROTATED, actor, details)
    return row


async def remove_endpoint(
    session: AsyncSession, endpoint_id: UUID, *, tenant_id: UUID, actor: Actor
) -> None:
    """Remove an endpoint with its deliveries.

    Raises:
        RecordMissingError: the tenant has no such endpoint.
    """
    row = await _lock(session, endpoint_id, tenant_id=tenant_id)
    await endpoints.delete(session, tenant_id=tenant_id, endpoint_id=endpoint_id)
    await _record(session, row, AuditAction.ENDPOINT_DELETED, actor, {"host": _host(row.url)})


async def _lock(session: AsyncSession, endpoint_id: UUID, *, tenant_id: UUID) -> WebhookEndpoint:
    row = await endpoints.lock(session, tenant_id=tenant_id, endpoint_id=endpoint_id)
    if row is None:
        raise RecordMissingError("webhook endpoint", endpoint_id)
    return row


async def _record(
    session: AsyncSession,
    row: WebhookEndpoint,
    action: AuditAction,
    actor: Actor,
    details: dict[str, Any] | None = None,
) -> None:
    await audit.record(
        session,
        tenant_id=row.tenant_id,
        action=action,
        target_id=row.id,
        actor=actor,
        details=details,
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


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
                _signal_orders(
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


async def _signal_orders(
    client: Client, request: DeliveryInput, orders: Sequence[DeliveryOrder], *, tenant: str
) -> None:
    """Signal a workflow its orders, oldest first; start it unless it is running."""
    for order in orders:
        await client.start_workflow(
            DeliveryWorkflow.run,
            request,
            id=delivery_workflow_id(
                tenant_id=request.tenant_id,
                endpoint_id=request.endpoint_id,
                ordering_key=request.ordering_key,
            ),
            task_queue=task_queues.ORCHESTRATION,
            start_signal=DeliveryWorkflow.deliver.__name__,
            start_signal_args=[order],
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(_TENANT_ID, str(request.tenant_id))]
            ),
            priority=Priority(fairness_key=str(request.tenant_id)),
            static_summary=f"{tenant} · webhooks about {request.ordering_key}",
            rpc_timeout=_RPC_TIMEOUT,
        )
