"""Events of feeds: stored by revision, and linked to highlights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import and_, case, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.feed.clock import FeedClock
from domain.feed.evidence import FeedPlace
from domain.feed.linking import UNRESOLVED, FeedEventRecord, FeedRuling
from domain.feed.models import FeedEvent, FeedEventKind, FeedOutcome
from domain.ids import feed_event_id
from domain.tenants.usage import UsageKind, usage_event
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories import usage
from infra.db.tables import EventSubject, FeedEventRow, Stream

NEWEST: Final = Order(column=FeedEventRow.received_at, id=FeedEventRow.id, descending=True)
_ATTACHED: Final = (FeedOutcome.MARKED.value, FeedOutcome.RAISED.value)
_SHOWN_KINDS: Final = (FeedEventKind.SCORE.value, FeedEventKind.CUSTOM.value)
_CONTENT: Final = ("revision", "kind", "market", "retracts", "content")


async def put(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, events: Sequence[FeedEvent]
) -> list[FeedEventRow]:
    """Store events, of which each id is named once; return their rows, in this order.

    An event replaces only a lower revision of its id, so that any order of arrival leaves the same
    rows. One that has made or strengthened a highlight stays attached to it. An event is metered
    once, whatever its revisions.

    Raises:
        RecordMissingError: the tenant has no such stream.
    """
    held = await session.scalar(
        select(Stream.id)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .with_for_update(read=True, key_share=True)
    )
    if held is None:
        raise RecordMissingError("stream", stream_id)
    ids = {feed_event_id(stream_id=stream_id, event=event.id): event for event in events}
    statement = insert(FeedEventRow).values(
        [
            {
                "tenant_id": tenant_id,
                "id": identity,
                "stream_id": stream_id,
                "event_id": event.id,
                "revision": event.revision,
                "kind": event.kind.value,
                "market": event.market,
                "retracts": event.retracts,
                "content": event.model_dump(mode="json", exclude={"subjects"}),
                "outcome": FeedOutcome.WAITING.value,
            }
            # In the order of their ids, so that two batches cannot block each other.
            for identity, event in sorted(ids.items())
        ]
    )
    new = statement.excluded
    kept = case(
        (FeedEventRow.outcome.in_(_ATTACHED), FeedEventRow.outcome),
        else_=FeedOutcome.WAITING.value,
    )
    stored = await session.scalars(
        statement.on_conflict_do_update(
            index_elements=[FeedEventRow.tenant_id, FeedEventRow.id],
            set_={name: new[name] for name in _CONTENT}
            | {"outcome": kept, "detail": "", "updated_at": func.now()},
            where=new.revision > FeedEventRow.revision,
        ).returning(FeedEventRow.id)
    )
    fresh = sorted(stored)
    await _put_subjects(session, tenant_id, {identity: ids[identity] for identity in fresh})
    metered = [
        usage_event(UsageKind.FEED_EVENT, 1, subject=str(identity), stream_id=stream_id)
        for identity in fresh
    ]
    await usage.meter(session, tenant_id=tenant_id, events=metered)
    found = await session.scalars(
        select(FeedEventRow)
        .where(FeedEventRow.tenant_id == tenant_id, FeedEventRow.id.in_(list(ids)))
        .execution_options(populate_existing=True)
    )
    rows = {row.id: row for row in found}
    return [rows[identity] for identity in ids]


async def _put_subjects(
    session: AsyncSession, tenant_id: UUID, events: Mapping[UUID, FeedEvent]
) -> None:
    if not events:
        return
    await session.execute(
        delete(EventSubject)
        .where(EventSubject.tenant_id == tenant_id, EventSubject.event_id.in_(list(events)))
        .execution_options(synchronize_session=False)
    )
    rows = [
        {"tenant_id": tenant_id, "event_id": identity, "subject": subject}
        for identity, event in events.items()
        for subject in sorted(set(event.subjects))
    ]
    if rows:
        await session.execute(insert(EventSubject).values(rows).on_conflict_do_nothing())


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    outcome: FeedOutcome | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> list[FeedEventRow]:
    """Return the events of a stream's feed, newest first."""
    query = select(FeedEventRow).where(
        FeedEventRow.tenant_id == tenant_id, FeedEventRow.stream_id == stream_id
    )
    if outcome is not None:
        query = query.where(FeedEventRow.outcome == outcome)
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))


