"""What the workflows have written down, for tenants to read."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt

from domain.clips.models import ClipSpec, ClipStatus, RenderedClip
from domain.media.segments import Gap
from domain.model import Model
from domain.streams.status import StreamProgress


class WindowRecord(Model):
    """A window that analysis is done with (times in s of media time, size in bytes).

    `analyzer` and `analyzed_at` are None for one that was given up. `analyzed_seconds` are those of
    its media that could be analysed, which is what usage counts; None in records of before they
    were counted.
    """

    index: NonNegativeInt
    start: NonNegativeFloat
    end: NonNegativeFloat
    segments: NonNegativeInt
    size: NonNegativeInt
    analyzer: str | None = None
    analyzed_at: datetime | None = None
    analyzed_seconds: NonNegativeFloat | None = None

    @property
    def billable_seconds(self) -> float:
        """Seconds of media that analysis has read."""
        if self.analyzed_seconds is not None:
            return self.analyzed_seconds
        return self.end - self.start if self.analyzer is not None else 0.0


class StreamRecord(Model):
    """A stream's state, with the gaps and windows that came since it was last written.

    `media_end` is where its media ends (s), once it has ended.
    """

    tenant_id: UUID
    stream_id: UUID
    progress: StreamProgress
    gaps: tuple[Gap, ...] = ()
    windows: tuple[WindowRecord, ...] = ()
    media_end: NonNegativeFloat | None = None


class ClipRecord(Model):
    """A clip's state; `rendered` is present when it is ready."""

    spec: ClipSpec
    status: ClipStatus
    rendered: RenderedClip | None = None
    message: str = ""


class MediaRelease(Model):
    """Stored media of a stream that is no longer needed: all that ends before `before` seconds.

    `before` is None when the stream is over and everything may go.
    """

    tenant_id: UUID
    stream_id: UUID
    before: NonNegativeFloat | None = None
