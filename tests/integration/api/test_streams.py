"""Streams read and stopped over the API."""

from __future__ import annotations

from uuid import UUID, uuid4

from temporalio.client import Client
from temporalio.common import SearchAttributeKey

from domain.ids import stream_workflow_id
from domain.media.segments import Gap, GapReason
from domain.streams.messages import StreamRecord, StreamWorkflowResult
from domain.streams.status import (
    EndReason,
    ProblemCode,
    StreamEnd,
    StreamProblem,
    StreamProgress,
    StreamStatus,
)
from infra.db.engine import Database
from infra.db.repositories import streams, tenants
from tests.factories.rows import new_stream
from tests.integration.api.conftest import Account

BODY = {"url": "https://cdn.example.com/live/master.m3u8"}
GAP = Gap(start=4.0, duration=2.0, first_sequence=2, last_sequence=2, reason=GapReason.NOT_FOUND)


async def record(
    database: Database, account: Account, stream: UUID, progress: StreamProgress
) -> None:
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(
            session,
            StreamRecord(
                tenant_id=account.tenant_id, stream_id=stream, progress=progress, gaps=(GAP,)
            ),
        )


async def test_a_running_stream_shows_what_its_workflow_knows(
    account: Account, workflows: Client
) -> None:
    made = (await account.http.post("/v1/streams/analyze", json=BODY)).json()
    stream = (await account.http.get(f"/v1/streams/{made['id']}")).json()
    assert (stream["status"], stream["position"], stream["segments"]) == ("live", 42.0, 21)


async def test_operators_find_a_stream_by_tenant_room_and_title(
    account: Account, workflows: Client, database: Database
) -> None:
    body = {**BODY, "title": "Cup final", "external_id": "room-7"}
    made = (await account.http.post("/v1/streams/analyze", json=body)).json()
    async with database.session(account.tenant_id) as session:
        tenant = await tenants.get(session, tenant_id=account.tenant_id)
    assert tenant is not None
    title = f"{tenant.slug} · room-7 · Cup final"
    handle = workflows.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=UUID(made["id"]))
    )
    described = await handle.describe()
    assert await described.static_summary() == title
    details = await described.static_details()
    assert details is not None
    assert made["id"] in details
    assert BODY["url"] not in details
    key = SearchAttributeKey.for_keyword("StreamTitle")
    assert described.typed_search_attributes.get(key) == title


async def test_a_stream_says_when_it_is_not_analysed_as_usual(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await record(database, account, stream, StreamProgress(notice="Only the local analyzer."))
    found = (await account.http.get(f"/v1/streams/{stream}")).json()
    assert found["notice"] == "Only the local analyzer."


async def test_a_stream_says_what_is_wrong_with_it_until_it_is_mended(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    problem = StreamProblem(code=ProblemCode.STORE_FULL, message="Our media store is full.")
    await record(
        database,
        account,
        stream,
        StreamProgress(problems=(problem,), notice="Only the local analyzer."),
    )
    found = (await account.http.get(f"/v1/streams/{stream}")).json()
    assert found["problems"] == [{"code": "store_full", "message": "Our media store is full."}]
    assert found["notice"] == "Our media store is full. Only the local analyzer."
    await record(database, account, stream, StreamProgress())
    found = (await account.http.get(f"/v1/streams/{stream}")).json()
    assert (found["problems"], found["notice"]) == ([], "")


async def test_a_stream_that_is_over_shows_how_it_ended_and_its_gaps(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    end = StreamEnd(reason=EndReason.VOD_PLAYLIST, message="it is a recording")
    await record(
        database, account, stream, StreamProgress(status=StreamStatus.FAILED, position=9.0, end=end)
    )
    found = (await account.http.get(f"/v1/streams/{stream}")).json()
    assert found["status"] == "failed"
    assert found["end"] == {"reason": "vod_playlist", "message": "it is a recording"}
    assert found["gaps"] == [
        {
            "start": 4.0,
            "duration": 2.0,
            "reason": "not_found",
            "detail": "",
            "status": "open",
            "resolution": "",
        }
    ]
    assert found["ended_at"] is not None


async def test_stopping_ends_the_workflow_in_good_order(
    account: Account, workflows: Client
) -> None:
    made = (await account.http.post("/v1/streams/analyze", json=BODY)).json()
    response = await account.http.post(f"/v1/streams/{made['id']}/stop")
    assert (response.status_code, response.json()["status"]) == (202, "ending")
    handle = workflows.get_workflow_handle(
        stream_workflow_id(tenant_id=account.tenant_id, stream_id=UUID(made["id"])),
        result_type=StreamWorkflowResult,
    )
    assert (await handle.result()).end.message == "stopped by the tenant"


async def test_stopping_a_stream_that_nothing_follows_closes_it(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    response = await account.http.post(f"/v1/streams/{stream}/stop")
    assert response.status_code == 202
    assert response.json()["status"] == "cancelled"


async def test_stopping_a_stream_that_is_over_changes_nothing(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await record(database, account, stream, StreamProgress(status=StreamStatus.COMPLETED))
    response = await account.http.post(f"/v1/streams/{stream}/stop")
    assert (response.status_code, response.json()["status"]) == (202, "completed")


async def test_a_list_of_streams_goes_on_where_the_page_ended(
    account: Account, database: Database
) -> None:
    made = [str(await new_stream(database, account.tenant_id)) for _ in range(3)]
    first = (await account.http.get("/v1/streams", params={"limit": 2})).json()
    second = (
        await account.http.get("/v1/streams", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()
    assert [each["id"] for each in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_streams_are_filtered(account: Account, database: Database) -> None:
    chess = str(await new_stream(database, account.tenant_id, game="chess"))
    await new_stream(database, account.tenant_id, game="soccer")

    async def ids(**params: str) -> list[str]:
        found = (await account.http.get("/v1/streams", params=params)).json()
        return [each["id"] for each in found["data"]]

    assert await ids(game="chess") == [chess]
    assert await ids(status="live") == []
    assert await ids(external_id=str(uuid4())) == []
