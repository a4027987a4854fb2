"""Clips: what to cut, its result, and the messages of ClipWorkflow."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from domain.media.segments import SegmentRef
from domain.model import Model

_LIVE: Final = timedelta(minutes=10)
"""Longest time between a segment's own clock and its listing for which its stream is live."""


class ClipStatus(StrEnum):
    """Status of a clip."""

    RENDERING = "rendering"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


class ClipSpec(Model):
    """What to cut: media time `start`..`end` (s) out of `segments`.

    The segments cover that range. They may begin earlier, at the keyframe that the first picture
    depends on. A clip on demand has no highlight; `peak` is then the middle of its range.
    """

    id: UUID
    tenant_id: UUID
    stream_id: UUID
    highlight_id: UUID | None
    start: NonNegativeFloat
    end: NonNegativeFloat
    peak: NonNegativeFloat
    segments: tuple[SegmentRef, ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.end - self.start

    @property
    def live_peak(self) -> datetime | None:
        """Wall clock of the peak of a live moment; None if it is not known.

        Neither is it for a clip on demand or of a recording, whose media was not live when it was
        stored.
        """
        if self.is_on_demand:
            return None
        for each in self.segments:
            clock = each.program_date_time
            if each.start <= self.peak < each.end and clock is not None:
                is_live = each.published_at - clock < _LIVE
                return clock + timedelta(seconds=self.peak - each.start) if is_live else None
        return None

    @property
    def is_on_demand(self) -> bool:
        """True if a tenant asked for exactly this range, so that no shorter clip replaces it."""
        return self.highlight_id is None

    def without_segments(self) -> ClipSpec:
        """Return a copy without segments, which is enough to identify the clip."""
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
    """A rendered clip: keys in the clip store, actual bounds (s of media time), properties.

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
    """Result of a clip, sent to its stream's workflow as a signal unless it is on demand."""

    clip_id: UUID
    highlight_id: UUID | None
    status: ClipStatus
    message: str = ""


class ClipTiming(Model):
    """Timeouts of rendering (s) and number of attempts.

    `retry_interval` is the wait before the first retry (s); it doubles after each attempt.
    `worker_timeout` is how long the worker that has the media may take to begin (s); after that,
    any worker renders.
    """

    render_timeout: PositiveFloat = 300.0
    heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 5
    worker_timeout: PositiveFloat = 3.0


class ClipInput(Model):
    """Input of ClipWorkflow, which signals its outcome to `stream_workflow`.

    No workflow waits for a clip on demand. `worker` is the worker that has the media on its own
    disk (`task_queues.of_worker`), if any.
    """

    spec: ClipSpec
    stream_workflow: str | None
    timing: ClipTiming = ClipTiming()
    worker: str | None = None
