"""Titles in languages, criteria and moderation, from the request to everything that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from activities.selection import SelectionActivities
from app.services.exports import about_highlight
from domain.analysis.screen import MatchState
from domain.exports.models import LowerThird
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import SelectHighlightsInput, SelectionState
from domain.score import DIMENSIONS, HighlightScore
from infra.db.engine import Database
from infra.db.repositories import highlights
from infra.db.tables import EventRow
from infra.profiles.store import ProfileStore
from tests.factories.rows import candidate
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem

URL = "https://cdn.example.com/live/master.m3u8"
LANGUAGES = ["en", "es", "ar", "zh", "sw"]


async def start(account: Account, **wishes: object) -> dict[str, Any]:
    body = {"url": URL, "game": "soccer", **wishes}
    response = await account.http.post("/v1/streams/analyze", json=body)
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def decide(
    database: Database, account: Account, stream: dict[str, Any], *tags: Sequence[str]
) -> None:
    """Select one moment with each of these tags, a minute apart, as the stream's workflow does."""
    score = HighlightScore(**dict.fromkeys(DIMENSIONS, 0.9), confidence=0.9)
    state = MatchState(score_before=(2, 1), score_after=(2, 1), clock="62:10")
    moments = [
        HighlightCandidate.model_validate(
            candidate(account.tenant_id, UUID(stream["id"]), peak=60.0 * number).model_dump()
            | {"score": score, "tags": tuple(each), "title": "", "description": "", "state": state}
        )
        for number, each in enumerate(tags, 1)
    ]
    selection = SelectionActivities(database=database, profiles=ProfileStore())
    await selection.select_highlights(
        SelectHighlightsInput(
            tenant_id=account.tenant_id,
            stream_id=UUID(stream["id"]),
            profile_id=stream["profile"]["id"],
            profile_version=stream["profile"]["version"],
            state=SelectionState(),
            candidates=tuple(moments),
            watermark=900.0,
            ended=True,
        )
    )


async def listed(account: Account) -> list[dict[str, Any]]:
    response = await account.http.get("/v1/highlights/list", params={"sort": "peak"})
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def found(account: Account, q: str) -> int:
    response = await account.http.get("/v1/highlights/search", params={"q": q})
    assert response.status_code == 200, response.text
    return len(response.json()["data"])


@pytest.fixture
async def titled(account: Account, database: Database) -> dict[str, Any]:
    """A stream in five languages, with a goal."""
    stream = await start(account, languages=LANGUAGES)
    await decide(database, account, stream, ("loud_crowd", "goal"))
    return stream


async def test_a_highlight_has_a_title_in_each_language(
    account: Account, titled: dict[str, Any]
) -> None:
    assert titled["languages"] == LANGUAGES
    (highlight,) = await listed(account)
    assert [(each["requested"], each["title"]) for each in highlight["titles"]] == [
        ("en", "Goal, 2-1, 63'"),
        ("es", "Gol, 2-1, 63'"),
        ("ar", "هدف، 2-1، 63'"),
        ("zh", "进球\uff0c2-1\uff0c63'"),
        ("sw", "Goal, 2-1, 63'"),
    ]
    assert highlight["titles"][4]["language"] == "en"
    assert highlight["titles"][1]["source"] == "template"
    assert highlight["titles"][1]["tags"] == ["Gol"]
    assert highlight["moderation"]["titles"]["status"] == "clear"
    assert highlight["moderation"]["pictures"]["status"] == "unknown"


@pytest.mark.parametrize("q", ["goals", "gol", "goles", "هدف", "进球", "球", "2-1"])
async def test_search_finds_the_titles_of_each_language(
    account: Account, titled: dict[str, Any], q: str
) -> None:
    assert titled["id"]
    assert await found(account, q) == 1


async def test_search_does_not_find_other_words(account: Account, titled: dict[str, Any]) -> None:
    assert titled["id"]
    assert await found(account, "红牌") == 0


async def test_an_event_carries_the_titles(
    account: Account, titled: dict[str, Any], database: Database
) -> None:
    async with database.session(account.tenant_id) as session:
        payloads = await session.scalars(
            select(EventRow.data).where(
                EventRow.tenant_id == account.tenant_id, EventRow.type == "highlight.confirmed"
            )
        )
        (payload,) = payloads
    assert [each["requested"] for each in payload["titles"]] == titled["languages"]
    assert payload["moderation"]["captions"]["status"] == "absent"


