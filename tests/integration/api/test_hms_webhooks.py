"""100ms's events at the door: who may bring them, and that each is safe before it is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from api.connections.hms_webhooks import MAX_BODY_BYTES
from domain.hms.admission import SIGNATURE_HEADER, sign
from infra.db.engine import Database
from infra.db.repositories import connections, inbound_events
from infra.db.tables import Connection
from infra.settings import Settings
from tests.factories.hms import DATA
from tests.fakes.hms_sender import OPEN, Sender, connect
from tests.integration.api.conftest import Account, OpenClient

HERE = "127.0.0.1/32"
PERSON = "peer.join.success"
NOBODY = UUID(int=1)


async def stored_body(database: Database, sender: Sender, event_id: str) -> bytes | None:
    async with database.session(sender.account.tenant_id) as session:
        row = await inbound_events.get(
            session,
            tenant_id=sender.account.tenant_id,
            connection_id=sender.id,
            event_id=event_id,
        )
    assert row is not None
    return row.body


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("kind", sorted(DATA))
async def test_every_type_is_received_with_200(account: Account, kind: str) -> None:
    sender = await connect(account)
    response = await sender.send(kind)
    assert response.status_code == 200
    assert response.json()["is_new"] is True
    assert len(await sender.outcomes()) == 1


async def test_an_unknown_type_is_received_with_200(account: Account) -> None:
    sender = await connect(account)
    assert (await sender.send("poll.created.success")).status_code == 200
    assert await sender.outcomes() == ["noted"]


async def test_an_event_that_comes_again_is_received_and_recorded_once(account: Account) -> None:
    sender = await connect(account)
    raw = sender.event(PERSON)
    answers = [(await sender.post(raw)).json() for _ in range(3)]
    assert [each["is_new"] for each in answers] == [True, False, False]
    assert len(await sender.outcomes()) == 1


async def test_two_connections_may_bring_the_same_id(
    account: Account, other_account: Account
) -> None:
    for sender in (await connect(account), await connect(account), await connect(other_account)):
        response = await sender.send(PERSON, id="the-same")
        assert response.json() == {"id": "the-same", "is_new": True}


async def test_the_body_is_kept_as_it_came_unless_it_is_about_people(
    account: Account, database: Database
) -> None:
    sender = await connect(account)
    raw = sender.event("room.end.failure", id="room")
    await sender.post(raw)
    await sender.send(PERSON, id="person")
    assert await stored_body(database, sender, "room") == raw
    assert await stored_body(database, sender, "person") is None


async def test_a_connection_that_there_is_not_is_said_not_to_be(account: Account) -> None:
    sender = await connect(account)
    raw = sender.event(PERSON)
    response = await sender.post(raw, path=f"/v1/webhooks/100ms/{uuid4()}")
    assert code(response) == (404, "connection_not_found")


@pytest.mark.parametrize(
    ("checks", "headers", "refusal"),
    [
        ({"source": True, "secret_header": False}, {}, "webhook_source_refused"),
        ({"source": True, "secret_header": True}, {}, "webhook_source_refused"),
        ({"source": False, "secret_header": True}, {}, "webhook_secret_refused"),
        (
            {"source": False, "secret_header": True},
            {"X-Highlights-Secret": "hms_guess"},
            "webhook_secret_refused",
        ),
        (
            {"source": True, "sources": [HERE], "secret_header": False, "signature": True},
            {},
            "webhook_signature_refused",
        ),
        (
            {"source": False, "secret_header": False, "signature": True},
            {SIGNATURE_HEADER: "sha256=" + "0" * 64},
            "webhook_signature_refused",
        ),
    ],
)
async def test_each_check_refuses_with_its_own_code(
    account: Account, checks: dict[str, Any], headers: dict[str, str], refusal: str
) -> None:
    sender = await connect(account, checks=checks)
    response = await sender.post(sender.event(PERSON), headers=headers)
    assert code(response) == (403, refusal)
    assert await sender.outcomes() == []


@pytest.mark.parametrize(
    "checks",
    [
        {"source": True, "sources": [HERE], "secret_header": False},
        {"source": False, "secret_header": True},
        {"source": False, "secret_header": False, "signature": True},
        {"source": True, "sources": [HERE], "secret_header": True, "signature": True},
    ],
)
async def test_what_passes_all_checks_that_are_on_is_received(
    account: Account, checks: dict[str, Any]
) -> None:
    sender = await connect(account, checks={**checks, "timestamp_tolerance": 86_400})
    raw = sender.event(PERSON, timestamp=datetime.now(UTC).isoformat())
    assert (await sender.post(raw, headers=sender.headers(raw, signed=True))).status_code == 200


async def test_the_header_may_have_another_name(account: Account) -> None:
    sender = await connect(account, checks=OPEN | {"header_name": "X-Cup"})
    assert sender.secrets["header_name"] == "X-Cup"
    assert (await sender.send(PERSON)).status_code == 200


async def test_a_proxy_that_is_trusted_names_the_source(account: Account) -> None:
    sources = {"source": True, "secret_header": False, "sources": ["203.0.113.7"]}
    trusting = await connect(account, checks={**sources, "trusted_proxies": [HERE]})
    wary = await connect(account, checks=sources)
    forwarded = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    invented = {"X-Forwarded-For": "203.0.113.7, 198.51.100.1"}
    raw = trusting.event(PERSON)
    assert (await trusting.post(raw, headers=forwarded)).status_code == 200
    assert code(await trusting.post(raw, headers=invented)) == (403, "webhook_source_refused")
    assert code(await wary.post(raw, headers=forwarded)) == (403, "webhook_source_refused")


@pytest.mark.parametrize(
    ("timestamp", "over", "status"),
    [
        (timedelta(0), {}, 200),
        (timedelta(minutes=-10), {}, 403),
        (timedelta(minutes=10), {}, 403),
        (timedelta(days=-10), {"is_replay": True}, 200),
    ],
)
async def test_a_signed_event_must_be_of_our_time(
    account: Account, timestamp: timedelta, over: dict[str, Any], status: int
) -> None:
    sender = await connect(account, checks={"source": False, "signature": True})
    at = (datetime.now(UTC) + timestamp).isoformat()
    raw = sender.event(PERSON, timestamp=at, **over)
    response = await sender.post(raw, headers=sender.headers(raw, signed=True))
    assert response.status_code == status
    if status == 403:
        assert response.json()["code"] == "webhook_timestamp_refused"


async def test_the_old_secrets_are_good_until_their_day_is_over(
    account: Account, anonymous: httpx.AsyncClient, database: Database
) -> None:
    old = await connect(account, checks={"source": False, "signature": True})
    rotated = await account.http.post(f"/v1/connections/{old.id}/rotate")
    new = Sender(account, rotated.json())
    assert new.secrets["header_value"] != old.secrets["header_value"]
    assert rotated.json()["previous_secrets_until"] is not None
    for sender in (old, new):
        raw = sender.event(PERSON, timestamp=datetime.now(UTC).isoformat())
        answer = await sender.post(raw, headers=sender.headers(raw, signed=True))
        assert answer.status_code == 200
    async with database.session(account.tenant_id) as session:
        past = {"previous_until": datetime.now(UTC) - timedelta(seconds=1)}
        await connections.update(
            session, tenant_id=account.tenant_id, connection_id=old.id, values=past
        )
    services = anonymous._transport.app.state.services  # type: ignore[attr-defined]
    services.connections.forget(old.id)
    raw = old.event(PERSON, timestamp=datetime.now(UTC).isoformat())
    refused = await old.post(raw, headers=old.headers(raw, signed=True))
    assert code(refused) == (403, "webhook_secret_refused")
    raw = new.event(PERSON, timestamp=datetime.now(UTC).isoformat())
    mixed = new.headers(raw) | {SIGNATURE_HEADER: sign(raw, old.secrets["signing_secret"].encode())}
    assert code(await new.post(raw, headers=mixed)) == (403, "webhook_signature_refused")


async def test_a_secret_that_no_longer_opens_refuses_and_breaks_nothing(
    account: Account, settings: Settings, open_client: OpenClient
) -> None:
    sender = await connect(
        account, checks={"source": False, "secret_header": False, "signature": True}
    )
    raw = sender.event(PERSON)
    changed = settings.model_copy(update={"signing_secret": SecretStr("t" * 32)})
    async with open_client(changed) as client:
        signed = sender.headers(raw, signed=True)
        response = await sender.post(raw, headers=signed, client=client)
    assert code(response) == (403, "webhook_signature_refused")


async def test_an_event_is_received_whatever_its_delivery_meets(
    account: Account, anonymous: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    sender = await connect(account)
    services = anonymous._transport.app.state.services  # type: ignore[attr-defined]
    monkeypatch.setattr(services.event_dispatcher, "signal", break_down)
    assert (await sender.send("hls.stopped.success")).status_code == 200
    assert await sender.outcomes() == [None]


async def test_a_connection_is_found_by_its_account_or_app(account: Account) -> None:
    workspace, app = uuid4().hex, uuid4().hex
    by_account = await connect(account, account_id=workspace)
    by_app = await connect(account, app_id=app)
    for sender, ids in (
        (by_account, {"account_id": workspace, "app_id": None}),
        (by_app, {"account_id": "any", "app_id": app}),
    ):
        raw = sender.event(PERSON, **ids)
        assert (await sender.post(raw, path="/v1/webhooks/100ms")).status_code == 200
        assert len(await sender.outcomes()) == 1


async def test_naming_another_tenants_account_brings_none_of_its_events(
    account: Account, other_account: Account
) -> None:
    workspace = uuid4().hex
    thief = await connect(other_account, account_id=workspace)
    await connect(
        other_account,
        account_id=workspace,
        checks={"source": True, "sources": [HERE], "secret_header": False},
    )
    owner = await connect(account, account_id=workspace)
    raw = owner.event(PERSON, account_id=workspace)
    assert (await owner.post(raw, path="/v1/webhooks/100ms")).status_code == 200
    assert len(await owner.outcomes()) == 1
    assert await thief.outcomes() == []


async def test_an_address_alone_finds_no_connection_by_its_account(account: Account) -> None:
    workspace = uuid4().hex
    checks = {"source": True, "sources": [HERE], "secret_header": False}
    sender = await connect(account, account_id=workspace, checks=checks)
    raw = sender.event(PERSON, account_id=workspace)
    response = await sender.post(raw, path="/v1/webhooks/100ms")
    assert code(response) == (404, "connection_not_found")


async def test_a_body_may_be_large_but_not_endless(account: Account) -> None:
    sender = await connect(account)
    large = sender.event("hls.recording.success", None, data={"filler": "x" * (200 << 10)})
    assert (await sender.post(large)).status_code == 200
    endless = large + b" " * MAX_BODY_BYTES
    assert code(await sender.post(endless)) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("raw", "status"), [(b"", 400), (b"{", 400), (b"[]", 422), (b'{"type": 1.5}', 422)]
)
async def test_what_is_no_event_is_refused(account: Account, raw: bytes, status: int) -> None:
    sender = await connect(account)
    assert (await sender.post(raw)).status_code == status


async def test_a_refusal_and_a_receipt_are_logged_in_our_words_only(account: Account) -> None:
    sender = await connect(account)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        await sender.post(sender.event(PERSON), headers={})
        await sender.send("evil\u00a0type")
        await sender.send(PERSON)
    events = [each["event"] for each in logs]
    assert events.count("inbound_refused") == 1
    received = [each for each in logs if each.get("status") == 200]
    assert [(each["type"], each["is_new"]) for each in received] == [
        ("unknown", True),
        (PERSON, True),
    ]
    assert {each["connection_id"] for each in received} == {str(sender.id)}
    written = repr(logs)
    for secret in (sender.secrets["header_value"], sender.room, "Ada", "evil"):
        assert secret not in written


@pytest.fixture
def strict_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"address_refusals_per_minute": 5})


async def test_refused_events_are_limited_by_address_and_good_ones_never(
    strict_settings: Settings, open_client: OpenClient, account: Account
) -> None:
    sender = await connect(account)
    async with open_client(strict_settings) as client:
        codes = []
        for _ in range(8):
            response = await sender.post(sender.event("hls.failure"), headers={}, client=client)
            codes.append(code(response))
        assert codes == [(403, "webhook_secret_refused")] * 5 + [(429, "rate_limited")] * 3
        assert int(response.headers["Retry-After"]) >= 1
        good = await sender.post(sender.event("hls.failure"), client=client)
        assert good.status_code == 200


async def test_lookups_of_unknown_connections_are_limited(
    strict_settings: Settings,
    open_client: OpenClient,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[UUID] = []
    look_up = connections.find

    async def find(session: AsyncSession, *, connection_id: UUID) -> Connection | None:
        looked_up.append(connection_id)
        return await look_up(session, connection_id=connection_id)

    monkeypatch.setattr(connections, "find", find)
    sender = await connect(account)
    async with open_client(strict_settings) as client:
        for _ in range(10):  # the same one each time is looked up once
            response = await sender.post(b"{}", path=f"/v1/webhooks/100ms/{NOBODY}", client=client)
        assert looked_up == [NOBODY]
        for _ in range(20):
            response = await sender.post(b"{}", path=f"/v1/webhooks/100ms/{uuid4()}", client=client)
        assert code(response) == (429, "rate_limited")
    assert len(looked_up) == 5
