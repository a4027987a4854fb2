"""Activities that render clips from stored segments into the clip store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import heartbeating
from activities.interfaces import Clips
from domain.clips.models import ClipSpec, RenderedClip
from domain.clips.tracker import undamaged_part
from domain.media.segments import SegmentRef
from infra.media.concat import SourceFile
from infra.media.ffmpeg import FfmpegLimits
from infra.media.phash import hash_of_file
from infra.media.pool import MediaPool
from infra.media.render import ClipFile, Cut, Rendering, Span, inspect, render
from infra.storage.clips import ClipStore
from infra.storage.scratch import scratch_directory
from infra.storage.segments import SegmentStore, UnknownKeyError
from infra.telemetry.metrics import MOMENT_TO_EXACT, seconds_since
from infra.telemetry.traces import moment_span

_HEARTBEAT_INTERVAL = 2.0


class ClipActivities(Clips):
    """Renders clips on one machine.

    Args:
        segments: store of the media.
        clips: store of finished files.
        pool: child processes that decode media.
        ffmpeg: path of the encoder.
        limits: resource limits of one encoder.
        watermark: picture for the corner of each clip.
        scratch: directory for temporary files; by default the system's.
    """

    def __init__(
        self,
        *,
        segments: SegmentStore,
        clips: ClipStore,
        pool: MediaPool,
        ffmpeg: Path,
        limits: FfmpegLimits,
        watermark: Path | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._segments = segments
        self._clips = clips
        self._pool = pool
        self._ffmpeg = ffmpeg
        self._limits = limits
        self._watermark = watermark
        self._scratch = scratch

    @activity.defn(name="render_clip")
    async def render_clip(self, spec: ClipSpec) -> RenderedClip:
        with moment_span(spec.highlight_id, "render clip", clip_id=str(spec.id)):
            return await self._make(spec)

    @activity.defn(name="delete_clip")
    async def delete_clip(self, spec: ClipSpec) -> None:
        await self._clips.delete(clip_key(spec))
        await self._clips.delete(thumbnail_key(spec))

    async def _make(self, spec: ClipSpec) -> RenderedClip:
        first = spec.segments[0].start
        sources = tuple([await self._source(segment, first) for segment in spec.segments])
        cut = Cut(
            sources=sources,
            offset=spec.start - first,
            duration=spec.duration,
            thumbnail_at=spec.peak - first,
            watermark=self._watermark,
        )
        with scratch_directory(self._scratch) as scratch:
            rendered = 0.0

            def report(seconds: float) -> None:
                nonlocal rendered
                rendered = seconds

            async with heartbeating(lambda: rendered, interval=_HEARTBEAT_INTERVAL):
                rendering, file = await self._render(cut, scratch, report)
                if file.width is None and any(segment.has_video for segment in spec.segments):
                    raise _damaged([(0.0, file.duration)])
                holes = (*file.holes, *rendering.silences)
                if holes and spec.is_on_demand:
                    raise _damaged(holes, where="within the clip")
                if holes:
                    damaged = _Damaged(rendering.start, file.duration, holes)
                    rendering, file = await self._render_undamaged(cut, damaged, scratch, report)
                seen = None
                if rendering.thumbnail is not None:
                    seen = await self._pool.run(hash_of_file, rendering.thumbnail)
                stored = await self._store(spec, rendering, file, thumbnail_hash=seen)
        peak = spec.live_peak
        if peak is not None:
            MOMENT_TO_EXACT.observe(seconds_since(peak))
        return stored

    async def _render(
        self, cut: Cut, directory: Path, on_progress: Callable[[float], None]
    ) -> tuple[Rendering, ClipFile]:
        rendering = await render(
            cut,
            pool=self._pool,
            binary=self._ffmpeg,
            directory=directory,
            limits=self._limits,
            on_progress=on_progress,
        )
        file = await self._pool.run(
            inspect, rendering.clip, rendering.longest_still, rendering.pauses
        )
        return rendering, file

    async def _render_undamaged(
        self, cut: Cut, damaged: _Damaged, directory: Path, on_progress: Callable[[float], None]
    ) -> tuple[Rendering, ClipFile]:
        """Render the part of a clip without damaged pictures and sound."""
        part = undamaged_part(
            damaged.duration, damaged.holes, peak=cut.thumbnail_at - damaged.start
        )
        if part is None:
            raise _damaged(damaged.holes)
        narrowed = cut.model_copy(
            update={"offset": damaged.start + part[0], "duration": part[1] - part[0]}
        )
        rendering, file = await self._render(narrowed, directory, on_progress)
        if holes := (*file.holes, *rendering.silences):
            raise _damaged(holes)
        return rendering, file

    async def _source(self, segment: SegmentRef, first: float) -> SourceFile:
        try:
            path = await self._segments.path(segment.key)
        except UnknownKeyError as error:
            message = (
                f"segment {segment.media_sequence} is no longer stored: "
                "raise the retention to make clips this late"
            )
            raise ApplicationError(message, type="media_gone", non_retryable=True) from error
        return SourceFile.of(segment, path, first=first)

    async def _store(
        self, spec: ClipSpec, rendering: Rendering, file: ClipFile, *, thumbnail_hash: str | None
    ) -> RenderedClip:
        # The thumbnail goes first, so that a visible clip always has its thumbnail.
        if rendering.thumbnail is not None:
            await self._clips.put(thumbnail_key(spec), rendering.thumbnail)
        await self._clips.put(clip_key(spec), rendering.clip)
        return RenderedClip(
            clip_id=spec.id,
            key=clip_key(spec),
            thumbnail_key=thumbnail_key(spec) if rendering.thumbnail is not None else None,
            start=spec.segments[0].start + rendering.start,
            duration=file.duration,
            size=file.size,
            width=file.width,
            height=file.height,
            has_audio=file.has_audio,
            sha256=file.sha256,
            rendered_at=datetime.now(UTC),
            thumbnail_hash=thumbnail_hash,
        )


class _Damaged(NamedTuple):
    """A rendering with `holes` (s of the clip); `start` is in seconds after the first source."""

    start: float
    duration: float
    holes: tuple[Span, ...]


def _damaged(
    holes: Sequence[Span], *, where: str = "around the highlight's peak"
) -> ApplicationError:
    longest = max(last - first for first, last in holes)
    message = (
        f"the stream's media is damaged: {longest:.1f} s of picture or sound {where} "
        "cannot be decoded"
    )
    return ApplicationError(message, type="media_damaged", non_retryable=True)


def clip_key(spec: ClipSpec) -> str:
    """Return the key of a clip in the clip store."""
    return f"{spec.tenant_id}/{spec.stream_id}/{spec.id}.mp4"


def thumbnail_key(spec: ClipSpec) -> str:
    """Return the key of a clip's thumbnail in the clip store."""
    return f"{spec.tenant_id}/{spec.stream_id}/{spec.id}.jpg"
