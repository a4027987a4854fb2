"""Inputs, signals, state and records of the stream workflow."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from domain.analysis.messages import AnalyzeWindowResult
from domain.clips.models import ClipSpec, ClipStatus, ClipTiming, RenderedClip
from domain.clips.tracker import TrackedClip
from domain.highlights.feedback import HighlightCorrection
from domain.highlights.publication import PolicyRequest
from domain.highlights.selection import Decision, SelectionState
from domain.ingest.messages import (
    FetchWindowInput,
    IngestCursor,
    IngestLimits,
    IngestProgress,
)
from domain.media.segments import Gap, SegmentRef, VariantPolicy, Window
from domain.model import Model
from domain.profiles.criteria import CriteriaText
from domain.streams.status import StreamEnd, StreamProblem, StreamProgress
from domain.text import Language, LanguageTags, Name, Title, Url

LONG_PLAYLIST: Final = 30.0
"""Seconds of media in a playlist from which a worker's death may be noticed later."""


LANGUAGES_DESCRIPTION: Final = (
    "Languages (BCP 47) of the highlights' titles and tags, at most 8. By default those of the "
    "game profile, where you can set them for all streams. A language that the service cannot "
    "write gets English titles, and says so."
)

CRITERIA_DESCRIPTION: Final = (
    "Which moments to show, in a sentence: kinds and tags of the game profile, after `no` or "
    "`without` those not to show. The stream's `criteria` tell what was understood."
)

POLICY_DESCRIPTION: Final = (
    "What may be shown of the highlights. A field that you leave out is that of your own policy "
    "(`PUT /v1/policy`)."
)


class AnalyzeOptions(BaseModel):
    """How to follow the stream; times in seconds. Omitted options have the server's defaults."""

    model_config = ConfigDict(extra="forbid")

    max_height: int | None = Field(
        default=None, ge=1, le=4320, description="Follow the best variant of at most this height."
    )
    window_duration: float | None = Field(
        default=None, ge=2, le=60, description="Length of an analysis window."
    )
    start_timeout: float | None = Field(
        default=None, ge=10, le=3600, description="How long to wait for the first segment."
    )
    stall_timeout: float | None = Field(
        default=None,
        ge=10,
        le=3600,
        description="End the stream after this long without a segment.",
    )
    captions: bool | None = Field(
        default=None, description="Whether to use the stream's captions, if it has any."
    )


class StreamRequest(BaseModel):
    """A live stream to find highlights in.

    Validate it from JSON and in strict mode, so that `true` is not taken for 1.
    """

    model_config = ConfigDict(extra="forbid")

    url: Url = Field(description="HLS playlist, master or media.")
    game: Name | None = Field(
        default=None,
        description="Game, sport or league in plain words; selects the profile. Without one, the "
        "title decides; `default` fits everything.",
    )
    title: Title = Field(default="", description="Display title.")
    language: Language | None = Field(
        default=None,
        description="Language of titles, tags and commentary, so that search finds all word forms.",
    )
    languages: LanguageTags | None = Field(
        default=None, description=LANGUAGES_DESCRIPTION, examples=[["en", "pt-BR", "ja"]]
    )
    criteria: CriteriaText | None = Field(
        default=None, description=CRITERIA_DESCRIPTION, examples=["goals and cards, no replays"]
    )
    external_id: Name | None = Field(default=None, description="Your id of the stream.")
    policy: PolicyRequest | None = Field(default=None, description=POLICY_DESCRIPTION)
    options: AnalyzeOptions = AnalyzeOptions()


class WindowRecord(Model):
    """An analyzed window (times in s of media time, size in bytes).

    `analyzer` and `analyzed_at` are None if the window was skipped. `analyzed_seconds` is the
    duration of the media that could be analyzed, which usage counts; None in records written by old
    versions.
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
        """Seconds of media that were analyzed."""
        if self.analyzed_seconds is not None:
            return self.analyzed_seconds
        return self.end - self.start if self.analyzer is not None else 0.0


class StreamRecord(Model):
    """A stream's progress, with the gaps and windows added since it was last written.

    `media_end` is the end of its media (s), once it has ended.
    """

    tenant_id: UUID
    stream_id: UUID
    progress: StreamProgress
    gaps: tuple[Gap, ...] = ()
    windows: tuple[WindowRecord, ...] = ()
    media_end: NonNegativeFloat | None = None


class ClipRecord(Model):
    """A clip's status; `rendered` is set if it is ready."""

    spec: ClipSpec
    status: ClipStatus
    rendered: RenderedClip | None = None
    message: str = ""


