"""Commands that do one thing in the database and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.settings import read_settings, require_database
from infra.db.engine import Database

T = TypeVar("T")


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Do `work` with the configured database, or that of the running `highlights dev`.

    Raises:
        NotConfiguredError: neither is there.
    """
    settings = require_database(read_settings())

    async def run() -> T:
        database = Database(
            settings.database_url.get_secret_value() if settings.database_url else "", pool_size=1
        )
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
