"""One rule at every entrance: what a key may do, may see, and for how long."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.tenants.keys import Scope
from domain.webhooks.events import EventType, HighlightPayload, event
from infra.db.engine import Database
from infra.db.repositories import deliveries, endpoints
from infra.settings import Settings
from tests.factories.rows import new_stream
from tests.integration.api.conftest import BASE_URL, Account, NewAccount
from tests.integration.api.problems import assert_problem
from tests.integration.api.test_strict_requests import OURS, WITH_BODY, path_of
from tests.openapi import Documented, document

PATIENCE = 30.0
GOAL: dict[str, Any] = {"title": "Goal"}
MEDIA = {"Highlight", "HighlightDetail", "FoundHighlight", "SimilarHighlight", "Clip", "ClipDetail"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "address_refusals_per_minute": 100_000,
            "default_plan": "enterprise",
            "events_interval": 0.05,
        }
    )


async def allowed(account: Account) -> set[str]:
    """The operations that a key is not refused for its scope."""
    found = set()
    for operation in OURS.values():
        if operation.spec.get("security") == []:
            continue
        response = await account.http.request(
            operation.method,
            path_of(operation),
            json={} if operation.id in WITH_BODY else None,
        )
        if response.status_code != httpx.codes.FORBIDDEN:
            found.add(operation.id)
    return found


def shown_by(operation: Documented) -> set[str]:
    """The schemas that an operation's answers are made of."""
    schemas, left = document()["components"]["schemas"], [operation.success()]
    found: set[str] = set()
    while left:
        text = json.dumps(left.pop())
        for name in set(re.findall(r"#/components/schemas/([^\"]+)", text)) - found:
            found.add(name)
            left.append(schemas[name])
    return found


async def test_without_the_scope_read_a_key_sees_only_the_clips_that_it_asks_for(
    new_account: NewAccount,
) -> None:
    webhooks = await allowed(await new_account(Scope.WEBHOOKS))
    assert webhooks == {name for name in OURS if re.search("Webhook|eliver|replayEvents", name)}
    for name in webhooks:
        assert not shown_by(OURS[name]) & (MEDIA | {"Stream", "StreamDetail"}), name
    write = await allowed(await new_account(Scope.WRITE))
    assert write == {
        *(
            "analyzeRecording",
            "analyzeStream",
            "updateStream",
            "stopStream",
            "batchStopStreams",
            "deleteStream",
            "giveFeedback",
            "approveHighlight",
            "rejectHighlight",
        ),
        *("createClip", "deleteClip"),
        *("createExport", "cancelExport", "deleteExport"),
        *("createExportBatch", "cancelExportBatch", "resumeExportBatch"),
        "deleteExportBatch",
        *("createDeletion", "uploadRecording"),
        *("sendFeedEvents", "putFeedClock", "deleteFeedClock", "deleteSubject"),
    }
    for name in write - {"createClip"}:
        assert not shown_by(OURS[name]) & MEDIA, name
    read = await allowed(await new_account(Scope.READ))
    assert not read & (webhooks | write)
    assert not any(OURS[name].method in {"PUT", "PATCH", "DELETE"} for name in read)


async def test_what_is_sent_to_an_endpoint_is_shown_to_readers_only(
    account: Account, database: Database
) -> None:
    sent = event(
        EventType.HIGHLIGHT_CONFIRMED,
        HighlightPayload.model_construct(**GOAL),
        tenant_id=account.tenant_id,
        subject="highlight/1",
        revision=1,
        created_at=datetime.now(UTC),
    )
    made = await account.http.post("/v1/webhooks/subscribe", json={"url": "https://example.com/h"})
    async with database.session(account.tenant_id) as session:
        row = await deliveries.send_to_one(session, sent, endpoint_id=UUID(made.json()["id"]))
        assert await endpoints.count(session, tenant_id=account.tenant_id) == 1
    path = f"/v1/webhooks/deliveries/{row.id}"
    assert (await account.http.get(path)).json()["data"]["title"] == "Goal"
    for scopes, shown in (([Scope.WEBHOOKS], False), ([Scope.WEBHOOKS, Scope.READ], True)):
        created = await account.http.post("/v1/keys", json={"name": "hooks", "scopes": scopes})
        key = {"Authorization": f"Bearer {created.json()['key']}"}
        answer = (await account.http.get(path, headers=key)).json()
        assert (answer["data"] is not None) == shown


