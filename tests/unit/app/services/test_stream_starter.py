"""Starting workflows on servers that differ in what they know."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.services.streams import StreamStarter
from domain.ingest.messages import IngestLimits
from infra.db.tables import Stream
from infra.temporal.client import TemporalRefusedError


class Server:
    """Refuses search attributes that it does not know, as Temporal does."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.started: list[list[str]] = []
        self.refused = 0

    async def start_workflow(self, *_: object, **options: Any) -> None:  # noqa: ANN401
        names = [pair.key.name for pair in options["search_attributes"]]
        for name in names:
            if name not in self.known:
                self.refused += 1
                message = f"Namespace default has no mapping defined for search attribute {name}"
                raise RPCError(message, RPCStatusCode.INVALID_ARGUMENT, b"")
        self.started.append(names)


def starter_for(server: Server) -> StreamStarter:
    async def client() -> Client:
        return server  # type: ignore[return-value]

    return StreamStarter(client, limits=IngestLimits())


def stream() -> Stream:
    return Stream(
        tenant_id=UUID(int=1),
        id=UUID(int=2),
        playlist_url="https://cdn.example.com/live.m3u8",
        game="soccer",
        title="",
        profile_id="soccer",
        profile_version="1",
        options={},
        status="starting",
    )


OURS = ("TenantId", "StreamId", "Game", "StreamStatus")


async def test_a_server_without_titles_is_used_without_them_and_asked_once() -> None:
    server = Server(*OURS)
    starter = starter_for(server)
    for _ in range(2):
        await starter.start(stream())
    assert (len(server.started), server.refused) == (2, 1)


async def test_a_server_with_titles_lists_by_them() -> None:
    server = Server(*OURS, "StreamTitle")
    await starter_for(server).start(stream())
    assert "StreamTitle" in server.started[0]


async def test_a_server_without_what_we_need_refuses() -> None:
    with pytest.raises(TemporalRefusedError):
        await starter_for(Server("StreamTitle")).start(stream())
