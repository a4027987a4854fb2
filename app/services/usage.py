"""Requests to the API, counted in memory and written to usage every few seconds.

No request waits for it. What is lost when a process is killed are the requests since its last
flush; a process that stops normally writes what it has counted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from domain.tenants.usage import UsageEvent, UsageKind, usage_event
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import usage

CAPACITY: Final = 10_000
"""Tenants counted between two flushes; a process serves fewer, and memory has to end somewhere."""
_LAST_FLUSH: Final = 3.0
"""Seconds that the flush at shutdown may take, less than a supervisor waits before it kills."""
_log = structlog.get_logger(__name__)


class RequestMeter:
    """Counts requests by tenant.

    A count that has been taken to be written has an id from then on, so that a flush whose answer
    was lost is repeated without counting twice. While the database is away, what is taken waits
    and the rest goes on being summed: two numbers a tenant, however long it lasts.

    Args:
        database: where usage is written.
        interval: seconds between two flushes.
        capacity: tenants at most; requests of more are not counted, which is logged.
    """

    def __init__(self, database: Database, *, interval: float, capacity: int = CAPACITY) -> None:
        self._database = database
        self._interval = interval
        self._capacity = capacity
        self._process = uuid4()
        self._flushes = 0
        self._counts: Counter[UUID] = Counter()
        self._taken: dict[UUID, UsageEvent] = {}
        self._left_out = 0

    def count(self, tenant_id: UUID) -> None:
        """Count a request; this does no I/O."""
        if tenant_id in self._counts or len(self._counts) < self._capacity:
            self._counts[tenant_id] += 1
        else:
            self._left_out += 1

    async def run(self) -> None:
        """Flush at every interval until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(self._interval)
                await self.flush()
        finally:
            await self._flush_last()

    async def flush(self) -> None:
        """Write what was counted; what cannot be written now is written by a later flush."""
        self._take()
        if self._left_out:
            _log.error("requests_not_counted", requests=self._left_out, tenants=self._capacity)
            self._left_out = 0
        for tenant_id, event in list(self._taken.items()):
            try:
                async with self._database.session(tenant_id) as session:
                    await usage.meter(session, tenant_id=tenant_id, events=[event])
            except DatabaseUnavailableError as error:
                _log.warning("requests_not_written_yet", error=str(error))
                return
            except IntegrityError:
                _log.warning("requests_of_no_tenant", tenant_id=str(tenant_id))
            except SQLAlchemyError as error:  # such as a deadlock: this tenant's turn comes again
                _log.warning("requests_not_written_yet", error=str(error))
                continue
            del self._taken[tenant_id]

    def _take(self) -> None:
        self._flushes += 1
        now = datetime.now(UTC)
        room = self._capacity - len(self._taken)
        for tenant_id in [each for each in self._counts if each not in self._taken][:room]:
            self._taken[tenant_id] = usage_event(
                UsageKind.API_REQUEST,
                self._counts.pop(tenant_id),
                subject=f"{self._process}/{self._flushes}",
                at=now,
            )

    async def _flush_last(self) -> None:
        try:
            async with asyncio.timeout(_LAST_FLUSH):
                await self.flush()
                await self.flush()  # what came while the first one waited for the database
        except TimeoutError:
            pass
        if lost := self._counts.total() + sum(int(each.quantity) for each in self._taken.values()):
            _log.error("requests_lost", requests=lost)
