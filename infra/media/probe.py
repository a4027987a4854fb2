"""Probing of media files by demuxing: usable tracks, timestamps, duration, keyframes.

Runs in a media child process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from statistics import median
from typing import Any, Final, NamedTuple

import av
import av.error
from av.container import InputContainer
from av.packet import Packet

from domain.media.segments import AudioTrack
from domain.media.timeline import unwrap
from domain.model import Model

FORMATS: Final = "mpegts,mov,aac,mp3,ac3,eac3"
"""Demuxers that may touch a segment: those of RFC 8216, 3, and none that follows references."""


PACKED: Final = frozenset({"aac", "mp3", "ac3", "eac3"})
"""Formats that are sound alone, without a clock but for an ID3 tag (RFC 8216, 3.4)."""


PARAMETERS_IN_BAND: Final = frozenset({"h264", "hevc", "mpeg2video", "mpeg1video"})
"""Codecs whose pictures are recognized without parameters, which may be in an earlier segment."""


_UNTELLING: Final = frozenset({"und", "mis", "mul", "zxx"})


_START_CODE: Final = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)


_HEVC_SLICES: Final = range(32)


_MPEG_SLICES: Final = range(0x01, 0xB0)


def is_usable(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Return True if a decoder exists and the stream has the parameters to start it."""
    context = getattr(stream, "codec_context", None)
    if stream.type not in {"video", "audio"} or context is None or _is_cover(stream):
        return False
    return bool(context.width if stream.type == "video" else context.sample_rate)


