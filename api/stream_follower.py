"""What one client has been told of a stream, and what is new to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi.sse import format_sse_event
from sqlalchemy.ext.asyncio import AsyncSession

from api.highlight_models import HighlightModel
from api.services import Services
from api.stream_models import StreamModel
from domain.selection import DecisionStatus
from domain.stream import TERMINAL
from infra.repositories import clips, highlights, stream_changes, streams
from infra.repositories.stream_changes import Change

# Longer than any transaction that writes a highlight or a clip (`Database`'s statement timeout).
_OVERLAP: Final = timedelta(seconds=20)
_AT_A_TIME: Final = 100
_NEVER_SHOWN: Final = frozenset({DecisionStatus.HELD, DecisionStatus.REJECTED})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def event_id_of(at: datetime) -> str:
    """Return the id of an event about a change at this time: microseconds of Unix time."""
    return str((at - _EPOCH) // _MICROSECOND)


def time_of(event_id: str) -> datetime:
    """Return the time that an id of ours stands for."""
    return _EPOCH + int(event_id) * _MICROSECOND


class StreamFollower:
    """Looks at a stream again and again; what it has told it does not tell again.

    A client that comes back with its last event's id is told what changed since, and what changed
    in the seconds before: a change is told at least once.
    """

    def __init__(
        self, services: Services, *, tenant_id: UUID, stream_id: UUID, since: datetime | None
    ) -> None:
        self._services = services
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._latest = since if since is not None else _EPOCH + _OVERLAP
        self._told: dict[tuple[UUID, bool], datetime] = {}
        self._revision: int | None = None
        self.behind = False
        self.over = False

    async def news(self) -> list[bytes]:
        """Return the events that are new, in order; look again at once while `behind`.

        Raises:
            DatabaseUnavailableError: the database cannot be asked.
        """
        async with self._services.database.session(self._tenant_id) as session:
            # The stream first: once it is over, nothing that is read later is missing.
            stream = await streams.get(
                session, tenant_id=self._tenant_id, stream_id=self._stream_id
            )
            if stream is None:
                self.over = True
                return [format_sse_event(event="end", data_str='{"reason":"deleted"}')]
            events = await self._changed_highlights(session)
        if stream.revision != self._revision:
            self._revision = stream.revision
            data = StreamModel.of(stream).model_dump_json()
            events.append(format_sse_event(event="stream", data_str=data))
        if stream.status in TERMINAL and not self.behind:
            self.over = True
            events.append(format_sse_event(event="end", data_str='{"reason":"ended"}'))
        return events

    async def _changed_highlights(self, session: AsyncSession) -> list[bytes]:
        changes = await stream_changes.since(
            session,
            tenant_id=self._tenant_id,
            stream_id=self._stream_id,
            start=self._latest - _OVERLAP,
        )
        new = [each for each in changes if self._told.get(_key(each)) != each.at]
        self.behind = len(new) > _AT_A_TIME
        return await self._tell(session, new[:_AT_A_TIME])

    async def _tell(self, session: AsyncSession, changes: Sequence[Change]) -> list[bytes]:
        last = {each.highlight_id: each.at for each in changes}
        rows = await highlights.get_many(
            session, tenant_id=self._tenant_id, highlight_ids=list(last)
        )
        newest = await clips.latest_by_highlight(
            session, tenant_id=self._tenant_id, highlight_ids=list(last)
        )
        for each in changes:
            self._told[_key(each)] = each.at
            self._latest = max(self._latest, each.at)
        return [
            format_sse_event(
                event="highlight",
                id=event_id_of(at),
                data_str=HighlightModel.of(
                    rows[identity], newest.get(identity), self._services
                ).model_dump_json(),
            )
            for identity, at in last.items()
            if identity in rows and rows[identity].status not in _NEVER_SHOWN
        ]


def _key(change: Change) -> tuple[UUID, bool]:
    return change.highlight_id, change.of_clip
