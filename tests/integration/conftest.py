"""What integration tests share: the application's own door to the database, and tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from infra.database import Database
from infra.embedded.postgres import DatabaseUrls
from tests.integration.rows import new_tenant


@pytest.fixture
async def database(postgres: DatabaseUrls) -> AsyncIterator[Database]:
    """The database as the application's role."""
    database = Database(postgres.application, pool_size=2, max_overflow=8)
    yield database
    await database.close()


@pytest.fixture
async def tenant(database: Database) -> UUID:
    """A tenant of this test."""
    return await new_tenant(database)


@pytest.fixture
async def other_tenant(database: Database) -> UUID:
    """A second tenant, whose data the first must never see."""
    return await new_tenant(database)
