"""Usage and budgets over the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import httpx
import pytest

from api.middleware.rate_limits import cost_of
from domain.streams.messages import StreamRecord, WindowRecord
from domain.streams.status import StreamProgress, StreamStatus
from domain.tenants.keys import Scope
from domain.tenants.usage import PLANS, PlanName, UsageKind, usage_event
from infra.db.engine import Database
from infra.db.repositories import streams, tenants, usage
from infra.settings import Settings
from tests.factories.rows import new_clip, new_highlight, new_stream, used
from tests.integration.api.conftest import Account, NewAccount, OpenClient

MAY = {"since": "2026-05-01T00:00:00Z", "until": "2026-05-31T00:00:00Z"}


@pytest.fixture
async def priced(settings: Settings, open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    prices = {UsageKind.ANALYZED_SECONDS: Decimal("0.0005")}
    async with open_client(settings.model_copy(update={"usage_prices": prices})) as client:
        yield client


async def use(
    database: Database, account: Account, seconds: float, at: datetime, stream: UUID | None = None
) -> None:
    event = usage_event(
        UsageKind.ANALYZED_SECONDS, seconds, subject=str(at), stream_id=stream, at=at
    )
    async with database.session(account.tenant_id) as session:
        await usage.meter(session, tenant_id=account.tenant_id, events=[event])


async def test_what_a_stream_used_is_read_and_outlives_it(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await new_clip(
        database,
        account.tenant_id,
        stream,
        await new_highlight(database, account.tenant_id, stream),
    )
    record = StreamRecord(
        tenant_id=account.tenant_id,
        stream_id=stream,
        progress=StreamProgress(status=StreamStatus.LIVE, position=9.0, analyzed=9.0),
        windows=(
            WindowRecord(index=0, start=0.0, end=9.0, segments=3, size=1, analyzed_seconds=8.5),
        ),
    )
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(session, record)
    response = await account.http.get("/v1/usage/stats", params={"by_stream": True})
    found = response.json()["data"]
    assert {each["kind"]: each["quantity"] for each in found} == {
        "analyzed_seconds": 8.5,
        "clip_bytes": 1000.0,
        "clip_rendered": 1.0,
    }
    assert {each["stream_id"] for each in found} == {str(stream)}


async def test_usage_is_summed_by_day_or_hour_with_its_cost(
    account: Account, priced: httpx.AsyncClient, database: Database
) -> None:
    for hour in (9, 10):
        await use(database, account, 1800, datetime(2026, 5, 2, hour, 30, tzinfo=UTC))
    await use(database, account, 60, datetime(2026, 6, 2, tzinfo=UTC))
    headers = {"Authorization": f"Bearer {account.key}"}
    by_day = (await priced.get("/v1/usage/stats", params=MAY, headers=headers)).json()
    assert by_day == {
        **MAY,
        "bucket": "day",
        "data": [
            {
                "start": "2026-05-02T00:00:00Z",
                "kind": "analyzed_seconds",
                "stream_id": None,
                "quantity": 3600.0,
                "cost_usd": 1.8,
            }
        ],
        "cost_usd": 1.8,
    }
    by_hour = await priced.get("/v1/usage/stats", params={**MAY, "bucket": "hour"}, headers=headers)
    assert [(each["start"][11:13], each["quantity"]) for each in by_hour.json()["data"]] == [
        ("09", 1800.0),
        ("10", 1800.0),
    ]


async def test_a_range_is_rounded_outwards_to_whole_hours(account: Account) -> None:
    params = {"since": "2026-05-02T10:59:59Z", "until": "2026-05-02T14:00:01+02:00"}
    found = (await account.http.get("/v1/usage/stats", params=params)).json()
    assert (found["since"], found["until"]) == ("2026-05-02T10:00:00Z", "2026-05-02T13:00:00Z")


@pytest.mark.parametrize(
    "params",
    [
        {"since": "2026-05-02T00:00:00Z", "until": "2026-05-01T00:00:00Z"},
        {"since": "2024-05-02T00:00:00Z", "until": "2026-05-01T00:00:00Z"},
        {"since": "2026-03-02T00:00:00Z", "until": "2026-05-01T00:00:00Z", "bucket": "hour"},
        {"since": "0001-01-01T00:00:00Z"},
        {"kind": "gold"},
    ],
)
async def test_a_range_that_makes_no_sense_is_refused(
    account: Account, params: dict[str, str]
) -> None:
    response = await account.http.get("/v1/usage/stats", params=params)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


async def test_a_budget_is_set_read_and_taken_away(account: Account, database: Database) -> None:
    await use(database, account, 250, datetime.now(UTC))
    path = "/v1/usage/budgets/analyzed_seconds"
    made = (await account.http.put(path, json={"monthly": 1000})).json()
    assert (made["kind"], made["monthly"], made["used"]) == ("analyzed_seconds", 1000.0, 250.0)
    assert (await account.http.get("/v1/usage/budgets")).json() == {"data": [made]}
    assert (await account.http.delete(path)).status_code == 204
    response = await account.http.delete(path)
    assert (response.status_code, response.json()["code"]) == (404, "budget_not_found")


async def test_usage_is_its_tenants_only(
    account: Account, other_account: Account, database: Database
) -> None:
    await use(database, account, 60, datetime.now(UTC))
    await account.http.put("/v1/usage/budgets/clip_bytes", json={"monthly": 1})
    for path in ("/v1/usage/stats", "/v1/usage/budgets"):
        assert (await other_account.http.get(path)).json()["data"] == []
    response = await other_account.http.delete("/v1/usage/budgets/clip_bytes")
    assert response.status_code == 404


async def test_requests_that_a_key_let_in_are_metered(
    new_account: NewAccount, settings: Settings, open_client: OpenClient, database: Database
) -> None:
    account = await new_account(Scope.READ)
    headers = {"Authorization": f"Bearer {account.key}"}
    async with open_client(settings) as client:
        for path in ("/v1/streams", f"/v1/streams/{uuid4()}", "/v1/keys"):  # 200, 404, 403
            await client.get(path, headers=headers)
        await client.get("/v1/streams")
        await client.get("/v1/streams", headers={"Authorization": "Bearer no"})
        await client.get("/healthz", headers=headers)
        assert await used(database, account.tenant_id) == {}
    assert await used(database, account.tenant_id) == {"api_request": 3}
    report = (await account.http.get("/v1/usage/stats", params={"kind": "api_request"})).json()
    assert [(each["kind"], each["quantity"]) for each in report["data"]] == [("api_request", 3)]


async def test_requests_that_a_limit_refused_are_not_metered(
    new_account: NewAccount, settings: Settings, open_client: OpenClient, database: Database
) -> None:
    account = await new_account(Scope.WRITE)
    async with database.session(account.tenant_id) as session:
        await tenants.set_plan(session, tenant_id=account.tenant_id, plan=PlanName.FREE)
    dear = PLANS[PlanName.FREE].key_requests_per_minute // cost_of("analyze_stream")
    headers = {"Authorization": f"Bearer {account.key}"}
    async with open_client(settings) as client:
        answers = [
            await client.post("/v1/streams/analyze", json={}, headers=headers)
            for _ in range(dear + 2)
        ]
    assert [answer.status_code for answer in answers] == [*[422] * dear, 429, 429]
    assert await used(database, account.tenant_id) == {"api_request": dear}
