"""What an attempt leaves behind: on the delivery, on the endpoint, and in the outbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.tenants.usage import UsageKind
from infra.db.engine import Database
from infra.db.repositories import audit, deliveries, endpoints, events, usage
from infra.db.repositories.audit import AuditFilter
from infra.db.repositories.deliveries import Attempt, RecordedAttempt
from infra.db.repositories.usage import Bucket
from infra.db.tables import Delivery, WebhookEndpoint
from tests.factories.rows import new_delivery, new_endpoint, usage_event

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def endpoint(database: Database, tenant: UUID) -> UUID:
    return await new_endpoint(database, tenant)


def failed(at: datetime = NOON) -> Attempt:
    return Attempt(at=at, duration=0.1, succeeded=False, status_code=500, error="it answers 500")


def succeeded(at: datetime = NOON) -> Attempt:
    return Attempt(at=at, duration=0.1, succeeded=True, status_code=200, response="ok")


async def record(
    database: Database, tenant: UUID, delivery: UUID, attempt: Attempt, *, last: bool = False
) -> RecordedAttempt:
    async with database.session(tenant) as session:
        return await deliveries.record_attempt(
            session,
            attempt,
            tenant_id=tenant,
            delivery_id=delivery,
            next_attempt_at=None if last else attempt.at + HOUR,
        )


async def read(
    database: Database, tenant: UUID, delivery: UUID
) -> tuple[Delivery, WebhookEndpoint]:
    async with database.session(tenant) as session:
        row = await deliveries.get(session, tenant_id=tenant, delivery_id=delivery)
        assert row is not None
        about = await endpoints.get(session, tenant_id=tenant, endpoint_id=row.endpoint_id)
    assert about is not None
    return row, about


async def test_a_failed_attempt_is_kept_with_its_answer_and_the_next(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, tenant, endpoint)
    await record(database, tenant, delivery, failed())
    row, about = await read(database, tenant, delivery)
    assert (row.status, row.attempts, row.next_attempt_at) == ("pending", 1, NOON + HOUR)
    assert (row.last_status_code, row.last_error) == (500, "it answers 500")
    assert about.failing_since == NOON
    async with database.session(tenant) as session:
        (kept,) = await deliveries.attempts(session, tenant_id=tenant, delivery_id=delivery)
    assert (kept.number, kept.at, kept.status_code) == (1, NOON, 500)


async def test_a_success_ends_the_delivery_and_the_endpoints_bad_time(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, tenant, endpoint)
    await record(database, tenant, delivery, failed())
    await record(database, tenant, delivery, succeeded(NOON + HOUR))
    row, about = await read(database, tenant, delivery)
    assert (row.status, row.attempts, row.next_attempt_at) == ("succeeded", 2, None)
    assert row.finished_at is not None
    assert about.failing_since is None


async def test_the_last_failure_of_a_delivery_disables_an_endpoint_that_took_nothing_meanwhile(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, tenant, endpoint)
    await record(database, tenant, delivery, failed())
    assert (await record(database, tenant, delivery, failed(NOON + 24 * HOUR), last=True)).disabled
    row, about = await read(database, tenant, delivery)
    assert (row.status, about.status, about.disabled_reason) == ("failed", "disabled", "failing")
    async with database.session(tenant) as session:
        (notice,) = await events.undispatched(session, tenant_id=tenant)
        (logged,) = await audit.list_page(session, tenant_id=tenant, criteria=AuditFilter())
    assert notice.data["endpoint_id"] == str(endpoint)
    assert notice.data["failing_since"] == "2026-11-24T12:00:00Z"
    assert (logged.action, logged.actor_kind) == ("webhook_endpoint.disabled", "system")
    assert (logged.target_id, logged.details) == (str(endpoint), {"reason": "failing"})


async def test_an_endpoint_is_disabled_once_however_many_deliveries_give_up_on_it(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    gone = Attempt(at=NOON, duration=0.1, succeeded=False, gone=True, status_code=410)
    first, second = [
        await new_delivery(database, tenant, endpoint, percent=percent) for percent in (1, 2)
    ]
    assert (await record(database, tenant, first, gone)).disabled
    assert not (await record(database, tenant, second, gone)).disabled
    async with database.session(tenant) as session:
        assert len(await events.undispatched(session, tenant_id=tenant)) == 1
        assert len(await audit.list_page(session, tenant_id=tenant, criteria=AuditFilter())) == 1


async def test_an_endpoint_that_took_something_else_meanwhile_stays_enabled(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    refused = await new_delivery(database, tenant, endpoint)
    await record(database, tenant, refused, failed())
    other = await new_delivery(database, tenant, endpoint, percent=100)
    await record(database, tenant, other, succeeded(NOON + HOUR))
    assert not (
        await record(database, tenant, refused, failed(NOON + 24 * HOUR), last=True)
    ).disabled
    row, about = await read(database, tenant, refused)
    assert (row.status, about.status) == ("failed", "enabled")


async def test_each_attempt_is_metered_once_whatever_came_of_it(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    stream = uuid4()
    async with database.session(tenant) as session:
        told = usage_event(tenant).model_copy(update={"stream_id": stream})
        row = await deliveries.send_to_one(session, told, endpoint_id=endpoint)
    await record(database, tenant, row.id, failed())
    await record(database, tenant, row.id, succeeded(NOON + HOUR))
    async with database.session(tenant) as session:
        sums = await usage.stats(
            session, tenant_id=tenant, since=NOON, until=NOON + 2 * HOUR, bucket=Bucket.HOUR
        )
        assert [(each.start, each.kind, int(each.quantity)) for each in sums] == [
            (NOON, UsageKind.WEBHOOK_DELIVERY, 1),
            (NOON + HOUR, UsageKind.WEBHOOK_DELIVERY, 1),
        ]
        (of_stream,) = await usage.stats(
            session, tenant_id=tenant, since=NOON, until=NOON + 2 * HOUR, stream_id=stream
        )
    assert of_stream.quantity == 2


async def test_redelivering_begins_a_new_round(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, tenant, endpoint)
    await record(database, tenant, delivery, failed())
    async with database.session(tenant) as session:
        row = await deliveries.redeliver(session, tenant_id=tenant, delivery_id=delivery)
        assert row is not None
        assert (row.status, row.first_attempt_at, row.queued_at) == ("pending", None, None)
    await record(database, tenant, delivery, succeeded(NOON + HOUR))
    row, _ = await read(database, tenant, delivery)
    assert (row.first_attempt_at, row.attempts) == (NOON + HOUR, 2)


async def test_what_was_deleted_meanwhile_is_left_alone(
    database: Database, tenant: UUID, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, tenant, endpoint)
    async with database.session(tenant) as session:
        await endpoints.delete(session, tenant_id=tenant, endpoint_id=endpoint)
    assert not (await record(database, tenant, delivery, failed())).disabled
    async with database.session(tenant) as session:
        assert (
            await deliveries.claim(session, tenant_id=tenant, delivery_id=delivery, now=NOON)
            is None
        )


async def test_another_tenants_delivery_is_neither_sent_nor_written(
    database: Database, tenant: UUID, other_tenant: UUID, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, tenant, endpoint)
    async with database.session(other_tenant) as session:
        for asked in (tenant, other_tenant):
            assert (
                await deliveries.claim(session, tenant_id=asked, delivery_id=delivery, now=NOON)
                is None
            )
    assert not (await record(database, other_tenant, delivery, succeeded())).disabled
    row, _ = await read(database, tenant, delivery)
    assert (row.status, row.attempts) == ("pending", 0)


async def test_an_unknown_delivery_is_nothing_to_send(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as session:
        assert (
            await deliveries.claim(session, tenant_id=tenant, delivery_id=uuid4(), now=NOON) is None
        )
