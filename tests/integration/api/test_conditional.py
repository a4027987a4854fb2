"""What was read and has not changed is not sent again."""

from __future__ import annotations

import httpx
import pytest

from infra.db.engine import Database
from tests.factories.rows import new_highlight, new_stream
from tests.integration.api.conftest import Account


@pytest.fixture
async def paths(account: Account, database: Database) -> list[str]:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    return [
        "/v1/streams",
        "/v1/highlights/list",
        f"/v1/highlights/{highlight}",
        "/v1/profiles",
        "/v1/profiles/soccer",
    ]


async def again(account: Account, path: str, response: httpx.Response) -> httpx.Response:
    etag = response.headers["ETag"]
    return await account.http.get(path, headers={"If-None-Match": etag})


async def test_resources_and_lists_are_answered_by_304_until_they_change(
    account: Account, paths: list[str]
) -> None:
    for path in paths:
        first = await account.http.get(path)
        assert first.headers["Cache-Control"] == "private, no-cache"
        second = await again(account, path, first)
        assert (second.status_code, second.content) == (304, b""), path
        assert second.headers["ETag"] == first.headers["ETag"]
        assert second.headers["X-Request-Id"]
        assert second.headers["RateLimit"]


async def test_a_list_that_grew_is_sent(account: Account, database: Database) -> None:
    first = await account.http.get("/v1/streams")
    await new_stream(database, account.tenant_id)
    second = await again(account, "/v1/streams", first)
    assert second.status_code == 200
    assert len(second.json()["data"]) == 1


async def test_a_revision_of_the_routes_own_is_a_tag_too(account: Account) -> None:
    path = "/v1/profiles/soccer/override"
    await account.http.put(path, json={"selection": {"per_window": 3}})
    first = await account.http.get(path)
    assert first.headers["ETag"] == '"1"'
    assert (await again(account, path, first)).status_code == 304


async def test_equal_answers_to_different_tenants_are_still_read_with_a_key(
    account: Account, anonymous: httpx.AsyncClient
) -> None:
    etag = (await account.http.get("/v1/streams")).headers["ETag"]
    response = await anonymous.get("/v1/streams", headers={"If-None-Match": etag})
    assert response.status_code == 401
