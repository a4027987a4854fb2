"""The audit log: an entry for each change, in its transaction, for administrators to read."""

from __future__ import annotations

from typing import Any

import pytest

from domain.tenants.audit import AuditAction
from domain.tenants.keys import Scope
from infra.db.engine import Database
from tests.factories.rows import (
    new_export,
    new_export_batch,
    new_highlight,
    new_requested_clip,
    new_stream,
)
from tests.integration.api.conftest import Account, NewAccount
from tests.integration.api.problems import assert_problem

AUDIT = "/v1/audit"
KEYS = "/v1/keys"
WEBHOOKS = "/v1/webhooks"
OVERRIDE = "/v1/profiles/soccer/override"
READER = {"name": "scoreboard", "scopes": ["read"]}


async def entries(account: Account, **filters: str) -> list[dict[str, Any]]:
    response = await account.http.get(AUDIT, params=filters)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def test_each_change_of_a_key_says_who_what_and_from_where(account: Account) -> None:
    made = (await account.http.post(KEYS, json=READER, headers={"X-Request-Id": "r1"})).json()
    path = f"{KEYS}/{made['id']}"
    await account.http.patch(path, json={"name": "board", "allowed_ips": ["10.0.0.0/8"]})
    new = (await account.http.post(f"{path}/rotate", json={})).json()
    await account.http.post(f"{path}/revoke")
    revoked, rotated, updated, created = await entries(account, target_id=made["id"])
    assert created["action"] == "key.created"
    assert created["target"] == {"kind": "key", "id": made["id"]}
    assert created["actor"]["kind"] == "api_key"
    assert (created["request_id"], created["client_address"]) == ("r1", "127.0.0.1")
    assert created["details"] == {
        "name": "scoreboard",
        "mode": "live",
        "scopes": ["read"],
        "allowed_ips": [],
        "expires_at": None,
    }
    assert updated["action"] == "key.updated"
    assert updated["details"] == {
        "before": {"name": "scoreboard", "allowed_ips": []},
        "after": {"name": "board", "allowed_ips": ["10.0.0.0/8"]},
    }
    assert rotated["action"] == "key.rotated"
    assert rotated["details"]["replaced_by"] == new["id"]
    assert (revoked["action"], revoked["details"]) == ("key.revoked", {"name": "board"})
    (successor,) = await entries(account, target_id=new["id"])
    assert successor["details"]["replaces"] == made["id"]


async def test_an_actor_is_the_key_that_made_the_change(account: Account) -> None:
    other = (await account.http.post(KEYS, json={"name": "b", "scopes": ["admin"]})).json()
    headers = {"Authorization": f"Bearer {other['key']}"}
    made = (await account.http.post(KEYS, json=READER, headers=headers)).json()
    (entry,) = await entries(account, target_id=made["id"])
    assert entry["actor"] == {"kind": "api_key", "id": other["id"]}


async def test_no_entry_holds_a_key(account: Account) -> None:
    made = (await account.http.post(KEYS, json=READER)).json()
    new = (await account.http.post(f"{KEYS}/{made['id']}/rotate", json={})).json()
    log = (await account.http.get(AUDIT)).text
    assert made["key"] not in log
    assert new["key"] not in log


async def test_what_was_refused_or_changed_nothing_leaves_no_entry(account: Account) -> None:
    made = (await account.http.post(KEYS, json=READER)).json()
    path = f"{KEYS}/{made['id']}"
    before = await entries(account)
    await account.http.patch(path, json={})
    await account.http.patch(path, json={"name": made["name"]})
    own = next(each for each in before if each["actor"]["kind"] == "operator")["target"]["id"]
    assert (await account.http.post(f"{KEYS}/{own}/revoke")).status_code == 409
    assert await entries(account) == before
    for _ in range(2):
        await account.http.post(f"{path}/revoke")
    assert len(await entries(account, action="key.revoked")) == 1


