"""`/v1/webhooks/…/deliveries`: what was sent, sent again, tested and replayed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from domain.ids import delivery_workflow_id
from domain.tenants.audit import OPERATOR
from domain.webhooks.events import DisabledReason
from infra.db.engine import Database
from infra.db.repositories import deliveries, endpoints, events
from infra.db.repositories.deliveries import Attempt
from tests.factories.rows import new_delivery, new_endpoint, usage_event
from tests.integration.api.conftest import Account

PATH = "/v1/webhooks"


@pytest.fixture
async def endpoint(account: Account, database: Database) -> UUID:
    return await new_endpoint(database, account.tenant_id)


async def fail(database: Database, account: Account, delivery: UUID) -> None:
    """Let a delivery fail for good, its endpoint having taken something meanwhile."""
    attempt = Attempt(
        at=datetime.now(UTC), duration=0.2, succeeded=False, status_code=503, error="it answers 503"
    )
    async with database.session(account.tenant_id) as session:
        await deliveries.record_attempt(
            session,
            attempt,
            tenant_id=account.tenant_id,
            delivery_id=delivery,
            next_attempt_at=None,
        )
    await enable(database, account)


async def enable(database: Database, account: Account) -> None:
    async with database.session(account.tenant_id) as session:
        for row in await endpoints.list_page(session, tenant_id=account.tenant_id):
            await endpoints.enable(session, row)


async def disable(database: Database, account: Account, endpoint: UUID) -> None:
    async with database.session(account.tenant_id) as session:
        row = await endpoints.lock(session, tenant_id=account.tenant_id, endpoint_id=endpoint)
        assert row is not None
        await endpoints.disable(session, row, reason=DisabledReason.TENANT, actor=OPERATOR)


async def listed(account: Account, path: str, **params: str) -> list[str]:
    response = await account.http.get(path, params=params)
    assert response.status_code == 200
    return [each["id"] for each in response.json()["data"]]


async def test_deliveries_are_listed_by_endpoint_status_and_type(
    account: Account, database: Database, endpoint: UUID
) -> None:
    failed = await new_delivery(database, account.tenant_id, endpoint)
    await fail(database, account, failed)
    other = await new_endpoint(database, account.tenant_id)
    waiting = await new_delivery(database, account.tenant_id, other, percent=100)
    path = f"{PATH}/deliveries"
    assert await listed(account, path) == [str(waiting), str(failed)]
    assert await listed(account, path, endpoint_id=str(other)) == [str(waiting)]
    assert await listed(account, path, status="failed") == [str(failed)]
    assert await listed(account, path, event_type="clip.ready") == []
    assert await listed(account, f"{PATH}/{endpoint}/deliveries") == [str(failed)]
    assert await listed(account, f"{PATH}/{endpoint}/deliveries", status="pending") == []


async def test_a_list_goes_on_where_its_cursor_says(
    account: Account, database: Database, endpoint: UUID
) -> None:
    made = [
        str(await new_delivery(database, account.tenant_id, endpoint, percent=each))
        for each in (1, 2, 3)
    ]
    first = (await account.http.get(f"{PATH}/deliveries", params={"limit": 2})).json()
    rest = await listed(account, f"{PATH}/deliveries", cursor=first["next_cursor"])
    assert [each["id"] for each in first["data"]] + rest == made[::-1]


async def test_a_delivery_shows_what_is_sent_and_each_answer(
    account: Account, database: Database, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, account.tenant_id, endpoint)
    await fail(database, account, delivery)
    seen = (await account.http.get(f"{PATH}/deliveries/{delivery}")).json()
    assert (seen["status"], seen["last_status_code"]) == ("failed", 503)
    assert seen["data"]["percent"] == 80
    assert [(each["number"], each["error"]) for each in seen["history"]] == [(1, "it answers 503")]


async def test_a_failed_delivery_is_handed_to_its_workflow_again(
    account: Account, database: Database, endpoint: UUID, temporal_client: Client
) -> None:
    delivery = await new_delivery(database, account.tenant_id, endpoint)
    await fail(database, account, delivery)
    response = await account.http.post(f"{PATH}/deliveries/{delivery}/redeliver")
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    workflow = delivery_workflow_id(
        tenant_id=account.tenant_id, endpoint_id=endpoint, ordering_key="usage/clips/2026-11"
    )
    started = await temporal_client.get_workflow_handle(workflow).describe()
    assert started.workflow_type == "DeliveryWorkflow"
    assert account.tenant_id not in await database.tenants_to_send_for()


async def test_a_test_is_one_delivery_to_the_endpoint_that_is_tested(
    account: Account, database: Database, endpoint: UUID
) -> None:
    await new_endpoint(database, account.tenant_id)
    sent = (await account.http.post(f"{PATH}/{endpoint}/test")).json()
    assert (sent["event_type"], sent["endpoint_id"]) == ("endpoint.test", str(endpoint))
    assert await listed(account, f"{PATH}/deliveries") == [sent["id"]]


async def test_nothing_is_sent_to_a_disabled_endpoint(
    account: Account, database: Database, endpoint: UUID
) -> None:
    delivery = await new_delivery(database, account.tenant_id, endpoint)
    await disable(database, account, endpoint)
    year = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    for path, body in (
        (f"{PATH}/deliveries/{delivery}/redeliver", None),
        (f"{PATH}/{endpoint}/test", None),
        (f"{PATH}/{endpoint}/replay", year),
    ):
        response = await account.http.post(path, json=body)
        assert (response.status_code, response.json()["code"]) == (409, "webhook_disabled")


async def replay(account: Account, endpoint: UUID, **body: object) -> int:
    now = datetime.now(UTC)
    around = {
        "from": (now - timedelta(hours=1)).isoformat(),
        "to": (now + timedelta(hours=1)).isoformat(),
    }
    response = await account.http.post(f"{PATH}/{endpoint}/replay", json=around | body)
    assert response.status_code == 202
    return int(response.json()["deliveries"])


async def test_a_range_of_time_is_replayed_to_an_endpoint_that_was_not_there_then(
    account: Account, database: Database
) -> None:
    told = [usage_event(account.tenant_id, percent=each) for each in (50, 80)]
    async with database.session(account.tenant_id) as session:
        for each in told:
            await events.append(session, each)
        ids = [each.id for each in told]
        await events.mark_dispatched(session, tenant_id=account.tenant_id, event_ids=ids)
    endpoint = await new_endpoint(database, account.tenant_id)
    assert await replay(account, endpoint, types=["clip.ready"]) == 0
    assert await replay(account, endpoint, to=told[0].created_at.isoformat()) == 0
    assert await replay(account, endpoint) == 2
    assert len(await listed(account, f"{PATH}/deliveries", status="pending")) == 2


async def test_a_replay_restarts_finished_deliveries(
    account: Account, database: Database, endpoint: UUID
) -> None:
    told = usage_event(account.tenant_id)
    async with database.session(account.tenant_id) as session:
        await events.append(session, told)
    await replay(account, endpoint)
    (delivery,) = await listed(account, f"{PATH}/deliveries")
    await fail(database, account, UUID(delivery))
    assert await replay(account, endpoint) == 2  # and the notice that it was disabled
    assert delivery in await listed(account, f"{PATH}/deliveries", status="pending")


@pytest.mark.parametrize(
    "body",
    [
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00", "to": "2026-01-02T00:00:00"},
        {"from": "0001-01-01T00:00:00+14:00", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z"},
    ],
)
async def test_a_range_that_is_none_is_refused(
    account: Account, endpoint: UUID, body: dict[str, str]
) -> None:
    response = await account.http.post(f"{PATH}/{endpoint}/replay", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_an_unknown_delivery_is_not_found(account: Account) -> None:
    for method, path in (("GET", ""), ("POST", "/redeliver")):
        response = await account.http.request(method, f"{PATH}/deliveries/{uuid4()}{path}")
        assert (response.status_code, response.json()["code"]) == (404, "delivery_not_found")
