"""Who is let in: by the form of the key, before the database is asked, and by the address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from domain.tenants.addresses import network
from infra import api_keys
from infra.api_keys import KeyMode
from infra.settings import Settings
from tests.integration.api.conftest import Account, OpenClient
from tests.integration.api.problems import assert_problem

STREAMS = "/v1/streams"
KEYS = "/v1/keys"
ALLOWED = ["203.0.113.0/24", "2001:db8::/32"]


@pytest.fixture
async def without_database(
    settings: Settings, open_client: OpenClient
) -> AsyncIterator[httpx.AsyncClient]:
    """The API with a database that must not be asked, since it does not answer."""
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://a@/b?host=/none")})
    async with open_client(away) as client:
        yield client


@pytest.fixture
async def behind_proxies(
    settings: Settings, open_client: OpenClient
) -> AsyncIterator[httpx.AsyncClient]:
    """The API behind proxies on this machine, and others in 10.0.0.0/8."""
    trusted = (network("127.0.0.1"), network("10.0.0.0/8"))
    async with open_client(settings.model_copy(update={"trusted_proxies": trusted})) as client:
        yield client


@pytest.fixture
async def bound(account: Account) -> dict[str, Any]:
    """A key that works from ALLOWED only."""
    body = {"name": "bound", "scopes": ["read"], "allowed_ips": ALLOWED}
    made: dict[str, Any] = (await account.http.post(KEYS, json=body)).json()
    return made


async def get(client: httpx.AsyncClient, key: str, *forwarded: str) -> httpx.Response:
    headers = [("Authorization", f"Bearer {key}")]
    headers += [("X-Forwarded-For", value) for value in forwarded]
    return await client.get(STREAMS, headers=headers)


async def test_a_key_with_a_wrong_checksum_never_reaches_the_database(
    without_database: httpx.AsyncClient,
) -> None:
    key = api_keys.generate(KeyMode.LIVE).value
    assert_problem(await get(without_database, key), 503, "service_unavailable")
    for position in range(len(key)):
        other = "x" if key[position] != "x" else "y"
        wrong = key[:position] + other + key[position + 1 :]
        problem = assert_problem(await get(without_database, wrong), 401, "unauthenticated")
        assert "malformed" in problem["detail"]


async def test_an_unknown_key_is_refused(account: Account) -> None:
    response = await get(account.http, api_keys.generate(KeyMode.LIVE).value)
    assert_problem(response, 401, "unauthenticated")


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        (["203.0.113.9"], 200),
        (["198.51.100.1, 203.0.113.9"], 200),
        (["203.0.113.9, 10.1.2.3"], 200),
        (["203.0.113.9", "10.1.2.3"], 200),
        (["2001:db8::1"], 200),
        (["203.0.114.9"], 403),
        (["203.0.113.9, 203.0.114.9"], 403),
        (["203.0.113.9", "203.0.114.9"], 403),
        (["203.0.113.9, unknown"], 403),
        ([], 403),
    ],
)
async def test_a_key_works_from_its_addresses_only(
    behind_proxies: httpx.AsyncClient, bound: dict[str, Any], forwarded: list[str], status: int
) -> None:
    response = await get(behind_proxies, bound["key"], *forwarded)
    assert response.status_code == status


async def test_a_refused_address_is_named_and_is_no_use_of_the_key(
    behind_proxies: httpx.AsyncClient, account: Account, bound: dict[str, Any]
) -> None:
    response = await get(behind_proxies, bound["key"], "198.51.100.1")
    problem = assert_problem(response, 403, "address_not_allowed")
    assert "198.51.100.1" in problem["detail"]
    found = (await account.http.get(f"{KEYS}/{bound['id']}")).json()
    assert found["last_used_at"] is None


async def test_forwarded_addresses_are_ignored_without_trusted_proxies(
    account: Account, bound: dict[str, Any]
) -> None:
    response = await get(account.http, bound["key"], "203.0.113.9")
    problem = assert_problem(response, 403, "address_not_allowed")
    assert "127.0.0.1" in problem["detail"]
