"""Join stored segments into what a clip is encoded from. Runs in a media child process.

Segments of a live broadcast differ: in picture size, codec, sample rate, in what they hold at all.
So pictures are copied, unchanged, into one file for each set of parameters, and sound is decoded
onto one track; both on the clock of the stream's media timeline. MP4 carries all that segments can
contain (RFC 8216, 3: MPEG-TS and fragmented MP4): any codec, rotation, sample aspect, color.
"""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

import av
import structlog
from pydantic import NonNegativeFloat, PositiveFloat

from domain.media.packet_times import (
    TICKS,
    decode_times,
    presentation_times,
    sequential_times,
    typical_interval,
    unwrap,
)
from domain.media.segments import SegmentRef
from domain.model import Model
from infra.media.audio import SoundTrack
from infra.media.probe import DAMAGE, OPTIONS, audio_stream, is_usable

_log = structlog.get_logger(__name__)

_CLOCK: Final = Fraction(1, TICKS)
_SOUND_MARGIN: Final = 1.0
"""Seconds around the clip whose sound is decoded too, since decoders need a run-up."""

SEAM: Final = 0.25
_LONGEST_STILL: Final = 10.0
_WIDEST_PIXEL: Final = 20
_SQUARE_ENOUGH: Final = Fraction(1, 100)
"""Deviation of a pixel's aspect that comes from rounding a size and is not visible."""

_QUARTER_TURN: Final = 90


class SourceFile(Model):
    """A stored segment on local disk.

    Attributes:
        first_timestamp: the container's own time (s) at which the segment counts as beginning.
        start: where that lies, in seconds after the first source.
        duration: seconds; where unknown, timestamps are checked against each other only.
        has_audio: whether it held sound when it was stored; None if unknown.
        audio_track: the container's number of the audio track to use; None for the first one.
    """

    path: Path
    first_timestamp: float
    start: NonNegativeFloat = 0.0
    duration: PositiveFloat | None = None
    has_audio: bool | None = None
    audio_track: int | None = None

    @classmethod
    def of(cls, segment: SegmentRef, path: Path, *, first: float) -> Self:
        """Return a segment whose file is at `path`; the first source is at `first` (s)."""
        return cls(
            path=path,
            first_timestamp=segment.first_timestamp,
            start=segment.start - first,
            duration=segment.duration,
            has_audio=segment.has_audio,
            audio_track=segment.audio_track,
        )


class PictureRun(Model):
    """A file of pictures with equal parameters.

    Attributes:
        base: ticks after the first source at which the file's own clock starts.
        width, height: in square pixels, upright.
        sample_aspect: width of a stored pixel by its height, after rotation.
        seconds: how much of the clip it fills.
        frame_rate: pictures per second.
        color: matrix, transfer and primaries as ISO/IEC 23091-2 numbers them.
    """

    path: Path
    base: int
    width: int
    height: int
    sample_aspect: tuple[int, int]
    seconds: float
    frame_rate: float
    color: tuple[int, int, int]


class Spliced(Model):
    """Joined media; all times in seconds after the first source.

    Attributes:
        start: of the first picture or sound in the clip.
        runs: the pictures, by parameters; empty when there are none.
        sound: file with the sound of the whole clip.
        width, height: of the clip: those of most of it.
        first_picture: time of the picture that is on screen when the clip starts.
        still: time of the picture for the thumbnail.
        pauses: where the source itself shows one picture for long.
        silences: where the source had sound that cannot be decoded.
        picture_interval: typical time between pictures, in seconds.
    """

    start: float
    runs: tuple[PictureRun, ...] = ()
    sound: Path | None = None
    width: int | None = None
    height: int | None = None
    first_picture: float = 0.0
    still: float = 0.0
    pauses: tuple[tuple[float, float], ...] = ()
    silences: tuple[tuple[float, float], ...] = ()
    picture_interval: float = 0.0

    @property
    def has_audio(self) -> bool:
        """Whether the clip has sound."""
        return self.sound is not None


class SpliceError(Exception):
    """Nothing in the segments can be joined; the message states the reason."""