async def test_a_secret_of_an_endpoint_is_shown_once(account: Account) -> None:
    url = "https://example.com/h"
    key = {"Idempotency-Key": "subscribe"}
    first, second = [
        await account.http.post("/v1/webhooks/subscribe", json={"url": url}, headers=key)
        for _ in range(2)
    ]
    assert first.json()["secret"].startswith("whsec_")
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json() | {"secret": None}
    path = f"/v1/webhooks/{first.json()['id']}"
    third, fourth = [
        await account.http.post(f"{path}/rotate", json={}, headers={"Idempotency-Key": "rotate"})
        for _ in range(2)
    ]
    assert third.json()["secret"] not in {None, first.json()["secret"]}
    assert fourth.json()["secret"] is None
    assert "secret" not in (await account.http.get(path)).json()


Change = Callable[[Account, str], Awaitable[httpx.Response]]


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class InSeconds(float):
    """A time that many seconds after the request, for the body of a change."""


def _body(values: dict[str, object]) -> dict[str, object]:
    return {
        name: in_seconds(value) if isinstance(value, InSeconds) else value
        for name, value in values.items()
    }


def patch(**body: object) -> Change:
    return lambda account, key: account.http.patch(f"/v1/keys/{key}", json=_body(body))


def post(path: str, **body: object) -> Change:
    return lambda account, key: account.http.post(f"/v1/keys/{key}/{path}", json=_body(body))


@pytest.mark.parametrize(
    "change",
    [
        post("revoke"),
        patch(expires_at=InSeconds(600)),
        patch(expires_at=InSeconds(7 * 86_400), name="week"),
        post("rotate", overlap=0, expires_at=InSeconds(600)),
        post("rotate", overlap=2_000_000, expires_at=InSeconds(600)),
    ],
    ids=["revoke", "minutes", "week", "rotate", "rotate with overlap"],
)
async def test_the_last_key_that_administers_stays(account: Account, change: Change) -> None:
    (own,) = (await account.http.get("/v1/keys")).json()["data"]
    brief = {"name": "brief", "scopes": ["admin"], "expires_at": in_seconds(3600)}
    assert (await account.http.post("/v1/keys", json=brief)).status_code == 201
    assert_problem(await change(account, own["id"]), 409, "last_admin_key")
    assert (await account.http.get(f"/v1/keys/{own['id']}")).json() | {"last_used_at": None} == (
        own | {"last_used_at": None}
    )
    lasting = {"name": "lasting", "scopes": ["admin"]}
    assert (await account.http.post("/v1/keys", json=lasting)).status_code == 201
    assert (await change(account, own["id"])).is_success


async def test_the_last_key_may_be_rotated_and_may_end_in_a_year(account: Account) -> None:
    (own,) = (await account.http.get("/v1/keys")).json()["data"]
    year = in_seconds(366 * 86_400)
    changed = await account.http.patch(f"/v1/keys/{own['id']}", json={"expires_at": year})
    assert changed.status_code == 200
    assert (await account.http.post(f"/v1/keys/{own['id']}/rotate", json={})).status_code == 201


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (post("revoke"), "unauthenticated"),
        (patch(allowed_ips=["203.0.113.9"]), "address_not_allowed"),
        (post("rotate", overlap=0), "unauthenticated"),
    ],
    ids=["revoked", "addresses", "rotated"],
)
async def test_events_end_when_their_key_may_no_longer_be_used(
    account: Account, database: Database, change: Change, code: str
) -> None:
    stream = await new_stream(database, account.tenant_id)
    created = await account.http.post("/v1/keys", json={"name": "board", "scopes": ["read"]})
    async with httpx.AsyncClient(
        transport=account.http._transport,
        base_url=BASE_URL,
        headers={"Authorization": f"Bearer {created.json()['key']}"},
    ) as board:
        following = asyncio.create_task(board.get(f"/v1/streams/{stream}/events"))
        await asyncio.sleep(0.3)
        assert not following.done()
        assert (await change(account, created.json()["id"])).is_success
        told = (await asyncio.wait_for(following, PATIENCE)).text
    last = told.strip().rpartition("\n\n")[2]
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2])["code"] == code


async def test_events_end_when_their_key_expires(account: Account, database: Database) -> None:
    stream = await new_stream(database, account.tenant_id)
    body = {"name": "board", "scopes": ["read"], "expires_at": in_seconds(1.5)}
    created = await account.http.post("/v1/keys", json=body)
    key = {"Authorization": f"Bearer {created.json()['key']}"}
    following = account.http.get(f"/v1/streams/{stream}/events", headers=key)
    told = (await asyncio.wait_for(following, PATIENCE)).text
    assert '"code":"unauthenticated"' in told.rpartition("event: error")[2]
