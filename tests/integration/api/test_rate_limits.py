"""Every request to `/v1` is counted, by key and tenant or by address, and says what is left."""

from __future__ import annotations

import asyncio
import re
from ipaddress import ip_network
from typing import Final
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr

from api.middleware.rate_limits import BY_ADDRESS, is_limited, routes_with_costs
from app.serve import build_app
from app.services.api_keys import create_key
from domain.feed.models import MOST_EVENTS
from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.tenants.keys import Scope
from domain.tenants.usage import PLANS, PlanName
from infra.db.engine import Database
from infra.db.repositories import streams, tenants
from infra.db.repositories.feed import feed_events
from infra.settings import Settings
from tests.factories.rows import new_stream
from tests.fakes.redis_server import RedisServer
from tests.integration.api.conftest import SECRET, Account, NewAccount, OpenClient
from tests.integration.api.problems import assert_problem
from tests.integration.api.test_isolation import RESOURCES

LIST: Final = "/v1/streams"
MATCH: Final = "/v1/profiles/match"
MATCH_COST: Final = 5
FREE = PLANS[PlanName.FREE]
FLOOD: Final = 8
# draft-ietf-httpapi-ratelimit-headers-10: lists of strings with integer parameters.
POLICY: Final = re.compile(r'"(\w+)";q=(\d+);w=(\d+)')
REMAINDER: Final = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


def policies(response: httpx.Response) -> dict[str, tuple[int, int]]:
    return _items(POLICY, response.headers.get("RateLimit-Policy", ""))


def remainders(response: httpx.Response) -> dict[str, tuple[int, int]]:
    return _items(REMAINDER, response.headers.get("RateLimit", ""))


