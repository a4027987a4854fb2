"""How many connections a tenant holds open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from api.errors.problems import TooManyConnectionsProblem


class EventConnections:
    """Counts the open connections of this process, so that no tenant takes them all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[UUID] = Counter()

    @contextmanager
    def one_more(self, tenant_id: UUID) -> Iterator[None]:
        """Hold one connection.

        Raises:
            TooManyConnectionsProblem: the tenant has as many as it may.
        """
        if self._open[tenant_id] >= self._limit:
            raise TooManyConnectionsProblem
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]
