"""Facts about one stream for an audit, in pages; nothing here writes.

Events and usage of a stream have no index of their own: they are looked up by derived ids, or
within the time since the stream was created.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    any_,
    case,
    cast,
    distinct,
    exists,
    extract,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipStatus
from domain.consistency.facts import (
    BatchFacts,
    ClipFacts,
    DeliveryFacts,
    ExportFacts,
    FeedEventFacts,
    HighlightFacts,
    RenditionFacts,
    StreamFacts,
    StreamTotals,
    UndeliveredEvent,
    UsageTotals,
    WindowFacts,
)
from domain.exports.models import FINISHED, ExportStatus
from domain.feed.models import FeedOutcome
from domain.highlights.selection import DecisionStatus
from domain.ids import deletion_id, usage_id
from domain.media.segments import GapStatus
from domain.streams.deletion import DeletionStatus
from domain.streams.status import StreamStatus
from domain.tenants.audit import AuditTarget
from domain.tenants.usage import UsageKind
from domain.webhooks.events import DeliveryStatus, EndpointStatus, EventType
from infra.db.repositories.exports import WAITS_IN_BATCH, results_of
from infra.db.tables import (
    AuditEntry,
    Clip,
    Deletion,
    Delivery,
    DeliveryAttempt,
    EventRow,
    Export,
    ExportBatch,
    FeedEventRow,
    Highlight,
    Stream,
    StreamGap,
    StreamWindow,
    UsageEventRow,
    UsageHour,
    WebhookEndpoint,
)

_SHOWN: Final = (DecisionStatus.PENDING.value, DecisionStatus.CONFIRMED.value)
_FIRST: Final = UUID(int=0)


def _seconds_since(moment: Any) -> ColumnElement[Any]:  # noqa: ANN401 - a column or expression
    return extract("epoch", func.now() - moment)


async def stream_page(
    session: AsyncSession, *, tenant_id: UUID, after: UUID | None, limit: int
) -> list[StreamFacts]:
    """Return a tenant's streams, by id."""
    query = (
        select(Stream, _seconds_since(Stream.created_at), _seconds_since(Stream.updated_at))
        .where(Stream.tenant_id == tenant_id, Stream.id > (after or _FIRST))
        .order_by(Stream.id)
        .limit(limit)
    )
    rows = (await session.execute(query)).all()
    deleted = await _being_deleted(session, tenant_id, [row.id for row, _, _ in rows])
    return [_stream(row, age, quiet, deleted) for row, age, quiet in rows]


