"""Events of feeds in the database."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from domain.feed.linking import FeedRuling
from domain.feed.models import FeedEvent, FeedOutcome
from infra.db.engine import Database
from infra.db.repositories.feed import feed_events


def event(identity: str) -> FeedEvent:
    return FeedEvent.model_validate(
        {
            "id": identity,
            "revision": 1,
            "kind": "score",
            "at": {"wall_clock": datetime(2026, 5, 2, 19, tzinfo=UTC)},
        }
    )


async def test_events_without_a_place_keep_no_other_waiting(
    database: Database, tenant: UUID, stream: UUID
) -> None:
    for identity in ("a", "b"):
        async with database.session(tenant) as session:
            (row,) = await feed_events.put(
                session, tenant_id=tenant, stream_id=stream, events=[event(identity)]
            )
            if identity == "a":
                await feed_events.rule(
                    session,
                    tenant_id=tenant,
                    event_id=row.id,
                    place=None,
                    ruling=FeedRuling(FeedOutcome.UNPLACED),
                )
    async with database.session(tenant) as session:
        found = await feed_events.unresolved(session, tenant_id=tenant, stream_id=stream, limit=1)
    assert [row.event_id for row, _ in found] == ["b"]
