"""`/v1/webhooks`: endpoints, made, seen, changed and removed; a secret is seen once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from api.webhooks.schemas import Subscribable
from domain.tenants.keys import Scope
from domain.webhooks.events import SUBSCRIBABLE
from infra.db.engine import Database
from infra.db.repositories import endpoints
from infra.settings import Settings
from infra.webhooks.sender import EndpointSecrets
from tests.factories.rows import new_endpoint
from tests.integration.api.conftest import SECRET, Account, NewAccount, OpenClient

PATH = "/v1/webhooks"
BODY: dict[str, Any] = {
    "url": "https://hooks.example.com/a",
    "description": "Production",
    "event_types": ["clip.ready", "clip.ready", "clip.failed"],
}


async def subscribe(account: Account, **headers: str) -> dict[str, Any]:
    response = await account.http.post(f"{PATH}/subscribe", json=BODY, headers=headers)
    assert response.status_code == 201
    body: dict[str, Any] = response.json()
    return body


async def secrets_of(database: Database, account: Account, endpoint: str) -> list[str]:
    async with database.session(account.tenant_id) as session:
        row = await endpoints.get(session, tenant_id=account.tenant_id, endpoint_id=UUID(endpoint))
    assert row is not None
    return [
        EndpointSecrets(SECRET.encode()).decrypt(
            sealed, tenant_id=account.tenant_id, endpoint_id=row.id
        )
        for sealed in (row.secret, row.previous_secret)
        if sealed is not None
    ]


def test_every_event_but_the_test_can_be_subscribed_to() -> None:
    assert frozenset(Subscribable.__args__) == SUBSCRIBABLE  # type: ignore[attr-defined]


async def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(account: Account) -> None:
    response = await account.http.post(f"{PATH}/subscribe", json=BODY)
    made = response.json()
    assert response.headers["Location"] == f"{PATH}/{made['id']}"
    assert (made["status"], made["event_types"]) == ("enabled", ["clip.failed", "clip.ready"])
    Webhook(made["secret"])
    seen = (await account.http.get(f"{PATH}/{made['id']}")).json()
    assert seen == {key: value for key, value in made.items() if key != "secret"}


async def test_a_repetition_does_not_show_the_secret_again_nor_is_it_stored(
    account: Account, database: Database
) -> None:
    first = await subscribe(account, **{"Idempotency-Key": "k1"})
    response = await account.http.post(
        f"{PATH}/subscribe", json=BODY, headers={"Idempotency-Key": "k1"}
    )
    assert response.json() == first | {"secret": None}
    assert response.headers["Idempotent-Replayed"] == "true"
    async with database.session(account.tenant_id) as session:
        stored = await session.execute(text("SELECT response_body::text FROM idempotency_keys"))
        assert first["secret"] not in stored.scalar_one()
    assert len((await account.http.get(PATH)).json()["data"]) == 1


async def test_a_repetition_after_the_endpoint_was_deleted_makes_none(account: Account) -> None:
    made = await subscribe(account, **{"Idempotency-Key": "k1"})
    await account.http.delete(f"{PATH}/{made['id']}")
    response = await account.http.post(
        f"{PATH}/subscribe", json=BODY, headers={"Idempotency-Key": "k1"}
    )
    assert (response.status_code, response.json()) == (201, made | {"secret": None})
    assert response.headers["Idempotent-Replayed"] == "true"
    assert (await account.http.get(PATH)).json()["data"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/",
        "https://user:password@hooks.example.com/",
    ],
)
async def test_a_url_that_is_seen_to_be_no_public_one_is_refused(
    account: Account, url: str
) -> None:
    response = await account.http.post(f"{PATH}/subscribe", json=BODY | {"url": url})
    assert (response.status_code, response.json()["code"]) == (422, "url_forbidden")
    made = await subscribe(account)
    response = await account.http.patch(f"{PATH}/{made['id']}", json={"url": url})
    assert response.json()["code"] == "url_forbidden"


async def test_an_unknown_event_type_is_refused_by_name(account: Account) -> None:
    body = BODY | {"event_types": ["endpoint.test"]}
    response = await account.http.post(f"{PATH}/subscribe", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/event_types/0"


async def test_a_tenant_has_a_limited_number_of_endpoints(
    account: Account, database: Database
) -> None:
    for _ in range(20):
        await new_endpoint(database, account.tenant_id)
    response = await account.http.post(f"{PATH}/subscribe", json=BODY)
    assert (response.status_code, response.json()["code"]) == (409, "webhook_limit_reached")
    assert "20" in response.json()["detail"]


async def test_requests_that_come_together_do_not_pass_the_limit(
    new_account: NewAccount, settings: Settings, open_client: OpenClient
) -> None:
    account = await new_account()
    headers = {"Authorization": f"Bearer {account.key}"}
    async with open_client(settings.model_copy(update={"webhook_endpoints": 2})) as client:
        answers = await asyncio.gather(
            *(client.post(f"{PATH}/subscribe", json=BODY, headers=headers) for _ in range(5))
        )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]


async def test_endpoints_are_listed_in_pages(account: Account, database: Database) -> None:
    made = [str(await new_endpoint(database, account.tenant_id)) for _ in range(3)]
    first = (await account.http.get(PATH, params={"limit": 2})).json()
    rest = (await account.http.get(PATH, params={"cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == made[::-1]


async def test_an_endpoint_is_changed_in_what_is_given(account: Account) -> None:
    made = await subscribe(account)
    response = await account.http.patch(
        f"{PATH}/{made['id']}", json={"event_types": [], "description": "Staging"}
    )
    changed = response.json()
    assert (changed["event_types"], changed["description"]) == ([], "Staging")
    assert changed["url"] == made["url"]


async def test_an_endpoint_can_be_switched_off_and_on(account: Account) -> None:
    path = f"{PATH}/{(await subscribe(account))['id']}"
    off = (await account.http.patch(path, json={"status": "disabled"})).json()
    assert (off["status"], off["disabled_reason"]) == ("disabled", "tenant")
    on = (await account.http.patch(path, json={"status": "enabled"})).json()
    assert (on["status"], on["disabled_reason"], on["disabled_at"]) == ("enabled", None, None)


async def test_a_rotation_keeps_the_former_secret_beside_the_new(
    account: Account, database: Database
) -> None:
    made = await subscribe(account)
    response = await account.http.post(f"{PATH}/{made['id']}/rotate", json={"overlap": 60})
    rotated = response.json()
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_until"] is not None
    assert await secrets_of(database, account, made["id"]) == [rotated["secret"], made["secret"]]


async def test_a_rotation_whose_answer_was_lost_can_be_repeated_without_harm(
    account: Account, database: Database
) -> None:
    made = await subscribe(account)
    path = f"{PATH}/{made['id']}/rotate"
    first, second = [
        await account.http.post(path, json={}, headers={"Idempotency-Key": "r1"}) for _ in range(2)
    ]
    assert second.json() == first.json() | {"secret": None}
    kept = await secrets_of(database, account, made["id"])
    assert kept == [first.json()["secret"], made["secret"]]


async def test_secrets_are_not_readable_in_the_database(
    account: Account, database: Database
) -> None:
    made = await subscribe(account)
    async with database.session(account.tenant_id) as session:
        rows = await session.execute(text("SELECT webhook_endpoints::text FROM webhook_endpoints"))
        assert made["secret"] not in rows.scalar_one()
    assert await secrets_of(database, account, made["id"]) == [made["secret"]]


async def test_a_deleted_endpoint_is_gone(account: Account) -> None:
    path = f"{PATH}/{(await subscribe(account))['id']}"
    assert (await account.http.delete(path)).status_code == 204
    assert (await account.http.delete(path)).json()["code"] == "webhook_not_found"
    assert (await account.http.get(path)).status_code == 404


def changes(endpoint: str) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    yield "PATCH", f"{PATH}/{endpoint}", {"description": "stolen"}
    yield "POST", f"{PATH}/{endpoint}/rotate", {}
    yield (
        "POST",
        f"{PATH}/{endpoint}/replay",
        {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
    )
    yield "DELETE", f"{PATH}/{endpoint}", None


async def test_another_tenants_endpoint_cannot_be_changed(
    account: Account, other_account: Account
) -> None:
    made = await subscribe(other_account)
    for method, path, body in changes(made["id"]):
        response = await account.http.request(method, path, json=body)
        assert response.json()["code"] == "webhook_not_found"
    seen = (await other_account.http.get(f"{PATH}/{made['id']}")).json()
    assert seen == {key: value for key, value in made.items() if key != "secret"}


async def test_webhooks_have_a_scope_of_their_own(new_account: NewAccount) -> None:
    allowed = await new_account(Scope.WEBHOOKS)
    refused = await new_account(Scope.READ, Scope.WRITE)
    assert (await allowed.http.get(PATH)).status_code == 200
    assert (await refused.http.get(PATH)).json()["code"] == "missing_scope"
    assert (await refused.http.get(f"{PATH}/{uuid4()}")).status_code == 403


async def test_endpoints_can_be_kept_while_temporal_is_away(
    new_account: NewAccount, settings_without_temporal: Settings, open_client: OpenClient
) -> None:
    account = await new_account()
    async with open_client(settings_without_temporal) as client:
        headers = {"Authorization": f"Bearer {account.key}"}
        response = await client.post(f"{PATH}/subscribe", json=BODY, headers=headers)
        assert response.status_code == 201
        path = f"{PATH}/{response.json()['id']}"
        assert (await client.post(f"{path}/test", headers=headers)).status_code == 202
