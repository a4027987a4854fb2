"""Usage is counted once, whatever is repeated, and summed by the hour."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from domain.tenants.usage import UsageEvent, UsageKind, usage_event
from infra.db.engine import Database
from infra.db.repositories import usage
from infra.db.repositories.usage import Bucket, UsageSum

NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
DAY = NOON.replace(hour=0)
STREAM = uuid4()


def seconds(
    quantity: float, subject: str, *, at: datetime = NOON, stream: UUID | None = STREAM
) -> UsageEvent:
    return usage_event(
        UsageKind.ANALYZED_SECONDS, quantity, subject=subject, stream_id=stream, at=at
    )


async def meter(database: Database, tenant: UUID, *events: UsageEvent) -> None:
    async with database.session(tenant) as session:
        await usage.meter(session, tenant_id=tenant, events=events)


async def stats(
    database: Database,
    tenant: UUID,
    *,
    bucket: Bucket = Bucket.DAY,
    by_stream: bool = False,
    kinds: tuple[UsageKind, ...] = (),
    stream: UUID | None = None,
) -> list[UsageSum]:
    async with database.session(tenant) as session:
        return await usage.stats(
            session,
            tenant_id=tenant,
            since=DAY,
            until=DAY + timedelta(days=2),
            bucket=bucket,
            by_stream=by_stream,
            kinds=kinds,
            stream_id=stream,
        )


async def test_a_repeated_event_counts_once(database: Database, tenant: UUID) -> None:
    for _ in range(3):
        await meter(database, tenant, seconds(1.5, "a"), seconds(2.25, "b"))
    (found,) = await stats(database, tenant)
    assert (found.kind, found.quantity) == (UsageKind.ANALYZED_SECONDS, Decimal("3.75"))


async def test_an_event_repeated_in_another_hour_stays_in_the_first(
    database: Database, tenant: UUID
) -> None:
    await meter(database, tenant, seconds(1, "a"))
    await meter(database, tenant, seconds(1, "a", at=NOON + timedelta(hours=3)))
    (found,) = await stats(database, tenant, bucket=Bucket.HOUR)
    assert found.start == NOON
    assert found.quantity == 1


async def test_one_of_a_kind_in_one_call_counts_once(database: Database, tenant: UUID) -> None:
    await meter(database, tenant, seconds(1, "a"), seconds(1, "a"))
    (found,) = await stats(database, tenant)
    assert found.quantity == 1


async def test_writers_at_the_same_time_lose_nothing(database: Database, tenant: UUID) -> None:
    events = [seconds(0.1, str(number)) for number in range(8)]
    await asyncio.gather(*(meter(database, tenant, event) for event in [*events, *events]))
    (found,) = await stats(database, tenant)
    assert found.quantity == Decimal("0.8")


async def test_what_is_rolled_back_is_not_counted(database: Database, tenant: UUID) -> None:
    async def fail() -> None:
        async with database.session(tenant) as session:
            await usage.meter(session, tenant_id=tenant, events=[seconds(1, "a")])
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await fail()
    assert await stats(database, tenant) == []


async def test_sums_are_by_time_kind_and_stream(database: Database, tenant: UUID) -> None:
    other = UUID(int=STREAM.int + 1)
    clip = usage_event(UsageKind.CLIP_RENDERED, 1, subject="c", stream_id=STREAM, at=NOON)
    delivery = usage_event(UsageKind.WEBHOOK_DELIVERY, 1, subject="d", at=NOON)
    await meter(database, tenant, seconds(1, "a"), seconds(2, "b", stream=other), clip, delivery)
    await meter(database, tenant, seconds(4, "c", at=NOON + timedelta(hours=12)))
    by_day = [
        (each.start.day, each.kind.value, float(each.quantity))
        for each in await stats(database, tenant)
    ]
    assert by_day == [
        (2, "analyzed_seconds", 3),
        (2, "clip_rendered", 1),
        (2, "webhook_delivery", 1),
        (3, "analyzed_seconds", 4),
    ]
    kinds = (UsageKind.ANALYZED_SECONDS, UsageKind.WEBHOOK_DELIVERY)
    apart = await stats(database, tenant, by_stream=True, kinds=kinds)
    assert [(each.start.day, each.stream_id, float(each.quantity)) for each in apart] == [
        (2, STREAM, 1),
        (2, other, 2),
        (2, None, 1),
        (3, STREAM, 4),
    ]
    (only,) = await stats(database, tenant, stream=other)
    assert only.quantity == 2


async def test_another_tenants_usage_is_neither_seen_nor_blocked(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await meter(database, tenant, seconds(1, "a"))
    assert await stats(database, other_tenant) == []
    await meter(database, other_tenant, seconds(5, "a"))
    assert [each.quantity for each in await stats(database, other_tenant)] == [5]
    assert [each.quantity for each in await stats(database, tenant)] == [1]
