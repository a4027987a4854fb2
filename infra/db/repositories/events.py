"""The outbox of lifecycle events: appended in the transaction of the change, read by the relays."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, all_, and_, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from domain.analysis.screen import MatchState
from domain.clips.models import ClipStatus
from domain.exports.batches import BatchCounts
from domain.exports.models import ExportSpec, ExportStatus, RenderedRendition
from domain.highlights.candidate import LocalizedTitle
from domain.highlights.explanation import headline
from domain.highlights.moderation import Moderation
from domain.highlights.publication import withheld_by_review
from domain.highlights.selection import DecisionStatus, Tier
from domain.score import DIMENSIONS
from domain.streams.status import EndReason, StreamStatus
from domain.webhooks.events import (
    ClipPayload,
    Event,
    EventType,
    ExportBatchPayload,
    ExportPayload,
    ExportRenditionPayload,
    HighlightPayload,
    StreamPayload,
    SubjectHighlightPayload,
    event,
    of_clip,
    of_export,
    of_highlight,
    of_stream,
)
from infra.db.repositories.publication.policies import policy_of, release_of
from infra.db.tables import (
    Clip,
    Delivery,
    EventRow,
    Export,
    ExportBatch,
    FeedEventRow,
    Highlight,
    Stream,
)
from infra.db.tables.base import WideInteger
from infra.storage.signed_urls import clip_path, highlight_playlist_path


async def append(session: AsyncSession, event: Event) -> bool:
    """Write an event in the transaction of its change. Return True if it is new.

    Appending it again changes nothing.
    """
    appended = await session.scalar(
        insert(EventRow)
        .values(
            tenant_id=event.tenant_id,
            id=event.id,
            type=event.type.value,
            subject=event.subject,
            ordering_key=event.ordering_key,
            stream_id=event.stream_id,
            data=event.data,
            created_at=event.created_at,
        )
        .on_conflict_do_nothing()
        .returning(EventRow.id)
    )
    return appended is not None


async def get(session: AsyncSession, *, tenant_id: UUID, event_id: UUID) -> Event | None:
    """Return an event, or None when the tenant has none of this id."""
    row = await session.get(EventRow, (tenant_id, event_id))
    return None if row is None else event_of(row)


async def after_position(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    position: int,
    types: Collection[EventType],
    limit: int,
    exclude: Collection[int] = (),
) -> Sequence[tuple[int, Event]]:
    """Return the oldest events of some types after a position, with their positions."""
    rows = await session.scalars(
        select(EventRow)
        .where(
            EventRow.tenant_id == tenant_id,
            EventRow.position > position,
            EventRow.type.in_(types),
            EventRow.position != all_(cast(list(exclude), ARRAY(WideInteger()))),
        )
        .order_by(EventRow.position)
        .limit(limit)
    )
    return [(row.position, event_of(row)) for row in rows]


async def positions_around(
    session: AsyncSession, *, tenant_id: UUID, since: datetime, settled: datetime
) -> tuple[int, frozenset[int]]:
    """Return where to begin with the events of a time.

    Args:
        session: of the tenant.
        tenant_id: the tenant.
        since: time of the first event.
        settled: time before which no transaction is still under way.

    Returns:
        The latest position that no event can still appear before, and the positions after it of
        events that are older than `since`.
    """
    own = EventRow.tenant_id == tenant_id
    first = await session.scalar(
        select(func.min(EventRow.position)).where(own, EventRow.created_at >= since)
    )
    older = own if first is None else and_(own, EventRow.position < first)
    floor = await session.scalar(
        select(func.max(EventRow.position)).where(older, EventRow.created_at < settled)
    )
    found = await session.scalars(
        select(EventRow.position).where(older, EventRow.position > (floor or 0))
    )
    return floor or 0, frozenset(found)


async def undispatched(
    session: AsyncSession, *, tenant_id: UUID, limit: int = 100
) -> Sequence[Event]:
    """Return the oldest events without deliveries, locked until this transaction ends.

    Concurrent callers wait until it ends, so that no event overtakes an older one.
    """
    rows = await session.scalars(
        select(EventRow)
        .where(EventRow.tenant_id == tenant_id, EventRow.dispatched_at.is_(None))
        .order_by(EventRow.position)
        .limit(limit)
        .with_for_update(key_share=True)
    )
    return [event_of(row) for row in rows]


async def keep(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Collection[UUID]
) -> frozenset[UUID]:
    """Lock these events until the transaction ends; return those that still exist."""
    found = await session.scalars(
        select(EventRow.id)
        .where(EventRow.tenant_id == tenant_id, EventRow.id.in_(event_ids))
        .order_by(EventRow.position)
        .with_for_update(read=True, key_share=True)
    )
    return frozenset(found)


async def mark_dispatched(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Iterable[UUID]
) -> None:
    """Record that deliveries of these events exist."""
    await _mark(session, tenant_id, event_ids, EventRow.dispatched_at)


async def mark_published(
    session: AsyncSession, *, tenant_id: UUID, event_ids: Iterable[UUID]
) -> None:
    """Record that the broker has confirmed these events."""
    await _mark(session, tenant_id, event_ids, EventRow.published_at)


async def _mark(
    session: AsyncSession,
    tenant_id: UUID,
    event_ids: Iterable[UUID],
    column: InstrumentedAttribute[datetime | None],
) -> None:
    """Set a time on events, locked in their order first: so two relays cannot block each other."""
    own = and_(EventRow.tenant_id == tenant_id, EventRow.id.in_(list(event_ids)))
    await session.execute(
        select(EventRow.id).where(own).order_by(EventRow.position).with_for_update(key_share=True)
    )
    await session.execute(
        update(EventRow)
        .where(own)
        .values({column: func.now()})
        .execution_options(synchronize_session=False)
    )


def event_of(row: EventRow) -> Event:
    """Return the event that a row holds."""
    return Event(
        id=row.id,
        tenant_id=row.tenant_id,
        type=EventType(row.type),
        subject=row.subject,
        ordering_key=row.ordering_key,
        stream_id=row.stream_id,
        created_at=row.created_at,
        data=row.data,
    )


async def append_stream_event(session: AsyncSession, row: Stream, *, before: StreamStatus) -> bool:
    """Append the events of a stream's change of status. Return True if there were any."""
    told = of_stream(before, StreamStatus(row.status), has_media=row.segments > 0)
    if told:
        await session.refresh(row)
    for kind in told:
        await append(
            session,
            event(
                kind,
                _stream_payload(row),
                tenant_id=row.tenant_id,
                subject=f"stream/{row.id}",
                revision=row.revision,
                created_at=row.updated_at,
                stream_id=row.id,
            ),
        )
    return bool(told)