def splice(
    sources: Sequence[SourceFile], directory: str, begin: float, end: float, still_at: float
) -> Spliced:
    """Write pictures and sound of `begin`..`end` (s after the first source) to `directory`.

    Pictures from the last keyframe before are included. What cannot be read is left out.

    Raises:
        SpliceError: nothing there can be read.
        FileNotFoundError: a segment is no longer there.
    """
    sources = with_durations(sources)
    sound = SoundTrack(begin, end)
    scans = _scan_all(sources, sound, begin, end)
    sound.finish()
    runs: list[PictureRun] = []
    times: list[int] = []
    for number, group in enumerate(_grouped(scans)):
        run = _write(group, Path(directory) / f"pictures{number}.mp4", begin, end)
        if run is not None and run.seconds > 0:
            runs.append(run)
            times += [time for scan in group for time in scan.times]
    times.sort()
    heard = sound.heard
    if not runs and not heard:
        raise SpliceError("none of the segments holds pictures or sound that can be read")
    sound_file = Path(directory) / "sound.wav" if heard else None
    if sound_file is not None:
        sound.write(sound_file)
    shown = [time for time in times if begin * TICKS <= time < end * TICKS]
    first_picture = nearest_picture(times, begin)
    starts = [max(begin, first_picture / TICKS)] if runs else []
    starts += [heard[0][0]] if heard else []
    main = max(runs, key=lambda run: run.seconds) if runs else None
    return Spliced(
        start=min(starts),
        runs=tuple(runs),
        sound=sound_file,
        width=main.width if main else None,
        height=main.height if main else None,
        first_picture=first_picture / TICKS,
        still=_still(shown, still_at) if shown else still_at,
        pauses=tuple(_pauses(scans, times)),
        silences=_silences(sources, scans, heard, begin, end),
        picture_interval=typical_interval(times) / TICKS if len(times) > 1 else 0.0,
    )


def with_durations(sources: Sequence[SourceFile]) -> list[SourceFile]:
    """Return sources that know their durations: what lies between one and the next, if need be."""
    return [*map(_with_duration, sources, sources[1:]), *sources[-1:]]


def _with_duration(source: SourceFile, following: SourceFile) -> SourceFile:
    if source.duration is not None or following.start <= source.start:
        return source
    return source.model_copy(update={"duration": following.start - source.start})


@dataclass
class _Scan:
    """What one source holds; `times` are its pictures', in decode order, ticks after the first."""

    source: SourceFile
    container: str = ""
    head: bytes = b""
    parameters: tuple[object, ...] | None = None
    times: list[int] = field(default_factory=list)
    damaged: bool = False
    has_sound: bool = False
    decodable: bool = False
    width: int = 0
    height: int = 0
    sample_aspect: tuple[int, int] = (1, 1)
    color: tuple[int, int, int] = (2, 2, 2)


def _scan_all(
    sources: Sequence[SourceFile], sound: SoundTrack, begin: float, end: float
) -> list[_Scan]:
    """Read every source once: times of its pictures, and its sound."""
    scans: list[_Scan] = []
    leader: _Scan | None = None
    for source in sources:
        scan = _Scan(source)
        scans.append(scan)
        try:
            _scan(scan, leader, sound, (begin, end))
        except FileNotFoundError:
            raise
        except DAMAGE as error:
            scan.damaged = True
            _log.warning("segment_unreadable", path=source.path.name, problem=str(error))
        if scan.parameters is not None and not scan.head:
            leader = scan
    return scans


def _scan(
    scan: _Scan, leader: _Scan | None, sound: SoundTrack, bounds: tuple[float, float]
) -> None:
    source = scan.source
    with av.open(str(source.path), options=OPTIONS) as container:
        scan.container = container.format.name
        headless = picture_stream(container) is None and any(
            stream.type == "video" for stream in container.streams
        )
    if headless and leader is not None and leader.container == scan.container == "mpegts":
        # It begins in the middle of a group of pictures, without the parameters to decode them:
        # those stand before, in the last segment that has them.
        scan.head = leader.source.path.read_bytes()
    picture_pts: list[int | None] = []
    picture_dts: list[int | None] = []
    heard = _AudioTail()
    try:
        with _opened(scan) as container:
            video = picture_stream(container)
            audio = audio_stream(container, source.audio_track)
            if video is not None:
                _describe(scan, video)
            origin = round(source.first_timestamp * TICKS)
            wraps = scan.container == "mpegts"
            for packet in _packets(container, scan):
                scan.damaged |= packet.is_corrupt
                if video is not None and packet.stream_index == video.index:
                    picture_pts.append(ticks_of(packet.pts, packet.time_base, origin, wraps=wraps))
                    picture_dts.append(ticks_of(packet.dts, packet.time_base, origin, wraps=wraps))
                elif audio is not None and packet.stream_index == audio.index:
                    heard.pts.append(ticks_of(packet.pts, packet.time_base, origin, wraps=wraps))
                    heard.durations.append(length_of(packet))
                    heard.packets.append(packet)
            if audio is not None and heard.packets:
                scan.has_sound = True
                sound.use(audio)
                _feed(scan.source, sound, heard, bounds)
    finally:
        span = span_of(source)
        at = round(source.start * TICKS)
        scan.times = [at + time for time in presentation_times(picture_pts, picture_dts, span=span)]


@dataclass
class _AudioTail:
    """Packets of sound with their times as far as known, in ticks."""

    packets: list[av.Packet[Any]] = field(default_factory=list)
    pts: list[int | None] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)


