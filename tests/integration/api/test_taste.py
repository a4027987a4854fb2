"""What a tenant's feedback teaches about its next highlights, over the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from activities.selection import SelectionActivities
from domain.highlights.selection import SelectHighlightsInput, SelectionState
from infra.db.engine import Database
from infra.db.repositories import highlights
from infra.profiles.store import ProfileStore
from tests.factories.rows import candidate, new_highlight, new_stream
from tests.integration.api.conftest import Account, NewAccount
from tests.integration.api.problems import assert_problem

TASTE = "/v1/profiles/default/taste"


async def taste(account: Account) -> dict[str, Any]:
    response = await account.http.get(TASTE)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def shown(account: Account, database: Database, *, count: int = 3) -> dict[str, list[UUID]]:
    """Highlights that were shown: goals, and as many fouls."""
    stream = await new_stream(database, account.tenant_id)
    found: dict[str, list[UUID]] = {"goal": [], "foul": []}
    for number in range(2 * count):
        tag = ("goal", "foul")[number % 2]
        found[tag].append(
            await new_highlight(
                database, account.tenant_id, stream, peak=60.0 * (number + 1), tags=(tag,)
            )
        )
    return found


async def give(account: Account, highlight: UUID, **body: object) -> None:
    response = await account.http.post(f"/v1/highlights/{highlight}/feedback", json=body)
    assert response.status_code == 200, response.text


async def like_goals(account: Account, database: Database) -> dict[str, list[UUID]]:
    """Give three likes to goals and three dislikes to fouls."""
    found = await shown(account, database)
    for tag, verdict in (("goal", "like"), ("foul", "dislike")):
        for highlight in found[tag]:
            await give(account, highlight, verdict=verdict)
    return found


async def next_score(account: Account, database: Database, tag: str) -> tuple[float, list[str]]:
    """The score and the words of a new moment with this tag, as selection records it."""
    stream = await new_stream(database, account.tenant_id)
    profiles = ProfileStore()
    proposed = candidate(account.tenant_id, stream, tags=(tag,))
    request = SelectHighlightsInput(
        tenant_id=account.tenant_id,
        stream_id=stream,
        profile_id="default",
        profile_version=profiles.catalog.get("default").version,
        state=SelectionState(),
        candidates=(proposed,),
        watermark=70.0,
        ended=True,
    )
    await SelectionActivities(database=database, profiles=profiles).select_highlights(request)
    async with database.session(account.tenant_id) as session:
        row = await highlights.get(session, tenant_id=account.tenant_id, highlight_id=proposed.id)
    assert row is not None
    return row.score, [each["words"] for each in row.evidence]


async def test_feedback_changes_the_scores_of_the_next_highlights_and_says_so(
    account: Account, database: Database
) -> None:
    assert (await taste(account))["version"] == 0
    await like_goals(account, database)
    learned = await taste(account)
    assert (learned["likes"], learned["dislikes"], learned["enabled"]) == (3, 3, True)
    weights = {each["name"]: each["weight"] for each in learned["traits"]}
    assert weights["tag.goal"] > 0.2 > -0.2 > weights["tag.foul"]
    goal, words = await next_score(account, database, "goal")
    assert goal > 0.82
    named = f"your feedback (version {learned['version']}) shifts the score by +"
    assert any(each.startswith(named) for each in words)
    foul, _ = await next_score(account, database, "foul")
    assert foul < 0.78


async def test_a_tenants_feedback_changes_nothing_for_another(
    account: Account, new_account: NewAccount, database: Database
) -> None:
    other = await new_account()
    await like_goals(account, database)
    assert (await taste(other))["version"] == 0
    assert (await next_score(other, database, "goal"))[0] == pytest.approx(0.8)


async def test_a_reset_restores_the_shared_scores_and_forgets_old_feedback(
    account: Account, database: Database
) -> None:
    before = await next_score(account, database, "goal")
    found = await like_goals(account, database)
    version = (await taste(account))["version"]
    assert (await account.http.delete(TASTE)).status_code == 204
    cleared = await taste(account)
    assert (cleared["version"], cleared["traits"], cleared["likes"]) == (version + 1, [], 0)
    assert await next_score(account, database, "goal") == before
    await give(account, found["goal"][0], verdict="dislike")
    relearned = await taste(account)
    assert (relearned["likes"], relearned["dislikes"]) == (0, 1)


async def test_a_withdrawn_verdict_is_forgotten(account: Account, database: Database) -> None:
    found = await shown(account, database, count=1)
    await give(account, found["goal"][0], verdict="like")
    assert (await taste(account))["likes"] == 1
    await give(account, found["goal"][0], note="no opinion after all")
    assert (await taste(account))["likes"] == 0


async def test_a_disabled_taste_changes_nothing_until_it_is_enabled(
    account: Account, database: Database
) -> None:
    await like_goals(account, database)
    learned = await taste(account)
    off = await account.http.patch(TASTE, json={"enabled": False})
    assert (off.status_code, off.json()["enabled"]) == (200, False)
    assert (await next_score(account, database, "goal"))[0] == pytest.approx(0.8)
    found = await shown(account, database, count=1)
    await give(account, found["foul"][0], verdict="dislike")
    assert (await taste(account))["dislikes"] == learned["dislikes"]
    on = (await account.http.patch(TASTE, json={"enabled": True})).json()
    assert on["dislikes"] == learned["dislikes"] + 1
    assert (await next_score(account, database, "goal"))[0] > 0.82


async def test_corrected_bounds_are_learned(account: Account, database: Database) -> None:
    found = await shown(account, database, count=2)
    for tag in found:
        for number, highlight in enumerate(found[tag]):
            peak = 60.0 * (2 * number + 1 + (tag == "foul"))
            bounds = {"start": peak - 9.0, "end": peak + 5.0}
            await give(account, highlight, correction=bounds)
    learned = await taste(account)
    assert (learned["corrections"], learned["starts_earlier"], learned["ends_later"]) == (4, 2, 0)
    _, words = await next_score(account, database, "goal")
    assert "starts 2.0 s earlier, by your corrections" in words


async def test_changes_of_a_taste_are_audited(account: Account) -> None:
    await account.http.patch(TASTE, json={"enabled": False})
    await account.http.delete(TASTE)
    listed = (await account.http.get("/v1/audit")).json()["data"]
    assert [each["action"] for each in listed[:2]] == [
        "profile_taste.reset",
        "profile_taste.disabled",
    ]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
async def test_there_is_no_taste_for_an_unknown_profile(account: Account, method: str) -> None:
    body = {"enabled": False} if method == "PATCH" else None
    response = await account.http.request(method, "/v1/profiles/quidditch/taste", json=body)
    assert_problem(response, 404, "profile_not_found")
