"""Rows that backfills and reconciliation read: recorded streams, gaps and unfinished work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from domain.highlights.selection.resolution import Cause
from domain.hms.beam import BeamRecording
from domain.media.segments import Gap, GapReason, GapStatus
from domain.media.timestamps import ClockAnchor
from domain.streams.backfill.messages import (
    SHOWN,
    BackfillRecord,
    ExistingHighlight,
    StoredStreamState,
    StreamRef,
)
from domain.streams.status import TERMINAL, EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.webhooks.events import DeliveryStatus
from infra.db.repositories import streams
from infra.db.repositories.events import lock_deliveries
from infra.db.tables import BeamRow, Clip, Delivery, EventRow, Highlight, Stream, StreamGap

NEARBY: Final = 10.0
"""Seconds around a gap in which rejected moments are loaded, so that none is proposed again."""


async def load_stream(session: AsyncSession, stream: StreamRef) -> StoredStreamState | None:
    """Return a stream as it is recorded, or None when the tenant has none of this id."""
    tenant_id, stream_id = stream.tenant_id, stream.stream_id
    row = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
    if row is None:
        return None
    rows = await streams.gaps(session, tenant_id=tenant_id, stream_id=stream_id)
    gaps = tuple(gap_of(each) for each in rows if each.status != GapStatus.FILLED)
    decided = await _decided(session, tenant_id=tenant_id, stream_id=stream_id)
    standing = [_standing(each) for each in decided]
    return StoredStreamState(
        game=row.game,
        profile_id=row.profile_id,
        profile_version=row.profile_version,
        progress=_progress(row),
        gaps=gaps,
        standing=tuple(each for each in standing if stream.again or _matters(each, gaps)),
        anchor=_anchor(decided) if stream.again else None,
    )


async def record_outcomes(session: AsyncSession, record: BackfillRecord) -> None:
    """Record the results of gaps; a filled gap stays filled."""
    for outcome in record.outcomes:
        await session.execute(
            update(StreamGap)
            .where(
                StreamGap.tenant_id == record.tenant_id,
                StreamGap.stream_id == record.stream_id,
                StreamGap.start == outcome.start,
                StreamGap.first_sequence == outcome.first_sequence,
                StreamGap.status != GapStatus.FILLED.value,
            )
            .values(status=outcome.status.value, resolution=outcome.resolution)
        )


async def _decided(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID
) -> Sequence[Highlight]:
    rows = await session.scalars(
        select(Highlight)
        .where(Highlight.tenant_id == tenant_id, Highlight.stream_id == stream_id)
        .order_by(Highlight.peak, Highlight.id)
    )
    return rows.all()


def _standing(row: Highlight) -> ExistingHighlight:
    """Return a highlight as selection remembers it: of one that was refused the peak, and no words.

    A stream may have thousands of those, and all of them together must fit into a message.
    """
    status = DecisionStatus(row.status)
    standing = ExistingHighlight(
        id=row.id, status=status, start=row.start, peak=row.peak, end=row.end
    )
    if status not in SHOWN:
        return standing
    words = {
        "title": row.title,
        "description": row.description,
        "tags": tuple(row.tags),
        "override": any(reason["code"] == Cause.OVERRIDE for reason in row.reasons),
    }
    return standing.model_copy(update=words)


def _anchor(rows: Sequence[Highlight]) -> ClockAnchor | None:
    """Return a point of the stream known on both clocks: a highlight's peak."""
    return next(
        (
            ClockAnchor(at=row.peak, wall=row.peak_wall_clock)
            for row in rows
            if row.peak_wall_clock is not None
        ),
        None,
    )


def _matters(each: ExistingHighlight, gaps: Sequence[Gap]) -> bool:
    """Omit rejected moments far from any gap: a stream may have thousands of them."""
    return each.status in SHOWN or any(
        gap.start - NEARBY <= each.peak <= gap.end + NEARBY for gap in gaps
    )


def _progress(row: Stream) -> StreamProgress:
    end = None
    if row.end_reason is not None:
        end = StreamEnd(reason=EndReason(row.end_reason), message=row.end_message or "")
    return StreamProgress(
        status=StreamStatus(row.status),
        position=row.position,
        duration=row.duration,
        analyzed=row.analyzed,
        segments=row.segments,
        missed=row.missed,
        windows=row.windows,
        highlights=row.highlights,
        clips=row.clips,
        refused_marks=row.refused_marks,
        notice=row.notice,
        end=end,
        last_segment_at=row.last_segment_at,
    )


def gap_of(row: StreamGap) -> Gap:
    """Return a gap as recorded."""
    return Gap(
        start=row.start,
        duration=row.duration,
        first_sequence=row.first_sequence,
        last_sequence=row.last_sequence,
        reason=GapReason(row.reason),
        detail=row.detail,
        anchor_at=row.anchor_at,
        anchor_wall=row.anchor_wall,
    )


_UNDER_WAY: Final = tuple(status.value for status in StreamStatus if status not in TERMINAL)


@dataclass(frozen=True, kw_only=True)
class UnfinishedStream:
    """A stream whose row is not final; `age` in seconds by the database's clock."""

    row: Stream
    age: float

    @property
    def has_begun(self) -> bool:
        """Whether a workflow has recorded anything of it."""
        return self.row.status != StreamStatus.STARTING or self.row.windows > 0


