"""Clips on demand, and the media that is kept for clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.services.streams import StreamStarter
from domain.clips.models import ClipSpec
from domain.clips.spans import (
    MediaGoneError,
    MediaNotReadyError,
    OnGap,
    StreamSpan,
    WantedSpan,
    locate_span,
    plan_span,
)
from domain.clips.tracker import LONGEST_LEAD_IN
from domain.media.segments import SegmentRef
from domain.streams.messages import MediaRelease, StreamTiming
from domain.streams.status import TERMINAL
from domain.tenants.audit import Actor, AuditAction
from domain.tenants.usage import PLANS, PlanName, require_clip_length
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, clips, streams, tenants
from infra.db.tables import Clip, Stream
from infra.storage.clips import ClipStore
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import SegmentStore
from infra.temporal.client import TemporalUnavailableError

_log = structlog.get_logger(__name__)

_GONE: Final = "Nothing of the stream's media is kept any more."

INSTANT_FOR: Final = timedelta(seconds=StreamTiming().media_horizon)
"""Time after a highlight was found in which its media is still stored."""


class HighlightClipError(Exception):
    """A clip belongs to a highlight, which decides whether it exists."""


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """A clip on demand of a stream."""

    tenant_id: UUID
    stream_id: UUID
    request_id: UUID
    span: WantedSpan
    title: str
    on_gap: OnGap


@dataclass(frozen=True, kw_only=True)
class RequestedClips:
    """The rows of a request's clips, what of its span has no media, and what is to be rendered."""

    rows: Sequence[Clip]
    missing: Sequence[StreamSpan] = ()
    specs: Sequence[ClipSpec] = ()