def _feed(
    source: SourceFile, sound: SoundTrack, heard: _AudioTail, bounds: tuple[float, float]
) -> None:
    low = (bounds[0] - _SOUND_MARGIN - source.start) * TICKS
    high = (bounds[1] + _SOUND_MARGIN - source.start) * TICKS
    at = round(source.start * TICKS)
    times = sequential_times(heard.pts, heard.durations, span=span_of(source))
    for packet, time in zip(heard.packets, times, strict=True):
        if low <= time <= high:
            packet.time_base = _CLOCK
            packet.pts = packet.dts = at + time
            sound.feed(packet)


def _describe(scan: _Scan, stream: Any) -> None:  # noqa: ANN401 PyAV's streams share no type
    """Note the parameters by which pictures may share a file."""
    context = stream.codec_context
    rotation = _rotation(scan)
    aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1)
    squeezed = abs(aspect - 1) > _SQUARE_ENOUGH
    if not squeezed or not Fraction(1, _WIDEST_PIXEL) <= aspect <= _WIDEST_PIXEL:
        aspect = Fraction(1)
    width, height = round(context.width * aspect), context.height
    if aspect < 1:
        width, height = context.width, round(context.height / aspect)
    if rotation % (2 * _QUARTER_TURN) == _QUARTER_TURN:
        width, height, aspect = height, width, 1 / aspect
    scan.width, scan.height = max(2, width - width % 2), max(2, height - height % 2)
    scan.sample_aspect = (aspect.numerator, aspect.denominator)
    scan.color = (int(context.colorspace), int(context.color_trc), int(context.color_primaries))
    scan.parameters = (
        context.name,
        context.width,
        context.height,
        context.pix_fmt,
        rotation,
        aspect,
        scan.color,
        int(context.color_range),
        bytes(context.extradata or b"") if "mov" in scan.container else None,
    )


def _rotation(scan: _Scan) -> int:
    """Return by how many degrees the first picture that decodes is to be turned; note it."""
    try:
        with _opened(scan) as container:
            stream = picture_stream(container)
            for frame in container.decode(stream):
                scan.decodable = True
                return int(getattr(frame, "rotation", 0))
    except FileNotFoundError:
        raise
    except DAMAGE:
        pass
    return 0


def _grouped(scans: Iterable[_Scan]) -> list[list[_Scan]]:
    """Return what goes into one file each; ffmpeg fails where not one picture decodes."""
    groups: dict[tuple[object, ...], list[_Scan]] = {}
    for scan in scans:
        if scan.parameters is not None and scan.times:
            groups.setdefault(scan.parameters, []).append(scan)
    return [group for group in groups.values() if any(scan.decodable for scan in group)]


def _write(scans: Sequence[_Scan], path: Path, begin: float, end: float) -> PictureRun | None:
    """Copy the pictures of sources with equal parameters into one file."""
    times = distinct([time for scan in scans for time in scan.times])
    decoding = decode_times(times)
    base = min(times)
    interval = typical_interval(times)
    written = read = 0
    try:
        with av.open(
            str(path),
            "w",
            format="mp4",
            options={"video_track_timescale": str(TICKS), "strict": "-2"},
        ) as output:
            target: Any = None
            previous: _Scan | None = None
            for scan in scans:
                waiting = previous is not None and not _continues(previous, scan)
                with _opened(scan) as container:
                    stream = picture_stream(container)
                    if target is None:
                        target = output.add_stream_from_template(stream, opaque=True)
                    for number, packet in enumerate(
                        each
                        for each in _packets(container, scan)
                        if stream is not None and each.stream_index == stream.index
                    ):
                        if number >= len(scan.times):
                            break
                        pts, dts = times[read + number], decoding[read + number]
                        waiting = waiting and not packet.is_keyframe
                        if waiting:
                            continue
                        packet.time_base, packet.pts, packet.dts = _CLOCK, pts - base, dts - base
                        packet.duration = interval
                        packet.stream = target
                        output.mux_one(packet)
                        written += 1
                previous = scan
                read += len(scan.times)
    except FileNotFoundError:
        raise
    except DAMAGE as error:
        _log.warning("pictures_not_copied", problem=str(error), copied=written)
        return None
    if not written:
        return None
    first = scans[0]
    return PictureRun(
        path=path,
        base=base,
        width=first.width,
        height=first.height,
        sample_aspect=first.sample_aspect,
        seconds=_shown_seconds(scans, begin, end),
        frame_rate=TICKS / interval,
        color=first.color,
    )


def distinct(times: list[int]) -> list[int]:
    """Move a time that occurs twice to the next free tick."""
    used: set[int] = set()
    for index, time in enumerate(times):
        while time in used:
            time += 1  # noqa: PLW2901 the next free place
        used.add(time)
        times[index] = time
    return times


