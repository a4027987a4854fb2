"""Game profiles over the API: read, overridden, matched, and pinned by streams."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest

from activities.selection import SelectionActivities
from api.errors.problems import MEDIA_TYPE
from domain.highlights.selection import SelectHighlightsInput, SelectionState
from domain.score import DIMENSIONS, HighlightScore
from domain.streams.status import StreamStatus
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import highlights, profiles, streams
from infra.db.repositories.profiles import ProfileOverrides
from infra.profiles.store import ProfileStore
from tests.factories.rows import candidate, decision, new_stream
from tests.integration.api.conftest import Account, NewAccount

SOCCER = "/v1/profiles/soccer"
OVERRIDE = f"{SOCCER}/override"
PATCH = {"selection": {"per_window": 3}}
OWN = {"extends": "default", "name": "Street curling", "kind": "sport"}
URL = "https://cdn.example.com/live/master.m3u8"


async def put(
    account: Account, patch: object, *, etag: str | None = None, path: str = OVERRIDE
) -> httpx.Response:
    return await account.http.put(path, json=patch, headers={"If-Match": etag} if etag else {})


async def profile(account: Account, profile_id: str = "soccer") -> dict[str, Any]:
    response = await account.http.get(f"/v1/profiles/{profile_id}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["profile"]
    return found


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == MEDIA_TYPE
    found: dict[str, Any] = response.json()
    return found


async def test_all_shipped_profiles_are_listed(account: Account) -> None:
    listed = (await account.http.get("/v1/profiles")).json()["data"]
    soccer = next(each for each in listed if each["id"] == "soccer")
    assert len(listed) > 20
    assert soccer["version"] == (await profile(account))["version"]
    assert (soccer["kind"], soccer["overridden"], soccer["shipped"]) == ("sport", False, True)


async def test_a_profile_is_shown_complete(account: Account) -> None:
    found = await profile(account)
    assert set(found["weights"]) == set(DIMENSIONS)
    assert found["thresholds"]["exceptional"] > found["thresholds"]["standard"]
    assert found["selection"]["min_spacing"] == 30.0
    assert found["tags"]
    assert found["moments"]


async def test_an_override_changes_the_profile_and_what_extends_it(account: Account) -> None:
    before = await profile(account)
    response = await put(account, PATCH)
    assert (response.status_code, response.headers["ETag"]) == (201, '"1"')
    after = await profile(account)
    assert after["selection"] == before["selection"] | {"per_window": 3}
    assert after["version"] != before["version"]
    assert after["weights"] == before["weights"]
    assert (await profile(account, "soccer_betting"))["selection"]["per_window"] == 3
    listed = (await account.http.get("/v1/profiles")).json()["data"]
    assert [each["id"] for each in listed if each["overridden"]] == ["soccer"]


async def test_a_later_override_replaces_the_former_and_both_are_in_the_history(
    account: Account,
) -> None:
    first = await put(account, PATCH)
    second = await put(account, {"clip": {"pre_roll": 1.0}}, etag=first.headers["ETag"])
    assert (second.status_code, second.headers["ETag"]) == (200, '"2"')
    found = await profile(account)
    assert found["clip"]["pre_roll"] == 1.0
    assert found["selection"]["per_window"] != PATCH["selection"]["per_window"]
    read = await account.http.get(OVERRIDE)
    assert read.headers["ETag"] == '"2"'
    assert (read.json()["patch"], read.json()["problems"]) == ({"clip": {"pre_roll": 1.0}}, [])
    history = (await account.http.get(f"{OVERRIDE}/history")).json()["data"]
    assert [(each["revision"], each["patch"]) for each in history] == [
        (2, {"clip": {"pre_roll": 1.0}}),
        (1, PATCH),
    ]
    assert history[0]["created_by"] is not None
    older = await account.http.get(f"{OVERRIDE}/history", params={"before": 2})
    assert [each["revision"] for each in older.json()["data"]] == [1]


async def test_a_deleted_override_gives_the_shipped_rules_back(account: Account) -> None:
    before = await profile(account)
    await put(account, PATCH)
    response = await account.http.delete(OVERRIDE, headers={"If-Match": '"1"'})
    assert (response.status_code, response.content) == (204, b"")
    assert await profile(account) == before
    assert problem(await account.http.get(OVERRIDE), 404)["code"] == "override_not_found"
    again = await account.http.delete(OVERRIDE, headers={"If-Match": '"1"'})
    assert problem(again, 404)["code"] == "override_not_found"
    assert (await put(account, PATCH)).headers["ETag"] == '"3"'
    history = (await account.http.get(f"{OVERRIDE}/history")).json()["data"]
    assert [each["patch"] for each in history] == [PATCH, {}, PATCH]


async def test_a_profile_of_ones_own_is_listed_found_by_name_and_taken_away(
    account: Account,
) -> None:
    path = "/v1/profiles/street_curling/override"
    assert (await put(account, OWN, path=path)).status_code == 201
    listed = (await account.http.get("/v1/profiles")).json()["data"]
    assert [each["id"] for each in listed if not each["shipped"]] == ["street_curling"]
    match = await account.http.post("/v1/profiles/match", json={"text": "Street Curling"})
    assert match.json()["profile_id"] == "street_curling"
    await account.http.delete(path, headers={"If-Match": "*"})
    gone = await account.http.get("/v1/profiles/street_curling")
    assert problem(gone, 404)["code"] == "profile_not_found"


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_no_change_is_lost_to_one_who_had_not_seen_it(account: Account, method: str) -> None:
    await put(account, PATCH)
    await put(account, PATCH, etag='"1"')

    async def change(headers: dict[str, str]) -> httpx.Response:
        body = {"name": "Mine"} if method == "PUT" else None
        return await account.http.request(method, OVERRIDE, json=body, headers=headers)

    assert problem(await change({}), 428)["code"] == "precondition_required"
    assert problem(await change({"If-Match": '"1"'}), 412)["code"] == "precondition_failed"
    assert (await account.http.get(OVERRIDE)).json()["revision"] == 2


async def test_a_state_that_was_seen_and_is_gone_is_not_made_anew(account: Account) -> None:
    response = await put(account, PATCH, etag='"1"')
    assert problem(response, 412)["code"] == "precondition_failed"


async def test_of_changes_made_at_once_one_is_kept(account: Account) -> None:
    responses = await asyncio.gather(*(put(account, {"name": name}) for name in "ABC"))
    codes = sorted(response.status_code for response in responses)
    assert codes == [201, 428, 428]
    assert (await account.http.get(OVERRIDE)).json()["revision"] == 1


@pytest.mark.parametrize(
    ("patch", "pointer", "words"),
    [
        (
            {"selection": {"per_windw": 3}},
            "/selection/per_windw",
            "unknown key `per_windw`; did you mean `per_window`?",
        ),
        ({"weights": {"rarity": 0.9}}, "/weights", "weights must sum to 1"),
        ({"thresholds": {"standard": 0.99}}, "/thresholds", "thresholds must rise"),
        ({"clip": {"pre_roll": "2"}}, "/clip/pre_roll", "number"),
        ({"extends": "no_such"}, "/extends", "there is no profile `no_such`"),
        ({"id": "tennis"}, "/id", "is not written but derived"),
        ({"name": "a\u0007b"}, "/name", "control characters"),
        ({}, "", "changes nothing"),
    ],
)
async def test_a_wrong_override_is_refused_with_the_place_of_the_mistake(
    account: Account, patch: dict[str, Any], pointer: str, words: str
) -> None:
    found = problem(await put(account, patch), 422)
    assert found["code"] == "invalid_profile"
    assert found["errors"][0]["pointer"] == pointer
    assert words in found["errors"][0]["detail"]
    assert (await account.http.get(OVERRIDE)).status_code == 404


async def test_a_mistake_that_shows_elsewhere_names_the_profile(account: Account) -> None:
    await put(account, OWN | {"name": "House"}, path="/v1/profiles/house/override")
    await put(account, OWN | {"extends": "house"}, path="/v1/profiles/heir/override")
    response = await account.http.delete("/v1/profiles/house/override", headers={"If-Match": '"1"'})
    (error,) = problem(response, 422)["errors"]
    assert error["pointer"] == ""
    assert error["detail"].startswith("override heir revision 1: extends: there is no profile")


@pytest.mark.parametrize(
    "body", ["[]", '"text"', "3", "null", '{"a":' * 3000 + "1" + "}" * 3000, '{"weights": NaN}']
)
async def test_a_body_that_is_no_patch_is_refused(account: Account, body: str) -> None:
    response = await account.http.put(
        OVERRIDE, content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code in {400, 422}
    assert response.headers["Content-Type"] == MEDIA_TYPE


async def test_an_id_that_none_can_have_is_refused(account: Account) -> None:
    for wrong in ("Soccer", "1up", "a" * 65):
        found = problem(await account.http.get(f"/v1/profiles/{wrong}"), 422)
        assert found["code"] == "invalid_request"


async def test_changes_need_an_administrators_key(new_account: NewAccount) -> None:
    reader, writer = await new_account(Scope.READ), await new_account(Scope.WRITE, Scope.READ)
    for account in (reader, writer):
        assert problem(await put(account, PATCH), 403)["code"] == "missing_scope"
        deleted = await account.http.delete(OVERRIDE, headers={"If-Match": '"1"'})
        assert problem(deleted, 403)["code"] == "missing_scope"
        assert (await account.http.get(SOCCER)).status_code == 200
        match = await account.http.post("/v1/profiles/match", json={"text": "soccer"})
        assert match.status_code == 200


async def test_another_tenant_sees_and_changes_nothing_of_it(
    account: Account, other_account: Account
) -> None:
    shipped = await profile(account)
    own = "/v1/profiles/secret_game/override"
    await put(other_account, PATCH)
    await put(other_account, OWN, path=own)
    assert await profile(account) == shipped
    for path in (OVERRIDE, f"{OVERRIDE}/history", own, f"{own}/history"):
        assert problem(await account.http.get(path), 404)["code"] == "override_not_found"
        assert (await other_account.http.get(path)).status_code == 200
    assert problem(await account.http.get("/v1/profiles/secret_game"), 404)
    deleted = await account.http.delete(own, headers={"If-Match": '"1"'})
    assert problem(deleted, 404)["code"] == "override_not_found"
    assert (await put(account, OWN, path=own)).headers["ETag"] == '"1"'
    assert (await other_account.http.get(own)).json()["revision"] == 1
    match = await account.http.post("/v1/profiles/match", json={"text": "secret game"})
    assert match.json()["profile_id"] == "secret_game"


async def test_a_dry_run_says_what_is_found_how_surely_and_why(account: Account) -> None:
    found = await account.http.post("/v1/profiles/match", json={"text": "Premier Leage"})
    match = found.json()
    assert (match["profile_id"], match["fallback"]) == ("soccer", False)
    assert 0.78 < match["score"] < 1.0
    assert "premier league" in match["reason"]
    unclear = (await account.http.post("/v1/profiles/match", json={"text": "qwertz"})).json()
    assert (unclear["profile_id"], unclear["fallback"]) == ("default", True)
    assert unclear["reason"]


async def test_a_stream_pins_the_tenants_rules_and_says_why_these(
    account: Account, database: Database
) -> None:
    await put(account, PATCH)
    body = {"url": URL, "game": "Premier League", "title": "Cup final"}
    started = (await account.http.post("/v1/streams/analyze", json=body)).json()
    pinned = await profile(account)
    assert started["profile"] == {"id": "soccer", "version": pinned["version"]}
    assert (started["profile_match"]["query"], started["profile_match"]["score"]) == (
        "Premier League",
        1.0,
    )
    read = (await account.http.get(f"/v1/streams/{started['id']}")).json()
    assert read["profile_match"] == started["profile_match"]

    await put(account, {"selection": {"per_window": 9}}, etag='"1"')
    later = (await account.http.post("/v1/streams/analyze", json=body)).json()
    assert later["profile"]["version"] != started["profile"]["version"]
    async with database.session(account.tenant_id) as session:
        for stream, limit in ((started, 3), (later, 9)):
            kept = await profiles.pinned(
                session,
                tenant_id=account.tenant_id,
                profile_id="soccer",
                version=stream["profile"]["version"],
            )
            assert kept is not None
            assert kept.selection.per_window == limit


async def test_a_stream_of_an_unknown_game_says_that_it_fell_back(account: Account) -> None:
    body = {"url": URL, "game": "qwertz"}
    started = (await account.http.post("/v1/streams/analyze", json=body)).json()
    assert started["profile"]["id"] == "default"
    assert started["profile_match"]["fallback"] is True
    assert started["profile_match"]["reason"]


async def test_an_override_that_a_release_made_wrong_stops_no_stream(
    account: Account, database: Database
) -> None:
    await put(account, PATCH)
    async with database.session(account.tenant_id) as session:
        stored = ProfileOverrides(session)
        (valid,) = await stored.current(account.tenant_id)
        await stored.append(
            valid.model_copy(update={"revision": 2, "patch": {"no_longer_a_key": 1}})
        )
    body = {"url": URL, "game": "soccer"}
    started = await account.http.post("/v1/streams/analyze", json=body)
    assert started.status_code == 201
    (note,) = started.json()["profile_match"]["notes"]
    assert "the override of `soccer` was left out" in note
    read = (await account.http.get(OVERRIDE)).json()
    assert "unknown key `no_longer_a_key`" in read["problems"][0]
    assert (await account.http.get(SOCCER)).json()["overridden"] is False
    assert (await put(account, PATCH, etag='"2"')).status_code == 200
    assert (await profile(account))["selection"]["per_window"] == 3


async def test_a_highlight_is_explained_by_the_rules_that_its_stream_started_with(
    account: Account, database: Database
) -> None:
    await put(account, {"name": "House soccer", "aliases": {"names": ["house soccer"]}})
    body = {"url": URL, "game": "house soccer"}
    stream = (await account.http.post("/v1/streams/analyze", json=body)).json()
    identity = await record_highlight(database, account, stream)
    await put(account, {"name": "Later name"}, etag='"1"')
    found = (await account.http.get(f"/v1/highlights/{identity}")).json()
    lines = found["explanation"]
    assert lines[0] == "“Crowd roar” at 1:00 is a highlight, for good."
    assert "over 0.7" in lines
    assert any("by profile House soccer (standard), from local, 90% sure" in x for x in lines)
    assert "Corrected: the end lay before the start." in lines
    listed = (await account.http.get("/v1/highlights/list")).json()["data"]
    assert "explanation" not in listed[0]


async def record_highlight(database: Database, account: Account, stream: dict[str, Any]) -> UUID:
    about = candidate(account.tenant_id, UUID(stream["id"])).model_copy(
        update={"corrections": ("the end lay before the start",)}
    )
    async with database.session(account.tenant_id) as session:
        kept = await profiles.pinned(
            session,
            tenant_id=account.tenant_id,
            profile_id=stream["profile"]["id"],
            version=stream["profile"]["version"],
        )
        assert kept is not None
        await highlights.record_decisions(
            session,
            tenant_id=account.tenant_id,
            stream_id=UUID(stream["id"]),
            profile=kept,
            candidates=[about],
            decisions=[decision(about)],
        )
    return about.id


PREVIEW = f"{OVERRIDE}/preview"


async def preview(account: Account, **body: object) -> httpx.Response:
    return await account.http.post(PREVIEW, json=body)


async def decided_stream(account: Account, database: Database, *values: float) -> UUID:
    """A stream of soccer that has ended, with one candidate a window, decided by its rules."""
    stream = await new_stream(database, account.tenant_id, game="soccer")
    shipped = ProfileStore()
    proposed = [
        candidate(account.tenant_id, stream, peak=100.0 + 400.0 * number).replace(
            score=HighlightScore(**dict.fromkeys(DIMENSIONS, value), confidence=0.9)
        )
        for number, value in enumerate(values)
    ]
    await SelectionActivities(database=database, profiles=shipped).select_highlights(
        SelectHighlightsInput(
            tenant_id=account.tenant_id,
            stream_id=stream,
            profile_id="soccer",
            profile_version=shipped.catalog.get("soccer").version,
            state=SelectionState(),
            candidates=tuple(proposed),
            watermark=5000.0,
            ended=True,
        )
    )
    async with database.session(account.tenant_id) as session:
        row = await streams.get(session, tenant_id=account.tenant_id, stream_id=stream)
        assert row is not None
        row.status, row.analyzed = StreamStatus.COMPLETED.value, 5000.0
    return stream


async def test_a_preview_shows_the_profile_and_stores_nothing(account: Account) -> None:
    before = await profile(account)
    shown = await preview(account, patch=PATCH)
    assert shown.status_code == 200, shown.text
    assert shown.json()["profile"]["selection"] == before["selection"] | PATCH["selection"]
    assert shown.json()["stream"] is None
    assert await profile(account) == before
    assert (await preview(account)).json()["profile"] == before


async def test_a_preview_points_to_what_is_wrong(account: Account) -> None:
    refused = problem(await preview(account, patch={"clip": {"pre_role": 1}}), 422)
    assert refused["code"] == "invalid_profile"
    assert refused["errors"] == [
        {
            "pointer": "/patch/clip/pre_role",
            "detail": "unknown key `pre_role`; did you mean `pre_roll`?",
        }
    ]


async def test_a_preview_of_a_stream_names_what_would_be_removed_and_added(
    account: Account, database: Database
) -> None:
    standard = (await profile(account))["thresholds"]["standard"]
    stream = await decided_stream(account, database, standard + 0.02, standard + 0.1, 0.3)
    shown = await preview(account, stream_id=str(stream))
    assert shown.status_code == 200, shown.text
    same = shown.json()["stream"]
    assert (same["candidates"], same["highlights_before"], same["highlights_after"]) == (3, 2, 2)
    assert {each["change"] for each in same["highlights"]} == {"kept"}
    higher = {"thresholds": {"standard": round(standard + 0.05, 3)}}
    fewer = (await preview(account, patch=higher, stream_id=str(stream))).json()["stream"]
    assert [each["change"] for each in fewer["highlights"]] == ["removed", "kept"]
    assert fewer["highlights"][0]["new_reasons"][0]["code"] == "threshold"
    lower = {"thresholds": {"standard": 0.2}}
    more = (await preview(account, patch=lower, stream_id=str(stream))).json()["stream"]
    assert [each["change"] for each in more["highlights"]] == ["kept", "kept", "added"]
    assert more["highlights_after"] == 3


async def test_a_preview_of_an_unknown_profile_or_another_tenants_stream_is_not_found(
    account: Account, other_account: Account, database: Database
) -> None:
    unknown = await account.http.post("/v1/profiles/chess_boxing/override/preview", json={})
    assert problem(unknown, 404)["code"] == "profile_not_found"
    stream = await new_stream(database, other_account.tenant_id)
    foreign = await preview(account, stream_id=str(stream))
    assert problem(foreign, 404)["code"] == "stream_not_found"
