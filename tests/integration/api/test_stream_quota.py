"""A plan's streams at a time, over the API."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress
from domain.tenants.usage import PLANS, PlanName
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.settings import Settings
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem

PATH = "/v1/streams/analyze"
BODY = {"url": "https://cdn.example.com/live/master.m3u8"}
ALLOWED = PLANS[PlanName.STARTER].concurrent_streams


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"default_plan": PlanName.STARTER})


async def analyze(account: Account, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await account.http.post(PATH, json=BODY, headers=headers)


async def fill(account: Account) -> list[dict[str, Any]]:
    return [(await analyze(account)).json() for _ in range(ALLOWED)]


async def test_requests_at_the_same_moment_start_no_more_streams_than_allowed(
    account: Account, other_account: Account
) -> None:
    responses = await asyncio.gather(*(analyze(account) for _ in range(ALLOWED + 4)))
    codes = sorted(response.status_code for response in responses)
    assert codes == [201] * ALLOWED + [409] * 4
    assert (await analyze(other_account)).status_code == 201


async def test_the_refusal_says_the_limit_and_what_runs(account: Account) -> None:
    running = await fill(account)
    problem = assert_problem(await analyze(account), 409, "stream_quota_exceeded")
    assert f"`starter` allows {ALLOWED} concurrent streams" in problem["detail"]
    assert all(stream["id"] in problem["detail"] for stream in running)


async def test_a_stream_that_ends_makes_room(account: Account, database: Database) -> None:
    first, *_ = await fill(account)
    end = StreamEnd(reason=EndReason.STOPPED, message="stopped")
    record = StreamRecord(
        tenant_id=account.tenant_id,
        stream_id=UUID(first["id"]),
        progress=StreamProgress(status=end.status, end=end),
    )
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(session, record)
    assert (await analyze(account)).status_code == 201


async def test_a_repeated_request_needs_no_room_and_a_refused_one_may_be_repeated(
    account: Account,
) -> None:
    key, refused = str(uuid4()), str(uuid4())
    first = await analyze(account, key)
    for _ in range(ALLOWED - 1):
        await analyze(account)
    again = await analyze(account, key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await analyze(account, refused)).status_code == 409
    assert (await analyze(account, refused)).json()["code"] == "stream_quota_exceeded"
