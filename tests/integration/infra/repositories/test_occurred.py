"""Filters by `occurred_from` and `occurred_to`, of live streams and of recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from infra.db.engine import Database
from infra.db.keyset import Position
from infra.db.repositories import highlights
from infra.db.repositories.highlights import HighlightFilter, Sort
from tests.factories.rows import new_highlight, new_stream

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATE = 3
"""Made first, and so listed last, but of what had happened last: as it is with recordings."""


@pytest.fixture
async def peaks(database: Database, tenant: UUID) -> list[float]:
    """Peaks of highlights an hour apart, the newest first."""
    stream = await new_stream(database, tenant)
    order = [LATE, 0, 1, 2]
    for number in order:
        happened_at = NOON + number * HOUR
        await new_highlight(
            database, tenant, stream, peak=10.0 + number, peak_wall_clock=happened_at
        )
    return [10.0 + number for number in reversed(order)]


async def listed(
    database: Database,
    tenant: UUID,
    criteria: HighlightFilter,
    sort: Sort = Sort.NEWEST,
    after: Position | None = None,
) -> list[float]:
    async with database.session(tenant) as session:
        rows = await highlights.list_page(
            session, tenant_id=tenant, criteria=criteria, sort=sort, after=after
        )
    return [row.peak for row in rows]


async def test_lists_by_time_of_occurrence(
    database: Database, tenant: UUID, peaks: list[float]
) -> None:
    narrow = HighlightFilter(occurred_from=NOON + HOUR, occurred_to=NOON + 3 * HOUR)
    assert await listed(database, tenant, narrow) == [12, 11]
    assert await listed(database, tenant, narrow, Sort.OLDEST) == [11, 12]
    assert await listed(database, tenant, narrow, Sort.PEAK) == [11, 12]
    assert await listed(database, tenant, HighlightFilter(occurred_from=NOON)) == peaks
    assert await listed(database, tenant, HighlightFilter(occurred_to=NOON)) == []
    late = HighlightFilter(occurred_from=NOON + LATE * HOUR)
    assert await listed(database, tenant, late) == [10 + LATE]


async def test_pages_go_on_and_other_filters_count(
    database: Database, tenant: UUID, peaks: list[float]
) -> None:
    first = HighlightFilter(occurred_from=NOON, occurred_to=NOON + 3 * HOUR)
    async with database.session(tenant) as session:
        (row,) = await highlights.list_page(session, tenant_id=tenant, criteria=first, limit=1)
    after = Position(value=row.created_at, id=row.id)
    assert await listed(database, tenant, first, after=after) == peaks[1:3]
    other = HighlightFilter(occurred_from=NOON, peak_from=11.5, created_to=row.created_at)
    assert await listed(database, tenant, other) == [10 + LATE]


async def test_the_ends_of_all_time_can_be_asked_for(
    database: Database, tenant: UUID, peaks: list[float]
) -> None:
    ever = HighlightFilter(
        occurred_from=datetime.min.replace(tzinfo=UTC), occurred_to=datetime.max.replace(tzinfo=UTC)
    )
    assert await listed(database, tenant, ever) == peaks


async def test_a_tenant_without_highlights_can_ask_too(database: Database, tenant: UUID) -> None:
    assert await listed(database, tenant, HighlightFilter(occurred_from=NOON)) == []