async def test_a_repeated_request_leaves_one_entry(account: Account) -> None:
    for _ in range(2):
        await account.http.post(KEYS, json=READER, headers={"Idempotency-Key": "once"})
    assert len(await entries(account, action="key.created")) == 2  # the account's own, and this


async def test_changes_of_overrides_are_logged(account: Account) -> None:
    put = await account.http.put(OVERRIDE, json={"selection": {"per_window": 3}})
    refused = await account.http.put(OVERRIDE, json={"no": 1}, headers={"If-Match": "*"})
    await account.http.delete(OVERRIDE, headers={"If-Match": put.headers["ETag"]})
    assert refused.status_code == 422
    deleted, made = await entries(account, target_kind="profile_override")
    assert (made["action"], made["details"]) == ("profile_override.put", {"revision": 1})
    assert made["target"] == {"kind": "profile_override", "id": "soccer"}
    assert deleted["action"] == "profile_override.deleted"


async def test_changes_of_webhook_endpoints_are_logged_without_what_could_be_secret(
    account: Account,
) -> None:
    body = {"url": "https://hooks.example.com/T0KEN?key=S3CRET", "event_types": ["clip.ready"]}
    made = (await account.http.post(f"{WEBHOOKS}/subscribe", json=body)).json()
    path = f"{WEBHOOKS}/{made['id']}"
    await account.http.patch(path, json={"url": "https://new.example.com/T0KEN", "description": ""})
    rotated = (await account.http.post(f"{path}/rotate", json={"overlap": 60})).json()
    await account.http.patch(path, json={"status": "disabled"})
    await account.http.patch(path, json={"status": "enabled"})
    await account.http.delete(path)
    log = await entries(account, target_kind="webhook_endpoint", target_id=made["id"])
    assert [(each["action"], each["details"]) for each in reversed(log)] == [
        (
            "webhook_endpoint.created",
            {"host": "hooks.example.com", "event_types": ["clip.ready"]},
        ),
        ("webhook_endpoint.updated", {"changed": ["url"], "host": "new.example.com"}),
        ("webhook_endpoint.rotated", {"overlap": 60}),
        ("webhook_endpoint.disabled", {"reason": "tenant"}),
        ("webhook_endpoint.enabled", {}),
        ("webhook_endpoint.deleted", {"host": "new.example.com"}),
    ]
    assert {each["actor"]["kind"] for each in log} == {"api_key"}
    text = (await account.http.get(AUDIT)).text
    for secret in (made["secret"], rotated["secret"], "T0KEN", "S3CRET"):
        assert secret not in text


async def test_a_change_of_an_endpoint_that_changes_nothing_leaves_no_entry(
    account: Account,
) -> None:
    body = {"url": "https://hooks.example.com/", "event_types": ["clip.ready"]}
    headers = {"Idempotency-Key": "once"}
    for _ in range(2):
        made = await account.http.post(f"{WEBHOOKS}/subscribe", json=body, headers=headers)
    path = f"{WEBHOOKS}/{made.json()['id']}"
    await account.http.patch(path, json={**body, "status": "enabled"})
    await account.http.post(f"{path}/rotate", json={}, headers={"Idempotency-Key": "rotate"})
    await account.http.post(f"{path}/rotate", json={}, headers={"Idempotency-Key": "rotate"})
    for _ in range(2):
        await account.http.patch(path, json={"status": "disabled"})
    for _ in range(2):
        await account.http.delete(path)
    log = await entries(account, target_kind="webhook_endpoint")
    assert [each["action"].partition(".")[2] for each in reversed(log)] == [
        *("created", "rotated", "disabled", "deleted")
    ]


async def test_an_operators_changes_are_logged_as_such(account: Account) -> None:
    (first,) = await entries(account)
    assert first["actor"] == {"kind": "operator", "id": None}
    assert (first["request_id"], first["client_address"]) == (None, None)


