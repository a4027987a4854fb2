"""Playlists in the form that 100ms gives them (RFC 8216)."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, NonNegativeFloat

from demo.model import Model
from demo.origin.captions import CAPTIONS
from demo.origin.packager import Variant
from demo.origin.parts import LowLatency

PlaylistType = Literal["live", "event", "vod"]


class PublishedSegment(Model):
    """A segment as it was published.

    Attributes:
        index: 0 for the first of the stream; unlike the media sequence it never goes back.
        media_sequence: its number in the playlist.
        discontinuity_sequence: how many discontinuities stand before or at it.
        start: seconds of the input at which it begins.
        duration: seconds of media.
        program_date_time: wall clock (UTC) at which its first frame happened live.
        published_at: wall clock (UTC) at which it entered the playlist.
        discontinuity: its timestamps do not follow on from those of the segment before.
        gap: it is listed, but marked as lost.
        timestamp_shift: ticks of 90 kHz to add to its timestamps.
    """

    index: int
    media_sequence: int
    discontinuity_sequence: int = 0
    start: NonNegativeFloat
    duration: NonNegativeFloat
    program_date_time: AwareDatetime
    published_at: AwareDatetime
    discontinuity: bool = False
    gap: bool = False
    timestamp_shift: int = 0

    @property
    def end(self) -> float:
        """Seconds of the input at which it ends."""
        return self.start + self.duration


class Mark(Model):
    """Timed metadata: `at` and `duration` in seconds of the input, `payload` as JSON text."""

    at: NonNegativeFloat
    payload: str
    duration: NonNegativeFloat = 1.0


class DatedMark(Model):
    """A mark with the wall clock (UTC) of its instant; `duration` in seconds of wall clock."""

    id: str
    starts: AwareDatetime
    duration: NonNegativeFloat
    payload: str


def master_playlist(
    variants: Sequence[tuple[Variant, str | None]],
    *,
    has_audio: bool,
    prefix: str,
    captions: bool = False,
) -> str:
    """Write the master playlist of variants, each with the codec string of its pictures."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if captions:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{CAPTIONS}",NAME="English",LANGUAGE="en",'
            f'DEFAULT=YES,AUTOSELECT=YES,URI="{prefix}{CAPTIONS}/index.m3u8"'
        )
    for variant, video_codec in variants:
        attributes = [f"BANDWIDTH={variant.bit_rate}"]
        if variant.height:
            attributes.append(f"RESOLUTION={variant.width}x{variant.height}")
        if video_codec is not None or not variant.height:
            codecs = [*filter(None, [video_codec]), *(["mp4a.40.2"] if has_audio else [])]
            attributes.append(f'CODECS="{",".join(codecs)}"')
        if captions:
            attributes.append(f'SUBTITLES="{CAPTIONS}"')
        lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", f"{prefix}{variant.name}/index.m3u8"]
    return "\n".join(lines) + "\n"


def media_playlist(
    segments: Sequence[PublishedSegment],
    *,
    playlist_type: PlaylistType,
    target_duration: float,
    suffix: str,
    ended: bool = False,
    encrypted: bool = False,
    marks: Sequence[DatedMark] = (),
    low_latency: LowLatency | None = None,
) -> str:
    """Write a media playlist of the segments listed; `target_duration` in seconds."""
    fragmented = suffix == "m4s"
    longest = max([target_duration, *(segment.duration for segment in segments)])
    first = segments[0]
    target = max(1, math.floor(longest + 0.5))
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{9 if low_latency else 7 if fragmented else 6}",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-MEDIA-SEQUENCE:{first.media_sequence}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    # The sequence counts what has left the playlist; a tag on the first segment is still in it.
    before = first.discontinuity_sequence - int(first.discontinuity)
    if before:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{before}")
    if playlist_type != "live":
        lines.append(f"#EXT-X-PLAYLIST-TYPE:{playlist_type.upper()}")
    if low_latency:
        lines += low_latency.header(target)
    if encrypted:
        lines.append('#EXT-X-KEY:METHOD=AES-128,URI="key.bin"')
    if fragmented:
        lines.append('#EXT-X-MAP:URI="init.mp4"')
    lines += [_date_range(mark) for mark in marks]
    lines += _entries(segments, suffix, target, low_latency)
    if low_latency and not ended:
        lines += low_latency.tail(segments[-1].media_sequence)
    if ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def segment_name(index: int, suffix: str) -> str:
    """Return the file name of a segment."""
    return f"segment_{index:05d}.{suffix}"


def _entries(
    segments: Sequence[PublishedSegment],
    suffix: str,
    target: int,
    low_latency: LowLatency | None,
) -> list[str]:
    lines: list[str] = []
    durations = [segment.duration for segment in segments]
    skipped = low_latency.skipped(durations, target) if low_latency else 0
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    for place, segment in enumerate(segments[skipped:], skipped):
        lines += opening_tags(segment)
        if low_latency:
            after = sum(durations[place + 1 :])
            lines += low_latency.tags_of(segment.index, after=after, target_duration=target)
        lines += [f"#EXTINF:{segment.duration:.6f},", segment_name(segment.index, suffix)]
    return lines


def opening_tags(segment: PublishedSegment) -> list[str]:
    """Write the tags that stand before a segment and its parts."""
    lines = ["#EXT-X-DISCONTINUITY"] if segment.discontinuity else []
    if segment.gap:
        lines.append("#EXT-X-GAP")
    return [*lines, f"#EXT-X-PROGRAM-DATE-TIME:{_timestamp(segment.program_date_time)}"]


def _date_range(mark: DatedMark) -> str:
    """Write timed metadata the way 100ms does: its payload in a base64 JSON envelope."""
    end = mark.starts + timedelta(seconds=mark.duration)
    envelope = {
        "payload": mark.payload,
        "start_date": _timestamp(mark.starts),
        "end_date": _timestamp(end),
        "hms_version": "1",
    }
    encoded = base64.b64encode(json.dumps(envelope).encode()).decode()
    return (
        f'#EXT-X-DATERANGE:ID="{mark.id}",START-DATE="{_timestamp(mark.starts)}",'
        f'DURATION={mark.duration:.3f},X-100MSLIVE-PAYLOAD="{encoded}"'
    )


def _timestamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
