"""A flood of one event costs one stream and its workflows, and the rest nothing but its answers."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import Client

from app.services.streams import StreamStarter
from domain.ids import session_workflow_id
from tests.fakes.hms_sender import connect
from tests.integration.api.conftest import Account

FLOOD = 300
"""The benchmark sends 10,000."""

AT_ONCE = 30


async def test_duplicates_of_a_start_make_one_workflow(
    account: Account, workflows: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    start = StreamStarter.start

    async def counted(self: StreamStarter, stream: object) -> None:
        started.append(stream)
        await start(self, stream)  # type: ignore[arg-type]

    monkeypatch.setattr(StreamStarter, "start", counted)
    sender = await connect(account, has_worker=True)
    raw = sender.event("hls.started.success")

    async def send() -> list[bool]:
        return [
            (await sender.post_until_received(raw)).json()["is_new"]
            for _ in range(FLOOD // AT_ONCE)
        ]

    answers = [
        each for some in await asyncio.gather(*(send() for _ in range(AT_ONCE))) for each in some
    ]
    assert answers.count(True) == 1
    assert await sender.outcomes() == ["started"]
    assert len(await sender.streams()) == 1
    assert len(started) == 1
    session = session_workflow_id(
        tenant_id=account.tenant_id,
        connection_id=sender.id,
        partition=f"session:{sender.session}",
    )
    found = await listed(workflows, f'TenantId = "{account.tenant_id}"', at_least=2)
    assert found == [session, sender.workflow_id()]


async def listed(client: Client, query: str, *, at_least: int) -> list[str]:
    """The ids of workflows, each run's; Temporal's list follows what it does after a moment."""
    while True:
        found = sorted([each.id async for each in client.list_workflows(query)])
        if len(found) >= at_least:
            return found
        await asyncio.sleep(0.05)
