"""`POST /v1/streams/analyze`: one row, one workflow, one answer."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.converter import PayloadConverter

from domain.ids import stream_workflow_id
from domain.streams.messages import StreamInput
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.settings import Settings
from infra.telemetry.temporal import CORRELATION_ID
from tests.integration.api.conftest import Account, OpenClient
from workflows.steps import GAME, STREAM_ID, STREAM_STATUS, TENANT_ID

BODY = {"url": "https://cdn.example.com/live/master.m3u8", "game": "football", "title": "Final"}
PATH = "/v1/streams/analyze"


def workflow_of(client: Client, account: Account, stream: str) -> WorkflowHandle[Any, Any]:
    return client.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=UUID(stream))
    )


async def stored(database: Database, account: Account) -> list[UUID]:
    async with database.session(account.tenant_id) as session:
        rows = await streams.list_page(session, tenant_id=account.tenant_id, limit=100)
    return [row.id for row in rows]


async def test_a_stream_is_stored_and_its_workflow_started(
    account: Account, temporal_client: Client
) -> None:
    body = BODY | {"external_id": "match 1", "options": {"max_height": 480, "stall_timeout": 60}}
    response = await account.http.post(PATH, json=body, headers={"X-Request-Id": "from-client"})
    stream = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/streams/{stream['id']}"
    assert (stream["status"], stream["external_id"]) == ("starting", "match 1")

    started = await workflow_of(temporal_client, account, stream["id"]).describe()
    given = await input_of(temporal_client, started.id)
    assert given.tenant_id == account.tenant_id
    assert given.playlist_url == BODY["url"]
    assert given.variant.max_height == 480
    assert given.limits.stall_timeout == 60.0
    assert given.correlation_id == "from-client"
    assert (given.profile_id, given.game) == (stream["profile"]["id"], stream["game"])
    attributes = started.typed_search_attributes
    assert attributes[TENANT_ID] == str(account.tenant_id)
    assert attributes[STREAM_ID] == stream["id"]
    assert attributes[GAME] == stream["game"]
    assert attributes[STREAM_STATUS] == "starting"
    assert await started.memo_value("correlation_id") == "from-client"
    assert (await account.http.get(response.headers["Location"])).json()["id"] == stream["id"]


async def test_the_id_of_a_request_is_the_correlation_id_of_its_workflow(
    account: Account, temporal_client: Client
) -> None:
    response = await account.http.post(PATH, json=BODY, headers={"X-Request-Id": "from-client"})
    history = await workflow_of(temporal_client, account, response.json()["id"]).fetch_history()
    header = history.events[0].workflow_execution_started_event_attributes.header.fields
    assert PayloadConverter.default.from_payload(header[CORRELATION_ID]) == "from-client"


async def test_a_repeated_request_is_answered_alike_and_creates_nothing(
    account: Account, database: Database
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first = await account.http.post(PATH, json=BODY, headers=headers)
    second = await account.http.post(PATH, json=BODY, headers=headers)
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert second.headers["Location"] == first.headers["Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(await stored(database, account)) == 1


async def test_requests_without_a_key_are_different_requests(
    account: Account, database: Database
) -> None:
    for _ in range(2):
        await account.http.post(PATH, json=BODY)
    assert len(await stored(database, account)) == 2


async def test_a_key_used_for_another_request_is_refused(account: Account) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    await account.http.post(PATH, json=BODY, headers=headers)
    response = await account.http.post(PATH, json=BODY | {"title": "Other"}, headers=headers)
    assert response.status_code == 422
    assert response.json()["code"] == "idempotency_key_reused"


async def test_keys_of_different_tenants_never_meet(
    account: Account, other_account: Account
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first = await account.http.post(PATH, json=BODY, headers=headers)
    second = await other_account.http.post(PATH, json=BODY | {"title": "B"}, headers=headers)
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]


async def test_concurrent_repetitions_create_one_stream(
    account: Account, database: Database
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    responses = await asyncio.gather(
        *(account.http.post(PATH, json=BODY, headers=headers) for _ in range(5))
    )
    assert {response.status_code for response in responses} <= {201, 409}
    assert len({r.json()["id"] for r in responses if r.status_code == 201}) == 1
    assert len(await stored(database, account)) == 1


async def test_a_request_under_way_is_said_to_be(account: Account, database: Database) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    await account.http.post(PATH, json=BODY, headers=headers)
    await forget_answer(database, account, 60.0)
    response = await account.http.post(PATH, json=BODY, headers=headers)
    assert response.status_code == 409
    assert response.json()["code"] == "request_in_progress"
    assert int(response.headers["Retry-After"]) > 0


async def test_a_request_that_died_half_way_is_finished_by_its_repetition(
    account: Account, database: Database
) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    first = await account.http.post(PATH, json=BODY, headers=headers)
    await forget_answer(database, account, -1.0)
    second = await account.http.post(PATH, json=BODY, headers=headers)
    assert (second.status_code, second.json()["id"]) == (201, first.json()["id"])
    assert len(await stored(database, account)) == 1


async def test_nothing_stays_when_the_workflow_service_is_away(
    account: Account,
    database: Database,
    settings_without_temporal: Settings,
    open_client: OpenClient,
) -> None:
    headers = {"Idempotency-Key": str(uuid4()), "Authorization": f"Bearer {account.key}"}
    async with open_client(settings_without_temporal) as client:
        response = await client.post(PATH, json=BODY, headers=headers)
    assert response.status_code == 503
    assert response.json()["code"] == "service_unavailable"
    assert int(response.headers["Retry-After"]) > 0
    assert await stored(database, account) == []
    again = await account.http.post(PATH, json=BODY, headers=headers)
    assert again.status_code == 201


@pytest.mark.parametrize(
    "url",
    [
        "ftp://cdn.example.com/a.m3u8",
        "http://cdn.example.com/a.m3u8",
        "https://127.0.0.1/a.m3u8",
        "https://169.254.169.254/latest/meta-data",
        "https://user:secret@cdn.example.com/a.m3u8",
        "https:///a.m3u8",
    ],
)
async def test_a_url_that_must_not_be_requested_is_refused_at_once(
    account: Account, database: Database, url: str
) -> None:
    response = await account.http.post(PATH, json=BODY | {"url": url})
    assert response.status_code == 422
    assert response.json()["code"] == "url_forbidden"
    assert await stored(database, account) == []


async def forget_answer(database: Database, account: Account, seconds_left: float) -> None:
    """Make the key look as if the process had died before it answered."""
    async with database.session(account.tenant_id) as session:
        await session.execute(
            text(
                "UPDATE idempotency_keys SET response_status = NULL, response_body = NULL,"
                " claimed_until = now() + make_interval(secs => :left)"
            ),
            {"left": seconds_left},
        )


async def input_of(client: Client, workflow_id: str) -> StreamInput:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    (given,) = await client.data_converter.decode(payloads, [StreamInput])
    assert isinstance(given, StreamInput)
    return given
