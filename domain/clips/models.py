"""A clip: what is to be cut, and what came of it.

What a clip's workflow is started with.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from domain.media.segments import SegmentRef
from domain.model import Model


class ClipStatus(StrEnum):
    """Where a clip is in its life."""

    RENDERING = "rendering"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


class ClipSpec(Model):
    """What to cut: `start`..`end` seconds of media time out of `segments`.

    They cover it, and may begin earlier, with the keyframe that its first picture refers to.
    """

    id: UUID
    tenant_id: UUID
    stream_id: UUID
    highlight_id: UUID
    start: NonNegativeFloat
    end: NonNegativeFloat
    peak: NonNegativeFloat
    segments: tuple[SegmentRef, ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    def without_segments(self) -> ClipSpec:
        """Return a copy that names the clip, without the media that it is cut from."""
        return ClipSpec(
            id=self.id,
            tenant_id=self.tenant_id,
            stream_id=self.stream_id,
            highlight_id=self.highlight_id,
            start=self.start,
            end=self.end,
            peak=self.peak,
            segments=(),
        )


class RenderedClip(Model):
    """A finished file: names in the clip store, true bounds (s of media time) and properties.

    `thumbnail_hash` is the thumbnail's perceptual hash in hexadecimal.
    """

    clip_id: UUID
    key: str
    thumbnail_key: str | None
    start: NonNegativeFloat
    duration: PositiveFloat
    size: int
    width: int | None
    height: int | None
    has_audio: bool
    sha256: str
    rendered_at: datetime
    thumbnail_hash: str | None = None


class ClipOutcome(Model):
    """How a clip ended, told to its stream."""

    clip_id: UUID
    highlight_id: UUID
    status: ClipStatus
    message: str = ""


class ClipTiming(Model):
    """Timeouts of rendering, in seconds, and how often it is tried.

    `start_timeout` bounds the wait for a free renderer; `retry_interval` doubles at each attempt.
    """

    render_timeout: PositiveFloat = 300.0
    heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 5


class ClipInput(Model):
    """Start of a clip's workflow; it tells `stream_workflow` how it ended."""

    spec: ClipSpec
    stream_workflow: str
    timing: ClipTiming = ClipTiming()
