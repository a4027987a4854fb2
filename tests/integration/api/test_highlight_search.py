"""Highlights found by words over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain.highlights.selection import DecisionStatus
from domain.text import Language
from infra.db.engine import Database
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account, NewAccount

PATH = "/v1/highlights/search"


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    return await new_stream(database, account.tenant_id, game="soccer")


async def search(account: Account, q: str, **params: object) -> Any:  # noqa: ANN401
    sent = {"q": q} | {key: str(value) for key, value in params.items()}
    response = await account.http.get(PATH, params=sent)
    assert response.status_code == 200, response.text
    return response.json()


async def titles(account: Account, q: str, **params: object) -> list[str]:
    found = await search(account, q, **params)
    return [each["highlight"]["title"] for each in found["data"]]


async def code(account: Account, **params: str) -> tuple[int, str]:
    response = await account.http.get(PATH, params=params)
    return response.status_code, response.json()["code"]


async def add(account: Account, database: Database, stream: UUID, *titles: str) -> None:
    for number, title in enumerate(titles):
        await new_highlight(
            database,
            account.tenant_id,
            stream,
            peak=60.0 + 100 * number,
            title=title,
            description="",
            tags=(),
        )


async def test_words_phrases_alternatives_and_exclusions(
    account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, "Late winner", "Winner came late", "Own goal", "Save")
    assert set(await titles(account, "winner late")) == {"Late winner", "Winner came late"}
    assert await titles(account, '"late winner"') == ["Late winner"]
    assert await titles(account, "late -came") == ["Late winner"]
    assert set(await titles(account, "goal or save")) == {"Own goal", "Save"}
    assert set(await titles(account, "goal or late winner -came")) == {"Own goal", "Late winner"}
    assert await titles(account, "offside") == []


async def test_tags_game_and_reasons_count_too(
    account: Account, database: Database, stream: UUID
) -> None:
    await new_highlight(database, account.tenant_id, stream, title="X", tags=("corner_kick",))
    for q in ("corner", "kick corner", "soccer", "over", "crowd rises"):
        assert await titles(account, q) == ["X"], q
    assert await titles(account, "0.7") == []  # of a reason's numbers nobody thinks


async def test_what_is_said_over_a_moment_finds_it(
    account: Account, database: Database, stream: UUID
) -> None:
    await new_highlight(
        database, account.tenant_id, stream, title="X", commentary="Off the underside of the bar"
    )
    assert await titles(account, '"underside of the bar"') == ["X"]
    (found,) = (await search(account, "underside"))["data"]
    assert found["matches"] == [
        {
            "field": "commentary",
            "pieces": [
                {"text": "Off the ", "match": False},
                {"text": "underside", "match": True},
                {"text": " of the bar", "match": False},
            ],
        }
    ]
    assert found["highlight"]["title"] == "X"


async def test_the_title_weighs_most_and_then_the_score(
    account: Account, database: Database, stream: UUID
) -> None:
    makes = [("In words", "A penalty.", 0.9), ("Penalty", "", 0.7), ("Penalty", "", 0.8)]
    for number, (title, description, score) in enumerate(makes):
        await new_highlight(
            database,
            account.tenant_id,
            stream,
            peak=100.0 * (number + 1),
            title=title,
            description=description,
            score=score,
            tags=(),
        )
    found = (await search(account, "penalty"))["data"]
    assert [each["highlight"]["peak"] for each in found] == [300.0, 200.0, 100.0]
    relevance = [each["relevance"] for each in found]
    assert relevance == sorted(relevance, reverse=True)
    assert all(0 < each < 1 for each in relevance)


async def test_matches_are_returned_as_fragments_of_plain_text(
    account: Account, database: Database, stream: UUID
) -> None:
    await new_highlight(
        database,
        account.tenant_id,
        stream,
        title="<b>Goal</b> \ue000by\ue001 seven",
        description="No word of it.",
        tags=("goal", "late_goal", "save"),
    )
    ((found,), corrections) = map((await search(account, "goal")).get, ("data", "corrections"))
    assert corrections == []
    assert found["matches"] == [
        {
            "field": "title",
            "pieces": [
                {"text": "<b>", "match": False},
                {"text": "Goal", "match": True},
                {"text": "</b> by seven", "match": False},
            ],
        },
        {"field": "tags", "pieces": [{"text": "goal", "match": True}]},
        {
            "field": "tags",
            "pieces": [{"text": "late_", "match": False}, {"text": "goal", "match": True}],
        },
    ]


async def test_a_slip_finds_the_nearest_word_and_says_so(
    account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, "Penalty saved", "Corner")
    found = await search(account, "penlaty savd")
    assert [each["highlight"]["title"] for each in found["data"]] == ["Penalty saved"]
    assert found["corrections"] == [
        {"word": "penlaty", "instead": ["penalty"]},
        {"word": "savd", "instead": ["saved"]},
    ]
    assert found["data"][0]["matches"][0]["pieces"][0] == {"text": "Penalty", "match": True}


async def test_another_tenants_words_correct_nothing(
    account: Account, other_account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, "Penalty saved")
    assert await search(other_account, "penlaty") == {
        "data": [],
        "next_cursor": None,
        "corrections": [],
    }
    assert await titles(other_account, "penalty") == []


@pytest.mark.parametrize(
    ("language", "title", "q"),
    [
        (Language.ENGLISH, "Saved by the goalkeeper", "saving goalkeepers"),
        (Language.ENGLISH, "Goals galore", "the goal"),
        (Language.GERMAN, "Zwei Tore in der Nachspielzeit", "tor"),
        (Language.SPANISH, "Goles en el descuento", "gol"),
    ],
)
async def test_words_count_in_all_forms_of_the_streams_language(
    account: Account, database: Database, language: Language, title: str, q: str
) -> None:
    spoken = await new_stream(database, account.tenant_id, language=language)
    await add(account, database, spoken, title)
    (found,) = (await search(account, q))["data"]
    assert found["highlight"]["title"] == title
    assert any(piece["match"] for piece in found["matches"][0]["pieces"])


async def test_an_exclusion_holds_in_every_language(account: Account, database: Database) -> None:
    for language, title in ((Language.ENGLISH, "Penalties"), (Language.GERMAN, "Tor, Penalties")):
        spoken = await new_stream(database, account.tenant_id, language=language)
        await add(account, database, spoken, title)
    assert await titles(account, "tor -penalties") == []
    assert len(await titles(account, "penalties")) == 2


async def test_without_a_language_words_count_as_they_are_written(
    account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, "Goalkeepers")
    assert await titles(account, "GOALKEEPERS") == ["Goalkeepers"]
    assert await titles(account, "goalkeeping") == []


async def test_a_search_is_filtered_as_the_list_is(
    account: Account, database: Database, stream: UUID
) -> None:
    other = await new_stream(database, account.tenant_id)
    await new_highlight(database, account.tenant_id, stream, title="Kept", score=0.7)
    await new_highlight(database, account.tenant_id, other, title="Other", tags=("save",))
    await new_highlight(
        database,
        account.tenant_id,
        stream,
        peak=500.0,
        title="Rejected",
        status=DecisionStatus.REJECTED,
    )
    assert set(await titles(account, "crowd")) == {"Kept", "Other"}
    assert await titles(account, "crowd", stream_id=stream) == ["Kept"]
    assert await titles(account, "crowd", game="soccer") == ["Kept"]
    assert await titles(account, "crowd", tag="save") == ["Other"]
    assert await titles(account, "crowd", min_score=0.75) == ["Other"]
    assert await titles(account, "crowd", status="rejected") == ["Rejected"]
    assert await titles(account, "crowd", peak_to=10) == []


async def test_a_changed_highlight_is_found_by_what_it_says_now(
    account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, "Goal")
    await add(account, database, stream, "Disallowed")  # the same moment, told again
    assert await titles(account, "goal") == []
    assert await titles(account, "disallowed") == ["Disallowed"]


async def test_pages_follow_each_other_in_one_order(
    account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, *["Goal"] * 3, "Goal, goal", "A goal by a full-back")
    whole = (await search(account, "goal"))["data"]
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await search(account, "goal", limit=2, **cursor)
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    identities = [each["highlight"]["id"] for each in whole]
    assert [each["highlight"]["id"] for each in seen] == identities
    assert len(identities) == 5


async def test_a_cursor_of_another_query_is_refused(
    account: Account, database: Database, stream: UUID
) -> None:
    await add(account, database, stream, "Goal one", "Goal two")
    cursor = (await search(account, "goal", limit=1))["next_cursor"]
    assert await code(account, q="one", cursor=cursor) == (400, "invalid_cursor")
    listed = (await account.http.get("/v1/highlights/list", params={"limit": 1})).json()
    assert await code(account, q="goal", cursor=listed["next_cursor"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("q", ["-goal", "!!!", '""', "goal or -save"])
async def test_a_query_without_a_word_to_look_for_says_so(account: Account, q: str) -> None:
    assert await code(account, q=q) == (400, "nothing_to_search_for")


@pytest.mark.parametrize(
    "q",
    ["'", "a:*", "a & | b", "'a' <-> !!b", "\\", "a\\'b", "(((", "x" * 200, "goal -", "日本 語"],
)
async def test_whatever_is_typed_is_text(account: Account, q: str) -> None:
    response = await account.http.get(PATH, params={"q": q})
    assert response.status_code in {200, 400}
    if response.status_code == 400:
        assert response.json()["code"] == "nothing_to_search_for"


async def test_a_query_is_bounded(account: Account) -> None:
    assert await code(account) == (422, "invalid_request")
    assert await code(account, q="x" * 201) == (422, "invalid_request")


async def test_a_key_that_may_not_read_may_not_search(new_account: NewAccount) -> None:
    response = await (await new_account()).http.get(
        PATH, params={"q": "goal"}, headers={"Authorization": "Bearer nothing"}
    )
    assert response.status_code == 401


async def test_what_is_found_has_its_clip(
    account: Account, database: Database, stream: UUID
) -> None:
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    (found,) = (await search(account, "roar"))["data"]
    assert found["highlight"]["clip"]["id"] == str(clip)