async def stream(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> StreamFacts | None:
    """Return a stream; None if the tenant has none of this id."""
    found = (
        await session.execute(
            select(
                Stream, _seconds_since(Stream.created_at), _seconds_since(Stream.updated_at)
            ).where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        )
    ).one_or_none()
    if found is None:
        return None
    row, age, quiet = found
    return _stream(row, age, quiet, await _being_deleted(session, tenant_id, [stream_id]))


def _stream(row: Stream, age: float, quiet: float, deleted: Collection[UUID]) -> StreamFacts:
    return StreamFacts(
        tenant_id=row.tenant_id,
        id=row.id,
        status=StreamStatus(row.status),
        age=float(age),
        quiet=float(quiet),
        is_recording=row.is_recording,
        segments=row.segments,
        missed=row.missed,
        windows=row.windows,
        highlights=row.highlights,
        clips=row.clips,
        has_media=row.media_until is not None,
        is_being_deleted=row.id in deleted,
    )


async def _being_deleted(
    session: AsyncSession, tenant_id: UUID, stream_ids: Sequence[UUID]
) -> set[UUID]:
    found = await session.scalars(
        select(Deletion.stream_id).where(
            Deletion.tenant_id == tenant_id,
            Deletion.id.in_([deletion_id(stream=each) for each in stream_ids]),
            Deletion.status == DeletionStatus.RUNNING,
        )
    )
    return set(found)


async def known_streams(
    session: AsyncSession, *, tenant_id: UUID, stream_ids: Collection[UUID]
) -> set[UUID]:
    """Return those of some ids that are streams, or streams whose deletion is running."""
    found = await session.scalars(
        select(Stream.id).where(Stream.tenant_id == tenant_id, Stream.id.in_(list(stream_ids)))
    )
    return set(found) | await _being_deleted(session, tenant_id, list(stream_ids))


async def totals(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> StreamTotals:
    """Return what the gaps, highlights and clips of a stream add up to."""
    segments = StreamGap.last_sequence - StreamGap.first_sequence + 1
    missed, refilled = (
        await session.execute(
            select(
                func.coalesce(func.sum(segments), 0),
                func.count().filter(StreamGap.status != GapStatus.OPEN.value),
            ).where(StreamGap.tenant_id == tenant_id, StreamGap.stream_id == stream_id)
        )
    ).one()
    is_reanalyzed = await session.scalar(
        select(
            exists().where(
                Highlight.tenant_id == tenant_id,
                Highlight.stream_id == stream_id,
                Highlight.created_at > Stream.ended_at,
            )
        ).where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
    )
    is_withdrawn = and_(
        Highlight.status == DecisionStatus.RETRACTED.value, Highlight.updated_at > Stream.ended_at
    )
    is_ready = exists().where(
        Clip.tenant_id == Highlight.tenant_id,
        Clip.highlight_id == Highlight.id,
        Clip.status == ClipStatus.READY.value,
    )
    counts = (
        await session.execute(
            select(
                func.count().filter(Highlight.status.in_(_SHOWN)),
                func.count().filter(is_withdrawn),
                func.count().filter(or_(Highlight.status.in_(_SHOWN), is_withdrawn), is_ready),
            )
            .join(
                Stream,
                and_(Stream.tenant_id == Highlight.tenant_id, Stream.id == Highlight.stream_id),
            )
            .where(Highlight.tenant_id == tenant_id, Highlight.stream_id == stream_id)
        )
    ).one()
    shown, withdrawn, with_clip = counts
    return StreamTotals(
        missed=int(missed),
        is_refilled=bool(refilled or is_reanalyzed),
        shown=shown,
        withdrawn=withdrawn,
        with_clip=with_clip,
    )


async def window_page(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, after: int, limit: int
) -> list[WindowFacts]:
    """Return the windows with numbers above `after`, in order."""
    rows = await session.execute(
        select(StreamWindow.index, StreamWindow.start, StreamWindow.end, StreamWindow.segments)
        .where(
            StreamWindow.tenant_id == tenant_id,
            StreamWindow.stream_id == stream_id,
            StreamWindow.index > after,
        )
        .order_by(StreamWindow.index)
        .limit(limit)
    )
    return [
        WindowFacts(index=index, start=start, end=end, segments=segments)
        for index, start, end, segments in rows
    ]


async def highlight_page(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, after: UUID | None, limit: int
) -> list[HighlightFacts]:
    """Return the candidates of a stream with their clips and events, by id."""
    rows = (
        await session.execute(
            select(
                Highlight.id,
                Highlight.status,
                _seconds_since(Highlight.created_at),
                _seconds_since(Highlight.updated_at),
            )
            .where(
                Highlight.tenant_id == tenant_id,
                Highlight.stream_id == stream_id,
                Highlight.id > (after or _FIRST),
            )
            .order_by(Highlight.id)
            .limit(limit)
        )
    ).all()
    ids = [row[0] for row in rows]
    made: dict[UUID, Counter[ClipStatus]] = defaultdict(Counter)
    for highlight, status, count in await session.execute(
        select(Clip.highlight_id, Clip.status, func.count())
        .where(Clip.tenant_id == tenant_id, Clip.highlight_id.in_(ids))
        .group_by(Clip.highlight_id, Clip.status)
    ):
        if highlight is not None:
            made[highlight][ClipStatus(status)] = count
    subjects = {f"highlight/{each}": each for each in ids}
    written = await _events(session, tenant_id, stream_id, subjects)
    return [
        HighlightFacts(
            id=identity,
            status=DecisionStatus(status),
            age=float(age),
            quiet=float(quiet),
            clips=made[identity],
            events=written[identity],
        )
        for identity, status, age, quiet in rows
    ]


async def clip_page(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, after: UUID | None, limit: int
) -> list[ClipFacts]:
    """Return the clips of a stream with their events and usage, by id."""
    rows = (
        await session.execute(
            select(
                Clip,
                Highlight.status,
                _seconds_since(Clip.created_at),
                _seconds_since(Clip.updated_at),
            )
            .outerjoin(
                Highlight,
                and_(Highlight.tenant_id == Clip.tenant_id, Highlight.id == Clip.highlight_id),
            )
            .where(
                Clip.tenant_id == tenant_id,
                Clip.stream_id == stream_id,
                Clip.id > (after or _FIRST),
            )
            .order_by(Clip.id)
            .limit(limit)
        )
    ).all()
    ids = [row.id for row, _, _, _ in rows]
    written = await _events(session, tenant_id, stream_id, {f"clip/{each}": each for each in ids})
    used = await _usage(
        session,
        tenant_id,
        {
            (kind, str(each))
            for each in ids
            for kind in (UsageKind.CLIP_RENDERED, UsageKind.CLIP_BYTES)
        },
    )
    return [
        ClipFacts(
            id=row.id,
            highlight=None if status is None else DecisionStatus(status),
            status=ClipStatus(row.status),
            age=float(age),
            quiet=float(quiet),
            key=row.key,
            thumbnail_key=row.thumbnail_key,
            size=row.size,
            sha256=row.sha256,
            events=written[row.id],
            usage=used[str(row.id)],
        )
        for row, status, age, quiet in rows
    ]


async def export_page(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, after: UUID | None, limit: int
) -> list[ExportFacts]:
    """Return the exports of a stream with their events and usage, by id."""
    rows = (
        await session.execute(
            select(
                Export,
                _seconds_since(Export.created_at),
                _seconds_since(Export.updated_at),
                WAITS_IN_BATCH,
            )
            .where(
                Export.tenant_id == tenant_id,
                Export.stream_id == stream_id,
                Export.id > (after or _FIRST),
            )
            .order_by(Export.id)
            .limit(limit)
        )
    ).all()
    written = await _events(
        session, tenant_id, stream_id, {f"export/{row.id}": row.id for row, *_ in rows}
    )
    made = {row.id: results_of(row) for row, *_ in rows}
    used = await _usage(
        session,
        tenant_id,
        {
            (kind, f"{export}/{number}")
            for export, results in made.items()
            for number in results
            for kind in (UsageKind.EXPORT_RENDERED, UsageKind.EXPORT_BYTES)
        },
    )
    return [
        ExportFacts(
            id=row.id,
            status=ExportStatus(row.status),
            age=float(age),
            quiet=float(quiet),
            files=tuple(
                RenditionFacts(
                    number=each.number,
                    key=each.key,
                    size=each.size,
                    sha256=each.sha256,
                    usage=used[f"{row.id}/{each.number}"],
                )
                for each in made[row.id].values()
                if each.key is not None and each.size is not None
            ),
            events=written[row.id],
            waits=waits,
        )
        for row, age, quiet, waits in rows
    ]


async def feed_page(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, after: UUID | None, limit: int
) -> list[tuple[UUID, FeedEventFacts]]:
    """Return the events of a stream's feed with the ids of their rows, by these."""
    rows = await session.execute(
        select(
            FeedEventRow.id,
            FeedEventRow.event_id,
            FeedEventRow.outcome,
            Highlight.status,
            _seconds_since(FeedEventRow.updated_at),
        )
        .outerjoin(
            Highlight,
            and_(
                Highlight.tenant_id == FeedEventRow.tenant_id,
                Highlight.id == FeedEventRow.highlight_id,
            ),
        )
        .where(
            FeedEventRow.tenant_id == tenant_id,
            FeedEventRow.stream_id == stream_id,
            FeedEventRow.id > (after or _FIRST),
        )
        .order_by(FeedEventRow.id)
        .limit(limit)
    )
    return [
        (
            identity,
            FeedEventFacts(
                id=event,
                outcome=FeedOutcome(outcome),
                quiet=float(quiet),
                highlight=None if status is None else DecisionStatus(status),
            ),
        )
        for identity, event, outcome, status, quiet in rows
    ]


async def end_events(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID
) -> Mapping[EventType, int]:
    """Return the number of events about the stream itself, by type."""
    written = await _events(session, tenant_id, stream_id, {f"stream/{stream_id}": stream_id})
    return written[stream_id]


async def delivery_page(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, after: UUID | None, limit: int
) -> list[DeliveryFacts]:
    """Return the deliveries of a stream's events with their attempts and usage, by id."""
    recorded = (
        select(func.count())
        .where(
            DeliveryAttempt.tenant_id == Delivery.tenant_id,
            DeliveryAttempt.delivery_id == Delivery.id,
        )
        .scalar_subquery()
    )
    due = func.greatest(Delivery.created_at, Delivery.queued_at, Delivery.next_attempt_at)
    waits = case((Delivery.status == DeliveryStatus.PENDING.value, _seconds_since(due)), else_=None)
    rows = (
        await session.execute(
            select(
                Delivery,
                EventRow.ordering_key,
                recorded,
                waits,
                _seconds_since(Delivery.created_at),
            )
            .join(
                EventRow,
                and_(EventRow.tenant_id == Delivery.tenant_id, EventRow.id == Delivery.event_id),
            )
            .where(
                _of_stream(tenant_id, stream_id),
                Delivery.tenant_id == tenant_id,
                Delivery.id > (after or _FIRST),
            )
            .order_by(Delivery.id)
            .limit(limit)
        )
    ).all()
    used = await _usage(
        session,
        tenant_id,
        {
            (UsageKind.WEBHOOK_DELIVERY, f"{row.id}/{number}")
            for row, *_ in rows
            for number in range(1, row.attempts + 1)
        },
    )
    return [
        DeliveryFacts(
            id=row.id,
            endpoint_id=row.endpoint_id,
            ordering_key=ordering_key,
            status=DeliveryStatus(row.status),
            attempts=row.attempts,
            recorded=count,
            counted=sum(bool(used[f"{row.id}/{number}"]) for number in range(1, row.attempts + 1)),
            age=float(age),
            waits=None if waited is None else float(waited),
            is_queued=row.queued_at is not None,
        )
        for row, ordering_key, count, waited, age in rows
    ]


async def undelivered(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, limit: int
) -> list[UndeliveredEvent]:
    """Return events of a stream that an enabled endpoint subscribes to and has no delivery of.

    What was dispatched before a change of an endpoint (`audit_log`) is not looked for there: it may
    have been disabled, or subscribed to other types, at the time.
    """
    waiting = await session.execute(
        select(EventRow.id, EventRow.type, _seconds_since(EventRow.created_at))
        .where(_of_stream(tenant_id, stream_id), EventRow.dispatched_at.is_(None))
        .order_by(EventRow.id)
        .limit(limit)
    )
    found = [
        UndeliveredEvent(id=identity, type=EventType(kind), age=float(age))
        for identity, kind, age in waiting
    ]
    changed = exists().where(
        AuditEntry.tenant_id == WebhookEndpoint.tenant_id,
        AuditEntry.target_kind == AuditTarget.WEBHOOK_ENDPOINT.value,
        AuditEntry.target_id == cast(WebhookEndpoint.id, Text),
        AuditEntry.at > EventRow.created_at,
    )
    delivered = exists().where(
        Delivery.tenant_id == EventRow.tenant_id,
        Delivery.event_id == EventRow.id,
        Delivery.endpoint_id == WebhookEndpoint.id,
    )
    missing = await session.execute(
        select(
            EventRow.id, EventRow.type, WebhookEndpoint.id, _seconds_since(EventRow.dispatched_at)
        )
        .join(WebhookEndpoint, WebhookEndpoint.tenant_id == EventRow.tenant_id)
        .where(
            _of_stream(tenant_id, stream_id),
            EventRow.dispatched_at.is_not(None),
            WebhookEndpoint.status == EndpointStatus.ENABLED.value,
            WebhookEndpoint.created_at < EventRow.created_at,
            or_(
                func.cardinality(WebhookEndpoint.event_types) == 0,
                EventRow.type == any_(WebhookEndpoint.event_types),
            ),
            ~changed,
            ~delivered,
        )
        .order_by(EventRow.id)
        .limit(limit)
    )
    return found + [
        UndeliveredEvent(id=identity, type=EventType(kind), age=float(age), endpoint_id=endpoint)
        for identity, kind, endpoint, age in missing
    ]


async def usage_totals(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID
) -> list[UsageTotals]:
    """Return the usage of a stream by kind, as single events and as sums of hours."""
    created = (
        select(func.date_trunc("hour", Stream.created_at))
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .scalar_subquery()
    )
    events = {
        kind: (count, quantity)
        for kind, count, quantity in await session.execute(
            select(UsageEventRow.kind, func.count(), func.sum(UsageEventRow.quantity))
            .where(
                UsageEventRow.tenant_id == tenant_id,
                UsageEventRow.at >= created,
                UsageEventRow.stream_id == stream_id,
            )
            .group_by(UsageEventRow.kind)
        )
    }
    sums = await session.execute(
        select(UsageHour.kind, func.sum(UsageHour.quantity).label("quantity"))
        .where(
            UsageHour.tenant_id == tenant_id,
            UsageHour.hour >= created,
            UsageHour.stream_id == stream_id,
        )
        .group_by(UsageHour.kind)
    )
    hours: dict[str, Decimal] = {row.kind: row.quantity for row in sums}
    return [
        UsageTotals(
            kind=UsageKind(kind),
            events=events.get(kind, (0, Decimal(0)))[0],
            quantity=events.get(kind, (0, Decimal(0)))[1],
            hourly=hours.get(kind, Decimal(0)),
        )
        for kind in sorted(events.keys() | hours.keys())
    ]


async def execution_rows(
    session: AsyncSession, *, tenant_id: UUID, table: str, ids: Collection[UUID]
) -> Mapping[UUID, tuple[str, float]]:
    """Return the status of rows that workflows advance, and the seconds since they were written.

    Args:
        session: the tenant's.
        tenant_id: whose rows they are.
        table: `stream`, `clip` or `export`.
        ids: of the rows; those that do not exist are left out.
    """
    tables: dict[str, type[Stream | Clip | Export]] = {
        "stream": Stream,
        "clip": Clip,
        "export": Export,
    }
    row = tables[table]
    found = await session.execute(
        select(row.id, row.status, _seconds_since(row.updated_at)).where(
            row.tenant_id == tenant_id, row.id.in_(list(ids))
        )
    )
    return {identity: (status, float(quiet)) for identity, status, quiet in found}


async def unfinished_batches(
    session: AsyncSession, *, tenant_id: UUID, after: UUID | None, limit: int
) -> list[BatchFacts]:
    """Return a tenant's batches of exports that are not finished, by id."""
    unfinished = [each.value for each in ExportStatus if each not in FINISHED]
    found = await session.execute(
        select(ExportBatch.id, ExportBatch.status, _seconds_since(ExportBatch.updated_at))
        .where(
            ExportBatch.tenant_id == tenant_id,
            ExportBatch.status.in_(unfinished),
            ExportBatch.id > (after or _FIRST),
        )
        .order_by(ExportBatch.id)
        .limit(limit)
    )
    return [
        BatchFacts(id=identity, status=ExportStatus(status), quiet=float(quiet))
        for identity, status, quiet in found
    ]


def _of_stream(tenant_id: UUID, stream_id: UUID) -> ColumnElement[bool]:
    """Return the condition of a stream's events, which begin with the stream."""
    created = (
        select(Stream.created_at)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .scalar_subquery()
    )
    return and_(
        EventRow.tenant_id == tenant_id,
        EventRow.created_at >= created,
        EventRow.stream_id == stream_id,
    )


async def _events(
    session: AsyncSession, tenant_id: UUID, stream_id: UUID, subjects: Mapping[str, UUID]
) -> Mapping[UUID, Mapping[EventType, int]]:
    """Return the number of events about some subjects, by the ids that these stand for."""
    found: dict[UUID, Counter[EventType]] = defaultdict(Counter)
    for subject, kind, count in await session.execute(
        select(EventRow.subject, EventRow.type, func.count(distinct(EventRow.id)))
        .where(_of_stream(tenant_id, stream_id), EventRow.subject.in_(list(subjects)))
        .group_by(EventRow.subject, EventRow.type)
    ):
        found[subjects[subject]][EventType(kind)] = count
    return found


async def _usage(
    session: AsyncSession, tenant_id: UUID, counted: Collection[tuple[UsageKind, str]]
) -> Mapping[str, Mapping[UsageKind, Decimal]]:
    """Return what was counted for some subjects, by subject and kind."""
    ids = {usage_id(kind=kind, subject=subject): (kind, subject) for kind, subject in counted}
    found: dict[str, dict[UsageKind, Decimal]] = defaultdict(dict)
    for identity, quantity in await session.execute(
        select(UsageEventRow.id, UsageEventRow.quantity).where(
            UsageEventRow.tenant_id == tenant_id, UsageEventRow.id.in_(list(ids))
        )
    ):
        kind, subject = ids[identity]
        found[subject][kind] = quantity
    return found