async def append_highlight_event(
    session: AsyncSession, row: Highlight, *, before: DecisionStatus | None
) -> bool:
    """Append the event of a decision. Return True if there was one.

    Nothing is published of a highlight that awaits review, or never got it.
    """
    kind = of_highlight(before, DecisionStatus(row.status))
    if kind is None or withheld_by_review(row.review) is not None:
        return False
    return await append(
        session,
        event(
            kind,
            _highlight_payload(row),
            tenant_id=row.tenant_id,
            subject=f"highlight/{row.id}",
            revision=row.revision,
            created_at=row.updated_at,
            stream_id=row.stream_id,
        ),
    )


async def append_relabeled_event(session: AsyncSession, row: Highlight) -> bool:
    """Append the event of a highlight that lost a tag. Return True if it is new."""
    if withheld_by_review(row.review) is not None:
        return False
    return await append(
        session,
        event(
            EventType.HIGHLIGHT_RELABELED,
            _highlight_payload(row),
            tenant_id=row.tenant_id,
            subject=f"highlight/{row.id}",
            revision=row.revision,
            created_at=row.updated_at,
            stream_id=row.stream_id,
        ),
    )


async def append_subject_event(
    session: AsyncSession, row: Highlight, about: FeedEventRow, *, subject: str
) -> bool:
    """Append the event of a subject's highlight. Return True if it is new."""
    if withheld_by_review(row.review) is not None:
        return False
    payload = SubjectHighlightPayload(
        subject=subject,
        event_id=about.event_id,
        event_kind=about.kind,
        highlight_id=row.id,
        stream_id=row.stream_id,
        peak=row.peak,
        score=row.score,
        tags=tuple(row.tags),
    )
    return await append(
        session,
        event(
            EventType.SUBJECT_HIGHLIGHT,
            payload,
            tenant_id=row.tenant_id,
            # Not the reference itself, which can be deleted.
            subject=f"subject/{about.id}/{row.id}/{hashlib.sha256(subject.encode()).hexdigest()}",
            ordering_key=f"highlight/{row.id}",
            revision=1,
            created_at=about.updated_at,
            stream_id=row.stream_id,
        ),
    )