async def test_entries_are_filtered(account: Account) -> None:
    made = [(await account.http.post(KEYS, json=READER)).json() for _ in range(2)]
    await account.http.post(f"{KEYS}/{made[0]['id']}/revoke")
    await account.http.put(OVERRIDE, json={"selection": {"per_window": 3}})
    everything = await entries(account)
    assert [each["action"] for each in everything] == [
        "profile_override.put",
        "key.revoked",
        *["key.created"] * 3,
    ]
    assert await entries(account, action="key.revoked") == everything[1:2]
    assert await entries(account, target_kind="key") == everything[1:]
    both = await entries(account, target_kind="key", target_id=made[0]["id"])
    assert both == [everything[1], everything[3]]
    middle = everything[2]["at"]
    assert await entries(account, since=middle) == everything[:3]
    assert await entries(account, until=middle) == everything[3:]
    assert await entries(account, since=middle, until=middle) == []


async def test_entries_come_in_pages(account: Account) -> None:
    for _ in range(4):
        await account.http.post(KEYS, json=READER)
    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await account.http.get(AUDIT, params=params)).json()
        seen += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == await entries(account)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("action", "key.lost"),
        ("target_kind", "planet"),
        ("target_id", "a\0b"),
        ("since", "yesterday"),
        ("since", "2026-01-01T00:00:00"),
        ("until", "9999-12-31T23:59:59-14:00"),
    ],
)
async def test_a_wrong_filter_is_pointed_at(account: Account, name: str, value: str) -> None:
    response = await account.http.get(AUDIT, params={name: value})
    problem = assert_problem(response, 422, "invalid_request")
    assert [error["pointer"] for error in problem["errors"]] == [f"query/{name}"]


async def test_holds_and_deletions_are_recorded_with_who_asked_for_them(
    account: Account, database: Database
) -> None:
    tenant = account.tenant_id
    stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    clip = await new_requested_clip(database, tenant, stream)
    export = await new_export(database, tenant, stream)
    batch = await new_export_batch(database, tenant, stream)
    for kind, held in (("streams", stream), ("highlights", highlight)):
        path = f"/v1/{kind}/{held}/legal-hold"
        assert (await account.http.put(path, json={"reason": "Case 12"})).status_code == 200
        for _ in range(2):  # there is nothing to lift any more the second time
            assert (await account.http.delete(path)).status_code == 204
    for path in (f"clips/{clip}", f"exports/{export}", f"export-batches/{batch}"):
        assert (await account.http.delete(f"/v1/{path}")).status_code == 204
    for _ in range(2):  # one deletion, asked for twice
        asked = await account.http.post(
            "/v1/deletions", json={"stream_id": str(stream), "reason": "Request 4711"}
        )
        assert asked.status_code == 202
    found = {
        action: [each["details"].get("reason") for each in given]
        for target in (stream, highlight, clip, export, batch)
        for given in [await entries(account, target_id=str(target))]
        for action in [", ".join(each["action"] for each in given)]
        if {each["actor"]["kind"] for each in given} == {"api_key"}
    }
    assert found == {
        "stream.deleted, stream.released, stream.held": ["Request 4711", None, "Case 12"],
        "highlight.released, highlight.held": [None, "Case 12"],
        "clip.deleted": [None],
        "export.deleted": [None],
        "export_batch.deleted": [None],
    }


async def test_only_administrators_read_it(new_account: NewAccount) -> None:
    account = await new_account(Scope.READ, Scope.WRITE, Scope.WEBHOOKS)
    assert_problem(await account.http.get(AUDIT), 403, "missing_scope")


async def test_another_tenants_entries_are_not_seen(
    account: Account, other_account: Account
) -> None:
    theirs = (await other_account.http.post(KEYS, json=READER)).json()
    assert await entries(account, target_id=theirs["id"]) == []
    assert len(await entries(other_account, target_id=theirs["id"])) == 1


@pytest.mark.parametrize("action", AuditAction)
def test_every_action_names_its_target(action: AuditAction) -> None:
    assert action.startswith(f"{action.target}.")
