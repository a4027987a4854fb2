"""Batches answer for each id by itself."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from domain.ids import stream_workflow_id
from domain.streams.messages import StreamWorkflowResult
from infra.db.engine import Database
from infra.settings import Settings
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import Account, OpenClient


async def test_highlights_are_read_in_the_order_asked_for_each_once(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    first = await new_highlight(database, account.tenant_id, stream, peak=10.0)
    second = await new_highlight(database, account.tenant_id, stream, peak=20.0)
    clip = await new_clip(database, account.tenant_id, stream, first)
    unknown = uuid4()
    ids = [str(each) for each in (second, unknown, first, second)]
    response = await account.http.post("/v1/highlights/batch-get", json={"ids": ids})
    results = response.json()["data"]
    assert [each["id"] for each in results] == ids[:3]
    assert [each["highlight"] and each["highlight"]["peak"] for each in results] == [
        *(20.0, None),
        10.0,
    ]
    assert results[1]["problem"]["code"] == "highlight_not_found"
    assert results[2]["highlight"]["clip"]["id"] == str(clip)


async def test_streams_are_stopped_independently(
    account: Account, database: Database, workflows: Client
) -> None:
    body = {"url": "https://cdn.example.com/live/master.m3u8"}
    running = (await account.http.post("/v1/streams/analyze", json=body)).json()["id"]
    orphan = str(await new_stream(database, account.tenant_id))
    unknown = str(uuid4())
    ids = {"ids": [running, orphan, unknown]}
    results = (await account.http.post("/v1/streams/batch-stop", json=ids)).json()["data"]
    assert [each["id"] for each in results] == ids["ids"]
    assert results[1]["stream"]["status"] == "cancelled"
    assert results[2]["problem"]["code"] == "stream_not_found"
    handle = workflows.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=UUID(running)),
        result_type=StreamWorkflowResult,
    )
    assert (await handle.result()).end.message == "stopped by the tenant"


async def test_what_cannot_be_stopped_now_says_so_for_itself(
    account: Account,
    database: Database,
    settings_without_temporal: Settings,
    open_client: OpenClient,
) -> None:
    stream = str(await new_stream(database, account.tenant_id))
    async with open_client(settings_without_temporal) as client:
        response = await client.post(
            "/v1/streams/batch-stop",
            json={"ids": [stream]},
            headers={"Authorization": f"Bearer {account.key}"},
        )
    (result,) = response.json()["data"]
    assert (response.status_code, result["problem"]["code"]) == (200, "service_unavailable")


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/highlights/batch-get", 100), ("/v1/streams/batch-stop", 50)]
)
async def test_a_batch_has_bounds(account: Account, path: str, limit: int) -> None:
    for count in (0, limit + 1):
        ids = [str(uuid4()) for _ in range(count)]
        assert (await account.http.post(path, json={"ids": ids})).status_code == 422
