"""100ms connections: made, shown without secrets, changed, rotated and deleted."""

from __future__ import annotations

from uuid import uuid4

import pytest

from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import connections
from tests.fakes.hms_sender import OPEN, connect
from tests.integration.api.conftest import Account, NewAccount

PATH = "/v1/connections"


async def test_a_connection_shows_its_secrets_once(account: Account) -> None:
    response = await account.http.post(PATH, json={"name": "Cup", "game": "soccer"})
    made = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"{PATH}/{made['id']}"
    assert made["webhook_url"].endswith(f"/v1/webhooks/100ms/{made['id']}")
    assert made["secrets"]["header_value"].startswith("hms_")
    assert made["secrets"]["signing_secret"].startswith("hmss_")
    read = (await account.http.get(f"{PATH}/{made['id']}")).json()
    assert read == made | {"secrets": None}
    assert (await account.http.get(PATH)).json()["data"] == [read]


async def test_by_default_100ms_addresses_and_a_secret_are_asked_for(account: Account) -> None:
    checks = (await account.http.post(PATH, json={"name": "Cup"})).json()["checks"]
    assert (checks["source"], checks["secret_header"], checks["signature"]) == (True, True, False)
    assert len(checks["sources"]) == 6


async def test_a_repeated_request_makes_one_connection_and_shows_no_secret_again(
    account: Account,
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first = await account.http.post(PATH, json={"name": "Cup"}, headers=headers)
    again = await account.http.post(PATH, json={"name": "Cup"}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json() | {"secrets": None})
    assert len((await account.http.get(PATH)).json()["data"]) == 1


async def test_no_secret_is_stored_as_it_is(account: Account, database: Database) -> None:
    management = {"access_key": "access", "secret": "the management secret"}
    sender = await connect(account, management=management)
    async with database.session(account.tenant_id) as session:
        row = await connections.get(session, tenant_id=account.tenant_id, connection_id=sender.id)
    assert row is not None
    stored = b"".join([row.header_hash, row.signing_secret, row.management_secret or b""])
    for secret in (*sender.secrets.values(), management["secret"]):
        assert secret.encode() not in stored
    assert sender.connection["management_access_key"] == "access"
    assert "the management secret" not in str(sender.connection)


async def test_what_a_change_leaves_out_stays(account: Account) -> None:
    sender = await connect(account, account_id="acc", game="soccer", title="Cup {room}")
    patch = {"name": "League", "checks": {"signature": True, "timestamp_tolerance": None}}
    changed = (await account.http.patch(f"{PATH}/{sender.id}", json=patch)).json()
    assert (changed["name"], changed["game"], changed["title"]) == (
        "League",
        "soccer",
        "Cup {room}",
    )
    assert changed["account_id"] == "acc"
    assert changed["checks"] == sender.connection["checks"] | {
        "signature": True,
        "timestamp_tolerance": None,
    }


async def test_null_takes_away_what_may_be_missing(account: Account) -> None:
    sender = await connect(
        account, account_id="acc", game="soccer", management={"access_key": "a", "secret": "s"}
    )
    patch = {"account_id": None, "game": None, "management": None, "name": None}
    changed = (await account.http.patch(f"{PATH}/{sender.id}", json=patch)).json()
    assert (changed["account_id"], changed["game"]) == (None, None)
    assert changed["management_access_key"] is None
    assert changed["name"] == "Cup"


@pytest.mark.parametrize(
    "checks",
    [
        OPEN | {"secret_header": False},
        {"source": True, "sources": []},
        {"sources": ["10.0.0.1/8"]},
        {"sources": ["example.com"]},
        {"header_name": "X Secret"},
        {"timestamp_tolerance": 0},
        {"unknown": True},
    ],
)
async def test_checks_that_make_no_sense_are_refused(
    account: Account, checks: dict[str, object]
) -> None:
    response = await account.http.post(PATH, json={"name": "Cup", "checks": checks})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["pointer"].startswith("/checks")


async def test_the_last_check_cannot_be_turned_off(account: Account) -> None:
    sender = await connect(account)
    response = await account.http.patch(
        f"{PATH}/{sender.id}", json={"checks": {"secret_header": False}}
    )
    assert response.status_code == 422


async def test_a_deleted_connection_is_gone_with_its_events(account: Account) -> None:
    sender = await connect(account)
    await sender.send("peer.join.success")
    assert (await account.http.delete(f"{PATH}/{sender.id}")).status_code == 204
    assert (await account.http.delete(f"{PATH}/{sender.id}")).status_code == 404
    assert (await sender.send("peer.join.success")).json()["code"] == "connection_not_found"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_another_tenants_connection_is_not_changed(
    account: Account, other_account: Account, method: str
) -> None:
    sender = await connect(account)
    path = f"{PATH}/{sender.id}"
    content = {"json": {"name": "Mine"}} if method == "PATCH" else {}
    refused = await other_account.http.request(method, path, **content)  # type: ignore[arg-type]
    assert refused.status_code == 404
    assert (await account.http.get(path)).json()["name"] == "Cup"


@pytest.mark.parametrize("scope", [Scope.READ, Scope.WRITE, Scope.WEBHOOKS])
async def test_connections_are_for_administrators(new_account: NewAccount, scope: Scope) -> None:
    account = await new_account(scope)
    for method, path in (("GET", PATH), ("POST", PATH), ("POST", f"{PATH}/{uuid4()}/rotate")):
        response = await account.http.request(method, path, json={"name": "Cup"})
        assert response.status_code == 403


async def test_every_change_is_in_the_audit_log(account: Account) -> None:
    sender = await connect(account)
    path = f"{PATH}/{sender.id}"
    await account.http.patch(path, json={"name": "League", "checks": {"signature": True}})
    await account.http.post(f"{path}/rotate")
    await account.http.delete(path)
    query = {"target_kind": "connection", "target_id": str(sender.id)}
    entries = (await account.http.get("/v1/audit", params=query)).json()["data"]
    assert [each["action"] for each in entries] == [
        "connection.deleted",
        "connection.rotated",
        "connection.updated",
        "connection.created",
    ]
    assert entries[2]["details"] == {"changed": ["checks", "name"]}
    for secret in sender.secrets.values():
        assert secret not in str(entries)