def is_continued(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Return True if it may be the rest of a group of pictures begun in a segment before.

    Its parameters are missing then, which come with keyframes only.
    """
    context = getattr(stream, "codec_context", None)
    return stream.type == "video" and context is not None and context.name in PARAMETERS_IN_BAND


def holds_picture(codec: str, data: bytes) -> bool:
    """Return True if a packet holds a coded picture, by its start codes."""
    kinds = (found[1][0] for found in _START_CODE.finditer(data))
    if codec == "h264":
        return any(kind & 0x80 == 0 and kind & 0x1F in {1, 2, 5} for kind in kinds)
    if codec == "hevc":
        return any(kind & 0x81 == 0 and kind >> 1 in _HEVC_SLICES for kind in kinds)
    return any(kind in _MPEG_SLICES for kind in kinds)


def _is_cover(stream: Any) -> bool:  # noqa: ANN401 PyAV's streams share no public type
    """Return True for cover art, which packed audio carries as a stream of one picture."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def audio_tracks(container: InputContainer) -> tuple[AudioTrack, ...]:
    """Return the audio tracks that can be decoded, in the container's order."""
    return tuple(
        _described(stream)
        for stream in container.streams
        if stream.type == "audio" and is_usable(stream)
    )


def audio_stream(container: InputContainer, track: int | None) -> Any:  # noqa: ANN401
    """Return the usable audio stream of this number, else the first one; None without any."""
    usable = [each for each in container.streams if each.type == "audio" and is_usable(each)]
    return next((each for each in usable if each.id == track), usable[0] if usable else None)


def _described(stream: Any) -> AudioTrack:  # noqa: ANN401 PyAV's streams share no public type
    language = str(stream.metadata.get("language", "")).lower()
    return AudioTrack(
        id=stream.id,
        language="" if language in _UNTELLING else language,
        default=bool(stream.disposition & av.stream.Disposition.default),
        codec=stream.codec_context.name,
    )


_HOLE: Final = 1.0


_STEPS: Final = 10.0


_FAR: Final = 10.0


_FEW: Final = 0.05
"""Share of a track's packets that may have wrong timestamps; more than that is another clock."""


class MediaSpan(NamedTuple):
    """Where a track's media lies: `first` on the container's clock, `duration`; both in seconds."""

    first: float
    duration: float

    @property
    def end(self) -> float:
        """The container's clock just after the last frame."""
        return self.first + self.duration


class _Run(NamedTuple):
    """Packets whose presentation times follow on: indexes in the order of decoding, and times."""

    indexes: tuple[int, ...]
    first: float
    last: float


class TrackSpan:
    """Presentation times (s) of one track's packets, in the order of decoding."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._lengths: list[float] = []

    def add(self, packet: Packet[Any]) -> None:
        """Add a packet; one without a timestamp is ignored."""
        timestamp = packet.pts if packet.pts is not None else packet.dts
        base = packet.time_base
        if timestamp is None or base is None:
            return
        # Fractions would take half of the time of probing; a quotient of integers is as exact.
        self._times.append(timestamp * base.numerator / base.denominator)
        self._lengths.append((packet.duration or 0) * base.numerator / base.denominator)

    def span(self, *, beside: MediaSpan | None = None) -> MediaSpan | None:
        """Return where the media lies; None without a timestamp.

        Single frames with outlying timestamps do not count. A clock that restarts within the
        segment is followed: later frames are placed after earlier ones. `beside` is
        another track's span: a last frame far after both tracks' other frames does not count.
        """
        if not self._times:
            return None
        middle = median(self._times)
        times = [unwrap(each, near=middle) for each in self._times]
        step = _usual_step(times)
        runs = [run for run in _runs(times, step) if not _stray(run, times, step, beside)]
        runs.sort(key=lambda run: run.indexes[0])
        duration = 0.0
        end = runs[0].first
        for run in runs:
            follows = end <= run.first <= end + _FAR
            duration += (run.last - end) if follows else (run.last - run.first + step)
            end = run.last
        last = runs[-1].indexes
        length = next((self._lengths[i] for i in last if times[i] == runs[-1].last), 0.0)
        usual = 0 < length <= max(_HOLE, 2 * step)
        return MediaSpan(runs[0].first, duration + (length if usual else step))


def _usual_step(times: list[float]) -> float:
    ordered = sorted(times)
    steps = [after - before for before, after in pairwise(ordered)]
    positive = [step for step in steps if step > 0]
    return median(positive) if positive else 0.0


def _runs(times: list[float], step: float) -> list[_Run]:
    """Divide packets where their times leave a hole that no usual distance explains."""
    hole = max(_HOLE, _STEPS * step)
    order = sorted(range(len(times)), key=times.__getitem__)
    groups = [[order[0]]]
    for before, index in pairwise(order):
        if times[index] - times[before] > hole:
            groups.append([])
        groups[-1].append(index)
    return [_Run(tuple(sorted(each)), times[each[0]], times[each[-1]]) for each in groups]


def _stray(run: _Run, times: list[float], step: float, beside: MediaSpan | None) -> bool:
    """Return True if a run is a few packets with wrong timestamps.

    They are far from all others, or not where the order of decoding puts them.
    """
    total = len(times)
    if len(run.indexes) > max(1, _FEW * total) or len(run.indexes) == total:
        return False
    others = [index for index in range(total) if index not in run.indexes]
    first, last = run.indexes[0], run.indexes[-1]
    reach = max(_HOLE, 2 * step)
    before = [times[index] for index in others if index < first][-1:]
    after = [times[index] for index in others if index > last][:1]
    if before and after:
        return not before[0] - reach <= run.first <= run.last <= after[0] + reach
    distance = min(
        abs(run.first - before[0]) if before else _FAR + 1,
        abs(after[0] - run.last) if after else _FAR + 1,
    )
    outside = beside is not None and (
        run.first > beside.end + reach or run.last < beside.first - reach
    )
    return distance > _FAR or outside


OPTIONS: Final = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


_SUFFIXES: Final = {
    "mpegts": "ts",
    "mov": "mp4",
    "aac": "aac",
    "mp3": "mp3",
    "eac3": "eac3",
    "ac3": "ac3",
}


_INTERLEAVED: Final = 0.75
"""Usual difference (s) between audio and video at the ends of a segment: they are multiplexed with
a delay, which the next segment compensates."""


_LONGEST_APART: Final = 60.0
"""Seconds of difference beyond which audio and video have unrelated clocks."""


_TIMESTAMP_TAG: Final = b"com.apple.streaming.transportStreamTimestamp\x00"


_TICKS: Final = 90_000


_TIMESTAMP_BITS: Final = 33


_TIMESTAMP_BYTES: Final = 8


_HEAD: Final = 64 << 10


class MediaFacts(Model):
    """What was found.

    Attributes:
        container: `mpegts`, `mov`, `aac`, `mp3`, `ac3` or `eac3`.
        first_timestamp: earliest presentation timestamp (s) of the video, else of the audio; of
            whichever is first where they are far apart.
        duration: seconds from there to the end of the last frame; 0 if unknown.
        keyframes: how many keyframes the video has.
        starts_with_keyframe: whether the video's first packet is one.
        timed: whether it carries a clock that runs on from segment to segment.
        clock: that clock at `first_timestamp`, of packed audio with an ID3 timestamp.
        audio_tracks: the audio tracks that can be decoded.
    """

    container: str
    first_timestamp: float
    duration: float
    has_video: bool
    has_audio: bool
    keyframes: int = 0
    starts_with_keyframe: bool = False
    timed: bool = True
    clock: float | None = None
    audio_tracks: tuple[AudioTrack, ...] = ()

    @property
    def suffix(self) -> str:
        """The file name extension of the format."""
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
"""Exceptions of PyAV (18) for malformed media."""


class UndecodableError(Exception):
    """No decodable media in the file; the message states what is wrong."""


def probe(path: str) -> MediaFacts:
    """Read a segment (for fMP4 with its initialisation section in front).

    Raises:
        UndecodableError: nothing in it can be decoded.
    """
    try:
        with av.open(path, options={**OPTIONS, "skip_frame": "all"}) as container:
            return _facts(container, path)
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UndecodableError(f"not readable as media ({reason})") from None


class _Track:
    """What the packets of one stream contain."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 PyAV's streams share no public type
        self._continued = None if is_usable(stream) else stream.codec_context.name
        self.kind = stream.type
        self.packets = 0
        self.corrupt = 0
        self.keyframes = 0
        self.starts_with_keyframe = False
        self.times = TrackSpan()

    def add(self, packet: av.Packet[Any]) -> None:
        if not packet.size:
            return
        if self._continued and not holds_picture(self._continued, bytes(packet)):
            return
        if self.packets == 0:
            self.starts_with_keyframe = packet.is_keyframe
        self.packets += 1
        self.corrupt += packet.is_corrupt
        self.keyframes += packet.is_keyframe
        self.times.add(packet)

    @property
    def usable(self) -> bool:
        return self.packets > self.corrupt


def _facts(container: av.container.InputContainer, path: str) -> MediaFacts:
    tracks = {
        stream.index: _Track(stream)
        for stream in container.streams
        if is_usable(stream) or is_continued(stream)
    }
    if not tracks:
        raise UndecodableError("no video or audio that we can decode")
    for packet in _packets(container):
        if packet.stream_index in tracks:
            tracks[packet.stream_index].add(packet)
    video, audio = _first_usable(tracks, "video"), _first_usable(tracks, "audio")
    if video is None and audio is None:
        raise UndecodableError("no intact packet of video or audio")
    name = _container_name(container.format.name)
    span = _span(video, audio)
    first = span.first if span else 0.0
    return MediaFacts(
        container=name,
        first_timestamp=first,
        duration=span.duration if span else 0.0,
        has_video=video is not None,
        has_audio=audio is not None,
        keyframes=video.keyframes if video else 0,
        starts_with_keyframe=video.starts_with_keyframe if video else False,
        timed=span is not None and (name not in PACKED or _id3_timestamp(path) is not None),
        clock=_id3_timestamp(path) if name in PACKED else None,
        audio_tracks=audio_tracks(container),
    )


def _span(video: _Track | None, audio: _Track | None) -> MediaSpan | None:
    """Return where the segment lies: as its video does, or further where its audio does so."""
    heard = audio.times.span() if audio else None
    seen = video.times.span(beside=heard) if video else None
    if video is not None and audio is not None:
        heard = audio.times.span(beside=seen)
    if seen is None or heard is None:
        return seen or heard
    if abs(heard.first - seen.first) > _LONGEST_APART:
        return seen
    first = heard.first if heard.first < seen.first - _INTERLEAVED else seen.first
    end = heard.end if heard.end > seen.end + _INTERLEAVED else seen.end
    return MediaSpan(first, end - first)


def _id3_timestamp(path: str) -> float | None:
    """Return the timestamp (s) of packed audio's first sample (RFC 8216, 3.4)."""
    with open(path, "rb") as file:  # noqa: PTH123 a path as text, as PyAV takes it
        head = file.read(_HEAD)
    _, tag, rest = head.partition(_TIMESTAMP_TAG)
    if not head.startswith(b"ID3") or not tag or len(rest) < _TIMESTAMP_BYTES:
        return None
    return (int.from_bytes(rest[:_TIMESTAMP_BYTES], "big") % (1 << _TIMESTAMP_BITS)) / _TICKS


def _packets(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield packets up to where damaged media grows a new stream, at which PyAV (18) stumbles."""
    with suppress(LookupError, TypeError, AttributeError, ArithmeticError):
        yield from container.demux()


def _first_usable(tracks: dict[int, _Track], kind: str) -> _Track | None:
    return next((each for each in tracks.values() if each.kind == kind and each.usable), None)


def _container_name(format_name: str) -> str:
    return next(name for name in _SUFFIXES if name in format_name.split(","))
