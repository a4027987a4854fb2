"""Inputs and results of the ingest activities, and the cursor between windows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, TypedDict, Unpack
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from domain.ingest.continuity import SegmentMemory
from domain.media.segments import AudioTrack, Gap, SegmentRef, TimedMetadata, VariantPolicy, Window
from domain.model import Model
from domain.streams.status import StreamEnd, StreamProblem


class IngestLimits(Model):
    """Limits of one stream; times in seconds, sizes in bytes.

    `max_backlog` limits how far back a stream is joined if its playlist lists everything.
    `captions` is False to ignore the stream's captions.
    """

    window_duration: PositiveFloat = 4.0
    start_timeout: PositiveFloat = 300.0
    stall_notice: PositiveFloat = 15.0
    stall_timeout: PositiveFloat = 300.0
    request_timeout: PositiveFloat = 8.0
    max_playlist_bytes: int = Field(default=16 << 20, gt=0)
    max_segment_bytes: int = Field(default=64 << 20, gt=0)
    max_backlog: PositiveFloat = 300.0
    retention: PositiveFloat = 900.0
    captions: bool = True


class IngestCursor(Model):
    """Position of ingest in a stream; another worker can continue from it.

    Attributes:
        media_playlist_url: the variant chosen, so that a restart does not choose again.
        variant: a name for it that is safe in a file name, such as `720p`.
        captions_url: the playlist of captions found beside it; None without.
        audio_url: the playlist of separate audio chosen with the variant; None without.
        next_sequence: the media sequence to fetch next; None before the first segment.
        discontinuity_sequence: that of the last segment placed.
        position: seconds of media time at which the next segment starts.
        last_timestamp: container timestamp (s, unwrapped within the discontinuity) at which the
            next segment is expected to start; None when a new anchor is needed.
        window_index: number of the window to fill next.
        seen_metadata: ids of recent timed metadata, so that each is reported once.
        segment_interval: seconds of wall clock between new segments, as observed.
        last_segment_at: wall clock (UTC) of the last new segment; None before the first.
        started_at: wall clock (UTC) of the first attempt.
        stored_segments: how many segments were stored so far.
        last_start: seconds of media time at which the last segment with a program date time
            started, and
        last_date_time: that program date time; together they tie the two clocks.
        memory: the segments taken lately, by which a new session is recognized.
        looked: seconds for which the playlist was followed in all, and
        idle: those of them since the last new segment. Neither counts time without a reader.
        looked_at: wall clock (UTC) at which the playlist was last followed.
        metadata_after: seconds of media time up to which timed metadata is dropped, since there was
            too much of it; None while there never was.
        audio: the audio track chosen last, so that the language stays the same.
        worker: the worker that has the latest media on its own disk (`task_queues.of_worker`); None
            if all workers read the same disk.
    """

    media_playlist_url: str | None = None
    variant: str | None = None
    captions_url: str | None = None
    audio_url: str | None = None
    next_sequence: NonNegativeInt | None = None
    discontinuity_sequence: NonNegativeInt = 0
    position: NonNegativeFloat = 0.0
    last_timestamp: float | None = None
    window_index: NonNegativeInt = 0
    seen_metadata: tuple[str, ...] = ()
    segment_interval: float | None = None
    last_segment_at: datetime | None = None
    started_at: datetime | None = None
    stored_segments: NonNegativeInt = 0
    last_start: NonNegativeFloat | None = None
    last_date_time: datetime | None = None
    memory: SegmentMemory = SegmentMemory()
    looked: NonNegativeFloat = 0.0
    idle: NonNegativeFloat = 0.0
    looked_at: datetime | None = None
    metadata_after: NonNegativeFloat | None = None
    audio: AudioTrack | None = None
    worker: str | None = None

    @property
    def end_date_time(self) -> datetime | None:
        """Program date time at the end of the ingested media; None if unknown."""
        if self.last_date_time is None or self.last_start is None:
            return None
        return self.last_date_time + timedelta(seconds=self.position - self.last_start)

    def changed(self, **changes: Unpack[CursorChanges]) -> IngestCursor:
        """Return the cursor with other values for some fields."""
        return IngestCursor(**{**dict(self), **changes})


class CursorChanges(TypedDict, total=False):
    """Fields of `IngestCursor` that `changed` accepts."""

    media_playlist_url: str | None
    variant: str | None
    captions_url: str | None
    audio_url: str | None
    next_sequence: int | None
    discontinuity_sequence: int
    position: float
    last_timestamp: float | None
    window_index: int
    seen_metadata: tuple[str, ...]
    segment_interval: float | None
    last_segment_at: datetime | None
    started_at: datetime | None
    stored_segments: int
    last_start: float | None
    last_date_time: datetime | None
    memory: SegmentMemory
    looked: float
    idle: float
    looked_at: datetime | None
    metadata_after: float | None
    audio: AudioTrack | None
    worker: str | None


class IngestProgress(Model):
    """An unfinished window, carried by heartbeats so that a retry continues from it.

    `start` is where the window starts, in seconds of media time; `previous_start` and
    `previous_date_time` tie the two clocks at the last segment before it.
    """

    cursor: IngestCursor
    start: NonNegativeFloat
    previous_start: NonNegativeFloat | None = None
    previous_date_time: datetime | None = None
    segments: tuple[SegmentRef, ...] = ()
    gaps: tuple[Gap, ...] = ()
    metadata: tuple[TimedMetadata, ...] = ()
    dropped_metadata: NonNegativeInt = 0

    @classmethod
    def begin(cls, cursor: IngestCursor) -> Self:
        """Return an empty window that starts at the cursor."""
        return cls(
            cursor=cursor,
            start=cursor.position,
            previous_start=cursor.last_start,
            previous_date_time=cursor.last_date_time,
        )

    def with_cursor(self, cursor: IngestCursor) -> IngestProgress:
        """Return the progress with another cursor."""
        return self.extended(cursor, segments=self.segments, gaps=self.gaps)

    def extended(
        self, cursor: IngestCursor, *, segments: tuple[SegmentRef, ...], gaps: tuple[Gap, ...]
    ) -> IngestProgress:
        """Return the progress with another cursor, and with these segments and gaps."""
        return IngestProgress(
            cursor=cursor,
            start=self.start,
            previous_start=self.previous_start,
            previous_date_time=self.previous_date_time,
            segments=segments,
            gaps=gaps,
            metadata=self.metadata,
            dropped_metadata=self.dropped_metadata,
        )

    @property
    def is_empty(self) -> bool:
        """True if there is neither media nor a gap."""
        return not (self.segments or self.gaps)

    def close(self) -> tuple[Window | None, IngestCursor]:
        """Return the window (None if it is empty) and the cursor of the next window."""
        if self.is_empty:
            return None, self.cursor
        window = Window(
            index=self.cursor.window_index,
            variant=self.cursor.variant or "source",
            segments=self.segments,
            gaps=self.gaps,
            metadata=self.metadata,
            dropped_metadata=self.dropped_metadata,
            start=self.start,
            end=max(self.cursor.position, self.start),
        )
        return window, self.cursor.changed(window_index=self.cursor.window_index + 1)

    def with_metadata(self, metadata: tuple[TimedMetadata, ...], *, dropped: int) -> IngestProgress:
        """Return the progress with other timed metadata; `dropped` counts what was left out."""
        return IngestProgress(
            cursor=self.cursor,
            start=self.start,
            previous_start=self.previous_start,
            previous_date_time=self.previous_date_time,
            segments=self.segments,
            gaps=self.gaps,
            metadata=metadata,
            dropped_metadata=dropped,
        )


class FetchWindowInput(Model):
    """Follow the live playlist from `cursor` until a window is full or the stream ends.

    `problem` is the problem reported last, if any.
    """

    tenant_id: UUID
    stream_id: UUID
    playlist_url: str
    cursor: IngestCursor = IngestCursor()
    limits: IngestLimits = IngestLimits()
    variant: VariantPolicy = VariantPolicy()
    problem: StreamProblem | None = None


class FetchWindowResult(Model):
    """The window (None when the stream gave nothing more), and whether and why it is over.

    `stalled` says that the playlist stood still for longer than `stall_notice` while this call
    waited: the call then returns early, with what it has, so that the state is seen. So it does
    when `problem`, what keeps segments from being stored whole at this moment, comes or goes.
    """

    cursor: IngestCursor
    window: Window | None = None
    stalled: bool = False
    problem: StreamProblem | None = None
    end: StreamEnd | None = None
