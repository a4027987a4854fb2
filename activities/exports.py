"""Activities that render exports from stored segments or a clip's file into the clip store."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import heartbeating
from activities.interfaces import Exports
from app.services.webhooks import WebhookDispatcher
from domain.clips.spans import StreamSpan, missing_parts
from domain.clips.tracker import LONGEST_LEAD_IN, continuous_runs, lead_in
from domain.exports.models import (
    ExportRecord,
    ExportSpec,
    RenderedExport,
    RenderedRendition,
    RenderExportInput,
    RenditionFormat,
)
from domain.exports.reels import chapters_of_reel, starts_of
from domain.media.segments import Line, SegmentRef
from infra.db.engine import Database
from infra.db.repositories import exports
from infra.media.concat import SourceFile, SpliceError
from infra.media.exports.cards import BadCardError
from infra.media.exports.renderer import BadWatermarkError, ExportRenderer, RenditionFile
from infra.media.ffmpeg import FfmpegError, FfmpegKilledError
from infra.media.render import Cut
from infra.storage.clips import ClipStore
from infra.storage.s3 import S3Error
from infra.storage.scratch import scratch_directory
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import SegmentStore, StoreError, StoreFullError, UnknownKeyError

_HEARTBEAT_INTERVAL: Final = 2.0
_STORE_PATIENCE: Final = 600.0
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 10.0
_RETRY_DELAY: Final = timedelta(seconds=20)
_log = structlog.get_logger(__name__)


class _Source(NamedTuple):
    """What to cut; `at` is the media time (s) of the first source, `movie` as `render` takes it."""

    cut: Cut
    at: float
    movie: Path | None = None


class ExportActivities(Exports):
    """Renders exports on one machine, and records them.

    Args:
        database: receives the records.
        segments: store of the media.
        clips: store of finished files, clips among them.
        renderer: makes the files.
        dispatcher: sends events at once; without it, the outbox relay does.
        scratch: directory for temporary files; by default the system's.
        store_patience: seconds to wait for a clip store that does not take a finished file.
    """

    def __init__(
        self,
        *,
        database: Database,
        segments: SegmentStore,
        clips: ClipStore,
        renderer: ExportRenderer,
        dispatcher: WebhookDispatcher | None = None,
        scratch: Path | None = None,
        store_patience: float = _STORE_PATIENCE,
    ) -> None:
        self._store_patience = store_patience
        self._database = database
        self._segments = segments
        self._clips = clips
        self._renderer = renderer
        self._dispatcher = dispatcher
        self._scratch = scratch

    @activity.defn(name="render_export")
    async def render_export(self, request: RenderExportInput) -> RenderedExport:
        try:
            return await self._render(request)
        except (FfmpegError, OSError, StoreError) as error:
            if (failure := _passing_failure(error)) is None:
                raise
            raise failure from error

    async def _render(self, request: RenderExportInput) -> RenderedExport:
        spec, done = request.spec, 0.0

        def report(seconds: float) -> None:
            nonlocal done
            done = seconds

        with scratch_directory(self._scratch) as scratch:
            async with heartbeating(lambda: done, interval=_HEARTBEAT_INTERVAL):
                try:
                    source = await self._source(spec, scratch)
                    files = await self._renderer.render(
                        source.cut,
                        spec,
                        request.numbers,
                        directory=scratch,
                        movie=source.movie,
                        captions=await self._captions(spec, request.numbers, source),
                        on_progress=report,
                    )
                except SpliceError as error:
                    message = "Nothing in the source's media can be read."
                    raise _refusal(message, "media_damaged") from error
                except BadWatermarkError as error:
                    raise _refusal(str(error), "bad_watermark") from error
                except BadCardError as error:
                    raise _refusal(str(error), "bad_card") from error
                files = {
                    number: await self._with_chapters(spec, number, file)
                    for number, file in files.items()
                }
                # All files were checked before the first one is stored.
                results = [
                    await self._store(spec, number, file, at=source.at)
                    for number, file in sorted(files.items())
                ]
        return RenderedExport(renditions=tuple(results))

    async def _with_chapters(
        self, spec: ExportSpec, number: int, file: RenditionFile
    ) -> RenditionFile:
        """Return an MP4 of a reel with chapter marks; any other file as it is."""
        rendition = spec.renditions[number - 1]
        source, lead = spec.source, spec.cards_of(rendition).lead
        chapters = chapters_of_reel(source.parts, source.transition, lead=lead)
        if not chapters or rendition.format is not RenditionFormat.MP4:
            return file
        return await self._renderer.with_chapters(file, chapters)

    @activity.defn(name="delete_export")
    async def delete_export(self, request: RenderExportInput) -> None:
        for number in request.numbers:
            await self._clips.delete(request.spec.key(number))

    @activity.defn(name="record_export")
    async def record_export(self, record: ExportRecord) -> None:
        async with self._database.session(record.tenant_id) as session:
            is_event = await exports.record_export(session, record)
        if is_event and self._dispatcher is not None:
            await self._dispatcher.try_dispatch(record.tenant_id)

    async def _source(self, spec: ExportSpec, scratch: Path) -> _Source:
        source = spec.source
        if source.parts:
            return await self._reel(spec, scratch)
        if source.clip_key is None:
            return await self._segments_of(spec)
        try:
            movie = await self._clips.fetch(source.clip_key, scratch)
        except FileNotFoundError as error:
            message = "The clip's file was deleted. Export from the stream, or render it again."
            raise _refusal(message, "clip_missing") from error
        file = SourceFile(path=movie, first_timestamp=0.0, duration=source.duration)
        cut = Cut(
            sources=(file,),
            offset=0.0,
            duration=source.duration,
            thumbnail_at=source.duration / 2,
        )
        return _Source(cut, source.start, movie)

    async def _captions(
        self, spec: ExportSpec, numbers: Sequence[int], source: _Source
    ) -> Sequence[Line]:
        """Return the stream's captions in seconds after the first file, if they are needed."""
        if not any(spec.renditions[number - 1].needs_captions for number in numbers):
            return ()
        parts = spec.source.parts
        if not parts:
            start = source.at + source.cut.offset
            lines = await self._captions_of(
                spec, spec.source.stream_id, start, start + source.cut.duration
            )
            return [line.earlier(source.at) for line in lines]
        # Of each clip what is said until the next one appears.
        return [
            Line(at=max(line.at, first), until=min(line.until, last), text=line.text).earlier(
                first - shown
            )
            for part, (shown, end) in zip(
                parts, pairwise(starts_of(parts, spec.source.transition)), strict=True
            )
            for first, last in [(part.start, part.start + end - shown)]
            for line in await self._captions_of(
                spec, part.stream_id or spec.source.stream_id, first, last
            )
        ]

    async def _captions_of(
        self, spec: ExportSpec, stream_id: UUID, start: float, end: float
    ) -> list[Line]:
        stored = StoredSegments(self._segments, tenant_id=spec.tenant_id, stream_id=stream_id)
        return await stored.captions(start, end)

    async def _reel(self, spec: ExportSpec, scratch: Path) -> _Source:
        """Place the files of a reel's clips one after the other."""
        source = spec.source
        starts = starts_of(source.parts, source.transition)
        files = []
        for part, start in zip(source.parts, starts, strict=False):
            try:
                path = await self._clips.fetch(part.clip_key, scratch)
            except FileNotFoundError as error:
                message = (
                    f"The clip of \u201c{part.title}\u201d was deleted. Ask for the reel again."
                )
                raise _refusal(message, "clip_missing") from error
            files.append(
                SourceFile(path=path, first_timestamp=0.0, start=start, duration=part.duration)
            )
        joined = await self._renderer.with_transitions(files, source.transition, directory=scratch)
        cut = Cut(
            sources=tuple(joined), offset=0.0, duration=starts[-1], thumbnail_at=starts[-1] / 2
        )
        return _Source(cut, 0.0)

    async def _segments_of(self, spec: ExportSpec) -> _Source:
        """Find the segments of a span; they begin where its first picture can be decoded."""
        source = spec.source
        stored = StoredSegments(
            self._segments, tenant_id=spec.tenant_id, stream_id=source.stream_id
        )
        found = await stored.covering(max(0.0, source.start - LONGEST_LEAD_IN), source.end)
        inside = [each for each in found if each.end > source.start]
        if missing := missing_parts(StreamSpan(start=source.start, end=source.end), inside):
            first = missing[0]
            message = (
                f"There is no stored media from {first.start:.2f} s to {first.end:.2f} s of the "
                "stream. Media is stored for a while only; export a span without gaps, or a clip."
            )
            raise _refusal(message, "media_missing")
        start, end = source.start, source.end
        if not spec.exact:
            start, end = inside[0].start, inside[-1].end
        # Without a gap inside, the last run holds all of the span.
        segments = [*lead_in(continuous_runs(found)[-1], inside[0]), *inside]
        begin = segments[0].start
        cut = Cut(
            sources=tuple([await self._file(each, begin) for each in segments]),
            offset=max(0.0, start - begin),
            duration=end - start,
            thumbnail_at=(start + end) / 2 - begin,
        )
        return _Source(cut, begin)

    async def _file(self, segment: SegmentRef, first: float) -> SourceFile:
        try:
            path = await self._segments.path(segment.key)
        except UnknownKeyError as error:
            message = f"The media at {segment.start:.1f} s of the stream is no longer stored."
            raise _refusal(message, "media_missing") from error
        return SourceFile.of(segment, path, first=first)

    async def _put(self, key: str, file: Path) -> None:
        """Store a file that was rendered, which is worth waiting for a store that is away or full.

        Raises:
            OSError: the store refused it for all of `store_patience`.
        """
        delay, until = _FIRST_DELAY, time.monotonic() + self._store_patience
        while True:
            try:
                await self._clips.put(key, file)
            except OSError as error:
                if time.monotonic() + delay > until:
                    raise
                _log.warning("export_not_stored", key=key, cause=str(error), retry_in=delay)
            else:
                return
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _store(
        self, spec: ExportSpec, number: int, file: RenditionFile, *, at: float
    ) -> RenderedRendition:
        if file.problem:
            return RenderedRendition(number=number, message=file.problem)
        await self._put(spec.key(number), file.path)
        return RenderedRendition(
            number=number,
            key=spec.key(number),
            index=file.index,
            start=at + file.start,
            duration=file.duration,
            size=file.size,
            width=file.width,
            height=file.height,
            has_audio=file.has_audio,
            loudness=file.loudness,
            blurhash=file.blurhash,
            sha256=file.sha256,
            ready_at=datetime.now(UTC),
        )


def _passing_failure(error: FfmpegError | OSError | StoreError) -> ApplicationError | None:
    """Return what a tenant reads of a failure that passes; None for any other.

    The activity is retried; only after its last attempt the export fails with the message.
    """
    if isinstance(error, FfmpegKilledError):
        code = "encoder_killed"
        message = (
            "The encoder was killed, as a rule for lack of memory. Ask for fewer or smaller "
            "renditions at once."
        )
    elif _is_full(error):
        code = "disk_full"
        message = "The worker's disk or the store of finished files is full. Ask again later."
    elif isinstance(error, S3Error | StoreError):
        code = "store_unavailable"
        message = "The store of media and finished files does not respond. Ask again later."
    else:
        return None
    return ApplicationError(message, type=code, next_retry_delay=_RETRY_DELAY)


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, StoreFullError) or os.strerror(errno.ENOSPC) in str(error)


def _refusal(message: str, code: str) -> ApplicationError:
    return ApplicationError(message, type=code, non_retryable=True)