def _items(form: re.Pattern[str], value: str) -> dict[str, tuple[int, int]]:
    found = [form.fullmatch(item) for item in value.split(", ") if item]
    assert all(found), value
    return {each[1]: (int(each[2]), int(each[3])) for each in found if each}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Few requests are enough to reach the limits of this plan and these addresses."""
    return settings.model_copy(
        update={"default_plan": PlanName.FREE, "address_refusals_per_minute": 3}
    )


async def second_key(database: Database, slug: str) -> tuple[str, str]:
    made = [
        await create_key(
            database, secret=SECRET.encode(), slug=slug, name=name, scopes=(Scope.ADMIN,)
        )
        for name in ("one", "two")
    ]
    return made[0].key.value, made[1].key.value


async def test_every_operation_under_v1_is_limited(account: Account, settings: Settings) -> None:
    document = build_app(settings).openapi()
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v1/")
    ]
    assert operations
    for method, path, operation in operations:
        if not is_limited(path):
            continue
        target = re.sub(r"\{\w+\}", str(uuid4()), path)
        response = await account.http.request(
            method, target, json=None if method in {"get", "delete"} else {}
        )
        is_file = (
            path.endswith(("/download", "/thumbnail", "/index", ".m3u8", ".zip"))
            or "/media/" in path
        )
        named = "files" if is_file else "default"
        assert named in remainders(response), f"{method} {path}: {dict(response.headers)}"
        assert "429" in operation["responses"], path


def test_the_tables_of_routes_name_routes_that_there_are() -> None:
    names = {
        route.name
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute)
    }
    assert routes_with_costs() | BY_ADDRESS <= names


async def test_answers_say_what_is_allowed_and_what_is_left(account: Account) -> None:
    response = await account.http.get(LIST)
    assert response.headers["RateLimit-Policy"] == '"default";q=60;w=60, "key";q=60;w=60'
    assert policies(response)["default"] == (FREE.requests_per_minute, 60)
    left = remainders(response)
    assert [(name, remaining) for name, (remaining, _) in left.items()] == [
        ("default", 59),
        ("key", 59),
    ]
    assert all(1 <= reset <= 60 for _, reset in left.values())
    assert remainders(await account.http.get(LIST))["default"][0] == 58


@pytest.mark.parametrize("path", [f"{LIST}/{UUID(int=1)}", f"{LIST}?limit=0"])
async def test_errors_say_it_too(account: Account, path: str) -> None:
    response = await account.http.get(path)
    assert response.status_code in {404, 422}
    assert remainders(response)["default"][0] == 59


@pytest.mark.parametrize("path", ["/v1/nothing", f"{LIST}?cursor={'x' * 9000}"])
async def test_what_no_key_has_paid_for_is_counted_by_address(account: Account, path: str) -> None:
    response = await account.http.get(path)
    assert response.status_code in {404, 414}
    assert list(remainders(response)) == ["address"]


async def test_a_request_uses_what_it_costs(account: Account) -> None:
    response = await account.http.post(MATCH, json={"text": "football"})
    assert response.status_code == 200
    assert remainders(response)["default"][0] == FREE.requests_per_minute - MATCH_COST


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json", "/errors"])
async def test_health_and_documentation_are_exempt(account: Account, path: str) -> None:
    response = await account.http.get(path)
    assert "RateLimit" not in response.headers
    assert "RateLimit-Policy" not in response.headers


async def test_too_many_requests_are_refused_until_later(
    account: Account, other_account: Account
) -> None:
    await exhaust(account)
    response = await account.http.get(LIST)
    problem = assert_problem(response, 429, "rate_limited")
    assert "60 in 60 s" in problem["detail"]
    assert remainders(response)["default"][0] == 0
    assert int(response.headers["Retry-After"]) == remainders(response)["key"][1]
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert (await other_account.http.get(LIST)).status_code == 200


async def test_keys_of_one_tenant_share_its_quota_and_have_their_own(
    settings: Settings, open_client: OpenClient, database: Database
) -> None:
    one, two = await second_key(database, f"tenant-{uuid4().hex}")
    starter = settings.model_copy(update={"default_plan": PlanName.STARTER})
    async with open_client(starter) as client:
        first = await client.get(LIST, headers={"Authorization": f"Bearer {one}"})
        second = await client.get(LIST, headers={"Authorization": f"Bearer {two}"})
    assert (remainders(first)["default"][0], remainders(first)["key"][0]) == (599, 299)
    assert (remainders(second)["default"][0], remainders(second)["key"][0]) == (598, 299)


async def test_a_plan_of_its_own_counts(account: Account, database: Database) -> None:
    async with database.session(account.tenant_id) as session:
        await tenants.set_plan(session, tenant_id=account.tenant_id, plan=PlanName.ENTERPRISE)
    assert policies(await account.http.get(LIST))["default"] == (60_000, 60)


async def test_keys_cannot_be_guessed_at_speed(anonymous: httpx.AsyncClient, key: str) -> None:
    for left in (2, 1, 0):
        response = await anonymous.get(LIST, headers={"Authorization": "Bearer hl_live_guess"})
        assert_problem(response, 401, "unauthenticated")
        assert remainders(response)["address"][0] == left
    # Even the right one is not looked at now, so that nobody learns that it is.
    response = await anonymous.get(LIST, headers={"Authorization": f"Bearer {key}"})
    assert_problem(response, 429, "rate_limited")
    assert int(response.headers["Retry-After"]) == remainders(response)["address"][1]


async def test_each_address_is_counted_alone_and_behind_proxies_too(
    settings: Settings, open_client: OpenClient, key: str
) -> None:
    behind = settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
    async with open_client(behind) as client:
        for _ in range(4):
            refused = await client.get(LIST, headers={"X-Forwarded-For": "2001:db8:0:1::1"})
        valid = {"Authorization": f"Bearer {key}"}
        same_site = {"X-Forwarded-For": "2001:db8:0:1:ffff::2"} | valid
        elsewhere = {"X-Forwarded-For": "2001:db8:0:2::1"} | valid
        assert refused.status_code == 429
        assert (await client.get(LIST, headers=same_site)).status_code == 429
        assert (await client.get(LIST, headers=elsewhere)).status_code == 200


async def test_an_address_cannot_be_invented(anonymous: httpx.AsyncClient) -> None:
    for number in range(3):
        await anonymous.get(LIST, headers={"X-Forwarded-For": f"192.0.2.{number}"})
    response = await anonymous.get(LIST, headers={"X-Forwarded-For": "192.0.2.99"})
    assert response.status_code == 429


async def test_files_by_signed_url_are_counted_by_address(
    settings: Settings, open_client: OpenClient
) -> None:
    few = settings.model_copy(update={"address_files_per_minute": 2})
    query = {"tenant": str(uuid4()), "expires": "1", "signature": "x"}
    async with open_client(few) as client:
        answers = [
            await client.request(method, f"/v1/clips/{UUID(int=1)}/{file}", params=query)
            for method, file in (("GET", "download"), ("HEAD", "thumbnail"), ("GET", "download"))
        ]
    assert [answer.status_code for answer in answers] == [403, 403, 429]
    assert remainders(answers[0])["files"][0] == 1


@pytest.fixture
async def key(new_account: NewAccount) -> str:
    return (await new_account()).key


@pytest.fixture
def with_redis(settings: Settings, redis_server: RedisServer) -> Settings:
    return settings.model_copy(
        update={"redis_url": SecretStr(redis_server.url), "rate_limit_timeout": 20.0}
    )


@pytest.fixture
def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_processes_share_what_is_used(
    with_redis: Settings, open_client: OpenClient, bearer: dict[str, str]
) -> None:
    async with open_client(with_redis) as one, open_client(with_redis) as other:
        first = await one.get(LIST, headers=bearer)
        second = await other.get(LIST, headers=bearer)
    assert (remainders(first)["default"][0], remainders(second)["default"][0]) == (59, 58)


async def test_without_redis_each_process_counts_by_itself(
    with_redis: Settings,
    open_client: OpenClient,
    redis_server: RedisServer,
    bearer: dict[str, str],
) -> None:
    async with open_client(with_redis) as client:
        assert remainders(await client.get(LIST, headers=bearer))
        redis_server.stop()
        response = await client.get(LIST, headers=bearer)
        assert response.status_code == 200
        assert remainders(response)["default"][0] == 58
        assert (await client.get(LIST)).status_code == 401


async def test_without_redis_nothing_is_served_where_that_is_wished(
    with_redis: Settings,
    open_client: OpenClient,
    redis_server: RedisServer,
    bearer: dict[str, str],
) -> None:
    closed = with_redis.model_copy(
        update={"rate_limit_fail_open": False, "rate_limit_retry_interval": 0.001}
    )
    async with open_client(closed) as client:
        assert (await client.get(LIST, headers=bearer)).status_code == 200
        redis_server.stop()
        response = await client.get(LIST, headers=bearer)
        assert_problem(response, 503, "service_unavailable")
        assert int(response.headers["Retry-After"]) > 0
        assert (await client.get("/healthz")).status_code == 200
        redis_server.start()
        assert (await client.get(LIST, headers=bearer)).status_code == 200


async def exhaust(account: Account) -> None:
    for _ in range(FREE.requests_per_minute // MATCH_COST):
        response = await account.http.post(MATCH, json={"text": "football"})
        assert response.status_code == 200


def batch(number: int) -> dict[str, object]:
    """As many events as a request may have, far from one another."""
    events = range(number * MOST_EVENTS, (number + 1) * MOST_EVENTS)
    return {
        "events": [{"id": f"e{each}", "kind": "custom", "at": {"media": each}} for each in events]
    }


async def test_a_flood_of_feed_events_is_refused_by_stream_and_loses_none_that_was_accepted(
    account: Account, database: Database
) -> None:
    stream, other = [await ended_stream(database, account.tenant_id) for _ in range(2)]
    path = f"/v1/streams/{stream}/events"
    answers = await asyncio.gather(
        *(account.http.post(path, json=batch(number)) for number in range(FLOOD))
    )
    accepted = [each for each in answers if each.status_code == 202]
    refused = [each for each in answers if each.status_code != 202]
    assert len(accepted) == FREE.feed_events_per_minute // MOST_EVENTS
    for each in refused:
        assert_problem(each, 429, "rate_limited")
        assert 1 <= int(each.headers["Retry-After"]) <= 60
        assert policies(each)["feed"] == (FREE.feed_events_per_minute, 60)
        assert remainders(each)["feed"][0] == 0
        assert "takes 300 feed events in 60 s. This request has 100" in each.json()["detail"]
    stored = await feed_event_ids(database, account.tenant_id, stream)
    assert stored == {row["id"] for each in accepted for row in each.json()["data"]}
    beside = await account.http.post(f"/v1/streams/{other}/events", json=batch(0))
    assert beside.status_code == 202


async def test_feed_events_of_a_replayed_response_cost_nothing(
    account: Account, database: Database
) -> None:
    path = f"/v1/streams/{await ended_stream(database, account.tenant_id)}/events"
    key = {"Idempotency-Key": uuid4().hex}
    first = await account.http.post(path, json=batch(0), headers=key)
    assert remainders(first)["feed"][0] == FREE.feed_events_per_minute - MOST_EVENTS
    again = await account.http.post(path, json=batch(0), headers=key)
    assert again.json() == first.json()
    last = await account.http.post(path, json=batch(1))
    assert remainders(last)["feed"][0] == FREE.feed_events_per_minute - 2 * MOST_EVENTS


async def test_feed_events_that_were_refused_may_be_sent_again_with_their_key(
    account: Account, database: Database
) -> None:
    stream = await ended_stream(database, account.tenant_id)
    path, key = f"/v1/streams/{stream}/events", {"Idempotency-Key": uuid4().hex}
    for number in range(FREE.feed_events_per_minute // MOST_EVENTS):
        assert (await account.http.post(path, json=batch(number))).status_code == 202
    refused = [await account.http.post(path, json=batch(9), headers=key) for _ in range(2)]
    assert [each.status_code for each in refused] == [429, 429]


async def ended_stream(database: Database, tenant_id: UUID) -> UUID:
    stream_id = await new_stream(database, tenant_id)
    done = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="ended")
    progress = StreamProgress(
        status=StreamStatus.COMPLETED, end=done, position=300.0, analyzed=300.0, segments=1
    )
    async with database.session(tenant_id) as session:
        record = StreamRecord(tenant_id=tenant_id, stream_id=stream_id, progress=progress)
        await streams.record_stream(session, record)
    return stream_id


async def feed_event_ids(database: Database, tenant_id: UUID, stream_id: UUID) -> set[str]:
    async with database.session(tenant_id) as session:
        rows = await feed_events.list_page(
            session, tenant_id=tenant_id, stream_id=stream_id, limit=FLOOD * MOST_EVENTS
        )
    return {row.event_id for row in rows}
