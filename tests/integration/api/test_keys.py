"""API keys over the API: made and shown once, rotated, bound to addresses, revoked."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from domain.tenants.keys import Scope
from infra import api_keys
from infra.db.engine import Database
from infra.db.repositories import api_keys as stored_keys
from tests.integration.api.conftest import Account, NewAccount
from tests.integration.api.problems import assert_problem

KEYS = "/v1/keys"
READER = {"name": "scoreboard", "scopes": ["read"]}
ADMIN = {"name": "second administrator", "scopes": ["admin"]}
HOUR = timedelta(hours=1)


async def create(account: Account, body: dict[str, Any] | None = None) -> dict[str, Any]:
    response = await account.http.post(KEYS, json=body or READER)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def own(account: Account) -> dict[str, Any]:
    """The key that the account's client uses."""
    keys = (await account.http.get(KEYS)).json()["data"]
    found: dict[str, Any] = next(each for each in keys if each["name"] == "test")
    return found


async def read(account: Account, made: dict[str, Any]) -> dict[str, Any]:
    response = await account.http.get(f"{KEYS}/{made['id']}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def status_of(account: Account, key: str, path: str = "/v1/streams") -> int:
    """What the API answers to a request with another key."""
    response = await account.http.get(path, headers={"Authorization": f"Bearer {key}"})
    return response.status_code


def later(by: timedelta) -> str:
    return (datetime.now(UTC) + by).isoformat()


async def test_a_new_key_is_shown_and_works(account: Account) -> None:
    response = await account.http.post(KEYS, json=READER)
    made = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"{KEYS}/{made['id']}"
    assert api_keys.parse(made["key"]) is not None
    assert made["key"].startswith("hl_live_")
    assert "not shown again" in made["notice"]
    assert await status_of(account, made["key"]) == 200
    assert await status_of(account, made["key"], KEYS) == 403


async def test_a_key_is_shown_once(account: Account, database: Database) -> None:
    made = await create(account)
    key = made.pop("key")
    made.pop("notice")
    found = await read(account, made)
    assert found == made
    listed = (await account.http.get(KEYS)).text
    assert key not in listed
    assert found["hint"] == f"hl_live_…{key[-4:]}"
    async with database.session(account.tenant_id) as session:
        (row,) = [
            each
            for each in await stored_keys.list_all(session, tenant_id=account.tenant_id)
            if str(each.id) == made["id"]
        ]
        assert key.encode() not in row.hash


async def test_all_that_a_key_can_be_given(account: Account) -> None:
    end = later(HOUR)
    made = await create(
        account,
        {
            "name": "scoreboard",
            "scopes": ["webhooks", "read", "read"],
            "mode": "test",
            "allowed_ips": ["127.0.0.1", "2001:db8::/32"],
            "expires_at": end,
        },
    )
    assert made["key"].startswith("hl_test_")
    assert (made["mode"], made["scopes"], made["status"]) == (
        "test",
        ["read", "webhooks"],
        "active",
    )
    assert made["allowed_ips"] == ["127.0.0.1/32", "2001:db8::/32"]
    assert datetime.fromisoformat(made["expires_at"]) == datetime.fromisoformat(end)
    assert await status_of(account, made["key"]) == 200


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"mode": "prod"}, "/mode"),
        ({"allowed_ips": ["203.0.113.9/24"]}, "/allowed_ips/0"),
        ({"allowed_ips": ["home"]}, "/allowed_ips/0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2126-01-01T00:00:00"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
        ({"tenant_id": str(uuid4())}, "/tenant_id"),
    ],
)
async def test_a_wrong_part_is_pointed_at(
    account: Account, change: dict[str, Any], pointer: str
) -> None:
    response = await account.http.post(KEYS, json=READER | change)
    problem = assert_problem(response, 422, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert len((await account.http.get(KEYS)).json()["data"]) == 1


async def test_a_repeated_request_makes_no_second_key_and_shows_none(
    account: Account, database: Database
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await account.http.post(KEYS, json=READER, headers=headers)
    again = await account.http.post(KEYS, json=READER, headers=headers)
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["key"] is None
    assert "is not shown again" in again.json()["notice"]
    assert first.json()["key"] not in again.text
    async with database.session(account.tenant_id) as session:
        stored = await session.scalar(
            text("SELECT CAST(idempotency_keys AS text) FROM idempotency_keys")
        )
    assert again.json()["id"] in stored
    assert first.json()["key"] not in stored
    assert len((await account.http.get(KEYS)).json()["data"]) == 2
    other = await account.http.post(KEYS, json=ADMIN, headers=headers)
    assert_problem(other, 422, "idempotency_key_reused")


async def test_requests_at_once_under_one_idempotency_key_make_one_key(account: Account) -> None:
    responses = await asyncio.gather(
        *(account.http.post(KEYS, json=READER, headers={"Idempotency-Key": "x"}) for _ in range(4))
    )
    assert {response.status_code for response in responses} == {201}
    assert len([each for each in responses if each.json()["key"]]) == 1
    assert len({each.json()["id"] for each in responses}) == 1


async def test_a_refused_request_leaves_its_idempotency_key_free(account: Account) -> None:
    headers = {"Idempotency-Key": "once"}
    wrong = READER | {"expires_at": later(-HOUR)}
    assert (await account.http.post(KEYS, json=wrong, headers=headers)).status_code == 422
    assert (await account.http.post(KEYS, json=READER, headers=headers)).json()["key"]


async def test_keys_are_listed_newest_first_in_pages(account: Account) -> None:
    made = [await create(account, READER | {"name": f"key {number}"}) for number in range(3)]
    first = (await account.http.get(KEYS, params={"limit": 2})).json()
    rest = (
        await account.http.get(KEYS, params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()
    listed = [each["id"] for each in (*first["data"], *rest["data"])]
    assert listed[:3] == [each["id"] for each in reversed(made)]
    assert len(listed) == 4
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("scopes", [(Scope.READ, Scope.WRITE), (Scope.WEBHOOKS,)])
async def test_only_administrators_see_and_change_keys(
    new_account: NewAccount, scopes: tuple[Scope, ...]
) -> None:
    account = await new_account(*scopes)
    path = f"{KEYS}/{uuid4()}"
    for method, target, body in (
        ("POST", KEYS, READER),
        ("GET", KEYS, None),
        ("GET", path, None),
        ("PATCH", path, {"name": "x"}),
        ("POST", f"{path}/rotate", {}),
        ("POST", f"{path}/revoke", None),
    ):
        response = await account.http.request(method, target, json=body)
        assert_problem(response, 403, "missing_scope")


async def test_a_rotated_key_and_its_successor_both_work_during_the_overlap(
    account: Account,
) -> None:
    old = await create(account, READER | {"allowed_ips": ["127.0.0.0/8"], "mode": "test"})
    response = await account.http.post(f"{KEYS}/{old['id']}/rotate", json={})
    new = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"{KEYS}/{new['id']}"
    assert new["key"] != old["key"]
    kept = ("name", "scopes", "mode", "allowed_ips", "expires_at")
    assert [new[each] for each in kept] == [old[each] for each in kept]
    found = await read(account, old)
    assert (found["status"], found["replaced_by"]) == ("replaced", new["id"])
    left = datetime.fromisoformat(found["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left <= timedelta(hours=24)
    assert await status_of(account, old["key"]) == 200
    assert await status_of(account, new["key"]) == 200


async def test_without_an_overlap_the_old_key_ends_at_once(account: Account) -> None:
    old = await create(account)
    new = (await account.http.post(f"{KEYS}/{old['id']}/rotate", json={"overlap": 0})).json()
    assert await status_of(account, old["key"]) == 401
    assert await status_of(account, new["key"]) == 200
    assert (await read(account, old))["status"] == "expired"


async def test_a_successor_lives_as_long_as_the_old_key_was_to_unless_it_is_told(
    account: Account,
) -> None:
    old = await create(account, READER | {"expires_at": later(90 * 24 * HOUR)})
    new = (await account.http.post(f"{KEYS}/{old['id']}/rotate", json={})).json()
    end = datetime.fromisoformat(new["expires_at"])
    assert end >= datetime.fromisoformat(old["expires_at"])
    told = later(HOUR)
    path = f"{KEYS}/{new['id']}/rotate"
    third = (await account.http.post(path, json={"expires_at": told})).json()
    assert datetime.fromisoformat(third["expires_at"]) == datetime.fromisoformat(told)


async def test_a_key_is_rotated_once(account: Account) -> None:
    old = await create(account)
    path = f"{KEYS}/{old['id']}/rotate"
    headers = {"Idempotency-Key": "once"}
    first = (await account.http.post(path, json={}, headers=headers)).json()
    again = (await account.http.post(path, json={}, headers=headers)).json()
    assert (again["id"], again["key"]) == (first["id"], None)
    problem = assert_problem(await account.http.post(path, json={}), 409, "key_replaced")
    assert first["id"] in problem["detail"]


async def test_of_rotations_at_once_one_makes_a_successor(account: Account) -> None:
    old = await create(account)
    path = f"{KEYS}/{old['id']}/rotate"
    responses = await asyncio.gather(*(account.http.post(path, json={}) for _ in range(3)))
    assert sorted(response.status_code for response in responses) == [201, 409, 409]


async def test_what_is_left_out_of_a_change_stays(account: Account) -> None:
    made = await create(account, READER | {"allowed_ips": ["127.0.0.1"], "expires_at": later(HOUR)})
    path = f"{KEYS}/{made['id']}"
    renamed = (await account.http.patch(path, json={"name": "board"})).json()
    unchanged = ("scopes", "allowed_ips", "expires_at", "status")
    assert renamed["name"] == "board"
    assert [renamed[each] for each in unchanged] == [made[each] for each in unchanged]
    freed = await account.http.patch(path, json={"allowed_ips": [], "expires_at": None})
    assert (freed.json()["allowed_ips"], freed.json()["expires_at"]) == ([], None)
    assert (await account.http.patch(path, json={})).json() == freed.json()
    wrong = await account.http.patch(path, json={"scopes": ["admin"]})
    assert_problem(wrong, 422, "invalid_request")


async def test_a_revoked_key_is_refused_at_once_and_for_good(account: Account) -> None:
    made = await create(account)
    path = f"{KEYS}/{made['id']}"
    revoked = await account.http.post(f"{path}/revoke")
    assert revoked.status_code == 200
    assert revoked.json()["status"] == "revoked"
    assert await status_of(account, made["key"]) == 401
    assert (await account.http.post(f"{path}/revoke")).json() == revoked.json()
    longer = await account.http.patch(path, json={"expires_at": None})
    assert_problem(longer, 409, "key_ended")
    assert_problem(await account.http.post(f"{path}/rotate", json={}), 409, "key_ended")


@pytest.mark.parametrize(
    ("method", "action", "body", "refusal"),
    [
        ("POST", "/revoke", None, 401),
        ("POST", "/rotate", {"overlap": 0}, 401),
        ("PATCH", "", {"allowed_ips": ["203.0.113.0/24"]}, 403),
    ],
    ids=["revoked", "rotated", "bound to addresses"],
)
async def test_a_key_in_use_feels_a_change_with_its_next_request(
    account: Account, method: str, action: str, body: dict[str, Any] | None, refusal: int
) -> None:
    made = await create(account)
    assert await status_of(account, made["key"]) == 200
    path = f"{KEYS}/{made['id']}{action}"
    changed = await account.http.request(method, path, json=body)
    assert changed.status_code < 300
    assert await status_of(account, made["key"]) == refusal


async def test_the_last_administrators_key_is_not_revoked(account: Account) -> None:
    await create(account)
    ended = await create(account, ADMIN)
    await account.http.post(f"{KEYS}/{ended['id']}/revoke")
    path = f"{KEYS}/{(await own(account))['id']}/revoke"
    problem = assert_problem(await account.http.post(path), 409, "last_admin_key")
    assert "create another key with the scope `admin`" in problem["detail"]
    other = await create(account, ADMIN)
    assert (await account.http.post(path)).status_code == 200
    assert await status_of(account, account.key) == 401
    assert await status_of(account, other["key"], KEYS) == 200


async def test_administrators_who_revoke_each_other_at_once_leave_one(account: Account) -> None:
    other = await create(account, ADMIN)
    targets = {account.key: other["id"], other["key"]: (await own(account))["id"]}
    responses = await asyncio.gather(
        *(
            account.http.post(f"{KEYS}/{target}/revoke", headers={"Authorization": f"Bearer {key}"})
            for key, target in targets.items()
        )
    )
    working = [key for key in targets if await status_of(account, key, KEYS) == 200]
    assert len(working) == 1
    assert {response.status_code for response in responses} in ({200, 401}, {200, 409})


async def test_an_administrator_cannot_shut_itself_out_by_addresses(account: Account) -> None:
    key = await own(account)
    path = f"{KEYS}/{key['id']}"
    shut = await account.http.patch(path, json={"allowed_ips": ["203.0.113.0/24"]})
    assert_problem(shut, 409, "own_address_excluded")
    bound = await account.http.patch(path, json={"allowed_ips": ["127.0.0.1"]})
    assert bound.status_code == 200
    assert (await own(account))["allowed_ips"] == ["127.0.0.1/32"]


async def test_binding_another_administrators_key_leaves_one_that_is_usable(
    account: Account,
) -> None:
    """The address of the request is the only one that is known to be the tenant's."""
    mine, other = await own(account), await create(account, ADMIN)
    bind = {"allowed_ips": ["203.0.113.0/24"]}
    bound = await account.http.patch(f"{KEYS}/{other['id']}", json=bind)
    assert bound.status_code == 200, "the key of the request lasts"
    path = f"{KEYS}/{mine['id']}"
    assert_problem(await account.http.post(f"{path}/revoke"), 409, "last_admin_key")
    soon = await account.http.patch(path, json={"expires_at": later(HOUR)})
    assert_problem(soon, 409, "last_admin_key")
    freed = await account.http.patch(f"{KEYS}/{other['id']}", json={"allowed_ips": []})
    assert freed.status_code == 200
    soon = await account.http.patch(path, json={"expires_at": later(HOUR)})
    assert soon.status_code == 200, "the other one lasts, from here"
    bound = await account.http.patch(f"{KEYS}/{other['id']}", json=bind)
    assert_problem(bound, 409, "last_admin_key")


async def test_the_last_use_is_shown(account: Account) -> None:
    made = await create(account)
    assert (await read(account, made))["last_used_at"] is None
    await status_of(account, made["key"])
    assert (await read(account, made))["last_used_at"] is not None


async def test_another_tenants_keys_are_not_found_and_stay_as_they_are(
    account: Account, other_account: Account
) -> None:
    theirs = await create(other_account)
    path = f"{KEYS}/{theirs['id']}"
    for method, target, body in (
        ("GET", path, None),
        ("PATCH", path, {"name": "mine"}),
        ("POST", f"{path}/rotate", {}),
        ("POST", f"{path}/revoke", None),
    ):
        response = await account.http.request(method, target, json=body)
        assert_problem(response, 404, "key_not_found")
    assert (await read(other_account, theirs))["name"] == READER["name"]
    assert await status_of(account, theirs["key"]) == 200
    assert theirs["id"] not in (await account.http.get(KEYS)).text
