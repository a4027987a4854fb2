"""What is recorded of a stream that a backfill needs to know, and what came of its gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.selection import DecisionStatus
from domain.highlights.selection.resolution import Cause
from domain.media.segments import Gap, GapReason, GapStatus
from domain.media.timestamps import ClockAnchor
from domain.streams.backfill.messages import (
    SHOWN,
    BackfillRecord,
    ExistingHighlight,
    StoredStreamState,
    StreamRef,
)
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from infra.db.repositories import streams
from infra.db.tables import Highlight, Stream, StreamGap

NEARBY: Final = 10.0
"""Seconds from a gap within which moments that were refused are recalled, lest they come again."""


async def recall(session: AsyncSession, stream: StreamRef) -> StoredStreamState | None:
    """Return a stream as it is recorded, or None when the tenant has none of this id."""
    tenant_id, stream_id = stream.tenant_id, stream.stream_id
    row = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
    if row is None:
        return None
    rows = await streams.gaps(session, tenant_id=tenant_id, stream_id=stream_id)
    gaps = tuple(_gap(each) for each in rows if each.status != GapStatus.FILLED)
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
    """Write what came of gaps; one that was filled stays filled."""
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
    """Leave out what was refused far from any gap: of those a stream may have thousands."""
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


def _gap(row: StreamGap) -> Gap:
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