class FollowInput(Model):
    """Follow a live stream for a while: fetch its windows, and analyze them.

    Attributes:
        fetch: where fetching goes on.
        backlog: windows that were fetched before and are analyzed first, oldest first.
        behind: more windows wait than `backlog` holds, so windows fetched now are not analyzed.
        analyze: False while failed windows are analyzed again by `analyze_window`.
        previous_window: index of the window analyzed before `backlog`.
        duration: longest time to follow, in seconds.
        analysis_timeout: longest analysis of the windows that wait at one time, in seconds.
        return_at: media time (s) to return at once it is stored: a clip waits for it.
        decide_at: watermark (s) to return at: selection can decide then.
        after_window: return after one window, because it changes what the tenant sees.
        fed: False if the stream's feed has sent no event, so that analysis looks for none.
    """

    fetch: FetchWindowInput
    backlog: tuple[Window, ...] = ()
    behind: bool = False
    analyze: bool = True
    previous_window: NonNegativeInt | None = None
    profile_id: str
    profile_version: str
    duration: PositiveFloat
    analysis_timeout: PositiveFloat
    return_at: NonNegativeFloat | None = None
    decide_at: NonNegativeFloat | None = None
    after_window: bool = False
    fed: bool = True


class AnalyzedWindows(Model):
    """Result of an analysis of the next `count` windows, at a wall clock (UTC)."""

    count: NonNegativeInt
    result: AnalyzeWindowResult
    analyzed_at: datetime


class FollowProgress(Model):
    """What one `follow_stream` has done so far, carried by heartbeats so that a retry continues.

    `window` is the window being filled, `windows` are the finished ones.
    """

    window: IngestProgress
    windows: tuple[Window, ...] = ()
    analyses: tuple[AnalyzedWindows, ...] = ()

    def result(self, *, problem: StreamProblem | None) -> FollowResult:
        """Return what was done so far as the result of the call, which ends within a window.

        Captions of that window are lost.

        Args:
            problem: what was known to keep segments from being stored.
        """
        window, cursor = self.window.close()
        return FollowResult(
            cursor=cursor,
            windows=self.windows if window is None else (*self.windows, window),
            analyses=self.analyses,
            problem=problem,
        )

    def added_to(self, progress: StreamProgress) -> StreamProgress:
        """Return a stream's progress together with what was done since.

        `progress` may contain windows of this call, if the call has returned meanwhile.
        """
        windows = [each for each in self.windows if each.index >= progress.windows]
        segments = [segment for window in windows for segment in window.segments]
        gaps = [gap for window in windows for gap in window.gaps]
        if self.window.cursor.window_index >= progress.windows:
            segments += self.window.segments
            gaps += self.window.gaps
        watermarks = [each.result.watermark for each in self.analyses]
        return progress.replace(
            position=max(progress.position, self.window.cursor.position),
            analyzed=max([progress.analyzed, *watermarks]),
            segments=progress.segments + len(segments),
            missed=progress.missed + sum(gap.segments for gap in gaps),
            windows=progress.windows + len(windows),
            last_segment_at=segments[-1].published_at if segments else None,
        )


class FollowResult(Model):
    """What one `follow_stream` has fetched and analyzed.

    Attributes:
        cursor: where fetching goes on.
        windows: fetched windows, in order.
        analyses: analyses of the windows that waited, the input's `backlog` first.
        analysis_failed: the next analysis failed.
        stalled: the playlist has not advanced for `stall_notice` seconds.
        problem: what keeps segments from being stored now.
        end: how the media ended.
        listed: seconds of media that the playlist lists; 0 if unknown.
    """

    cursor: IngestCursor
    windows: tuple[Window, ...] = ()
    analyses: tuple[AnalyzedWindows, ...] = ()
    analysis_failed: bool = False
    stalled: bool = False
    problem: StreamProblem | None = None
    end: StreamEnd | None = None
    listed: NonNegativeFloat = 0.0


