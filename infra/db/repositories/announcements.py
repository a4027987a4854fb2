"""Records as events: what is told of a change, in the transaction that makes it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from domain.clips.models import ClipStatus
from domain.highlights.explanation import headline
from domain.highlights.selection import DecisionStatus, Tier
from domain.score import DIMENSIONS
from domain.streams.status import EndReason, StreamStatus
from domain.webhooks.events import (
    ClipPayload,
    HighlightPayload,
    StreamPayload,
    event,
    of_clip,
    of_highlight,
    of_stream,
)
from infra.db.repositories import events
from infra.db.tables import Clip, Highlight, Stream
from infra.storage.signed_urls import clip_path


async def announce_stream(session: AsyncSession, row: Stream, *, before: StreamStatus) -> bool:
    """Append what a stream's change of state is told as; answer whether it is told at all."""
    told = of_stream(before, StreamStatus(row.status), has_media=row.segments > 0)
    if told:
        await session.refresh(row)
    for kind in told:
        await events.append(
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


async def announce_highlight(
    session: AsyncSession, row: Highlight, *, before: DecisionStatus | None
) -> bool:
    """Append what a decision is told as; answer whether it is told at all."""
    kind = of_highlight(before, DecisionStatus(row.status))
    if kind is None:
        return False
    return await events.append(
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


async def announce_clip(
    session: AsyncSession, row: Clip, about: Highlight, *, before: ClipStatus | None
) -> bool:
    """Append what a clip's change of state is told as; answer whether it is told at all.

    A clip is kept in order with its highlight.
    """
    kind = of_clip(before, ClipStatus(row.status))
    if kind is None:
        return False
    return await events.append(
        session,
        event(
            kind,
            _clip_payload(row, about),
            tenant_id=row.tenant_id,
            subject=f"clip/{row.id}",
            ordering_key=f"highlight/{about.id}",
            revision=row.revision,
            created_at=row.updated_at,
            stream_id=row.stream_id,
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
        start=row.start,
        peak=row.peak,
        end=row.end,
        peak_wall_clock=row.peak_wall_clock,
        revision=row.revision,
    )


def _title(row: Highlight) -> str:
    return headline(row.title, game=row.game, tags=row.tags, peak=row.peak)


def _clip_payload(row: Clip, about: Highlight) -> ClipPayload:
    is_ready = row.status == ClipStatus.READY
    return ClipPayload(
        clip_id=row.id,
        highlight_id=about.id,
        stream_id=row.stream_id,
        status=ClipStatus(row.status),
        title=_title(about),
        score=about.score,
        tags=tuple(about.tags),
        peak=about.peak,
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
    )
