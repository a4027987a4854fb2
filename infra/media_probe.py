"""What a media file says of itself, read by demuxing alone. Runs in a media child process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, Final

import av
import av.error

from domain.model import Model
from domain.packet_times import (
    TICKS,
    presentation_times,
    sequential_times,
    typical_interval,
    unwrap,
)

_FORMATS: Final = "mpegts,mov,aac,mp3"
"""Demuxers that may touch a segment: those of RFC 8216, 3, and none that follows references."""

OPTIONS: Final = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}

_SUFFIXES: Final = {"mpegts": "ts", "mov": "mp4", "aac": "aac", "mp3": "mp3"}


_CONTINUABLE: Final = frozenset({"h264", "hevc", "mpeg2video"})
"""Codecs whose pictures may need those of the segment before to be decoded."""


class MediaFacts(Model):
    """What was found.

    Attributes:
        container: `mpegts`, `mov`, `aac` or `mp3`.
        first_timestamp: earliest presentation timestamp (s) of the video, else of the audio.
        duration: seconds from there to the end of the last frame of the same stream.
        keyframes: how many keyframes the video has.
        starts_with_keyframe: whether the video's first packet is one.
    """

    container: str
    first_timestamp: float
    duration: float
    has_video: bool
    has_audio: bool
    keyframes: int = 0
    starts_with_keyframe: bool = False

    @property
    def suffix(self) -> str:
        """The file name's ending that tells other programs what it is."""
        return _SUFFIXES[self.container]


DAMAGE: Final = (
    av.error.FFmpegError,
    OSError,
    LookupError,
    ValueError,
    ArithmeticError,
    TypeError,
    AttributeError,
)
"""What PyAV (18) raises for media that is not what it claims to be."""


class UndecodableError(Exception):
    """No decodable media in the file; the message says what is wrong."""


def probe(path: str) -> MediaFacts:
    """Read a segment (for fMP4 with its initialisation section in front).

    Raises:
        UndecodableError: nothing in it can be decoded.
    """
    try:
        with av.open(path, options=OPTIONS) as container:
            return _facts(container)
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UndecodableError(f"not readable as media ({reason})") from None


class _Track:
    """Presentation times of one stream's packets, in ticks after the first that is known."""

    def __init__(self, *, wraps: bool) -> None:
        self.packets = 0
        self.corrupt = 0
        self.keyframes = 0
        self.starts_with_keyframe = False
        self._wraps = wraps
        self._origin: int | None = None
        self._pts: list[int | None] = []
        self._dts: list[int | None] = []
        self._lengths: list[int] = []

    def add(self, packet: av.Packet[Any]) -> None:
        if not packet.size or packet.time_base is None:
            return
        if not self._pts:
            self.starts_with_keyframe = packet.is_keyframe
        pts, dts = (self._ticks(time, packet.time_base) for time in (packet.pts, packet.dts))
        self._pts.append(pts)
        self._dts.append(dts)
        length = (packet.duration or 0) * packet.time_base * TICKS
        self._lengths.append(round(length) if 0 < length <= TICKS else 0)
        self.packets += pts is not None or dts is not None
        self.corrupt += packet.is_corrupt and (pts is not None or dts is not None)
        self.keyframes += packet.is_keyframe

    @property
    def usable(self) -> bool:
        return self.packets > self.corrupt

    def extent(self, *, reordered: bool) -> tuple[float, float]:
        """Return when the first frame is shown (container time), and how long all of them take."""
        if reordered:
            times = presentation_times(self._pts, self._dts)
        else:
            times = sequential_times(self._pts, self._lengths)
        last = max(range(len(times)), key=times.__getitem__)
        length = self._lengths[last] or typical_interval(times)
        first = min(times)
        return ((self._origin or 0) + first) / TICKS, (times[last] - first + length) / TICKS

    def _ticks(self, time: int | None, time_base: Fraction) -> int | None:
        if time is None:
            return None
        ticks = round(time * time_base * TICKS)
        if self._origin is None:
            self._origin = ticks
        return unwrap(ticks, self._origin) if self._wraps else ticks - self._origin


def _facts(container: av.container.InputContainer) -> MediaFacts:
    wraps = container.format.name == "mpegts"
    tracks = {
        stream.index: _Track(wraps=wraps)
        for stream in container.streams
        if _decodable(stream, continues=wraps)
    }
    if not tracks:
        raise UndecodableError("no video or audio that we can decode")
    for packet in _packets(container):
        if packet.stream_index in tracks:
            tracks[packet.stream_index].add(packet)
    video = _first_usable(container, tracks, "video")
    audio = _first_usable(container, tracks, "audio")
    primary = video or audio
    if primary is None:
        raise UndecodableError("no intact packet of video or audio")
    first_timestamp, duration = primary.extent(reordered=primary is video)
    return MediaFacts(
        container=_container_name(container.format.name),
        first_timestamp=first_timestamp,
        duration=duration,
        has_video=video is not None,
        has_audio=audio is not None,
        keyframes=video.keyframes if video else 0,
        starts_with_keyframe=video.starts_with_keyframe if video else False,
    )


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield packets up to where damaged media grows a new stream, at which PyAV (18) stumbles."""
    with suppress(LookupError, TypeError, AttributeError, ArithmeticError):
        yield from container.demux()


def _decodable(stream: Any, *, continues: bool) -> bool:  # noqa: ANN401 PyAV's streams share no type
    """Return True if a decoder exists and can start, or continue from the segment before.

    A segment of MPEG-TS that begins in the middle of a group of pictures does not repeat their
    size. Cover art of packed audio is no video.
    """
    context = getattr(stream, "codec_context", None)
    if stream.type not in {"video", "audio"} or context is None:
        return False
    if stream.type == "audio":
        return bool(context.sample_rate)
    if stream.disposition & av.stream.Disposition.attached_pic:
        return False
    return bool(context.width) or (continues and context.name in _CONTINUABLE)


def _first_usable(
    container: av.container.InputContainer, tracks: dict[int, _Track], kind: str
) -> _Track | None:
    for stream in container.streams:
        track = tracks.get(stream.index)
        if stream.type == kind and track is not None and track.usable:
            return track
    return None


def _container_name(format_name: str) -> str:
    return next(name for name in _SUFFIXES if name in format_name.split(","))
