"""Segments, gaps and windows on one media timeline.

All positions are seconds of media time: 0 is the first known instant, the timeline is continuous
across discontinuities and PTS wraps, and lost media takes up its time as a gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from domain.model import Model


class AudioTrack(Model):
    """A decodable audio track.

    Attributes:
        id: number in the container: the PID of MPEG-TS, the track id of fMP4.
        language: ISO 639 code in the container; empty if there is none.
        default: True if the container marks it as the default.
        codec: FFmpeg's name of its codec.
    """

    id: int
    language: str = ""
    default: bool = False
    codec: str = ""


def choose_audio(
    tracks: Sequence[AudioTrack], preferred: AudioTrack | None = None
) -> AudioTrack | None:
    """Return the audio track to use; None if there is none.

    The order of tracks can change when an encoder restarts, so an index identifies nothing. Without
    `preferred`, the previously chosen track, it is the default track, else the first. Otherwise
    language, then id, then codec decide.
    """
    if not tracks:
        return None
    if preferred is None:
        return next((track for track in tracks if track.default), tracks[0])

    def likeness(track: AudioTrack) -> tuple[bool, bool, bool, bool]:
        return (
            track.language == preferred.language,
            track.id == preferred.id,
            track.codec == preferred.codec,
            track.default,
        )

    return max(tracks, key=likeness)


class SegmentRef(Model):
    """One stored media segment.

    Attributes:
        media_sequence: its number in the playlist (RFC 8216, 4.4.3.2).
        discontinuity_sequence: how many discontinuities precede it (RFC 8216, 4.4.3.3).
        start: seconds of media time of its first frame.
        duration: seconds.
        first_timestamp: the container's own earliest timestamp in the segment, in seconds
            (before unwrapping); `start + (t - first_timestamp)` maps a frame to media time.
        key: its name in the segment store.
        init_key: the name of its fMP4 initialisation section, absent for MPEG-TS.
        size: bytes.
        audio_track: the container's number of the audio track to use; None for the first one.
        starts_with_keyframe: whether its first picture can be decoded without those before it.
        has_keyframe: whether any picture in it can.
        program_date_time: wall clock (UTC) of its first frame, where the playlist says so.
        published_at: wall clock (UTC) at which we first saw it listed.
    """

    media_sequence: NonNegativeInt
    discontinuity_sequence: NonNegativeInt = 0
    start: NonNegativeFloat
    duration: PositiveFloat
    first_timestamp: float
    key: str
    init_key: str | None = None
    size: NonNegativeInt
    has_video: bool = True
    has_audio: bool = True
    audio_track: int | None = None
    starts_with_keyframe: bool = True
    has_keyframe: bool = True
    program_date_time: datetime | None = None
    published_at: datetime

    @property
    def end(self) -> float:
        """Seconds of media time just after its last frame."""
        return self.start + self.duration


class GapReason(StrEnum):
    """Why a span of the timeline has no media."""

    ROLLED_OFF = "rolled_off"  # left the live playlist before we could fetch it
    NOT_FOUND = "not_found"  # listed, but 404 or 410 until it rolled off
    UNREACHABLE = "unreachable"  # listed, but errors or timeouts until it rolled off
    CORRUPT = "corrupt"  # fetched, but no decodable media in it
    TOO_LARGE = "too_large"  # over the size limit
    DECLARED = "declared"  # EXT-X-GAP
    NOT_STORED = "not_stored"  # listed, but our media store could not take it until it rolled off


class GapStatus(StrEnum):
    """Whether a gap was filled from a recording."""

    OPEN = "open"  # no recording has been looked at yet
    FILLED = "filled"  # analysed from a recording
    LOST = "lost"  # no recording held it


class Gap(Model):
    """A stretch of the timeline without media.

    Attributes:
        start: start in seconds of media time.
        duration: length in seconds.
        first_sequence: media sequence of the first missing segment.
        last_sequence: media sequence of the last missing segment.
        reason: why the media is missing.
        detail: details as text.
        anchor_at: media time (s) of the first frame of a segment near the gap.
        anchor_wall: program date time (UTC) of that frame, which locates the gap in a recording.
            Both are None if the playlist has no dates.
    """

    start: NonNegativeFloat
    duration: NonNegativeFloat
    first_sequence: NonNegativeInt
    last_sequence: NonNegativeInt
    reason: GapReason
    detail: str = ""
    anchor_at: NonNegativeFloat | None = None
    anchor_wall: datetime | None = None

    @property
    def end(self) -> float:
        """Seconds of media time at which media resumes."""
        return self.start + self.duration

    @property
    def segments(self) -> int:
        """Number of missing segments."""
        return self.last_sequence - self.first_sequence + 1


class FeedMark(Model):
    """The event of a tenant's feed that a marker stands for.

    Attributes:
        event: id of the event's row.
        hint: True if it only strengthens a moment that was found without it.
        words: what it says, for reasons.
    """

    event: UUID
    hint: bool = False
    words: str = ""


class TimedMetadata(Model):
    """A marker on the timeline: an `EXT-X-DATERANGE` or an event of a feed.

    `at` is in seconds of media time. `problem` is why its payload could not be decoded. `feed` is
    the event of the feed, if it is one.
    """

    id: str
    at: float
    duration: NonNegativeFloat | None = None
    payload: str = ""
    problem: str = ""
    feed: FeedMark | None = None

    def moved_to(self, at: float) -> TimedMetadata:
        """Return a copy at another media time (s)."""
        return TimedMetadata(
            id=self.id,
            at=at,
            duration=self.duration,
            payload=self.payload,
            problem=self.problem,
            feed=self.feed,
        )


class Line(Model):
    """A line of captions as plain text, from `at` to `until` (s of media time)."""

    at: float
    until: float
    text: str

    def earlier(self, seconds: float) -> Line:
        """Return the line on a clock that began `seconds` later."""
        return Line(at=self.at - seconds, until=self.until - seconds, text=self.text)


class Window(Model):
    """A run of whole segments, the unit of fetching and analysis.

    `commentary` holds the captions received while the window was filled; they may refer to earlier
    media. `dropped_metadata` counts timed metadata beyond the limit of a window.
    """

    index: NonNegativeInt
    variant: str
    segments: tuple[SegmentRef, ...] = ()
    gaps: tuple[Gap, ...] = ()
    metadata: tuple[TimedMetadata, ...] = ()
    dropped_metadata: NonNegativeInt = 0
    commentary: tuple[Line, ...] = ()
    start: NonNegativeFloat
    end: NonNegativeFloat

    @property
    def duration(self) -> float:
        """Seconds, gaps included."""
        return self.end - self.start

    @property
    def size(self) -> int:
        """Bytes of media."""
        return sum(segment.size for segment in self.segments)


class VariantPolicy(Model):
    """Which variant of a master playlist to follow: the best one of at most `max_height` pixels."""

    max_height: int = Field(default=720, ge=1, le=4320)


ABANDONED_AFTER = 1800.0
"""Seconds without a new object after which a stream's media is taken for left behind: longer than
the clips of a stream that has ended need it."""


SHED_AFTER = 60.0
"""Seconds for which media is kept even in a full store: analysis is about to read it."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object of a stream in a store: `age` in seconds since it was written, `size` in bytes."""

    tenant: str
    stream: str
    key: str
    size: int
    age: float

    @classmethod
    def at(cls, key: str, size: int, age: float) -> Self:
        """Return the object with the key `{tenant}/{stream}/…`."""
        tenant, _, rest = key.partition("/")
        return cls(tenant=tenant, stream=rest.partition("/")[0], key=key, size=size, age=age)


