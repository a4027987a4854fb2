"""A stream followed by server-sent events.

The test client gives an answer when it is whole, so that each test lets its stream end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest

from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.settings import Settings
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account, OpenClient


class Told(NamedTuple):
    """An event as a client sees it."""

    event: str
    id: str | None
    data: dict[str, Any]


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"events_interval": 0.01})


@pytest.fixture
async def client(quick: Settings, open_client: OpenClient) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(quick) as client:
        yield client


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    return await new_stream(database, account.tenant_id)


async def become(database: Database, account: Account, stream: UUID, status: StreamStatus) -> None:
    record = StreamRecord(
        tenant_id=account.tenant_id,
        stream_id=stream,
        progress=StreamProgress(status=status, position=60.0),
    )
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(session, record)


async def follow(
    client: httpx.AsyncClient, account: Account, stream: UUID, **headers: str
) -> httpx.Response:
    return await client.get(
        f"/v1/streams/{stream}/events",
        headers={"Authorization": f"Bearer {account.key}", **headers},
    )


def told(response: httpx.Response) -> list[Told]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in response.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line[:1] != ":")
        if "event" in fields:
            events.append(Told(fields["event"], fields.get("id"), json.loads(fields["data"])))
    return events


async def test_what_there_is_comes_first_and_the_end_closes_it(
    client: httpx.AsyncClient, account: Account, database: Database, stream: UUID
) -> None:
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    await new_highlight(
        database, account.tenant_id, stream, peak=90.0, status=DecisionStatus.REJECTED
    )
    await become(database, account, stream, StreamStatus.COMPLETED)
    events = told(await follow(client, account, stream))
    assert [each.event for each in events] == ["highlight", "stream", "end"]
    assert events[0].data["id"] == str(highlight)
    assert events[0].data["clip"]["id"] == str(clip)
    assert events[1].data["status"] == "completed"
    assert events[2].data == {"reason": "ended"}


async def test_changes_are_sent_as_they_happen(
    client: httpx.AsyncClient, account: Account, database: Database, stream: UUID
) -> None:
    tenant = account.tenant_id
    following = asyncio.create_task(follow(client, account, stream))
    highlight = await new_highlight(database, tenant, stream, status=DecisionStatus.PENDING)
    await new_clip(database, tenant, stream, highlight, status=ClipStatus.RENDERING)
    await become(database, account, stream, StreamStatus.LIVE)
    await new_clip(database, tenant, stream, highlight)
    await new_highlight(database, tenant, stream, status=DecisionStatus.CONFIRMED)
    await become(database, account, stream, StreamStatus.COMPLETED)
    events = told(await following)
    last = [each for each in events if each.event == "highlight"][-1]
    assert (last.data["status"], last.data["clip"]["status"]) == ("confirmed", "ready")
    assert [each.data["status"] for each in events if each.event == "stream"][-1] == "completed"
    assert events[-1].event == "end"


async def test_a_reconnecting_client_gets_the_changes_since(
    client: httpx.AsyncClient, account: Account, database: Database, stream: UUID
) -> None:
    for peak in (10.0, 20.0):
        await new_highlight(database, account.tenant_id, stream, peak=peak)
    await become(database, account, stream, StreamStatus.COMPLETED)
    events = told(await follow(client, account, stream))
    ids = [int(each.id) for each in events if each.id is not None]
    assert ids == sorted(ids)
    later = str(ids[-1] + 60_000_000)
    resumed = told(await follow(client, account, stream, **{"Last-Event-ID": later}))
    assert [each.event for each in resumed] == ["stream", "end"]
    overlapping = told(await follow(client, account, stream, **{"Last-Event-ID": str(ids[-1])}))
    assert [each.id for each in overlapping] == [each.id for each in events]


async def test_many_highlights_are_all_sent(
    client: httpx.AsyncClient, account: Account, database: Database, stream: UUID
) -> None:
    peaks = [float(peak) for peak in range(10, 115)]
    for peak in peaks:
        await new_highlight(database, account.tenant_id, stream, peak=peak)
    await become(database, account, stream, StreamStatus.COMPLETED)
    events = told(await follow(client, account, stream))
    assert [each.data["peak"] for each in events if each.event == "highlight"] == peaks


async def test_a_deleted_stream_ends_it(
    client: httpx.AsyncClient, account: Account, database: Database, stream: UUID
) -> None:
    following = asyncio.create_task(follow(client, account, stream))
    async with database.session(account.tenant_id) as session:
        await streams.request_deletion(
            session, tenant_id=account.tenant_id, stream_id=stream, reason=""
        )
        await streams.delete_rows(session, tenant_id=account.tenant_id, stream_id=stream)
    response = await following
    # Whether the deletion or the request came first: it is not found, or it ends.
    assert response.status_code == 404 or told(response)[-1].data == {"reason": "deleted"}


async def test_a_connection_has_a_maximum_lifetime(
    account: Account, quick: Settings, open_client: OpenClient, stream: UUID
) -> None:
    async with open_client(quick.model_copy(update={"events_lifetime": 0.05})) as client:
        response = await follow(client, account, stream)
    assert response.text.startswith("retry: 2000")
    assert "end" not in [each.event for each in told(response)]


async def test_a_tenant_has_so_many_connections_at_a_time(
    account: Account, quick: Settings, open_client: OpenClient, stream: UUID
) -> None:
    async with open_client(quick.model_copy(update={"events_per_tenant": 0})) as client:
        response = await follow(client, account, stream)
    assert (response.status_code, response.json()["code"]) == (429, "too_many_connections")


@pytest.mark.parametrize("last", ["x", "-1", "9" * 17])
async def test_an_id_that_is_not_ours_is_refused(
    client: httpx.AsyncClient, account: Account, stream: UUID, last: str
) -> None:
    response = await follow(client, account, stream, **{"Last-Event-ID": last})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
