"""Positions of running streams reach their rows between two records."""

from __future__ import annotations

import asyncio
from uuid import UUID

from activities.follow import PositionWriter
from domain.ingest.messages import IngestCursor, IngestProgress
from domain.streams.messages import FollowProgress
from infra.db.engine import Database
from infra.db.repositories import streams
from tests.factories.rows import new_stream


def reached(position: float) -> FollowProgress:
    return FollowProgress(window=IngestProgress.begin(IngestCursor(position=position)))


async def position_of(database: Database, tenant: UUID, stream: UUID) -> float:
    async with database.session(tenant) as session:
        row = await streams.get(session, tenant_id=tenant, stream_id=stream)
    assert row is not None
    return row.position


async def writes() -> None:
    """Wait for the writes under way."""
    tasks = [each for each in asyncio.all_tasks() if each.get_name() == "write-position"]
    await asyncio.gather(*tasks)


async def test_a_position_is_written_in_the_background(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    writer = PositionWriter(database, interval=0.0)
    for position in (12.0, 40.0):
        writer.note((tenant, stream), reached(position))
        await writes()
        assert await position_of(database, tenant, stream) == position


async def test_each_stream_is_written_at_most_once_an_interval(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    other = await new_stream(database, tenant)
    writer = PositionWriter(database, interval=3600.0)
    for each in (stream, other):
        writer.note((tenant, each), reached(12.0))
        writer.note((tenant, each), reached(40.0))
    await writes()
    assert [await position_of(database, tenant, each) for each in (stream, other)] == [12.0, 12.0]


async def test_following_goes_on_without_a_database(tenant: UUID, stream: UUID) -> None:
    unreachable = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    PositionWriter(unreachable).note((tenant, stream), reached(12.0))
    await writes()