async def subjects_of(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Sequence[UUID]
) -> dict[UUID, tuple[str, ...]]:
    """Return the subjects of events, by the ids of their rows."""
    rows = await session.execute(
        select(EventSubject.event_id, EventSubject.subject)
        .where(EventSubject.tenant_id == tenant_id, EventSubject.event_id.in_(event_ids))
        .order_by(EventSubject.event_id, EventSubject.subject)
    )
    found: dict[UUID, tuple[str, ...]] = {}
    for identity, subject in rows:
        found[identity] = (*found.get(identity, ()), subject)
    return found


async def unresolved(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, limit: int
) -> list[tuple[FeedEventRow, str | None]]:
    """Return events whose outcome may change, each with the event that retracts it.

    Events that another one takes back come first, then new ones, then those that wait in order of
    place, and last those that have no place: however many there are, each pass gets on.
    """
    other = aliased(FeedEventRow)
    taken_back_by = (
        select(func.min(other.event_id))
        .where(
            other.tenant_id == tenant_id,
            other.stream_id == stream_id,
            other.retracts == FeedEventRow.event_id,
        )
        .correlate(FeedEventRow)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(FeedEventRow, taken_back_by)
        .where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.stream_id == stream_id,
            FeedEventRow.outcome != FeedOutcome.RETRACTED,
            or_(
                FeedEventRow.outcome.in_([each.value for each in UNRESOLVED]),
                taken_back_by.is_not(None),
            ),
        )
        .order_by(
            and_(FeedEventRow.outcome == FeedOutcome.UNPLACED, taken_back_by.is_(None)),
            taken_back_by.is_(None),
            FeedEventRow.place.asc().nulls_first(),
            FeedEventRow.received_at,
            FeedEventRow.id,
        )
        .limit(limit)
    )
    return [(row, by) for row, by in rows]


async def shown_by_the_picture(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, limit: int
) -> list[FeedEventRow]:
    """Return the latest events that the picture shows and no other takes back, oldest first."""
    found = await session.scalars(
        select(FeedEventRow)
        .where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.stream_id == stream_id,
            FeedEventRow.kind.in_(_SHOWN_KINDS),
            FeedEventRow.retracts.is_(None),
            FeedEventRow.outcome != FeedOutcome.RETRACTED,
        )
        .order_by(FeedEventRow.received_at.desc(), FeedEventRow.id.desc())
        .limit(limit)
    )
    return list(found)[::-1]


async def placed_between(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, first: float, last: float
) -> list[FeedEventRow]:
    """Return the events that lie between two media times (s), in order of place."""
    found = await session.scalars(
        select(FeedEventRow)
        .where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.stream_id == stream_id,
            FeedEventRow.outcome != FeedOutcome.RETRACTED,
            FeedEventRow.place.between(first, last),
        )
        .order_by(FeedEventRow.place, FeedEventRow.id)
        .limit(_MOST_PLACED)
    )
    return list(found)


_MOST_PLACED: Final = 2000


async def any_of(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> bool:
    """Return True if the stream has events."""
    query = exists().where(FeedEventRow.tenant_id == tenant_id, FeedEventRow.stream_id == stream_id)
    return bool(await session.scalar(select(query)))


async def to_mark(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, since: float
) -> list[FeedEventRow]:
    """Return the waiting events that lie at or after a media time (s), in order of place."""
    found = await session.scalars(
        select(FeedEventRow)
        .where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.stream_id == stream_id,
            FeedEventRow.outcome == FeedOutcome.WAITING,
            FeedEventRow.place >= since,
        )
        .order_by(FeedEventRow.place, FeedEventRow.id)
        .limit(_MOST_PLACED)
    )
    return list(found)


