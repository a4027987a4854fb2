"""Whether followed streams have changed, read for all connections of a tenant together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from infra.db.engine import Database
from infra.db.repositories import streams
from infra.db.repositories.streams import HighlightChange, StreamRevision

_GATHERING: Final = 0.25
"""Part of the interval between two reads for which a read waits for others of its tenant."""


@dataclass(frozen=True)
class StreamLook:
    """What one read found of a stream: its revision (None if it is deleted) and its changes."""

    revision: StreamRevision | None
    changes: tuple[HighlightChange, ...]


@dataclass
class _Gathering:
    since: dict[UUID, datetime] = field(default_factory=dict)
    reading: asyncio.Task[Mapping[UUID, StreamLook]] | None = None


class StreamWatch:
    """Reads the changes of followed streams, in one transaction for connections of one tenant.

    Connections read at an interval. A read waits a part of it for those of other connections, which
    from then on are due at the same time.

    Args:
        database: has the streams.
        interval: seconds between two reads of one connection.
    """

    def __init__(self, database: Database, *, interval: float) -> None:
        self._database = database
        self._pause = _GATHERING * interval
        self._gathering: dict[UUID, _Gathering] = {}

    async def look(self, *, tenant_id: UUID, stream_id: UUID, since: datetime) -> StreamLook:
        """Return what has changed in a stream at `since` or later, and possibly earlier changes.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
        """
        gathering = self._gathering.setdefault(tenant_id, _Gathering())
        gathering.since[stream_id] = min(since, gathering.since.get(stream_id, since))
        if gathering.reading is None:
            gathering.reading = asyncio.create_task(self._read(tenant_id), name="watch-streams")
            gathering.reading.add_done_callback(_note_failure)
        looks = await asyncio.shield(gathering.reading)
        return looks[stream_id]

    async def _read(self, tenant_id: UUID) -> Mapping[UUID, StreamLook]:
        await asyncio.sleep(self._pause)
        since = self._gathering.pop(tenant_id).since
        async with self._database.session(tenant_id) as session:
            revisions = await streams.revisions(session, tenant_id=tenant_id, stream_ids=since)
            changed = await streams.changes_since(
                session, tenant_id=tenant_id, stream_ids=since, start=min(since.values())
            )
        changes: defaultdict[UUID, list[HighlightChange]] = defaultdict(list)
        for each in changed:
            changes[each.stream_id].append(each)
        return {each: StreamLook(revisions.get(each), tuple(changes[each])) for each in since}


def _note_failure(reading: asyncio.Task[Mapping[UUID, StreamLook]]) -> None:
    """Take the exception of a read whose callers may all have gone, so that it is not logged."""
    if not reading.cancelled():
        reading.exception()