def media_to_evict(objects: Iterable[StoredObject], *, target: int) -> list[StoredObject]:
    """Return the objects to delete from a full store to free `target` bytes, in that order.

    Media of abandoned streams is deleted first, oldest first. Then the tenant that uses most space
    loses its oldest media, repeatedly, so that no tenant suffers from another.
    """
    by_stream: dict[tuple[str, str], list[StoredObject]] = defaultdict(list)
    for each in objects:
        by_stream[each.tenant, each.stream].append(each)
    shed: list[StoredObject] = []
    freed = 0
    live: dict[str, list[StoredObject]] = defaultdict(list)
    abandoned: list[StoredObject] = []
    for (tenant, _), found in by_stream.items():
        left_behind = min(each.age for each in found) > ABANDONED_AFTER
        (abandoned if left_behind else live[tenant]).extend(found)
    for each in sorted(abandoned, key=_oldest_first):
        if freed >= target:
            return shed
        shed.append(each)
        freed += each.size
    held = {tenant: sum(each.size for each in found) for tenant, found in live.items()}
    for tenant, found in live.items():
        live[tenant] = sorted(
            (each for each in found if each.age > SHED_AFTER), key=_oldest_first, reverse=True
        )
    while freed < target:
        tenant = max((name for name in live if live[name]), key=lambda name: held[name], default="")
        if not tenant:
            break
        each = live[tenant].pop()
        shed.append(each)
        freed += each.size
        held[tenant] -= each.size
    return shed


def _oldest_first(each: StoredObject) -> tuple[float, str]:
    return (-each.age, each.key)