@dataclass(frozen=True, kw_only=True)
class UnfinishedClip:
    """A clip that is being rendered; `age` in seconds, `peak` of its highlight in media time.

    The middle of a clip on demand counts as its peak.
    """

    row: Clip
    age: float
    peak: float


@dataclass(frozen=True, kw_only=True)
class DeliveryQueueRef:
    """The deliveries to an endpoint that keep one order, which share a workflow."""

    endpoint_id: UUID
    ordering_key: str


async def unfinished_streams(
    session: AsyncSession, *, tenant_id: UUID, quiet_for: float, after: UUID | None, limit: int
) -> list[UnfinishedStream]:
    """Return running streams whose row was not written for `quiet_for` seconds, by id."""
    query = (
        select(Stream, func.extract("epoch", func.now() - Stream.created_at))
        .where(
            Stream.tenant_id == tenant_id,
            Stream.status.in_(_UNDER_WAY),
            Stream.updated_at < func.now() - timedelta(seconds=quiet_for),
        )
        .order_by(Stream.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Stream.id > after)
    return [UnfinishedStream(row=row, age=float(age)) for row, age in await session.execute(query)]


async def unfinished_clips(
    session: AsyncSession, *, tenant_id: UUID, quiet_for: float, after: UUID | None, limit: int
) -> list[UnfinishedClip]:
    """Return rendering clips whose row was not written for `quiet_for` seconds, by id."""
    query = (
        select(
            Clip,
            func.extract("epoch", func.now() - Clip.created_at),
            func.coalesce(Highlight.peak, Clip.start + Clip.duration / 2),
        )
        .outerjoin(
            Highlight,
            (Highlight.tenant_id == Clip.tenant_id) & (Highlight.id == Clip.highlight_id),
        )
        .where(
            Clip.tenant_id == tenant_id,
            Clip.status == ClipStatus.RENDERING.value,
            Clip.updated_at < func.now() - timedelta(seconds=quiet_for),
        )
        .order_by(Clip.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Clip.id > after)
    return [
        UnfinishedClip(row=row, age=float(age), peak=peak)
        for row, age, peak in await session.execute(query)
    ]


async def overdue_queues(
    session: AsyncSession, *, tenant_id: UUID, overdue_by: float, limit: int
) -> list[DeliveryQueueRef]:
    """Return the queues of deliveries that were due `overdue_by` seconds ago, in random order.

    Random, so that queues which only wait behind a failing endpoint do not hide the others.
    """
    queues = (
        select(Delivery.endpoint_id, EventRow.ordering_key)
        .join(
            EventRow,
            (EventRow.tenant_id == Delivery.tenant_id) & (EventRow.id == Delivery.event_id),
        )
        .where(Delivery.tenant_id == tenant_id, _is_overdue(overdue_by))
        .distinct()
        .subquery()
    )
    rows = await session.execute(select(queues).order_by(func.random()).limit(limit))
    return [DeliveryQueueRef(endpoint_id=endpoint, ordering_key=key) for endpoint, key in rows]


async def release_queue(
    session: AsyncSession, *, tenant_id: UUID, queue: DeliveryQueueRef, overdue_by: float
) -> int:
    """Let a lost queue's pending deliveries be handed over again; return how many there are."""
    in_queue = (
        select(EventRow.id)
        .where(EventRow.tenant_id == tenant_id, EventRow.ordering_key == queue.ordering_key)
        .scalar_subquery()
    )
    which = and_(
        Delivery.endpoint_id == queue.endpoint_id,
        Delivery.event_id.in_(in_queue),
        _is_overdue(overdue_by),
    )
    count = await lock_deliveries(session, tenant_id=tenant_id, which=which)
    await session.execute(
        update(Delivery)
        .where(Delivery.tenant_id == tenant_id, which)
        .values(queued_at=None)
        .execution_options(synchronize_session=False)
    )
    return count


async def unfilled_streams(
    session: AsyncSession, *, tenant_id: UUID, quiet_for: float, within: float, limit: int
) -> Sequence[tuple[Stream, BeamRecording]]:
    """Return ended streams that have a recording and still lack media that it may hold.

    Only those whose recording was announced within `within` seconds.
    """
    has_open_gap = exists().where(
        StreamGap.tenant_id == Stream.tenant_id,
        StreamGap.stream_id == Stream.id,
        StreamGap.status == GapStatus.OPEN.value,
    )
    rows = await session.execute(
        select(Stream, BeamRow.recording)
        .join(BeamRow, (BeamRow.tenant_id == Stream.tenant_id) & (BeamRow.stream_id == Stream.id))
        .where(
            BeamRow.tenant_id == tenant_id,
            BeamRow.recording.is_not(None),
            BeamRow.updated_at > func.now() - timedelta(seconds=within),
            BeamRow.updated_at < func.now() - timedelta(seconds=quiet_for),
            Stream.status.not_in(_UNDER_WAY),
            Stream.updated_at < func.now() - timedelta(seconds=quiet_for),
            or_(has_open_gap, and_(Stream.segments == 0, Stream.position == 0.0)),
        )
        .order_by(BeamRow.updated_at)
        .limit(limit)
    )
    return [(row, BeamRecording.model_validate(recording)) for row, recording in rows]


def _is_overdue(seconds: float) -> ColumnElement[bool]:
    return and_(
        Delivery.status == DeliveryStatus.PENDING.value,
        Delivery.queued_at.is_not(None),
        func.greatest(Delivery.queued_at, Delivery.next_attempt_at)
        < func.now() - timedelta(seconds=seconds),
    )
