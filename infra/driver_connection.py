"""asyncpg's connection, which begins a transaction and says whose it is in one message."""

from __future__ import annotations

from typing import Any

import asyncpg
from sqlalchemy import Connection


class StaleConnectionError(Exception):
    """A pooled connection broke while it was idle; nothing has been done by it yet."""


class DriverConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's connection, that may be told what its next transaction has to begin with."""

    opening: str | None = None

    async def execute(self, query: str, *args: object, **options: object) -> str:
        """Send a statement; BEGIN together with what the transaction has to begin with."""
        if self.opening is not None and query.startswith("BEGIN"):
            query, self.opening = f"{query} {self.opening}", None
        status: str = await super().execute(query, *args, **options)
        return status


def begin(connection: Connection, opening: str) -> None:
    """Begin a transaction by a statement, in one round trip.

    SQLAlchemy would begin with the first query: BEGIN, the statement and the query would each take
    a round trip. Beginning at once also tells a broken connection from a usable one while another
    can still take its place, as a ping would, at the price of one more. SQLAlchemy has no public
    name for it; tests/integration/infra/test_transaction_begin.py watches what is sent, and tells
    when another version does otherwise.

    Raises:
        StaleConnectionError: the connection had broken, and is done with.
        TimeoutError: the server did not answer in time; this one is done with too.
    """
    adapted: Any = connection.connection.dbapi_connection
    try:
        adapted.run_async(lambda driver: _begin(adapted, driver, opening))
    except BaseException as error:
        # A BEGIN that was cut short, by cancellation too, may have begun: nobody else may get it.
        connection.invalidate(error)
        if isinstance(error, (ConnectionError, adapted.dbapi.Error)):
            raise StaleConnectionError from error
        raise


async def _begin(adapted: Any, driver: DriverConnection, opening: str) -> None:  # noqa: ANN401 - SQLAlchemy's, without a type
    driver.opening = opening
    try:
        await adapted._start_transaction()  # noqa: SLF001
        if driver.opening is not None:
            raise RuntimeError("the transaction began without saying whose it is")
    finally:
        driver.opening = None


def set_locally(name: str, value: str) -> str:
    """Return the statement that sets a setting of ours until the transaction ends.

    Such a message has no parameters, and the value may be anybody's words: it goes as hex, in which
    nothing can end a literal.

    Raises:
        ValueError: the value holds a NUL, which PostgreSQL's texts cannot.
    """
    if "\0" in value:
        raise ValueError(f"{name} holds a NUL")
    encoded = value.encode().hex()
    return f"SELECT set_config('{name}', convert_from(decode('{encoded}', 'hex'), 'UTF8'), true)"
