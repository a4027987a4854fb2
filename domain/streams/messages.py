"""What the workflows have written down, for tenants to read.

What a stream's workflow is started with, what it is told, and what it remembers.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.clips.models import ClipSpec, ClipStatus, ClipTiming, RenderedClip
from domain.clips.tracker import TrackedClip
from domain.highlights.feedback import HighlightCorrection
from domain.highlights.selection import Decision, SelectionState
from domain.ingest.messages import IngestCursor, IngestLimits
from domain.media.segments import Gap, SegmentRef, VariantPolicy, Window
from domain.model import Model
from domain.streams.status import StreamEnd, StreamProgress


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


class StreamTiming(Model):
    """Every timer and timeout of a stream's workflow, in seconds.

    They are fields of the input, not constants of the code: a test runs a life of hours in
    milliseconds, and a replay of an old history finds the values it was recorded with.

    Attributes:
        fetch_timeout: longest run of one `fetch_window` attempt; also how long attempts that fail
            at once are repeated. Time in which no worker runs does not count.
        heartbeat_timeout: after this long without a heartbeat a worker is taken for dead. A live
            playlist holds 10 s by default, so that this plus one retry must stay below it.
        retry_interval: wait before the first retry of ingest.
        analysis_timeout: longest run of one `analyze_window` attempt.
        analysis_heartbeat_timeout: after this long without a heartbeat, `analyze_window` is tried
            again on another worker.
        clip_timeout: longest life of a clip's workflow.
        clip: timeouts and retries of its rendering.
        clips_wait: how long a stream that has ended waits for its last clips.
        release_interval: media seconds between deletions of old segments.
        media_horizon: media seconds for which segments are kept at hand for clips.
    """

    fetch_timeout: PositiveFloat = 3600.0
    heartbeat_timeout: PositiveFloat = 5.0
    retry_interval: PositiveFloat = 0.2
    analysis_timeout: PositiveFloat = 120.0
    analysis_heartbeat_timeout: PositiveFloat = 10.0
    clip_timeout: PositiveFloat = 1800.0
    clip: ClipTiming = ClipTiming()
    clips_wait: PositiveFloat = 600.0
    release_interval: PositiveFloat = 120.0
    media_horizon: PositiveFloat = 600.0


class StopRequest(Model):
    """Ends a stream in good order: what has been fetched is analysed and its clips are made."""

    message: str = "stopped by the tenant"


class SourceFailure(Model):
    """The source says that its stream failed (100ms: `hls.failure`)."""

    error_type: str = ""
    message: str


class RecordingReady(Model):
    """The source says that a recording of the stream can be had (100ms: `hls.recording.success`).

    `url` is the VOD playlist of the whole stream; `alternatives` are tried in order where it is not
    to be had (100ms gives a presigned URL and a path). `duration` in seconds.
    """

    url: str
    alternatives: tuple[str, ...] = ()
    duration: NonNegativeFloat | None = None


class ClipCorrection(Model):
    """Someone corrects where a highlight starts and ends, and its clip is to be cut like that."""

    highlight_id: UUID
    correction: HighlightCorrection


class StreamState(Model):
    """What one run of a stream's workflow hands to the next (continue-as-new).

    Attributes:
        decisions: the latest decisions.
        segments: stored segments within the media horizon, from which clips are cut.
        backlog: windows fetched but not yet analysed.
        clips: how far the clip of each highlight has come.
        gaps: the latest holes in the timeline.
        new_windows: windows analysed but not yet written down.
        released: media time (s) before which segments have been deleted.
        analyzed_window: number of the last window analysed.
        runs: how often the workflow has continued as new.
    """

    cursor: IngestCursor = IngestCursor()
    progress: StreamProgress = StreamProgress()
    selection: SelectionState = SelectionState()
    decisions: tuple[Decision, ...] = ()
    segments: tuple[SegmentRef, ...] = ()
    backlog: tuple[Window, ...] = ()
    clips: tuple[TrackedClip, ...] = ()
    gaps: tuple[Gap, ...] = ()
    recording: RecordingReady | None = None
    new_windows: tuple[WindowRecord, ...] = ()
    released: NonNegativeFloat = 0.0
    analyzed_window: NonNegativeInt | None = None
    end: StreamEnd | None = None
    runs: NonNegativeInt = 0


class StreamInput(Model):
    """Start of a stream's workflow.

    `history_limit` forces continue-as-new after that many history events, for tests; None leaves
    it to the server's suggestion. `name` is the line that names the stream to operators
    (`domain.streams.report`).
    """

    tenant_id: UUID
    stream_id: UUID
    name: str = ""
    playlist_url: str
    game: str
    profile_id: str
    profile_version: str
    limits: IngestLimits = IngestLimits()
    variant: VariantPolicy = VariantPolicy()
    timing: StreamTiming = StreamTiming()
    history_limit: PositiveInt | None = None
    correlation_id: str | None = None
    state: StreamState = StreamState()


class StreamTimeline(Model):
    """The answer to the timeline query: what is stored, what is missing, what was decided."""

    start: NonNegativeFloat
    end: NonNegativeFloat
    gaps: tuple[Gap, ...]
    decisions: tuple[Decision, ...]
    recording: RecordingReady | None = None


class StreamWorkflowResult(Model):
    """How a stream ended, and what came of it."""

    end: StreamEnd
    progress: StreamProgress
