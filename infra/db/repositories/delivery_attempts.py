"""Attempts at a delivery: what is to be sent, and what came of sending it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.audit import SYSTEM
from domain.tenants.usage import UsageKind, usage_event
from domain.webhooks.events import (
    DeliveryStatus,
    DisabledReason,
    EndpointStatus,
    Event,
    should_disable_endpoint,
)
from infra.db.repositories import endpoints, usage
from infra.db.repositories.delivery_locks import lock_deliveries
from infra.db.repositories.events import event_of
from infra.db.tables import Delivery, DeliveryAttempt, EventRow, WebhookEndpoint

_RELEASED: Final = 500
"""Deliveries that one success releases, at most; the next success releases more."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """An event on its way to an endpoint, with the sealed secrets that sign it."""

    event: Event
    url: str
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request: when, for how many seconds, and the answer or why there is none.

    `gone` means that the endpoint wants no more of them.
    """

    at: datetime
    duration: float
    succeeded: bool
    gone: bool = False
    status_code: int | None = None
    error: str | None = None
    response: str = ""


@dataclass(frozen=True, kw_only=True)
class RecordedAttempt:
    """What recording an attempt changed beside the delivery.

    Attributes:
        disabled: the attempt disabled its endpoint.
        recovered: the endpoint had failed before, and answers again.
    """

    disabled: bool = False
    recovered: bool = False


async def take(
    session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID, now: datetime
) -> Parcel | None:
    """Return what is to be sent; None when there is nothing, or no longer.

    A secret that was replaced signs too until its time is over. A delivery to an endpoint that is
    disabled is cancelled.
    """
    delivery, endpoint = await _lock(session, tenant_id=tenant_id, delivery_id=delivery_id)
    if delivery is None or endpoint is None or delivery.status != DeliveryStatus.PENDING:
        return None
    if endpoint.status == EndpointStatus.DISABLED:
        delivery.status = DeliveryStatus.CANCELLED
        delivery.finished_at = func.now()
        delivery.next_attempt_at = None
        return None
    row = await session.get_one(EventRow, (tenant_id, delivery.event_id))
    previous, until = endpoint.previous_secret, endpoint.previous_secret_until
    overlap = previous is not None and until is not None and until > now
    return Parcel(
        event=event_of(row),
        url=endpoint.url,
        secrets=(endpoint.secret, previous) if overlap and previous else (endpoint.secret,),
    )


async def record(
    session: AsyncSession,
    attempt: Attempt,
    *,
    tenant_id: UUID,
    delivery_id: UUID,
    next_attempt_at: datetime | None,
) -> RecordedAttempt:
    """Record an attempt and meter it.

    Args:
        session: the tenant's.
        attempt: what came of it.
        tenant_id: the tenant.
        delivery_id: what was attempted; when it was deleted meanwhile, nothing is written.
        next_attempt_at: when it is attempted again if this one failed; None if this was the last.
    """
    delivery, endpoint = await _lock(session, tenant_id=tenant_id, delivery_id=delivery_id)
    if delivery is None or endpoint is None:
        return RecordedAttempt()
    delivery.attempts += 1
    session.add(
        DeliveryAttempt(
            tenant_id=tenant_id,
            delivery_id=delivery_id,
            number=delivery.attempts,
            at=attempt.at,
            duration=attempt.duration,
            status_code=attempt.status_code,
            error=attempt.error,
            response=attempt.response,
        )
    )
    first = delivery.first_attempt_at or attempt.at
    delivery.first_attempt_at = first
    delivery.last_attempt_at = attempt.at
    delivery.last_status_code = attempt.status_code
    delivery.last_error = attempt.error
    _conclude(delivery, attempt, next_attempt_at)
    recovered = attempt.succeeded and endpoint.failing_since is not None
    disabled = await _judge(
        session, endpoint, attempt, first_attempt_at=first, last=next_attempt_at is None
    )
    await _meter(session, delivery, at=attempt.at)
    return RecordedAttempt(disabled=disabled, recovered=recovered)


