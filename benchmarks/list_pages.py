"""What each list page costs the database, among a million highlights of one tenant.

`python -m benchmarks.list_pages [--highlights 1000000] [--repeats 50]` fills an embedded
PostgreSQL, then explains the statements that the repositories send for each page, as the
application's role under row-level security: planning and execution time by the server's own clock,
median and 99th percentile, and the rows it looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession

from app.dev.postgres import PostgresServer
from benchmarks.list_rows import OTHER, PER_STREAM, START, TENANT, fill, id_of
from benchmarks.search_pages import Page, search_pages
from benchmarks.tenant_pages import tenant_pages
from domain.highlights.selection import DecisionStatus
from domain.streams.status import StreamStatus
from infra.db.engine import Database
from infra.db.keyset import Position
from infra.db.migration import migrate
from infra.db.repositories import clips, highlights, streams, usage
from infra.db.repositories.highlights import HighlightFilter as Only
from infra.db.repositories.highlights import Sort

_ALL: Final = Only()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the server did for one statement; times in ms."""

    statement: str
    milliseconds: float
    rows: int
    scanned: frozenset[str]


def pages(tenant: UUID, highlights_count: int) -> dict[str, Page]:
    """Return every list of the API, by a name that describes its filter."""

    def listed(
        sort: Sort = Sort.NEWEST, after: Position | None = None, *, only: Only = _ALL
    ) -> Page:
        return lambda session: highlights.list_page(
            session,
            tenant_id=tenant,
            criteria=only,
            sort=sort,
            after=after,
            limit=51,
        )

    middle = START + timedelta(seconds=highlights_count // 2)
    later = middle + timedelta(hours=1)
    stream = id_of("stream", highlights_count // PER_STREAM // 2)
    ids = [id_of("highlight", n) for n in range(100, 150)]
    return {
        "highlights": listed(),
        "highlights, from the middle": listed(after=Position(value=middle, id=ids[0])),
        "highlights, oldest first": listed(Sort.OLDEST),
        "highlights, best first": listed(Sort.BEST),
        "highlights, best first, from 0.5": listed(Sort.BEST, Position(value=0.5, id=ids[0])),
        "highlights, by peak": listed(Sort.PEAK),
        "highlights of a stream": listed(only=Only(stream_id=stream)),
        "highlights of a stream, by peak": listed(Sort.PEAK, only=Only(stream_id=stream)),
        "highlights of a game": listed(only=Only(game="soccer")),
        "highlights rejected": listed(only=Only(statuses=(DecisionStatus.REJECTED,))),
        "highlights with a common tag": listed(only=Only(tag="crowd")),
        "highlights with a rare tag": listed(only=Only(tag="rare")),
        "highlights with no such tag": listed(only=Only(tag="no-such-tag")),
        "highlights with common words": listed(only=Only(text="goal crowd")),
        "highlights with a rare word": listed(only=Only(text="player123")),
        "highlights with a rare word, best first": listed(Sort.BEST, only=Only(text="player123")),
        "highlights of an hour": listed(only=Only(created_from=middle, created_to=later)),
        "highlights that happened in an hour": listed(
            only=Only(occurred_from=middle, occurred_to=later)
        ),
        "highlights that happened in an hour, best first": listed(
            Sort.BEST, only=Only(occurred_from=middle, occurred_to=later)
        ),
        "highlights that happened before": listed(only=Only(occurred_to=middle)),
        "highlights that happened after": listed(only=Only(occurred_from=middle)),
        "highlights that happened after, oldest first": listed(
            Sort.OLDEST, only=Only(occurred_from=middle)
        ),
        "highlights with a score of 0.9 or more": listed(only=Only(min_score=0.9)),
        "highlights with a rarity of 0.9 or more": listed(only=Only(dimensions=(("rarity", 0.9),))),
        "highlights of a common market": listed(only=Only(market="1x2")),
        "highlights of a rare market": listed(only=Only(market="rare")),
        "highlights of a rare market, best first": listed(Sort.BEST, only=Only(market="rare")),
        "highlights of no such market": listed(only=Only(market="no-such-market")),
        "highlights of a subject": listed(only=Only(subject="bet:4711")),
        "highlights of a common subject": listed(only=Only(subject="user:1")),
        "highlights of a common state": listed(only=Only(state="1-0")),
        "highlights of a rare state": listed(only=Only(state="99-0")),
        "highlights of a common period": listed(only=Only(period="2nd")),
        "highlights of a state in a period": listed(only=Only(state="1-0", period="2nd")),
        **search_pages(tenant, stream=stream, seen=ids[0]),
        "highlights by id": lambda session: highlights.get_many(
            session, tenant_id=tenant, highlight_ids=ids
        ),
        "clips of a page": lambda session: clips.latest_by_highlight(
            session, tenant_id=tenant, highlight_ids=ids
        ),
        "streams": lambda session: streams.list_page(session, tenant_id=tenant, limit=51),
        "streams live": lambda session: streams.list_page(
            session, tenant_id=tenant, status=StreamStatus.LIVE, limit=51
        ),
        "streams by external id": lambda session: streams.list_page(
            session, tenant_id=tenant, external_id="match-7", limit=51
        ),
        "feedback": lambda session: highlights.list_feedback(
            session, tenant_id=tenant, highlight_id=id_of("highlight", 7), limit=51
        ),
        "usage of a month": lambda session: usage.stats(
            session, tenant_id=tenant, since=START, until=START + timedelta(days=30)
        ),
        **tenant_pages(tenant, highlights_count),
        "changes of a stream": lambda session: streams.changes_since(
            session, tenant_id=tenant, stream_ids=[stream], start=START
        ),
    }


async def explain(session: AsyncSession, page: Page) -> list[Plan]:
    """Run a page, and explain the statements that it sent, with their parameters."""
    sent: list[tuple[str, tuple[Any, ...]]] = []

    def note(
        _connection: Connection,
        _cursor: object,
        statement: str,
        parameters: tuple[Any, ...],
        *_: object,
    ) -> None:
        sent.append((statement, parameters))

    connection = await session.connection()
    event.listen(connection.sync_connection, "before_cursor_execute", note)
    try:
        await page(session)
    finally:
        event.remove(connection.sync_connection, "before_cursor_execute", note)
    plans = []
    for statement, parameters in sent:
        result = await connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters
        )
        plans.append(_plan(statement, result.scalar_one()))
    return plans


def _plan(statement: str, answer: Any) -> Plan:  # noqa: ANN401
    (found,) = json.loads(answer) if isinstance(answer, str) else answer
    nodes = list(_nodes(found["Plan"]))
    leaves = [node for node in nodes if "Relation Name" in node]
    return Plan(
        statement=statement,
        milliseconds=found["Planning Time"] + found["Execution Time"],
        rows=sum(_rows_read(node) for node in leaves),
        scanned=frozenset(
            node["Relation Name"] for node in leaves if node["Node Type"] == "Seq Scan"
        ),
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _rows_read(node: dict[str, Any]) -> int:
    removed: float = node.get("Rows Removed by Filter", 0)
    kept: float = node["Actual Rows"]
    loops: float = node["Actual Loops"]
    return round((kept + removed) * loops)


async def measure(highlights_count: int, repeats: int) -> None:
    """Fill a database and print what each page costs."""
    with tempfile.TemporaryDirectory(prefix="highlights-bench-") as directory:
        root = Path(directory)
        server = PostgresServer(root / "data", log=root / "postgres.log", durable=False)
        try:
            urls = await server.prepare()
            await migrate(urls.owner)
            await fill(urls.owner, tenant=OTHER, highlights_count=max(1, highlights_count // 10))
            await fill(urls.owner, tenant=TENANT, highlights_count=highlights_count)
            database = Database(urls.application, pool_size=1)
            print(f"{'page':<42} {'median ms':>10} {'p99 ms':>10} {'rows read':>10}")
            for name, page in pages(TENANT, highlights_count).items():
                await _measure_page(database, name, page, repeats)
            await database.close()
        finally:
            server.stop()


async def _measure_page(database: Database, name: str, page: Page, repeats: int) -> None:
    times, rows = [], 0
    for _ in range(repeats + 1):  # the first one warms the caches
        async with database.session(TENANT) as session:
            plans = await explain(session, page)
        times.append(sum(plan.milliseconds for plan in plans))
        rows = sum(plan.rows for plan in plans)
    warm = sorted(times[1:])
    worst = warm[min(len(warm) - 1, int(len(warm) * 0.99))]
    print(f"{name:<42} {statistics.median(warm):>10.2f} {worst:>10.2f} {rows:>10,}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--highlights", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    asyncio.run(measure(options.highlights, options.repeats))


if __name__ == "__main__":
    main()
