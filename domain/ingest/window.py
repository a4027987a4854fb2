"""Builder of ingest windows: places segments and gaps on the stream's timeline, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Unpack
from uuid import UUID

from pydantic import NonNegativeInt

from domain.ingest.messages import CursorChanges, IngestCursor, IngestProgress
from domain.ingest.playlist import DateRange, ListedSegment
from domain.media.segments import (
    AudioTrack,
    Gap,
    GapReason,
    SegmentRef,
    TimedMetadata,
    Window,
    choose_audio,
)
from domain.media.timeline import Placement, TimelinePoint, place, skip
from domain.model import Model

_REMEMBERED_METADATA: Final = 256
_LONGEST_REMEMBERED_ID: Final = 40

MOST_METADATA: Final = 128
"""Timed metadata per window, which is stored in a workflow's history."""

MOST_METADATA_BYTES: Final = 32 << 10
"""Bytes of payload per window."""

# Seconds after which metadata is ignored, so that what an event playlist lists for hours does not
# count as new when its id is no longer remembered.
_LATEST_LISTING: Final = 60.0

# Five segments of 2 s are 10 s, whatever their timestamps add up to in binary fractions.
_ROUNDING: Final = 0.01

# Seconds of estimated loss after which a window no longer waits for the segment after a gap.
_LONGEST_OPEN_GAP: Final = 12.0


class FetchedMedia(Model):
    """Facts about a segment's file: times in seconds, sizes in bytes.

    Attributes:
        first_timestamp: the earliest timestamp in the file, as its demuxer gives it.
        duration: what its packets cover; None when their timestamps do not say.
        timed: whether it carries a clock that runs on from segment to segment.
        clock: that clock at `first_timestamp`, where the demuxer does not know it (the ID3 tag of
            packed audio); None where both are the same.
        audio_tracks: what there is to listen to.
    """

    first_timestamp: float
    duration: float | None
    has_video: bool
    has_audio: bool
    size: NonNegativeInt
    suffix: str = "ts"
    timed: bool = True
    clock: float | None = None
    audio_tracks: tuple[AudioTrack, ...] = ()
    starts_with_keyframe: bool = True
    has_keyframe: bool = True

    @property
    def clock_offset(self) -> float:
        """Seconds by which the stream's clock is ahead of the demuxer's timestamps."""
        return 0.0 if self.clock is None else self.clock - self.first_timestamp

    def without_first(self, seconds: float) -> FetchedMedia:
        """Return the media without its first `seconds`."""
        shorter = max(0.0, (self.duration or 0.0) - seconds)
        return FetchedMedia(
            first_timestamp=self.first_timestamp + seconds,
            duration=shorter or None,
            has_video=self.has_video,
            has_audio=self.has_audio,
            size=self.size,
            suffix=self.suffix,
            timed=self.timed,
            clock=None if self.clock is None else self.clock + seconds,
            audio_tracks=self.audio_tracks,
            starts_with_keyframe=self.starts_with_keyframe,
            has_keyframe=self.has_keyframe,
        )

    def with_audio(self, tracks: tuple[AudioTrack, ...], *, size: int) -> FetchedMedia:
        """Return the media with audio tracks added; `size` is the new file size in bytes."""
        return FetchedMedia(
            first_timestamp=self.first_timestamp,
            duration=self.duration,
            has_video=self.has_video,
            has_audio=True,
            size=size,
            suffix=self.suffix,
            timed=self.timed,
            clock=self.clock,
            audio_tracks=tracks,
            starts_with_keyframe=self.starts_with_keyframe,
            has_keyframe=self.has_keyframe,
        )


def segment_key(
    *,
    tenant_id: UUID,
    stream_id: UUID,
    variant: str,
    discontinuity: int,
    sequence: int,
    suffix: str,
) -> str:
    """Return the key of a segment in the segment store."""
    prefix = media_prefix(tenant_id=tenant_id, stream_id=stream_id)
    return f"{prefix}{variant}/{discontinuity:05d}-{sequence:010d}.{suffix}"