async def release_waiting(
    session: AsyncSession, *, tenant_id: UUID, endpoint_id: UUID
) -> frozenset[UUID]:
    """Let the deliveries of an endpoint that wait for their next attempt be handed over again.

    In a transaction without another delivery's lock, since several are locked here.

    Returns:
        Their ids, for `WebhookDispatcher.dispatch(at_once=…)`.
    """
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.tenant_id == tenant_id,
            Delivery.endpoint_id == endpoint_id,
            Delivery.status == DeliveryStatus.PENDING,
            Delivery.next_attempt_at > func.now(),
        )
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(_RELEASED)
    )
    ids = frozenset((await session.scalars(waiting)).all())
    if ids:
        which = Delivery.id.in_(ids)
        await lock_deliveries(session, tenant_id=tenant_id, which=which)
        await session.execute(
            update(Delivery)
            .where(Delivery.tenant_id == tenant_id, which)
            .values(queued_at=None)
            .execution_options(synchronize_session=False)
        )
    return ids


async def of_delivery(
    session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID, limit: int = 100
) -> Sequence[DeliveryAttempt]:
    """Return the latest attempts at a delivery, newest first."""
    return list(
        await session.scalars(
            select(DeliveryAttempt)
            .where(
                DeliveryAttempt.tenant_id == tenant_id, DeliveryAttempt.delivery_id == delivery_id
            )
            .order_by(DeliveryAttempt.number.desc())
            .limit(limit)
        )
    )


async def _lock(
    session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID
) -> tuple[Delivery | None, WebhookEndpoint | None]:
    """Lock a delivery after its endpoint, as deleting an endpoint does: else both could wait."""
    endpoint_id = await session.scalar(
        select(Delivery.endpoint_id).where(
            Delivery.tenant_id == tenant_id, Delivery.id == delivery_id
        )
    )
    if endpoint_id is None:
        return None, None
    endpoint = await endpoints.lock(session, tenant_id=tenant_id, endpoint_id=endpoint_id)
    delivery = await session.get(
        Delivery, (tenant_id, delivery_id), with_for_update=True, populate_existing=True
    )
    return delivery, endpoint


def _conclude(delivery: Delivery, attempt: Attempt, next_attempt_at: datetime | None) -> None:
    if attempt.succeeded:
        delivery.status = DeliveryStatus.SUCCEEDED
    elif attempt.gone or next_attempt_at is None:
        delivery.status = DeliveryStatus.FAILED
    else:
        delivery.next_attempt_at = next_attempt_at
        return
    delivery.next_attempt_at = None
    delivery.finished_at = func.now()


async def _meter(session: AsyncSession, delivery: Delivery, *, at: datetime) -> None:
    told = await session.get_one(EventRow, (delivery.tenant_id, delivery.event_id))
    used = usage_event(
        UsageKind.WEBHOOK_DELIVERY,
        1,
        subject=f"{delivery.id}/{delivery.attempts}",
        stream_id=told.stream_id,
        at=at,
    )
    await usage.meter(session, tenant_id=delivery.tenant_id, events=[used])


async def _judge(
    session: AsyncSession,
    endpoint: WebhookEndpoint,
    attempt: Attempt,
    *,
    first_attempt_at: datetime,
    last: bool,
) -> bool:
    if attempt.succeeded:
        endpoint.failing_since = None
        return False
    endpoint.failing_since = endpoint.failing_since or attempt.at
    if attempt.gone:
        reason = DisabledReason.GONE
    elif last and should_disable_endpoint(
        failing_since=endpoint.failing_since, first_attempt_at=first_attempt_at
    ):
        reason = DisabledReason.FAILING
    else:
        return False
    return await endpoints.disable(session, endpoint, reason=reason, actor=SYSTEM)