async def append_clip_event(
    session: AsyncSession, row: Clip, about: Highlight | None, *, before: ClipStatus | None
) -> bool:
    """Append the event of a clip's change of status. Return True if there was one.

    Events of a clip are ordered with those of its highlight, if it has one.
    """
    kind = of_clip(before, ClipStatus(row.status))
    if kind is None or (about is not None and withheld_by_review(about.review) is not None):
        return False
    return await append(
        session,
        event(
            kind,
            _clip_payload(row, about),
            tenant_id=row.tenant_id,
            subject=f"clip/{row.id}",
            ordering_key=None if about is None else f"highlight/{about.id}",
            revision=row.revision,
            created_at=row.updated_at,
            stream_id=row.stream_id,
        ),
    )


async def append_export_event(session: AsyncSession, row: Export, *, before: ExportStatus) -> bool:
    """Append the event of an export's change of status. Return True if there was one."""
    kind = of_export(before, ExportStatus(row.status))
    if kind is None:
        return False
    return await append(
        session,
        event(
            kind,
            _export_payload(row),
            tenant_id=row.tenant_id,
            subject=f"export/{row.id}",
            revision=row.revision,
            created_at=row.updated_at,
            stream_id=row.stream_id,
        ),
    )


async def append_batch_event(session: AsyncSession, row: ExportBatch, counts: BatchCounts) -> bool:
    """Append the event of the end of a batch. Return True if it is new."""
    payload = ExportBatchPayload(
        export_batch_id=row.id,
        status=ExportStatus(row.status),
        exports=row.exports,
        ready=counts.ready,
        failed=counts.failed,
        message=row.message,
        finished_at=row.finished_at,
    )
    return await append(
        session,
        event(
            EventType.EXPORT_BATCH_FINISHED,
            payload,
            tenant_id=row.tenant_id,
            subject=f"export_batch/{row.id}",
            revision=row.revision,
            created_at=row.updated_at,
        ),
    )