async def test_chapters_are_in_the_language_asked_for(
    account: Account, titled: dict[str, Any]
) -> None:
    path = f"/v1/streams/{titled['id']}/chapters"
    spanish = (await account.http.get(path, params={"language": "es"})).json()["data"]
    assert [each["title"] for each in spanish if each["kind"] == "highlight"] == ["Gol, 2-1, 63'"]
    german = (await account.http.get(path, params={"language": "de"})).json()["data"]
    assert [each["title"] for each in german if each["kind"] == "highlight"] == ["Goal at 1:00"]


async def test_a_lower_third_is_in_the_language_asked_for(
    account: Account, titled: dict[str, Any], database: Database
) -> None:
    assert titled["id"]
    (highlight,) = await listed(account)
    async with database.session(account.tenant_id) as session:
        about = await highlights.get(
            session, tenant_id=account.tenant_id, highlight_id=UUID(highlight["id"])
        )
    assert about is not None
    lower = about_highlight(LowerThird(language="ar"), about)
    assert (lower.title, lower.score, lower.tags) == ("هدف، 2-1، 63'", "2-1", ("هدف",))


async def test_a_tenants_profile_sets_the_languages_of_all_streams(account: Account) -> None:
    response = await account.http.put(
        "/v1/profiles/default/override", json={"languages": ["fr", "ja"]}
    )
    assert response.status_code in {200, 201}, response.text
    assert (await start(account))["languages"] == ["fr", "ja"]
    assert (await start(account, languages=[]))["languages"] == []
    assert (await start(account, languages=["es", "ES"]))["languages"] == ["es"]


async def test_criteria_are_answered_and_obeyed(account: Account, database: Database) -> None:
    stream = await start(account, criteria="goals and cards, no replays, more cowbell")
    assert stream["criteria"] == {
        "text": "goals and cards, no replays, more cowbell",
        "understood": {"include": ["goal", "red_card", "yellow_card"], "exclude": ["replay"]},
        "not_understood": ["more cowbell"],
    }
    await decide(database, account, stream, ("goal",), ("save",), ("red_card",))
    assert [each["tags"] for each in await listed(account)] == [["goal"], ["red_card"]]
    rejected = await account.http.get("/v1/highlights/list", params={"status": "rejected"})
    (hidden,) = rejected.json()["data"]
    assert "criteria_not_met" in [each["code"] for each in hidden["reasons"]]
    read = await account.http.get(f"/v1/streams/{stream['id']}")
    assert read.json()["criteria"] == stream["criteria"]


async def test_a_recording_takes_both_too(account: Account) -> None:
    body = {"url": "https://cdn.example.com/final.mp4", "game": "soccer", "criteria": "no fouls"}
    made = await account.http.post("/v1/recordings", json=body | {"languages": ["pt-br"]})
    assert made.status_code == 201, made.text
    assert made.json()["languages"] == ["pt-BR"]
    assert made.json()["criteria"]["understood"]["exclude"] == ["foul"]
    sent = await account.http.post(
        "/v1/recordings/upload",
        params={"game": "soccer", "languages": ["es", "de"], "criteria": "goals"},
        content=b"film",
        headers={"Content-Type": "application/octet-stream"},
    )
    assert sent.json()["languages"] == ["es", "de"]
    assert sent.json()["criteria"]["understood"]["include"] == ["goal"]


@pytest.mark.parametrize(
    ("wishes", "pointer"),
    [
        ({"languages": ["english"]}, "/languages/0"),
        ({"languages": ["en"] * 9}, "/languages"),
        ({"criteria": " "}, "/criteria"),
        ({"criteria": "g" * 501}, "/criteria"),
    ],
)
async def test_wishes_that_make_no_sense_are_pointed_at(
    account: Account, wishes: dict[str, Any], pointer: str
) -> None:
    response = await account.http.post("/v1/streams/analyze", json={"url": URL, **wishes})
    problem = assert_problem(response, 422, "invalid_request")
    assert problem["errors"][0]["pointer"] == pointer
