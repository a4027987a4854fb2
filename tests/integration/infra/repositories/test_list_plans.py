"""Every list reads an index and few rows: real plans among many, as the application's role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.dev.postgres import DatabaseUrls, PostgresServer
from benchmarks.list_pages import explain, pages
from benchmarks.list_rows import OTHER, TENANT, fill
from infra.db.engine import Database, asyncpg_url
from infra.db.migration import migrate
from tests.conftest import run_apart

HIGHLIGHTS = 40_000
FEW = 600
"""Rows read for a page of 51; with two words a row is read for each."""

BOUND = 15_000
"""Rows read where a thousand are wanted and each is found by its words: whatever the number."""

# Reading and sorting all of so small a table would be cheaper for these; of a quarter of a million
# PostgreSQL walks by itself.
WALKS = {
    *("search for a common word", "search for a common word, from 0.5", "search for common words"),
}
MORE = {
    # Sums them all: hours, streams and kinds.
    "usage of a month": 10_000,
    # All of the hour.
    "highlights that happened in an hour": 4_000,
    "highlights that happened in an hour, best first": 4_000,
    # Walks the newest, of which every twelfth or so has it.
    "highlights of a common state": 1_000,
    "highlights of a state in a period": 1_000,
    # Walks the best until it has the thousand that are ranked.
    "search for a common word": BOUND,
    "search for a common word, from 0.5": BOUND,
    "search for common words": BOUND,
    # By what it has sampled PostgreSQL looks the common word up for each row of the rare one, or
    # reads all rows of it: both are cheap.
    "search for a common and a rare word": BOUND,
    "search for a phrase": BOUND,
    # A step through the index for each word that there is.
    "search for a misspelt word": BOUND,
    "search for an unknown word": 2_000,
    "words to correct by": 2_000,
    # Compares the five hundred newest.
    "similar by title": BOUND,
    "similar by picture": 2_000,
}


@pytest.fixture(scope="module")
def many(postgres_server: PostgresServer) -> DatabaseUrls:
    """A database in which two tenants have many highlights."""
    urls = run_apart(postgres_server.prepare(f"many_{uuid4().hex}"))
    run_apart(migrate(urls.owner))
    run_apart(fill(urls.owner, tenant=OTHER, highlights_count=HIGHLIGHTS // 10))
    run_apart(fill(urls.owner, tenant=TENANT, highlights_count=HIGHLIGHTS))
    return urls


@pytest.fixture
async def database(many: DatabaseUrls) -> AsyncIterator[Database]:
    database = Database(many.application, pool_size=1, statement_timeout=60.0)
    yield database
    await database.close()


@pytest.mark.parametrize("name", pages(TENANT, HIGHLIGHTS))
async def test_a_list_reads_an_index_and_few_rows(database: Database, name: str) -> None:
    async with database.session(TENANT) as session:
        if name in WALKS:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            await session.execute(text("SET LOCAL enable_sort = off"))
        plans = await explain(session, pages(TENANT, HIGHLIGHTS)[name])
    assert frozenset[str]().union(*(plan.scanned for plan in plans)) == frozenset()
    assert sum(plan.rows for plan in plans) <= MORE.get(name, FEW)


async def test_a_gin_index_is_read_without_row_security_and_not_with_it(
    database: Database, many: DatabaseUrls
) -> None:
    """Why words are rows: `@@` is not leakproof, so that the policy must be looked at first."""
    query = text(
        "EXPLAIN SELECT id FROM highlights WHERE tenant_id = :tenant "
        "AND to_tsvector('simple', title) @@ to_tsquery('simple', 'player123')"
    )
    engine = create_async_engine(asyncpg_url(many.owner))
    async with engine.begin() as owner:
        await owner.execute(
            text("CREATE INDEX probe ON highlights USING gin (to_tsvector('simple', title))")
        )
    async with database.session(TENANT) as session:
        bound = "\n".join(await session.scalars(query, {"tenant": TENANT}))
    async with engine.begin() as owner:
        await owner.execute(text("ALTER TABLE highlights NO FORCE ROW LEVEL SECURITY"))
        free = "\n".join(await owner.scalars(query, {"tenant": TENANT}))
        await owner.execute(text("ALTER TABLE highlights FORCE ROW LEVEL SECURITY"))
        await owner.execute(text("DROP INDEX probe"))
    await engine.dispose()
    assert "probe" in free
    assert "probe" not in bound
