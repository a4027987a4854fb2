"""Reviews of highlights: locked, decided and expired."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipStatus
from domain.feed.models import FeedOutcome
from domain.highlights.publication import Release, ReviewStatus
from infra.db.repositories.events import (
    append_clip_event,
    append_highlight_event,
    append_subject_event,
)
from infra.db.tables import Clip, EventSubject, FeedEventRow, Highlight, Stream


async def lock(session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID) -> Highlight | None:
    """Return a highlight, locked until the transaction ends; None if there is none.

    The stream is locked first, as feed events and selection do. The lock of the highlight keeps
    out those who record its clips too, so that each event is published by one or the other.
    """
    own = (Highlight.tenant_id == tenant_id, Highlight.id == highlight_id)
    stream_id = await session.scalar(select(Highlight.stream_id).where(*own))
    if stream_id is None:
        return None
    await session.execute(
        select(Stream.id)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .with_for_update(key_share=True)
    )
    found: Highlight | None = await session.scalar(
        select(Highlight).where(*own).with_for_update().execution_options(populate_existing=True)
    )
    return found


async def decide(
    session: AsyncSession, row: Highlight, *, status: ReviewStatus, release: Release
) -> None:
    """Store a review of a locked highlight."""
    row.review = status.value
    row.release = release.model_dump(mode="json")
    row.revision += 1
    row.updated_at = (await session.execute(select(func.now()))).scalar_one()
    await session.flush()
    await session.refresh(row)


async def publish(session: AsyncSession, row: Highlight) -> None:
    """Append the events that were withheld of a locked highlight: its own, clips' and subjects'."""
    await append_highlight_event(session, row, before=None)
    clips = await session.scalars(
        select(Clip)
        .where(
            Clip.tenant_id == row.tenant_id,
            Clip.highlight_id == row.id,
            Clip.status.in_((ClipStatus.READY.value, ClipStatus.FAILED.value)),
        )
        .order_by(Clip.created_at, Clip.id)
    )
    for clip in clips:
        await append_clip_event(session, clip, row, before=None)
    subjects = await session.execute(
        select(FeedEventRow, EventSubject.subject)
        .join(
            EventSubject,
            (EventSubject.tenant_id == FeedEventRow.tenant_id)
            & (EventSubject.event_id == FeedEventRow.id),
        )
        .where(
            FeedEventRow.tenant_id == row.tenant_id,
            FeedEventRow.highlight_id == row.id,
            FeedEventRow.outcome != FeedOutcome.RETRACTED.value,
        )
        .order_by(FeedEventRow.received_at, FeedEventRow.id, EventSubject.subject)
    )
    for about, subject in subjects.all():
        await append_subject_event(session, row, about, subject=subject)


async def expire(session: AsyncSession, *, tenant_id: UUID, limit: int) -> Sequence[UUID]:
    """End the reviews whose time is over, at most `limit`; return their highlights.

    Rows that are locked are left to the next pass.
    """
    rows = await session.scalars(
        select(Highlight)
        .where(
            Highlight.tenant_id == tenant_id,
            Highlight.review == ReviewStatus.AWAITING.value,
            Highlight.review_until <= func.now(),
        )
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    ended = []
    for row in rows:
        row.review = ReviewStatus.EXPIRED.value
        row.revision += 1
        row.updated_at = func.now()
        ended.append(row.id)
    await session.flush()
    return ended
