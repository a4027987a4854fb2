"""Webhook deliveries: creation from events, queueing, attempts, listing and replay."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import delivery_id
from domain.tenants.audit import SYSTEM
from domain.tenants.usage import UsageKind, usage_event
from domain.webhooks.events import (
    DeliveryStatus,
    DisabledReason,
    EndpointStatus,
    Event,
    EventType,
    should_disable_endpoint,
    wants,
)
from infra.db.keyset import Order, Position
from infra.db.repositories import endpoints, events, usage
from infra.db.repositories.events import event_of, lock_deliveries
from infra.db.tables import Delivery, DeliveryAttempt, EventRow, WebhookEndpoint

NEWEST: Final = Order(column=Delivery.created_at, id=Delivery.id, descending=True)
_BATCH: Final = 1000
_RESTARTED: Final[dict[str, Any]] = {
    "status": DeliveryStatus.PENDING.value,
    "first_attempt_at": None,
    "next_attempt_at": None,
    "finished_at": None,
    "queued_at": None,
}


class TooManyEventsError(Exception):
    """A range of time holds more events than one replay may have."""


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list; None leaves a property open."""

    endpoint_id: UUID | None = None
    status: DeliveryStatus | None = None
    event_type: EventType | None = None


async def get(session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Return a delivery, or None when the tenant has none of this id."""
    return await session.get(Delivery, (tenant_id, delivery_id))


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    criteria: DeliveryFilter,
    after: Position | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Return the deliveries that match, newest first."""
    query = select(Delivery).where(Delivery.tenant_id == tenant_id)
    if criteria.endpoint_id is not None:
        query = query.where(Delivery.endpoint_id == criteria.endpoint_id)
    if criteria.status is not None:
        query = query.where(Delivery.status == criteria.status)
    if criteria.event_type is not None:
        query = query.where(Delivery.event_type == criteria.event_type)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def send_to_one(session: AsyncSession, event: Event, *, endpoint_id: UUID) -> Delivery:
    """Append an event that is delivered to one endpoint only."""
    await events.append(session, event)
    await events.mark_dispatched(session, tenant_id=event.tenant_id, event_ids=[event.id])
    await events.mark_published(session, tenant_id=event.tenant_id, event_ids=[event.id])
    row = Delivery(
        tenant_id=event.tenant_id,
        id=delivery_id(endpoint_id=endpoint_id, event=event.id),
        event_id=event.id,
        endpoint_id=endpoint_id,
        event_type=event.type,
        status=DeliveryStatus.PENDING,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def redeliver(
    session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID
) -> Delivery | None:
    """Restart a delivery, whatever its state; None if there is no such delivery."""
    row: Delivery | None = await session.scalar(
        update(Delivery)
        .where(Delivery.tenant_id == tenant_id, Delivery.id == delivery_id)
        .values(_RESTARTED)
        .returning(Delivery)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    return row


async def replay(
    session: AsyncSession,
    *,
    endpoint: WebhookEndpoint,
    since: datetime,
    until: datetime,
    types: Collection[EventType],
    limit: int,
) -> int:
    """Restart the deliveries of a range of time, and create those that do not exist.

    Args:
        session: the tenant's.
        endpoint: the receiving endpoint.
        since: start of the range, inclusive.
        until: end of the range, exclusive.
        types: event types; empty means those that the endpoint subscribes to.
        limit: maximum number of events.

    Raises:
        TooManyEventsError: there are more; nothing is replayed.
    """
    asked = list(types) or endpoint.event_types
    rows = await session.execute(
        select(EventRow.id, EventRow.type)
        .where(
            EventRow.tenant_id == endpoint.tenant_id,
            EventRow.created_at >= since,
            EventRow.created_at < until,
            EventRow.type.in_([kind.value for kind in EventType if wants(asked, kind)]),
        )
        .order_by(EventRow.created_at, EventRow.id)
        .limit(limit + 1)
    )
    found = rows.all()
    if len(found) > limit:
        raise TooManyEventsError
    await _restart(session, endpoint, found)
    return len(found)


async def _restart(
    session: AsyncSession, endpoint: WebhookEndpoint, found: Sequence[Row[UUID, str]]
) -> None:
    """Make or reset deliveries; events first and deliveries in order (`delivery_locks`)."""
    kept = await events.keep(
        session, tenant_id=endpoint.tenant_id, event_ids=[row.id for row in found]
    )
    rows = [
        {
            "tenant_id": endpoint.tenant_id,
            "id": delivery_id(endpoint_id=endpoint.id, event=row.id),
            "event_id": row.id,
            "endpoint_id": endpoint.id,
            "event_type": row.type,
            "status": DeliveryStatus.PENDING.value,
        }
        for row in found
        if row.id in kept
    ]
    rows.sort(key=itemgetter("id"))
    for start in range(0, len(rows), _BATCH):
        # A pending delivery is already under way.
        await session.execute(
            insert(Delivery)
            .values(rows[start : start + _BATCH])
            .on_conflict_do_update(
                index_elements=[Delivery.tenant_id, Delivery.id],
                set_=_RESTARTED,
                where=Delivery.status != DeliveryStatus.PENDING,
            )
        )


_MAX_RELEASED: Final = 500
"""Deliveries that one success releases, at most; the next success releases more."""


@dataclass(frozen=True, kw_only=True)
class PendingDelivery:
    """An event to be sent to an endpoint, with the encrypted secrets that sign it."""

    event: Event
    url: str
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request: when, for how many seconds, and the response or why there is none.

    `gone` means that the endpoint asked for no further deliveries.
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
    """What recording an attempt changed besides the delivery.

    Attributes:
        disabled: the attempt disabled its endpoint.
        recovered: the endpoint had failed before and accepts deliveries again.
    """

    disabled: bool = False
    recovered: bool = False


async def claim(
    session: AsyncSession, *, tenant_id: UUID, delivery_id: UUID, now: datetime
) -> PendingDelivery | None:
    """Return what is to be sent; None if nothing is left to send.

    A replaced secret also signs until it expires. A delivery to an endpoint that is
    disabled is cancelled.
    """
    delivery, endpoint = await _lock_with_endpoint(
        session, tenant_id=tenant_id, delivery_id=delivery_id
    )
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
    return PendingDelivery(
        event=event_of(row),
        url=endpoint.url,
        secrets=(endpoint.secret, previous) if overlap and previous else (endpoint.secret,),
    )


async def record_attempt(
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
        attempt: the result of the attempt.
        tenant_id: the tenant.
        delivery_id: what was attempted; if it has been deleted, nothing is written.
        next_attempt_at: when to retry if the attempt failed; None if it was the last one.
    """
    delivery, endpoint = await _lock_with_endpoint(
        session, tenant_id=tenant_id, delivery_id=delivery_id
    )
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
    _apply_outcome(delivery, attempt, next_attempt_at)
    recovered = attempt.succeeded and endpoint.failing_since is not None
    disabled = await _update_endpoint_health(
        session, endpoint, attempt, first_attempt_at=first, last=next_attempt_at is None
    )
    await _meter(session, delivery, at=attempt.at)
    return RecordedAttempt(disabled=disabled, recovered=recovered)


async def release_waiting(
    session: AsyncSession, *, tenant_id: UUID, endpoint_id: UUID
) -> frozenset[UUID]:
    """Release the deliveries of an endpoint that wait for their next attempt.

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
        .limit(_MAX_RELEASED)
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


async def attempts(
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


async def _lock_with_endpoint(
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


def _apply_outcome(delivery: Delivery, attempt: Attempt, next_attempt_at: datetime | None) -> None:
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


async def _update_endpoint_health(
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


OVERDUE: Final = timedelta(hours=1)
"""If an attempt is overdue for this long, the workflow of the delivery is treated as lost. The
database function `tenants_to_send_for` uses the same value."""


@dataclass(frozen=True, kw_only=True)
class WaitingDelivery:
    """A delivery to be handed to its workflow; `position` is its event's."""

    id: UUID
    endpoint_id: UUID
    ordering_key: str
    position: int
    attempts: int


async def fan_out(session: AsyncSession, *, tenant_id: UUID, limit: int = 100) -> int:
    """Make deliveries of the oldest events that have none; return how many events were taken."""
    waiting = await events.undispatched(session, tenant_id=tenant_id, limit=limit)
    if not waiting:
        return 0
    endpoints = await session.execute(
        select(WebhookEndpoint.id, WebhookEndpoint.event_types)
        .where(
            WebhookEndpoint.tenant_id == tenant_id,
            WebhookEndpoint.status == EndpointStatus.ENABLED,
        )
        .order_by(WebhookEndpoint.id)
        .with_for_update(read=True, key_share=True)
    )
    rows = [
        {
            "tenant_id": tenant_id,
            "id": delivery_id(endpoint_id=endpoint, event=event.id),
            "event_id": event.id,
            "endpoint_id": endpoint,
            "event_type": event.type.value,
            "status": DeliveryStatus.PENDING.value,
        }
        for endpoint, subscribed in endpoints.all()
        for event in waiting
        if wants(subscribed, event.type)
    ]
    if rows:
        await session.execute(insert(Delivery).values(rows).on_conflict_do_nothing())
    await events.mark_dispatched(
        session, tenant_id=tenant_id, event_ids=[event.id for event in waiting]
    )
    return len(waiting)


async def unqueued(
    session: AsyncSession, *, tenant_id: UUID, limit: int = 100
) -> Sequence[WaitingDelivery]:
    """Return the deliveries without a workflow, in the order of their events."""
    rows = await session.execute(
        select(Delivery, EventRow.ordering_key, EventRow.position)
        .join(
            EventRow,
            (EventRow.tenant_id == Delivery.tenant_id) & (EventRow.id == Delivery.event_id),
        )
        .where(
            Delivery.tenant_id == tenant_id,
            Delivery.status == DeliveryStatus.PENDING,
            or_(
                Delivery.queued_at.is_(None),
                func.greatest(Delivery.queued_at, Delivery.next_attempt_at) < func.now() - OVERDUE,
            ),
        )
        .order_by(EventRow.position, Delivery.id)
        .limit(limit)
    )
    return [
        WaitingDelivery(
            id=row.id,
            endpoint_id=row.endpoint_id,
            ordering_key=ordering_key,
            position=position,
            attempts=row.attempts,
        )
        for row, ordering_key, position in rows
    ]


async def mark_queued(
    session: AsyncSession, *, tenant_id: UUID, deliveries: Iterable[WaitingDelivery]
) -> None:
    """Record that the workflows of these deliveries were notified.

    A delivery that was attempted meanwhile is left unchanged: if it was requested again since, its
    workflow must be notified again.
    """
    seen = tuple_(Delivery.id, Delivery.attempts).in_(
        [(each.id, each.attempts) for each in deliveries]
    )
    await lock_deliveries(session, tenant_id=tenant_id, which=seen)
    await session.execute(
        update(Delivery)
        .where(Delivery.tenant_id == tenant_id, seen)
        .values(queued_at=func.now())
        .execution_options(synchronize_session=False)
    )