def _continues(before: _Scan, after: _Scan) -> bool:
    """Return True if the pictures of `after` may refer to those of `before`."""
    return bool(after.head) or min(after.times) - max(before.times) <= round(SEAM * TICKS)


def _shown_seconds(scans: Iterable[_Scan], begin: float, end: float) -> float:
    total = 0.0
    for scan in scans:
        last = max(scan.times) + typical_interval(scan.times)
        total += max(0.0, min(end, last / TICKS) - max(begin, min(scan.times) / TICKS))
    return total


def nearest_picture(times: Sequence[int], begin: float) -> int:
    """Return the time of the picture that is on screen at `begin`, or the first after it.

    Of two pictures the nearer, so that no picture is off by more than half its length.
    """
    if not times:
        return round(begin * TICKS)
    at = begin * TICKS
    place = bisect_left(times, at)
    if place == 0:
        return times[0]
    before = times[place - 1]
    if place == len(times):
        return before
    after = times[place]
    near = after - at <= min(at - before, TICKS / 10)
    return after if near else before


def _still(shown: Sequence[int], at: float) -> float:
    """Return the time of the picture nearest to `at` that is shown in the clip."""
    return min(shown, key=lambda time: abs(time - at * TICKS)) / TICKS


def _pauses(scans: Sequence[_Scan], times: Sequence[int]) -> Iterator[tuple[float, float]]:
    """Yield where undamaged sources hold no picture between two: a slide, a still."""
    damaged = [
        (scan.source.start, scan.source.start + (scan.source.duration or _LONGEST_STILL))
        for scan in scans
        if scan.damaged or not scan.times
    ]
    for first, last in pairwise(time / TICKS for time in times):
        if SEAM < last - first <= _LONGEST_STILL and not any(
            begin < last and end > first for begin, end in damaged
        ):
            yield first, last


def _silences(
    sources: Sequence[SourceFile],
    scans: Sequence[_Scan],
    heard: Sequence[tuple[float, float]],
    begin: float,
    end: float,
) -> tuple[tuple[float, float], ...]:
    """Return where sources hold sound but none was decoded."""
    found: list[tuple[float, float]] = []
    for place, (source, scan) in enumerate(zip(sources, scans, strict=True)):
        if not (scan.has_sound or source.has_audio):
            continue
        following = sources[place + 1].start if place + 1 < len(sources) else end
        length = source.duration if source.duration is not None else following - source.start
        at = max(begin, source.start)
        until = min(end, source.start + length)
        starts = [first for first, _ in heard]
        while at < until:
            index = bisect_right(starts, at) - 1
            if index >= 0 and heard[index][1] > at:
                at = heard[index][1]
                continue
            after = starts[index + 1] if index + 1 < len(starts) else until
            found.append((at, min(after, until)))
            at = after
    return _merged(found)


def _merged(spans: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    merged: list[tuple[float, float]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _opened(scan: _Scan) -> av.container.InputContainer:
    if scan.head:
        content = io.BytesIO(scan.head + scan.source.path.read_bytes())
        return av.open(content, "r", format="mpegts", options={"format_whitelist": "mpegts"})
    return av.open(str(scan.source.path), options=OPTIONS)


def _packets(container: av.container.InputContainer, scan: _Scan) -> Iterator[av.Packet[Any]]:
    """Yield a source's own packets up to where damage ends the reading."""
    own = not scan.head
    try:
        for packet in container.demux():
            own = own or (packet.pos or -1) >= len(scan.head)
            if own and packet.size:
                yield packet
    except FileNotFoundError:
        raise
    except DAMAGE as error:
        scan.damaged = True
        _log.warning("segment_unreadable", path=scan.source.path.name, problem=str(error))


def picture_stream(container: av.container.InputContainer) -> Any:  # noqa: ANN401
    """Return the first stream of pictures that a decoder could start on; no cover art."""
    return next(
        (each for each in container.streams if each.type == "video" and is_usable(each)), None
    )


def span_of(source: SourceFile) -> int | None:
    """Return a source's duration in ticks; None if unknown."""
    return round(source.duration * TICKS) if source.duration is not None else None


def length_of(packet: av.Packet[Any]) -> int:
    """Return how long a packet lasts, in ticks; 0 if unknown."""
    if not packet.duration or packet.time_base is None or packet.duration < 0:
        return 0
    return min(round(packet.duration * packet.time_base / _CLOCK), TICKS)


def ticks_of(
    value: int | None, time_base: Fraction | None, origin: int, *, wraps: bool
) -> int | None:
    """Return a timestamp in ticks after `origin`; `wraps` if it starts again after 33 bits."""
    if value is None or time_base is None:
        return None
    # Fractions would take most of the time of reading; a quotient of integers is as exact.
    ticks = round(value * time_base.numerator * TICKS / time_base.denominator)
    return unwrap(ticks, origin) if wraps else ticks - origin