class MediaRelease(Model):
    """Request to delete stored media of a stream that ends before `before` (s).

    `before` is None when the stream is over and all of it can be deleted. `after` (s) is how far
    the release before this one has deleted.
    """

    tenant_id: UUID
    stream_id: UUID
    before: NonNegativeFloat | None = None
    after: NonNegativeFloat = 0.0


class StreamTiming(Model):
    """Timers and timeouts of StreamWorkflow, in seconds.

    They are fields of the input, not constants of the code: a test runs a life of hours in
    milliseconds, and a replay of an old history finds the values it was recorded with.

    Attributes:
        fetch_timeout: longest run of one `follow_stream` or `fetch_window` attempt; also how long
            attempts that fail at once are repeated. Time in which no worker runs does not count.
        follow_duration: how long one `follow_stream` runs if nothing happens.
        run_duration: how long a run lasts before it continues as new.
        heartbeat_timeout: after this long without a heartbeat a worker is taken for dead. A live
            playlist holds 10 s by default, so that this plus one retry must stay below it.
        slow_heartbeat_timeout: the same for a playlist that lists at least `LONG_PLAYLIST` seconds.
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
    follow_duration: PositiveFloat = 90.0
    run_duration: PositiveFloat = 3600.0
    heartbeat_timeout: PositiveFloat = 6.0
    slow_heartbeat_timeout: PositiveFloat = 15.0
    retry_interval: PositiveFloat = 0.2
    analysis_timeout: PositiveFloat = 120.0
    analysis_heartbeat_timeout: PositiveFloat = 10.0
    clip_timeout: PositiveFloat = 1800.0
    clip: ClipTiming = ClipTiming()
    clips_wait: PositiveFloat = 600.0
    release_interval: PositiveFloat = 300.0
    media_horizon: PositiveFloat = 600.0


class StopRequest(Model):
    """Signal to end a stream gracefully: fetched media is analyzed and clips are rendered."""

    message: str = "stopped by the tenant"


class SourceFailure(Model):
    """Signal that the source reports a failure of its stream (100ms: `hls.failure`)."""

    error_type: str = ""
    message: str


class RecordingReady(Model):
    """Signal that a recording of the stream is available (100ms: `hls.recording.success`).

    `url` is the VOD playlist of the whole stream; `alternatives` are tried in order if it cannot be
    read (100ms gives a presigned URL and a path). `duration` is in seconds.
    """

    url: str
    alternatives: tuple[str, ...] = ()
    duration: NonNegativeFloat | None = None


class ClipCorrection(Model):
    """Signal that corrects the bounds of a highlight and requests a new clip."""

    highlight_id: UUID
    correction: HighlightCorrection


class StreamState(Model):
    """State that one run of StreamWorkflow hands to the next (continue-as-new).

    Attributes:
        decisions: the latest decisions.
        segments: stored segments within the media horizon, from which clips are cut.
        backlog: windows that are fetched but not analyzed.
        clips: clip state of each highlight.
        gaps: the latest gaps.
        new_windows: analyzed windows that are not recorded yet.
        released: media time (s) before which segments have been deleted.
        analyzed_window: number of the last analyzed window.
        waiting_feed_events: events of the feed that are not linked yet.
        fed: True if the feed has sent events.
        withdrawn: highlights that no decision brings back, since their grounds were taken back.
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
    waiting_feed_events: NonNegativeInt = 0
    fed: bool = False
    withdrawn: tuple[UUID, ...] = ()
    end: StreamEnd | None = None
    runs: NonNegativeInt = 0


class StreamInput(Model):
    """Input of StreamWorkflow.

    `history_limit` forces continue-as-new after that many history events, for tests; None uses the
    server's suggestion. `name` identifies the stream to operators (`domain.streams.report`).
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
    """Result of the timeline query: stored range, gaps and decisions."""

    start: NonNegativeFloat
    end: NonNegativeFloat
    gaps: tuple[Gap, ...]
    decisions: tuple[Decision, ...]
    recording: RecordingReady | None = None


class StreamWorkflowResult(Model):
    """Result of StreamWorkflow: how the stream ended, and its final progress."""

    end: StreamEnd
    progress: StreamProgress