async def attach(
    session: AsyncSession, *, tenant_id: UUID, highlights: Mapping[UUID, tuple[UUID, bool]]
) -> None:
    """Attach events to the candidates that they mark: the highlight, and if it rests on them.

    An event that was taken back meanwhile waits again, so that the next pass undoes its effect.
    """
    waits = case(
        (FeedEventRow.outcome == FeedOutcome.RETRACTED, FeedOutcome.WAITING.value),
        else_=FeedEventRow.outcome,
    )
    for identity, (highlight, is_base) in sorted(highlights.items()):
        await session.execute(
            update(FeedEventRow)
            .where(FeedEventRow.tenant_id == tenant_id, FeedEventRow.id == identity)
            .values(highlight_id=highlight, is_base=is_base, outcome=waits)
            .execution_options(synchronize_session=False)
        )


async def rule(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    event_id: UUID,
    place: FeedPlace | None,
    ruling: FeedRuling,
) -> None:
    """Record where an event lies and what became of it."""
    await session.execute(
        update(FeedEventRow)
        .where(FeedEventRow.tenant_id == tenant_id, FeedEventRow.id == event_id)
        .values(
            place=None if place is None else place.at,
            error=None if place is None else place.error,
            outcome=ruling.outcome.value,
            detail=ruling.detail,
            highlight_id=ruling.highlight,
            updated_at=func.now(),
        )
    )


async def of_highlights(
    session: AsyncSession, *, tenant_id: UUID, highlight_ids: Sequence[UUID]
) -> list[FeedEventRow]:
    """Return the events of highlights, without those taken back, oldest first."""
    found = await session.scalars(
        select(FeedEventRow)
        .where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.highlight_id.in_(highlight_ids),
            FeedEventRow.outcome != FeedOutcome.RETRACTED,
        )
        .order_by(FeedEventRow.received_at, FeedEventRow.id)
    )
    return list(found)


async def highlights_of_market(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, market: str
) -> frozenset[UUID]:
    """Return the ids of a stream's highlights that have events of a market."""
    found = await session.scalars(
        select(FeedEventRow.highlight_id).where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.stream_id == stream_id,
            FeedEventRow.market == market,
            FeedEventRow.highlight_id.is_not(None),
            FeedEventRow.outcome != FeedOutcome.RETRACTED,
        )
    )
    return frozenset(each for each in found if each is not None)


async def forget_subject(session: AsyncSession, *, tenant_id: UUID, subject: str) -> int:
    """Delete a reference from all events. Return the number of events that had it."""
    gone = await session.scalars(
        delete(EventSubject)
        .where(EventSubject.tenant_id == tenant_id, EventSubject.subject == subject)
        .returning(EventSubject.event_id)
        .execution_options(synchronize_session=False)
    )
    return len(list(gone))


async def put_clock(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, clock: FeedClock | None
) -> bool:
    """Store the feed clock of a stream; None forgets it. Return False if there is no stream."""
    written = await session.scalar(
        update(Stream)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .values(feed_clock=None if clock is None else clock.model_dump(mode="json"))
        .returning(Stream.id)
        .execution_options(synchronize_session=False)
    )
    return written is not None


def event_of(row: FeedEventRow) -> FeedEvent:
    """Return the event of a row, without its subjects."""
    return FeedEvent.model_validate(row.content)


def stored_event(row: FeedEventRow, *, taken_back_by: str | None = None) -> FeedEventRecord:
    """Return a row as the rules of linking take it."""
    place = None
    if row.place is not None and row.error is not None:
        place = FeedPlace(row.place, row.error)
    return FeedEventRecord(
        id=row.id,
        event=event_of(row),
        outcome=FeedOutcome(row.outcome),
        place=place,
        highlight=row.highlight_id,
        is_base=row.is_base,
        taken_back_by=taken_back_by,
    )
