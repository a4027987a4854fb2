"""Cut H.264 to the frame without encoding all of it. Runs in a media child process.

Pictures between the first and the last keyframe of a clip are copied. Those before and after, whose
group of pictures is cut, are encoded. Both are in one MP4 track: the encoder's parameter sets have
ids of their own, and stand beside the source's (ISO/IEC 14496-15, 5.3.3.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import av
import av.error

from domain.media.packet_times import TICKS, decode_times, typical_interval
from infra.media.probe import DAMAGE

_CLOCK: Final = Fraction(1, TICKS)
_HEAD_ID: Final = 30
_TAIL_ID: Final = 31
_SPS: Final = 7
_PPS: Final = 8
_PICTURES: Final = frozenset({1, 5})
"""NAL unit types of pictures (ITU-T H.264, table 7-1): others of the encoder are not needed."""

_START_CODE: Final = re.compile(rb"\x00\x00\x00?\x01")
_HALF_TICK: Final = 1


class CannotCutError(Exception):
    """The pictures cannot be copied; the message states why."""


@dataclass(frozen=True)
class _Sample:
    """An access unit; `pts` in ticks."""

    pts: int
    data: bytes
    is_keyframe: bool


def smart_cut(path: Path, target: Path, first: int, end: int) -> int:
    """Write the pictures `first`..`end` (ticks) of an MP4 to `target`, as MP4 from time 0.

    Returns:
        How many pictures were encoded; the others were copied.

    Raises:
        CannotCutError: everything has to be encoded.
    """
    try:
        return _cut(path, target, first, end)
    except DAMAGE as error:
        raise CannotCutError(f"the pictures cannot be read: {error}") from error


def _cut(path: Path, target: Path, first: int, end: int) -> int:
    times, keys = _scan(path)
    begin, stop = _middle(times, keys, first, end)
    head_end, tail_begin = times[begin], times[stop] if stop < len(times) else end
    head: list[_Sample] = []
    tail: list[_Sample] = []
    sets: list[bytes] = []
    if head_end > first + _HALF_TICK:
        frames = _frames(path, times[0], first, head_end)
        head = _encoded(frames, _HEAD_ID, sets)
    if stop < len(times):
        frames = _frames(path, tail_begin, tail_begin, end)
        tail = _encoded(frames, _TAIL_ID, sets)
    pts = [each.pts for each in head] + times[begin:stop] + [each.pts for each in tail]
    interval = typical_interval(pts)
    dts = decode_times(pts)
    with (
        av.open(str(path)) as source,
        av.open(
            str(target), "w", format="mp4", options={"video_track_timescale": str(TICKS)}
        ) as output,
    ):
        stream = source.streams.video[0]
        length_size = _check(stream.codec_context)
        video: Any = output.add_stream_from_template(stream, opaque=True)
        video.codec_context.extradata = _with_sets(
            bytes(stream.codec_context.extradata or b""), sets
        )
        middle = _copied(source, stream, begin, stop)
        for place, sample in enumerate(_chain(head, middle, tail, length_size)):
            packet = av.Packet(sample.data)
            packet.stream = video
            packet.time_base = _CLOCK
            packet.pts, packet.dts = pts[place] - first, dts[place] - first
            packet.duration = interval
            packet.is_keyframe = sample.is_keyframe
            output.mux_one(packet)
    return len(head) + len(tail)


def _scan(path: Path) -> tuple[list[int], list[int]]:
    """Return the time of each picture in decode order (ticks), and the places of keyframes."""
    times: list[int] = []
    keys: list[int] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        _check(stream.codec_context)
        for packet in container.demux(stream):
            if packet.pts is None or packet.time_base is None or not packet.size:
                continue
            if packet.is_keyframe:
                keys.append(len(times))
            times.append(round(packet.pts * packet.time_base / _CLOCK))
    return times, keys


def _check(context: Any) -> int:  # noqa: ANN401 - PyAV's contexts share no type
    """Return how many bytes a length in the samples has.

    Raises:
        CannotCutError: the pictures are not such as the encoder makes.
    """
    extradata = bytes(context.extradata or b"")
    if context.name != "h264" or context.pix_fmt not in {"yuv420p", "yuvj420p"}:
        raise CannotCutError(f"they are {context.name} {context.pix_fmt}, not H.264 in 4:2:0")
    if len(extradata) < 7 or extradata[0] != 1:  # noqa: PLR2004 - avcC
        raise CannotCutError("their parameters are not in the file's header")
    return (extradata[4] & 3) + 1


def _middle(times: Sequence[int], keys: Sequence[int], first: int, end: int) -> tuple[int, int]:
    """Return the places of the pictures to copy, a run of whole closed groups of pictures."""
    bounds = [*keys, len(times)]
    groups = [(begin, stop) for begin, stop in pairwise(bounds)]
    inside = [
        (begin, stop)
        for begin, stop in groups
        if times[begin] >= first - _HALF_TICK and max(times[begin:stop]) < end
    ]
    if not inside:
        raise CannotCutError("no group of pictures is whole")
    begin, stop = inside[0][0], inside[-1][1]
    after = [group for group in groups if group[0] == stop]
    if any(min(times[first_:last]) < times[first_] for first_, last in [*inside, *after]):
        raise CannotCutError("their groups of pictures are open")
    if any(time >= times[begin] for time in times[:begin]):
        raise CannotCutError("their groups of pictures overlap")
    return begin, stop


def _frames(path: Path, seek: int, first: int, end: int) -> Iterator[av.VideoFrame]:
    """Yield the pictures from `first` up to `end` (ticks), read from the keyframe at `seek`."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        time_base = stream.time_base or _CLOCK
        container.seek(round(seek * _CLOCK / time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            at = round(frame.pts * time_base / _CLOCK)
            if at >= end:
                return
            if frame.interlaced_frame or frame.rotation:
                raise CannotCutError("they are interlaced or rotated")
            if at >= first - _HALF_TICK:
                frame.pts, frame.time_base = at, _CLOCK
                yield frame


def _encoded(frames: Iterator[av.VideoFrame], number: int, sets: list[bytes]) -> list[_Sample]:
    """Encode pictures as one group; append the encoder's parameter sets to `sets`."""
    samples: list[_Sample] = []
    context: Any = None
    for frame in frames:
        if context is None:
            context = av.CodecContext.create("libx264", "w")
            context.width, context.height = frame.width, frame.height
            context.pix_fmt = "yuv420p"
            context.time_base = _CLOCK
            context.color_range = frame.color_range
            context.options = {
                "preset": "veryfast",
                "crf": "20",
                "profile": "high",
                "g": "1000",
                "x264-params": f"sps-id={number}:repeat-headers=1",
            }
        frame.pict_type = av.video.frame.PictureType.NONE
        samples += _samples(context.encode(frame), sets)
    if context is not None:
        samples += _samples(context.encode(None), sets)
    return samples


def _samples(packets: Sequence[Any], sets: list[bytes]) -> list[_Sample]:
    """Return packets of Annex B as samples; the lengths are written by `_chain`."""
    found = []
    for packet in packets:
        units = [unit for unit in _START_CODE.split(bytes(packet)) if unit]
        sets += [unit for unit in units if unit[0] & 31 in {_SPS, _PPS} and unit not in sets]
        found.append(
            _Sample(
                pts=packet.pts,
                data=b"".join(
                    len(unit).to_bytes(4, "big") + unit
                    for unit in units
                    if unit[0] & 31 in _PICTURES
                ),
                is_keyframe=packet.is_keyframe,
            )
        )
    return found


def _copied(container: Any, stream: Any, begin: int, stop: int) -> Iterator[_Sample]:  # noqa: ANN401
    place = 0
    for packet in container.demux(stream):
        if packet.pts is None or not packet.size:
            continue
        if begin <= place < stop:
            yield _Sample(packet.pts, bytes(packet), packet.is_keyframe)
        place += 1


def _chain(
    head: Sequence[_Sample], middle: Iterator[_Sample], tail: Sequence[_Sample], length_size: int
) -> Iterator[_Sample]:
    if length_size != 4 and (head or tail):  # noqa: PLR2004 - what every muxer writes
        raise CannotCutError("the lengths in their samples do not have four bytes")
    yield from head
    yield from middle
    yield from tail


def _with_sets(header: bytes, sets: Sequence[bytes]) -> bytes:
    """Return an `avcC` with further parameter sets (ISO/IEC 14496-15, 5.3.3.1.2)."""
    place = 5
    kinds: list[list[bytes]] = []
    for mask in (31, 255):
        count, units = header[place] & mask, []
        place += 1
        for _ in range(count):
            size = int.from_bytes(header[place : place + 2], "big")
            units.append(header[place + 2 : place + 2 + size])
            place += 2 + size
        kinds.append(units)
    sequence, picture = kinds
    sequence += [unit for unit in sets if unit[0] & 31 == _SPS]
    picture += [unit for unit in sets if unit[0] & 31 == _PPS]
    written = header[:5] + bytes([0xE0 | len(sequence)])
    written += b"".join(len(unit).to_bytes(2, "big") + unit for unit in sequence)
    written += bytes([len(picture)])
    written += b"".join(len(unit).to_bytes(2, "big") + unit for unit in picture)
    return written + header[place:]
