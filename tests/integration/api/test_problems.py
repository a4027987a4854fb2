"""Every error is a problem document that names itself and the request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from app.serve import build_app
from app.services.api_keys import create_key, revoke_key
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.settings import Settings
from tests.integration.api.conftest import BASE_URL, SECRET, Account, NewAccount, OpenClient
from tests.integration.api.problems import assert_problem

ANALYZE = "/v1/streams/analyze"
BODY = {"url": "https://cdn.example.com/live/master.m3u8"}


async def test_an_unknown_path(account: Account) -> None:
    assert_problem(await account.http.get("/v1/nothing"), 404, "route_not_found")


async def test_another_method(account: Account) -> None:
    response = await account.http.put(ANALYZE)
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("resource", ["stream", "highlight", "clip"])
async def test_an_unknown_id(account: Account, resource: str) -> None:
    response = await account.http.get(f"/v1/{resource}s/{uuid4()}")
    assert_problem(response, 404, f"{resource}_not_found")


async def test_parts_that_are_wrong_are_pointed_at(account: Account) -> None:
    body = {"url": "no spaces", "game": "", "options": {"max_height": 0, "colour": "red"}}
    problem = assert_problem(await account.http.post(ANALYZE, json=body), 422, "invalid_request")
    assert {error["pointer"] for error in problem["errors"]} == {
        "/url",
        "/game",
        "/options/max_height",
        "/options/colour",
    }


async def test_a_wrong_parameter_is_pointed_at(account: Account) -> None:
    response = await account.http.get("/v1/highlights/list", params={"limit": 1000, "sort": "x"})
    problem = assert_problem(response, 422, "invalid_request")
    assert {error["pointer"] for error in problem["errors"]} == {"query/limit", "query/sort"}


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"{'a': 1}"])
async def test_a_body_that_is_no_json(account: Account, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await account.http.post(ANALYZE, content=body, headers=headers)
    assert_problem(response, 400, "malformed_json")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
async def test_a_body_of_another_type(account: Account, content_type: str) -> None:
    response = await account.http.post(
        ANALYZE, content=b"{}", headers={"Content-Type": content_type}
    )
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_too_large(account: Account, *, announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    content = b"x" * 102400 if announced else chunks()
    response = await account.http.post(
        ANALYZE, content=content, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, 413, "body_too_large")


@pytest.mark.parametrize("accept", ["text/html", "image/*, application/json;q=0"])
async def test_a_client_that_accepts_no_json(
    account: Account, database: Database, accept: str
) -> None:
    response = await account.http.post(ANALYZE, json=BODY, headers={"Accept": accept})
    assert_problem(response, 406, "not_acceptable")
    assert (await account.http.get("/v1/streams")).json()["data"] == []


async def test_a_path_and_query_that_are_too_long(account: Account) -> None:
    response = await account.http.get("/v1/streams", params={"cursor": "x" * 9000})
    assert_problem(response, 414, "uri_too_long")


async def test_headers_that_are_too_large(account: Account) -> None:
    headers = {f"X-Part-{number}": "x" * 4096 for number in range(5)}
    response = await account.http.get("/v1/streams", headers=headers)
    assert_problem(response, 431, "headers_too_large")


async def test_an_invalid_cursor(account: Account) -> None:
    response = await account.http.get("/v1/streams", params={"cursor": "abc"})
    assert_problem(response, 400, "invalid_cursor")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Basic dXNlcjpwYXNz",
        "Bearer ",
        "Bearer hl_live_short",
        "Bearer hl_test_0123456789ABCDEFGHIJKLMNOPQRSTUV1VW5Kz",
    ],
)
async def test_no_valid_key(anonymous: httpx.AsyncClient, header: str | None) -> None:
    headers = {"Authorization": header} if header is not None else {}
    response = await anonymous.get("/v1/streams", headers=headers)
    assert_problem(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_malformed_key_is_refused_without_the_database(
    settings: Settings, open_client: OpenClient
) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://a@/b?host=/none")})
    async with open_client(away) as client:
        response = await client.get(
            "/v1/streams", headers={"Authorization": f"Bearer hl_live_{'0' * 38}"}
        )
        assert_problem(response, 401, "unauthenticated")


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_key_that_has_ended(
    anonymous: httpx.AsyncClient, database: Database, how: str
) -> None:
    slug = f"tenant-{uuid4().hex}"
    past = datetime.now(UTC) - timedelta(seconds=1)
    made = await create_key(
        database,
        secret=SECRET.encode(),
        slug=slug,
        name="k",
        scopes=(Scope.ADMIN,),
        expires_at=past if how == "expired" else None,
    )
    if how == "revoked":
        await revoke_key(database, slug=slug, key_id=made.key_id)
    response = await anonymous.get(
        "/v1/streams", headers={"Authorization": f"Bearer {made.key.value}"}
    )
    assert_problem(response, 401, "unauthenticated")


async def test_a_key_without_the_scope(new_account: NewAccount) -> None:
    reader, writer = await new_account(Scope.READ), await new_account(Scope.WRITE)
    assert_problem(await reader.http.post(ANALYZE, json=BODY), 403, "missing_scope")
    assert_problem(await writer.http.get("/v1/streams"), 403, "missing_scope")
    assert (await reader.http.get("/v1/streams")).status_code == 200
    assert (await writer.http.post(ANALYZE, json=BODY)).status_code == 201


async def test_the_database_away(
    settings: Settings, open_client: OpenClient, account: Account
) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://a@/b?host=/none")})
    async with open_client(away) as client:
        response = await client.get(
            "/v1/streams", headers={"Authorization": f"Bearer {account.key}"}
        )
    assert_problem(response, 503, "service_unavailable")
    assert int(response.headers["Retry-After"]) > 0


async def test_a_mistake_of_ours(settings: Settings) -> None:
    app = build_app(settings)

    async def broken() -> None:
        raise ZeroDivisionError("secret detail")

    app.add_api_route("/broken", broken)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        response = await client.get("/broken")
    assert_problem(response, 500, "internal_error")
    assert "secret detail" not in response.text


async def test_a_request_id_of_the_client_is_kept(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/healthz", headers={"X-Request-Id": "order-66"})
    assert response.headers["X-Request-Id"] == "order-66"


@pytest.mark.parametrize("given", ["two words", "x" * 129, "a\tb", ""])
async def test_a_harmful_request_id_is_replaced(anonymous: httpx.AsyncClient, given: str) -> None:
    response = await anonymous.get("/healthz", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"].startswith("req_")


async def test_answers_carry_security_headers(anonymous: httpx.AsyncClient) -> None:
    headers = (await anonymous.get("/healthz")).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