class ClipService:
    """Creates and deletes clips on demand.

    Args:
        segments: the stored media.
        files: the finished clips.
        starter: starts workflows, and knows how far a stream has come.
        default_plan: of tenants without a plan of their own.
    """

    def __init__(
        self,
        *,
        segments: SegmentStore,
        files: ClipStore,
        starter: StreamStarter,
        default_plan: PlanName,
    ) -> None:
        self._segments = segments
        self._files = files
        self._starter = starter
        self._default_plan = default_plan

    async def create(self, session: AsyncSession, request: ClipRequest) -> RequestedClips:
        """Insert the clips of a request; return those that exist if it is repeated.

        `start` renders them, after the commit.

        Raises:
            RecordMissingError: the tenant has no such stream.
            ClipRefusedError: the media is not there.
            ClipTooLongError: the plan allows no clip of that length.
            ClipQuotaExceededError: the plan allows no more clips today.
        """
        tenant_id = request.tenant_id
        made = await clips.of_request(session, tenant_id=tenant_id, request_id=request.request_id)
        if made:
            return RequestedClips(rows=made)
        stream = await streams.get(session, tenant_id=tenant_id, stream_id=request.stream_id)
        if stream is None:
            raise RecordMissingError("stream", request.stream_id)
        own = await tenants.plan_of(session, tenant_id=tenant_id)
        require_clip_length(PLANS[own or self._default_plan], seconds=request.span.duration)
        segments = await self._kept(stream)
        span = locate_span(request.span, segments)
        plan = plan_span(
            span,
            await self._without_deleted(stream, span, segments),
            tenant_id=tenant_id,
            stream_id=stream.id,
            request_id=request.request_id,
            on_gap=request.on_gap,
            ended=stream.status in TERMINAL,
        )
        await clips.reserve_requested(
            session, tenant_id=tenant_id, count=len(plan.clips), default_plan=self._default_plan
        )
        rows = [
            await clips.create_requested(session, spec, title=request.title) for spec in plan.clips
        ]
        return RequestedClips(rows=rows, missing=plan.missing, specs=plan.clips)

    async def start(self, specs: Sequence[ClipSpec]) -> None:
        """Render clips. Those that Temporal does not accept now are left to reconciliation."""
        for spec in specs:
            try:
                await self._starter.render_clip(spec)
            except TemporalUnavailableError as error:
                _log.warning("clip_left_to_reconciliation", clip_id=str(spec.id), error=str(error))

    async def delete(
        self, session: AsyncSession, *, tenant_id: UUID, clip_id: UUID, actor: Actor
    ) -> None:
        """Delete a clip on demand with its files. One that is being rendered leaves no file.

        Raises:
            RecordMissingError: the tenant has no such clip.
            HighlightClipError: the clip belongs to a highlight.
        """
        row = await clips.get(session, tenant_id=tenant_id, clip_id=clip_id, lock=True)
        if row is None:
            raise RecordMissingError("clip", clip_id)
        if row.highlight_id is not None:
            raise HighlightClipError
        await streams.require_not_held(session, tenant_id=tenant_id, stream_id=row.stream_id)
        # Before the commit: while a row names its files, the request can be repeated.
        for key in (row.key, row.thumbnail_key):
            if key is not None:
                await self._files.delete(key)
        clips.mark_deleted(row)
        await audit.record(
            session,
            tenant_id=tenant_id,
            action=AuditAction.CLIP_DELETED,
            target_id=clip_id,
            actor=actor,
            details={"stream_id": str(row.stream_id)},
        )

    async def _kept(self, stream: Stream) -> Sequence[SegmentRef]:
        live = None if stream.status in TERMINAL else await self._starter.live_progress(stream)
        near = stream.position if live is None else max(live.position, stream.position)
        index = StoredSegments(self._segments, tenant_id=stream.tenant_id, stream_id=stream.id)
        segments = await index.kept(near=near)
        if segments:
            return segments
        if stream.status in TERMINAL:
            raise MediaGoneError(_GONE)
        raise MediaNotReadyError("No media of the stream is stored yet.")

    async def _without_deleted(
        self, stream: Stream, span: StreamSpan, segments: Sequence[SegmentRef]
    ) -> Sequence[SegmentRef]:
        """Return the segments without those that a full store has deleted from the span."""

        def is_needed(segment: SegmentRef) -> bool:
            return segment.end > span.start - LONGEST_LEAD_IN and segment.start < span.end

        index = StoredSegments(self._segments, tenant_id=stream.tenant_id, stream_id=stream.id)
        there = {
            each.key
            for each in await index.existing([each for each in segments if is_needed(each)])
        }
        left = [each for each in segments if each.key in there or not is_needed(each)]
        if not left:
            raise MediaGoneError(_GONE)
        return left


class MediaRetention:
    """Keeps media that the workflow of a stream does not need any more, for clips on demand.

    Args:
        database: the clips that are being rendered, and until when media is kept.
        seconds: for which the media of an ended stream is kept.
        recording_seconds: for which that of an analyzed recording is.
    """

    def __init__(self, database: Database, *, seconds: float, recording_seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._recording_seconds = recording_seconds

    async def keep(self, *, tenant_id: UUID, stream_id: UUID) -> bool:
        """Keep the media of an ended stream. Return False if the stream was deleted."""
        async with self._database.session(tenant_id) as session:
            return await streams.keep_media(
                session,
                tenant_id=tenant_id,
                stream_id=stream_id,
                seconds=self._seconds,
                recording_seconds=self._recording_seconds,
            )

    async def limited(self, release: MediaRelease) -> MediaRelease | None:
        """Return what of a release can be deleted now; None if nothing."""
        tenant_id, stream_id = release.tenant_id, release.stream_id
        if release.before is None:
            kept = await self.keep(tenant_id=tenant_id, stream_id=stream_id)
            return None if kept else release
        async with self._database.session(tenant_id) as session:
            if await streams.is_held(session, tenant_id=tenant_id, stream_id=stream_id):
                return None
            needed = await clips.needed_from(session, tenant_id=tenant_id, stream_id=stream_id)
        if needed is None:
            return release
        before = max(0.0, min(release.before, needed - LONGEST_LEAD_IN))
        return MediaRelease(
            tenant_id=tenant_id, stream_id=stream_id, before=before, after=release.after
        )
