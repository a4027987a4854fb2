"""Embedded players: their page, oEmbed, who may embed them, and counted plays."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from domain.highlights.selection import DecisionStatus
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.settings import Settings
from tests.factories.rows import new_clip, new_highlight, new_stream, used
from tests.integration.api.conftest import BASE_URL, Account, NewAccount, OpenClient
from tests.integration.api.problems import assert_problem

POLICY = "/v1/embed-policy"


@pytest.fixture
async def highlight(account: Account, database: Database) -> UUID:
    stream = await new_stream(database, account.tenant_id)
    found = await new_highlight(database, account.tenant_id, stream, title="<b>Goal</b> & roar")
    await new_clip(database, account.tenant_id, stream, found)
    return found


async def embed(account: Account, highlight: UUID) -> dict[str, Any]:
    answer = await account.http.get(f"/v1/highlights/{highlight}/embed")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def page(anonymous: httpx.AsyncClient, account: Account, highlight: UUID) -> httpx.Response:
    answer = await anonymous.get((await embed(account, highlight))["url"])
    assert answer.status_code == 200, answer.text
    return answer


def attribute(answer: httpx.Response, name: str) -> str:
    found = re.search(rf'{name}="([^"]+)"', answer.text)
    assert found is not None
    return unescape(found[1])


def policy_of(answer: httpx.Response) -> dict[str, str]:
    parts = answer.headers["Content-Security-Policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


async def test_the_page_shows_the_clip_to_everyone_who_has_its_link(
    anonymous: httpx.AsyncClient, account: Account, highlight: UUID
) -> None:
    answer = await page(anonymous, account, highlight)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert urlsplit(attribute(answer, "src")).path.endswith("/download")
    assert urlsplit(attribute(answer, "poster")).path.endswith("/thumbnail")


async def test_a_title_is_text_and_no_markup(
    anonymous: httpx.AsyncClient, account: Account, highlight: UUID
) -> None:
    answer = await page(anonymous, account, highlight)
    assert "<b>" not in answer.text
    assert attribute(answer, "aria-label") == "<b>Goal</b> & roar"
    assert "<b>" not in (await embed(account, highlight))["html"]


async def test_the_page_runs_only_its_own_script(
    anonymous: httpx.AsyncClient, account: Account, highlight: UUID
) -> None:
    first = await page(anonymous, account, highlight)
    policy = policy_of(first)
    nonce = attribute(first, "script nonce")
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'nonce-{nonce}'"
    assert policy["frame-ancestors"] == "*"
    assert attribute(await page(anonymous, account, highlight), "script nonce") != nonce


async def test_a_page_whose_clip_is_not_ready_loads_again(
    anonymous: httpx.AsyncClient, account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    pending = await new_highlight(database, account.tenant_id, stream)
    answer = await page(anonymous, account, pending)
    assert "<video" not in answer.text
    assert int(answer.headers["Refresh"]) > 0


async def test_a_retracted_highlight_is_not_shown_any_more(
    anonymous: httpx.AsyncClient, account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    tenant = account.tenant_id
    found = await new_highlight(database, tenant, stream, status=DecisionStatus.PENDING)
    url = (await embed(account, found))["url"]
    await new_highlight(database, tenant, stream, status=DecisionStatus.RETRACTED)
    assert_problem(await anonymous.get(url), 404, "highlight_not_found")


async def test_a_link_of_another_highlight_or_tenant_opens_nothing(
    anonymous: httpx.AsyncClient, account: Account, other_account: Account, highlight: UUID
) -> None:
    url = (await embed(account, highlight))["url"]
    for changed in (
        url.replace(str(highlight), str(uuid4())),
        url.replace(str(account.tenant_id), str(other_account.tenant_id)),
        re.sub(r"expires=\d+", "expires=9999999999", url),
    ):
        assert_problem(await anonymous.get(changed), 403, "invalid_signature")


async def test_a_tenant_limits_the_pages_and_turns_players_off_at_once(
    anonymous: httpx.AsyncClient, account: Account, highlight: UUID
) -> None:
    url = (await embed(account, highlight))["url"]
    limited = {"enabled": True, "origins": ["https://fans.example.com"]}
    assert (await account.http.put(POLICY, json=limited)).status_code == 200
    answer = await anonymous.get(url)
    assert policy_of(answer)["frame-ancestors"] == "https://fans.example.com"
    plays = attribute(answer, "data-plays")
    await account.http.put(POLICY, json={"enabled": False})
    refused = await account.http.get(f"/v1/highlights/{highlight}/embed")
    for each in (await anonymous.get(url), await anonymous.post(plays), refused):
        assert_problem(each, 403, "embedding_disabled")
    read = (await account.http.get(POLICY)).json()
    assert (read["enabled"], read["origins"]) == (False, [])


@pytest.mark.parametrize(
    "origin",
    [
        "http://fans.example.com",
        "https://fans.example.com/page",
        "https://fans.example.com; script-src *",
        "https://a b",
        "*",
        "https://fans.example.com:port",
    ],
)
async def test_an_origin_that_is_none_is_refused(account: Account, origin: str) -> None:
    answer = await account.http.put(POLICY, json={"enabled": True, "origins": [origin]})
    problem = assert_problem(answer, 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == "/origins/0"


async def test_only_administrators_change_the_policy(new_account: NewAccount) -> None:
    writer = await new_account(Scope.WRITE, Scope.READ)
    answer = await writer.http.put(POLICY, json={"enabled": False})
    assert_problem(answer, 403, "missing_scope")


async def test_a_play_counts_once_for_each_page_in_the_usage_of_its_tenant(
    anonymous: httpx.AsyncClient,
    account: Account,
    other_account: Account,
    database: Database,
    highlight: UUID,
) -> None:
    for _ in range(2):
        plays = attribute(await page(anonymous, account, highlight), "data-plays")
        for _ in range(3):
            assert (await anonymous.post(plays)).status_code == 204
    assert (await used(database, account.tenant_id))["embed_play"] == 2
    report = (await account.http.get("/v1/usage/stats", params={"kind": "embed_play"})).json()
    assert [each["quantity"] for each in report["data"]] == [2]
    forged = plays.replace(str(account.tenant_id), str(other_account.tenant_id))
    assert_problem(await anonymous.post(forged), 403, "invalid_signature")
    assert "embed_play" not in await used(database, other_account.tenant_id)


async def test_an_oembed_consumer_finds_and_sizes_the_player(
    anonymous: httpx.AsyncClient, account: Account, highlight: UUID
) -> None:
    shown = await page(anonymous, account, highlight)
    discovery = re.search(r'<link rel="alternate"[^>]*href="([^"]+)"', shown.text)
    assert discovery is not None
    url = unescape(discovery[1])
    assert url == (await embed(account, highlight))["oembed_url"]
    whole = (await anonymous.get(url)).json()
    assert (whole["version"], whole["type"]) == ("1.0", "video")
    assert {"title", "html", "width", "height", "thumbnail_url"} <= whole.keys()
    small = (await anonymous.get(f"{url}&maxwidth=320&maxheight=1000")).json()
    assert small["width"] == 320
    assert small["height"] == pytest.approx(320 * whole["height"] / whole["width"], abs=1)
    assert 'width="320"' in small["html"]


async def test_oembed_speaks_json_only_and_of_our_pages_only(
    anonymous: httpx.AsyncClient, account: Account, highlight: UUID
) -> None:
    made = await embed(account, highlight)
    xml = await anonymous.get(made["oembed_url"] + "&format=xml")
    assert_problem(xml, 501, "oembed_format")
    for url in (
        "https://elsewhere.example.com/",
        made["url"].replace(BASE_URL, "https://evil.example"),
    ):
        answer = await anonymous.get("/oembed", params={"url": url})
        assert_problem(answer, 403, "invalid_signature")


async def test_an_address_is_limited(
    settings: Settings, open_client: OpenClient, account: Account, highlight: UUID
) -> None:
    url = (await embed(account, highlight))["url"]
    few = settings.model_copy(update={"address_files_per_minute": 2})
    async with open_client(few) as client:
        answers = [(await client.get(url)).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