def _stream_payload(row: Stream) -> StreamPayload:
    return StreamPayload(
        stream_id=row.id,
        external_id=row.external_id,
        title=row.title,
        game=row.game,
        status=StreamStatus(row.status),
        duration=row.position,
        highlights=row.highlights,
        clips=row.clips,
        end_reason=EndReason(row.end_reason) if row.end_reason else None,
        end_message=row.end_message,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _highlight_payload(row: Highlight) -> HighlightPayload:
    return HighlightPayload(
        highlight_id=row.id,
        stream_id=row.stream_id,
        game=row.game,
        status=DecisionStatus(row.status),
        tier=Tier(row.tier),
        score=row.score,
        dimensions={name: getattr(row, name) for name in DIMENSIONS},
        confidence=row.confidence,
        title=_title(row),
        description=row.description,
        tags=tuple(row.tags),
        titles=_titles(row),
        moderation=_moderation(row),
        start=row.start,
        peak=row.peak,
        end=row.end,
        peak_wall_clock=row.peak_wall_clock,
        state=None if row.match_state is None else MatchState.model_validate(row.match_state),
        hls_url=highlight_playlist_path(row.id)
        if row.status in {DecisionStatus.PENDING, DecisionStatus.CONFIRMED}
        else None,
        policy=policy_of(row),
        release=release_of(row),
        revision=row.revision,
    )


def _title(row: Highlight) -> str:
    return headline(row.title, game=row.game, tags=row.tags, peak=row.peak)


def _titles(row: Highlight) -> tuple[LocalizedTitle, ...]:
    return tuple(LocalizedTitle.model_validate(each) for each in row.titles)


def _moderation(row: Highlight) -> Moderation | None:
    return None if row.moderation is None else Moderation.model_validate(row.moderation)


def _clip_payload(row: Clip, about: Highlight | None) -> ClipPayload:
    is_ready = row.status == ClipStatus.READY
    return ClipPayload(
        clip_id=row.id,
        highlight_id=row.highlight_id,
        stream_id=row.stream_id,
        status=ClipStatus(row.status),
        title=row.title if about is None else _title(about),
        score=None if about is None else about.score,
        tags=() if about is None else tuple(about.tags),
        titles=() if about is None else _titles(about),
        moderation=None if about is None else _moderation(about),
        peak=None if about is None else about.peak,
        start=row.start,
        duration=row.duration,
        size=row.size,
        width=row.width,
        height=row.height,
        has_audio=row.has_audio,
        sha256=row.sha256,
        url=clip_path(row.id, "download") if is_ready else None,
        thumbnail_url=clip_path(row.id, "thumbnail") if is_ready and row.thumbnail_key else None,
        message=row.message,
        ready_at=row.ready_at,
        policy=None if about is None else policy_of(about),
        release=None if about is None else release_of(about),
    )


def _export_payload(row: Export) -> ExportPayload:
    spec = ExportSpec.model_validate(row.spec)
    finished = [RenderedRendition.model_validate(result) for result in row.results]
    return ExportPayload(
        export_id=row.id,
        stream_id=row.stream_id,
        highlight_id=spec.source.highlight_id,
        clip_id=spec.source.clip_id,
        status=ExportStatus(row.status),
        start=spec.source.start,
        end=spec.source.end,
        renditions=tuple(
            ExportRenditionPayload(
                number=each.number,
                format=spec.renditions[each.number - 1].format,
                status=each.status,
                duration=each.duration,
                size=each.size,
                width=each.width,
                height=each.height,
                sha256=each.sha256,
                message=each.message,
            )
            for each in finished
        ),
        message=row.message,
        finished_at=row.finished_at,
    )


_LOCK_SPACE: Final = 0x616D7170  # an arbitrary constant that no other advisory lock uses


async def try_lock_publishing(session: AsyncSession, *, tenant_id: UUID) -> bool:
    """Lock publishing for the tenant until the transaction ends. Return True on success.

    Only one process may publish a tenant's events at a time, or they would overtake each other. It
    is an advisory lock rather than a row lock: the publisher waits for a broker meanwhile, and
    other users of these rows must not wait for that.
    """
    turn = func.pg_try_advisory_xact_lock(_LOCK_SPACE, func.hashtext(str(tenant_id)))
    return bool(await session.scalar(select(turn)))


async def unpublished(session: AsyncSession, *, tenant_id: UUID, limit: int) -> Sequence[Event]:
    """Return the oldest events that no broker has confirmed, in the order they happened."""
    rows = await session.scalars(
        select(EventRow)
        .where(EventRow.tenant_id == tenant_id, EventRow.published_at.is_(None))
        .order_by(EventRow.position)
        .limit(limit)
    )
    return [event_of(row) for row in rows]


async def lock_deliveries(
    session: AsyncSession, *, tenant_id: UUID, which: ColumnElement[bool]
) -> int:
    """Lock the tenant's deliveries that match, by their order, until the transaction ends.

    Returns:
        How many there are.
    """
    held = (
        select(Delivery.id)
        .where(Delivery.tenant_id == tenant_id, which)
        .order_by(Delivery.id)
        .with_for_update()
        .subquery()
    )
    return await session.scalar(select(func.count()).select_from(held)) or 0
