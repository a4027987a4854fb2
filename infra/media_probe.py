"""What a media file says of itself, read by demuxing alone. Runs in a media child process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import av
import av.error

from domain.model import Model

_FORMATS: Final = "mpegts,mov,aac,mp3"
"""Demuxers that may touch a segment: those of RFC 8216, 3, and none that follows references."""

OPTIONS: Final = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}

_SUFFIXES: Final = {"mpegts": "ts", "mov": "mp4", "aac": "aac", "mp3": "mp3"}


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
    except (av.error.FFmpegError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UndecodableError(f"not readable as media ({reason})") from None


class _Track:
    """Presentation times (s) of one stream's packets."""

    def __init__(self) -> None:
        self.packets = 0
        self.corrupt = 0
        self.keyframes = 0
        self.starts_with_keyframe = False
        self.first = float("inf")
        self.last = float("-inf")
        self.last_duration = 0.0

    def add(self, packet: av.Packet[Any]) -> None:
        if packet.pts is None or packet.time_base is None:
            return
        at = float(packet.pts * packet.time_base)
        if self.packets == 0:
            self.starts_with_keyframe = packet.is_keyframe
        self.packets += 1
        self.corrupt += packet.is_corrupt
        self.keyframes += packet.is_keyframe
        self.first = min(self.first, at)
        if at > self.last:
            self.last = at
            self.last_duration = float((packet.duration or 0) * packet.time_base)

    @property
    def usable(self) -> bool:
        return self.packets > self.corrupt

    @property
    def duration(self) -> float:
        span = self.last - self.first
        typical = span / (self.packets - 1) if self.packets > 1 else 0.0
        return span + (self.last_duration or typical)


def _facts(container: av.container.InputContainer) -> MediaFacts:
    tracks = {stream.index: _Track() for stream in container.streams if _decodable(stream)}
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
    return MediaFacts(
        container=_container_name(container.format.name),
        first_timestamp=primary.first,
        duration=primary.duration,
        has_video=video is not None,
        has_audio=audio is not None,
        keyframes=video.keyframes if video else 0,
        starts_with_keyframe=video.starts_with_keyframe if video else False,
    )


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield packets up to where damaged media grows a new stream, at which PyAV (18) stumbles."""
    with suppress(LookupError):
        yield from container.demux()


def _decodable(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Tell whether a decoder exists and the stream says enough for it to start."""
    context = getattr(stream, "codec_context", None)
    if stream.type not in {"video", "audio"} or context is None:
        return False
    return bool(context.width if stream.type == "video" else context.sample_rate)


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
