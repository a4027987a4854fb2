"""Pages of the origins set may call the API, and read what it says; others may not."""

from __future__ import annotations

import httpx
import pytest

from infra.settings import Settings
from tests.integration.api.conftest import Account, OpenClient

ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,idempotency-key,content-type",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"cors_origins": (ORIGIN,), "address_refusals_per_minute": 1})


async def test_a_preflight_needs_no_key_and_costs_nothing(anonymous: httpx.AsyncClient) -> None:
    for _ in range(3):
        response = await anonymous.options("/v1/streams/analyze", headers=PREFLIGHT)
        assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "idempotency-key", "if-none-match"} <= set(allowed.split(", "))
    assert "Access-Control-Allow-Credentials" not in response.headers


async def test_a_page_can_read_limits_and_errors(
    account: Account, anonymous: httpx.AsyncClient
) -> None:
    good = await account.http.get("/v1/streams", headers={"Origin": ORIGIN})
    refused = await anonymous.get("/v1/streams", headers={"Origin": ORIGIN})
    assert (good.status_code, refused.status_code) == (200, 401)
    for response in (good, refused):
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        shown = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"} <= {*shown}


async def test_pages_of_other_origins_are_not_let_in(anonymous: httpx.AsyncClient) -> None:
    other = PREFLIGHT | {"Origin": "https://evil.example.com"}
    response = await anonymous.options("/v1/streams/analyze", headers=other)
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_without_the_setting_no_page_is_let_in(
    settings: Settings, open_client: OpenClient
) -> None:
    async with open_client(settings.model_copy(update={"cors_origins": ()})) as client:
        response = await client.get("/healthz", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in response.headers
