"""asyncpg's connection, which begins a transaction and says whose it is in one message."""

from __future__ import annotations

import asyncpg


class DriverConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's connection, that may be told what a transaction has to begin with."""

    opening: str | None = None

    async def execute(self, query: str, *args: object, **options: object) -> str:
        """Send a statement; BEGIN together with what the transaction has to begin with."""
        if self.opening is not None and query.startswith("BEGIN"):
            query, self.opening = f"{query} {self.opening}", None
        status: str = await super().execute(query, *args, **options)
        return status


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
