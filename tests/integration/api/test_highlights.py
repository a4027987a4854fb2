"""Highlights read over the API."""

from __future__ import annotations

from uuid import UUID

import pytest

from api.highlights.schemas import HighlightModel
from api.pagination import Page
from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from domain.score import DIMENSIONS
from infra.db.engine import Database
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    return await new_stream(database, account.tenant_id, game="soccer")


async def peaks(account: Account, **params: object) -> list[float]:
    response = await account.http.get(
        "/v1/highlights/list", params={key: str(value) for key, value in params.items()}
    )
    assert response.status_code == 200, response.text
    return [each["peak"] for each in response.json()["data"]]


async def test_a_highlight_says_what_was_found_and_why(
    account: Account, database: Database, stream: UUID
) -> None:
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    found = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert set(found) == {
        *("id", "stream_id", "status", "tier", "start", "peak", "end", "score", "dimensions"),
        *("confidence", "title", "description", "tags", "reasons", "evidence", "game", "profile"),
        *("state", "legal_hold", "titles", "moderation"),
        *("policy", "review", "withheld", "preview"),
        *("peak_wall_clock", "clip", "playback", "created_at", "updated_at", "explanation"),
    }
    assert (found["start"], found["peak"], found["end"]) == (55.0, 60.0, 65.0)
    assert found["dimensions"] == dict.fromkeys(DIMENSIONS, 0.8)
    assert found["reasons"][0]["code"] == "threshold"
    assert found["evidence"][0]["words"] == "the crowd is loud"
    assert found["game"] == "soccer"
    assert found["profile"] == {"id": "default", "version": "1"}
    assert found["clip"]["id"] == str(clip)
    assert (found["clip"]["start"], found["clip"]["end"]) == (55.0, 65.0)
    assert found["clip"]["url"].startswith(f"http://api.test/v1/clips/{clip}/download?")
    assert found["clip"]["thumbnail_url"].startswith(f"http://api.test/v1/clips/{clip}/thumbnail?")


async def test_a_clip_that_is_not_ready_has_no_links(
    account: Account, database: Database, stream: UUID
) -> None:
    highlight = await new_highlight(database, account.tenant_id, stream)
    await new_clip(database, account.tenant_id, stream, highlight, status=ClipStatus.RENDERING)
    found = (await account.http.get(f"/v1/highlights/{highlight}")).json()["clip"]
    assert (found["status"], found["url"], found["thumbnail_url"]) == ("rendering", None, None)


async def test_a_page_is_what_its_model_says(account: Account, database: Database) -> None:
    stream = await new_stream(database, account.tenant_id)
    for peak in (60.0, 120.0):
        highlight = await new_highlight(database, account.tenant_id, stream, peak=peak)
    await new_clip(database, account.tenant_id, stream, highlight)
    answer = (await account.http.get("/v1/highlights/list")).json()
    model = Page[HighlightModel].model_validate(answer)
    assert [found.clip is None for found in model.data] == [False, True]
    assert answer == model.model_dump(mode="json")


async def test_a_list_leaves_out_the_rejected_unless_asked_for(
    account: Account, database: Database, stream: UUID
) -> None:
    await new_highlight(database, account.tenant_id, stream, peak=10.0)
    await new_highlight(
        database, account.tenant_id, stream, peak=20.0, status=DecisionStatus.REJECTED
    )
    assert await peaks(account) == [10.0]
    assert await peaks(account, status="rejected") == [20.0]


async def test_a_list_is_filtered_and_sorted(
    account: Account, database: Database, stream: UUID
) -> None:
    await new_highlight(database, account.tenant_id, stream, peak=10.0, score=0.7, tags=("save",))
    await new_highlight(database, account.tenant_id, stream, peak=20.0, score=0.9)
    assert await peaks(account, sort="-score", stream_id=stream) == [20.0, 10.0]
    assert await peaks(account, sort="peak", peak_from=5, peak_to=15) == [10.0]
    assert await peaks(account, tag="save") == [10.0]
    assert await peaks(account, min_score=0.8, game="soccer") == [20.0]
    assert await peaks(account, game="chess") == []
    assert await peaks(account, text="roar save") == [10.0]
    assert await peaks(account, max_score=0.8) == [10.0]
    assert await peaks(account, min_rarity=0.8, min_game_impact=0.9) == []
    assert await peaks(account, created_from="2150-01-01T00:00:00Z") == []
    assert await peaks(account, happened_to="2026-01-02T03:04:05Z") == []


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "peak", "-score"])
async def test_pages_follow_each_other(
    account: Account, database: Database, stream: UUID, sort: str
) -> None:
    made = [float(peak) for peak in range(10, 15)]
    for peak in made:
        await new_highlight(database, account.tenant_id, stream, peak=peak)
    seen: list[float] = []
    params = {"sort": sort, "limit": "2"}
    while True:
        page = (await account.http.get("/v1/highlights/list", params=params)).json()
        seen += [each["peak"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert sorted(seen) == made


async def test_a_cursor_of_another_order_is_refused(
    account: Account, database: Database, stream: UUID
) -> None:
    for peak in (10.0, 20.0):
        await new_highlight(database, account.tenant_id, stream, peak=peak)
    page = await account.http.get("/v1/highlights/list", params={"limit": 1, "sort": "peak"})
    response = await account.http.get(
        "/v1/highlights/list", params={"cursor": page.json()["next_cursor"], "sort": "-score"}
    )
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")