def media_prefix(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the key prefix of a stream's segments."""
    return f"{tenant_id}/{stream_id}/media/"


def index_key(*, tenant_id: UUID, stream_id: UUID, minute: int) -> str:
    """Return the key of the index of the segments that start in a minute of media time."""
    return f"{index_prefix(tenant_id=tenant_id, stream_id=stream_id)}{minute:08d}.json"


def index_prefix(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the key prefix of the index of a stream's segments."""
    return f"{media_prefix(tenant_id=tenant_id, stream_id=stream_id)}index/"


class WindowBuilder:
    """Builds one window, together with the cursor after it.

    Args:
        tenant_id: whose stream it is.
        stream_id: the stream.
        progress: where to continue.
    """

    def __init__(self, *, tenant_id: UUID, stream_id: UUID, progress: IngestProgress) -> None:
        self._tenant_id = tenant_id
        self._stream_id = stream_id
        self._progress = progress

    @property
    def progress(self) -> IngestProgress:
        """The window so far."""
        return self._progress

    @property
    def cursor(self) -> IngestCursor:
        """The cursor after the window so far."""
        return self._progress.cursor

    def covers(self, duration: float) -> bool:
        """Return True if the window covers `duration` seconds of media time, gaps included.

        A gap at its end waits a while for the segment after it, whose timestamp gives the gap's
        real length, since a reported window no longer changes.
        """
        covered = self.cursor.position - self._progress.start + _ROUNDING
        if self._open_gap() is not None:
            return covered >= duration + _LONGEST_OPEN_GAP
        return covered >= duration

    @property
    def empty(self) -> bool:
        """True if there is neither media nor a gap."""
        return self._progress.is_empty

    @property
    def ends_in_gap(self) -> bool:
        """True if the real length of the last gap is not known yet."""
        return self._open_gap() is not None

    def update_cursor(self, **changes: Unpack[CursorChanges]) -> None:
        """Change fields of the cursor that do not move the timeline."""
        if all(getattr(self.cursor, name) == value for name, value in changes.items()):
            return
        self._progress = self._progress.with_cursor(self.cursor.changed(**changes))

    def place(
        self,
        listed: ListedSegment,
        media: FetchedMedia,
        *,
        published_at: datetime,
        restarted: bool = False,
    ) -> SegmentRef:
        """Return the next segment with its place and key.

        Call `commit` when it is stored.
        """
        placement, _ = self._placed(listed, media, restarted=restarted)
        audio = choose_audio(media.audio_tracks, self.cursor.audio)
        return SegmentRef(
            media_sequence=listed.sequence,
            discontinuity_sequence=placement.discontinuity,
            start=placement.start,
            duration=placement.duration,
            first_timestamp=placement.first_timestamp - media.clock_offset,
            key=segment_key(
                tenant_id=self._tenant_id,
                stream_id=self._stream_id,
                variant=self.cursor.variant or "source",
                discontinuity=placement.discontinuity,
                sequence=listed.sequence,
                suffix=media.suffix,
            ),
            size=media.size,
            has_video=media.has_video,
            has_audio=media.has_audio,
            audio_track=None if audio is None else audio.id,
            starts_with_keyframe=media.starts_with_keyframe,
            has_keyframe=media.has_keyframe,
            program_date_time=listed.program_date_time,
            published_at=published_at,
        )

    def commit(
        self,
        ref: SegmentRef,
        listed: ListedSegment,
        media: FetchedMedia,
        *,
        restarted: bool = False,
    ) -> None:
        """Add a segment that was placed and stored."""
        _, following = self._placed(listed, media, restarted=restarted)
        changes: CursorChanges = {
            "next_sequence": listed.sequence + 1,
            "discontinuity_sequence": following.discontinuity,
            "position": following.position,
            "last_timestamp": following.expected,
            "last_segment_at": ref.published_at,
            "stored_segments": self.cursor.stored_segments + 1,
        }
        if (audio := choose_audio(media.audio_tracks, self.cursor.audio)) is not None:
            changes["audio"] = self.cursor.audio if self._keeps(audio) else audio
        if ref.program_date_time is not None:
            changes["last_start"] = ref.start
            changes["last_date_time"] = ref.program_date_time
        gaps = self._progress.gaps
        if self._open_gap() is not None:
            gaps = (*gaps[:-1], _closed(gaps[-1], ref))
        self._progress = self._progress.extended(
            self.cursor.changed(**changes), segments=(*self._progress.segments, ref), gaps=gaps
        )

    def add_gap(
        self,
        *,
        first_sequence: int,
        last_sequence: int,
        duration: float,
        reason: GapReason,
        detail: str,
        published_at: datetime,
    ) -> Gap:
        """Add a gap for missing segments; `duration` is an estimate in seconds."""
        gap = Gap(
            start=self.cursor.position,
            duration=duration,
            first_sequence=first_sequence,
            last_sequence=last_sequence,
            reason=reason,
            detail=detail,
            anchor_at=self.cursor.last_start,
            anchor_wall=self.cursor.last_date_time,
        )
        following = skip(self._point(), duration)
        gaps = self._progress.gaps
        previous = self._open_gap()
        if (
            previous is not None
            and previous.reason is reason
            and previous.last_sequence + 1 == first_sequence
        ):
            gaps = (*gaps[:-1], _merged(previous, gap))
        else:
            gaps = (*gaps, gap)
        cursor = self.cursor.changed(
            next_sequence=last_sequence + 1,
            position=following.position,
            last_timestamp=following.expected,
            last_segment_at=published_at,
        )
        self._progress = self._progress.extended(
            cursor, segments=self._progress.segments, gaps=gaps
        )
        return gap

    def take_metadata(self, listed: Iterable[DateRange], *, final: bool = False) -> None:
        """Add the timed metadata within the window, each item once.

        Args:
            listed: everything that the playlist lists now.
            final: no more segments follow, so what lies in the last one need not wait for the
                next, whose program date time would tell more exactly where.
        """
        seen = dict.fromkeys(self.cursor.seen_metadata)
        found = []
        after = self.cursor.metadata_after
        clocks = self._clocks()
        for each in listed:
            known = _remembered_id(each.id)
            at = (
                None
                if known in seen or each.id in seen
                else self._locate(each, clocks, final=final)
            )
            if at is None or (after is not None and at <= after):
                continue
            found.append(
                TimedMetadata(
                    id=each.id,
                    at=at,
                    duration=each.duration,
                    payload=each.payload,
                    problem=each.problem,
                )
            )
        if found:
            found = list({each.id: each for each in found}.values())
            found.sort(key=lambda each: each.at)
            seen |= dict.fromkeys(_remembered_id(each.id) for each in found)
            self.update_cursor(seen_metadata=tuple(seen)[-_REMEMBERED_METADATA:])
            self._keep_metadata((*self._progress.metadata, *found))

    def _keep_metadata(self, metadata: Sequence[TimedMetadata]) -> None:
        """Keep as much metadata as a window may hold; what is dropped is the oldest, and counted.

        It is not looked for again: more is listed then than ids can be remembered.
        """
        ordered = sorted(metadata, key=lambda each: each.at)
        kept: list[TimedMetadata] = []
        size = 0
        for each in reversed(ordered):
            size += len(each.payload.encode())
            if len(kept) == MOST_METADATA or size > MOST_METADATA_BYTES:
                break
            kept.append(each)
        dropped = len(ordered) - len(kept)
        if dropped:
            self.update_cursor(metadata_after=max(ordered[dropped - 1].at, 0.0))
        total = self._progress.dropped_metadata + dropped
        self._progress = self._progress.with_metadata(tuple(reversed(kept)), dropped=total)

    def build(self) -> tuple[Window | None, IngestCursor]:
        """Return the window (None if it is empty) and the cursor of the next window."""
        return self._progress.close()

    def _keeps(self, audio: AudioTrack) -> bool:
        """Return True if the track chosen is only a substitute while its language is away."""
        chosen = self.cursor.audio
        return chosen is not None and audio.language != chosen.language

    def _placed(
        self, listed: ListedSegment, media: FetchedMedia, *, restarted: bool
    ) -> tuple[Placement, TimelinePoint]:
        gap = self._open_gap()
        return place(
            self._point(),
            timestamp=media.first_timestamp + media.clock_offset,
            timed=media.timed,
            listed_duration=listed.duration,
            measured_duration=media.duration,
            declared_discontinuity=listed.discontinuity or restarted,
            lost=gap.duration if gap else 0.0,
        )

    def _point(self) -> TimelinePoint:
        return TimelinePoint(
            position=self.cursor.position,
            expected=self.cursor.last_timestamp,
            discontinuity=self.cursor.discontinuity_sequence,
        )

    def _open_gap(self) -> Gap | None:
        """Return the gap at the end of the window; None if there is none."""
        if not self._progress.gaps:
            return None
        gap = self._progress.gaps[-1]
        return gap if gap.last_sequence + 1 == self.cursor.next_sequence else None

    def _clocks(self) -> list[_Clock]:
        """Return the segments that tie wall clock to media time, in order."""
        clocks = [
            _Clock(start=ref.start, duration=ref.duration, date_time=ref.program_date_time)
            for ref in self._progress.segments
            if ref.program_date_time is not None
        ]
        before = self._progress
        if before.previous_start is not None and before.previous_date_time is not None:
            previous = _Clock(
                start=before.previous_start,
                duration=before.start - before.previous_start,
                date_time=before.previous_date_time,
            )
            clocks.insert(0, previous)
        return clocks

    def _locate(self, each: DateRange, clocks: list[_Clock], *, final: bool) -> float | None:
        """Return the media time of timed metadata; None when that is not known, or not yet."""
        if each.start is None or not clocks:
            return next(
                (
                    ref.start
                    for ref in self._progress.segments
                    if ref.media_sequence == each.sequence
                ),
                None,
            )
        return _media_time(each.start, clocks, final=final)


def _closed(gap: Gap, following: SegmentRef) -> Gap:
    """Return an open gap, ended by the segment that follows it."""
    dated = gap.anchor_wall is not None
    return Gap(
        start=gap.start,
        duration=max(following.start - gap.start, 0.0),
        first_sequence=gap.first_sequence,
        last_sequence=gap.last_sequence,
        reason=gap.reason,
        detail=gap.detail,
        anchor_at=gap.anchor_at if dated else following.start,
        anchor_wall=gap.anchor_wall if dated else following.program_date_time,
    )


def _merged(gap: Gap, following: Gap) -> Gap:
    """Return a gap together with the gap that follows it for the same reason."""
    return Gap(
        start=gap.start,
        duration=gap.duration + following.duration,
        first_sequence=gap.first_sequence,
        last_sequence=following.last_sequence,
        reason=gap.reason,
        detail=gap.detail,
        anchor_at=gap.anchor_at,
        anchor_wall=gap.anchor_wall,
    )


def _remembered_id(metadata_id: str) -> str:
    """Return what is remembered of an id: itself, or a digest where it is long."""
    if len(metadata_id) <= _LONGEST_REMEMBERED_ID:
        return metadata_id
    return hashlib.blake2b(metadata_id.encode(), digest_size=16).hexdigest()


class _Clock(Model):
    """A segment whose first frame is known on both clocks; `start`, `duration` in media s."""

    start: float
    duration: float
    date_time: datetime


def _media_time(date: datetime, clocks: list[_Clock], *, final: bool) -> float | None:
    """Map wall clock to media time between two segments whose wall clock is known.

    The rate between them is measured, not taken to be 1: recordings are also played faster.
    """
    first, last = clocks[0], clocks[-1]
    if date < first.date_time:
        before = (first.date_time - date).total_seconds()
        return first.start - before if before <= min(first.start, _LATEST_LISTING) else None
    for clock, following in pairwise(clocks):
        if clock.date_time <= date < following.date_time:
            elapsed = (date - clock.date_time) / (following.date_time - clock.date_time)
            return clock.start + elapsed * (following.start - clock.start)
    elapsed_seconds = (date - last.date_time) / timedelta(seconds=1)
    if final and elapsed_seconds <= last.duration:
        return last.start + elapsed_seconds
    return None
