"""Cut H.264 to the frame without encoding all of it. Runs in a media child process.

Pictures between the first and the last keyframe of a clip are copied. Those before and after, whose
group of pictures is cut, are encoded. Both are in one MP4 track: the encoder's parameter sets have
ids of their own, and stand beside the source's (ISO/IEC 14496-15, 5.3.3.1). AAC is copied too if
its blocks follow one another; an edit list cuts it to the sample.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import av

from domain.exports.models import RenditionSpec
from domain.media.packet_times import TICKS, typical_interval
from domain.model import Model
from infra.media.audio import RATE, SoundTrack
from infra.media.concat import SourceFile, nearest_picture, picture_stream
from infra.media.exports.group_encoder import REORDERED, GroupEncoder
from infra.media.exports.source_packets import (
    CannotCutError,
    SourcePackets,
    read_packets,
)
from infra.media.probe import DAMAGE, OPTIONS, audio_stream
from infra.media.render import SOUND_BIT_RATE, ClipFile, UnplayableClipError, inspect

_CLOCK: Final = Fraction(1, TICKS)
_HEAD_ID: Final = 30
_TAIL_ID: Final = 31
_HALF_TICK: Final = 1
_START_CODE: Final = b"\x00\x00\x00\x01"
_SOUND_MARGIN: Final = TICKS
"""Ticks around the clip whose sound is decoded too, since decoders need a run-up."""

_MOST_JITTER: Final = TICKS // 100
"""Ticks by which a block of copied sound may be off; viewers notice four times as much."""

_STEREO: Final = 2


class Copy(Model):
    """A finished MP4 with the source's pictures, `start` seconds after the first source."""

    path: Path
    start: float
    file: ClipFile

    def suits(self, rendition: RenditionSpec) -> bool:
        """Return True if a rendition of its pictures has their size."""
        if self.file.width is None or self.file.height is None:
            return True
        size = self.file.width, self.file.height
        return rendition.size_in(*size) == size


@dataclass(frozen=True)
class _Plan:
    """Which pictures to copy (places) and which to encode (times, in ticks).

    Attributes:
        first, end: of the clip, in ticks after the first source.
        lead: place of the keyframe from which the pictures of `head` are decoded.
        begin, stop: places of the pictures to copy.
        following: place of the keyframe after those of `tail`.
        head, tail: times of the pictures to encode.
        decode_times: of all pictures, in the order of decoding.
    """

    first: int
    end: int
    lead: int
    begin: int
    stop: int
    following: int
    head: Sequence[int]
    tail: Sequence[int]
    decode_times: Sequence[int]


@dataclass(frozen=True)
class _SoundPlan:
    """Which blocks of sound to copy (places), `block` samples each.

    Attributes:
        at: when the first one begins, in samples after the clip's start.
        samples: of the clip.
    """

    begin: int
    stop: int
    at: int
    block: int
    rate: int
    samples: int


def smart_cut(
    sources: Sequence[SourceFile],
    target: Path,
    begin: float,
    end: float,
    wanted: Sequence[RenditionSpec],
) -> Copy:
    """Write `begin`..`end` (s after the first source) to `target`, as MP4 from time 0.

    Args:
        sources: files in order, from a keyframe on.
        target: the file to write.
        begin: when the clip begins; it does so at the nearest picture.
        end: when it ends.
        wanted: what the file is for.

    Raises:
        CannotCutError: everything has to be encoded.
    """
    try:
        start = _cut(sources, target, begin, end, wanted)
        return Copy(path=target, start=start, file=inspect(target))
    except (*DAMAGE, UnplayableClipError, CannotCutError) as error:
        target.unlink(missing_ok=True)
        if isinstance(error, CannotCutError):
            raise
        raise CannotCutError(f"the media cannot be copied: {error}") from error


def _cut(
    sources: Sequence[SourceFile],
    target: Path,
    begin: float,
    end: float,
    wanted: Sequence[RenditionSpec],
) -> float:
    parts = read_packets(sources)
    form = parts[0].picture_form
    if form.codec != "h264" or form.pixels not in {"yuv420p", "yuvj420p"}:
        raise CannotCutError(f"they are {form.codec} {form.pixels}, not H.264 in 4:2:0")
    size = form.width, form.height
    if all(each.size_in(*size) != size for each in wanted):
        raise CannotCutError("no rendition has their size")
    plan = _plan(parts, begin, round(end * TICKS))
    _write(parts, plan, target)
    return plan.first / TICKS


def _plan(parts: Sequence[SourcePackets], begin: float, end: int) -> _Plan:
    times = [time for part in parts for time in part.pictures]
    is_key = [key for part in parts for key in part.keys]
    keys = [place for place, key in enumerate(is_key) if key]
    ordered = sorted(times)
    interval = typical_interval(times)
    first = nearest_picture(ordered, begin)
    last = ordered[max(0, bisect_left(ordered, end) - 1)]
    if first - begin * TICKS > interval or end - last > 2 * interval:
        raise CannotCutError("they do not reach from the clip's start to its end")
    start, stop = _middle(times, keys, first, end)
    lead = max((key for key in keys if key <= start and times[key] <= first), default=None)
    if lead is None:
        raise CannotCutError("the keyframe before the clip is missing")
    following = next((key for key in keys if key > stop), len(times))
    head = sorted(time for time in times[lead:start] if time >= first)
    tail = sorted(time for time in times[stop:following] if time < end)
    return _Plan(
        first=first,
        end=end,
        lead=lead,
        begin=start,
        stop=stop,
        following=following,
        head=head,
        tail=tail,
        decode_times=_decode_times(head, times[start:stop], tail),
    )


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


def _decode_times(head: Sequence[int], middle: Sequence[int], tail: Sequence[int]) -> list[int]:
    """Return decode times; those of `head` and `tail` hold for any order of the encoder's."""
    places = sorted(middle)
    delays = [place - time for place, time in zip(places, middle, strict=True)]
    for encoded in (head, tail):
        delays += [time - encoded[max(0, place - REORDERED)] for place, time in enumerate(encoded)]
    delay = max(delays)
    return [time - delay for time in (*head, *places, *tail)]


def _sound_plan(parts: Sequence[SourcePackets], plan: _Plan) -> _SoundPlan | None:
    """Return which sound to copy; None if there is none, or it has to be encoded."""
    form = parts[0].sound_form
    if form is None or any(part.sound_form != form for part in parts):
        return None
    times = [time for part in parts for time in part.sounds]
    if form.codec != "aac" or form.channels > _STEREO or times != sorted(times):
        return None
    # A decoder needs the block before to decode the first one that is heard.
    begin = max(0, bisect_right(times, plan.first) - 2)
    stop = bisect_left(times, plan.end)
    if stop <= begin:
        return None
    block = round(typical_interval(times) * form.rate / TICKS)
    length = block * TICKS / form.rate
    if (
        times[begin] > plan.first + _MOST_JITTER
        or times[stop - 1] + length < plan.end - _MOST_JITTER
        or any(
            abs(times[begin] + place * length - time) > _MOST_JITTER
            for place, time in enumerate(times[begin:stop])
        )
    ):
        return None
    return _SoundPlan(
        begin=begin,
        stop=stop,
        at=round((times[begin] - plan.first) * form.rate / TICKS),
        block=block,
        rate=form.rate,
        samples=round((plan.end - plan.first) * form.rate / TICKS),
    )


def _write(parts: Sequence[SourcePackets], plan: _Plan, target: Path) -> None:
    form = parts[0].picture_form
    sets, length_size = _parameter_sets(form.extradata)
    ends = _Ends(
        head=GroupEncoder(form, sets, plan.head, _HEAD_ID) if plan.head else None,
        tail=GroupEncoder(form, sets, plan.tail, _TAIL_ID) if plan.tail else None,
    )
    options = {"video_track_timescale": str(TICKS), "movflags": "+faststart"}
    with (
        av.open(str(parts[0].source.path), options=OPTIONS) as template,
        av.open(str(target), "w", format="mp4", options=options) as output,
    ):
        video: Any = output.add_stream_from_template(picture_stream(template), opaque=True)
        video.codec_context.extradata = sets + ends.parameters
        copied = _sound_plan(parts, plan)
        sound: Any = None
        encoded: Iterator[av.Packet[Any]] = iter(())
        if copied is not None:
            source = audio_stream(template, parts[0].source.audio_track)
            sound = output.add_stream_from_template(source)
        elif any(part.sounds for part in parts):
            sound = output.add_stream("aac", RATE, layout="stereo", bit_rate=SOUND_BIT_RATE)
            encoded = _encoded_sound(parts, plan, sound)
        decode_times = iter(plan.decode_times)
        interval = typical_interval(plan.decode_times)
        for packet, is_picture in _selected(parts, plan, copied, ends, length_size):
            if is_picture:
                packet.pts = (packet.pts or 0) - plan.first
                packet.dts = next(decode_times) - plan.first
                packet.time_base, packet.duration = _CLOCK, interval
                if packet.pts < packet.dts:
                    raise CannotCutError("the encoder reordered more pictures than it may")
                _mux_until(encoded, packet.pts, output)
            packet.stream = video if is_picture else sound
            output.mux_one(packet)
        _mux_until(encoded, None, output)


def _mux_until(encoded: Iterator[av.Packet[Any]], time: int | None, output: Any) -> None:  # noqa: ANN401
    """Write encoded sound up to a time (ticks), or all of it."""
    for packet in encoded:
        at = (packet.pts or 0) * packet.time_base
        output.mux_one(packet)
        if time is not None and at >= time * _CLOCK:
            return


def _selected(
    parts: Sequence[SourcePackets],
    plan: _Plan,
    sound: _SoundPlan | None,
    ends: _Ends,
    length_size: int,
) -> Iterator[tuple[av.Packet[Any], bool]]:
    """Yield the clip's packets, and whether each is a picture; decode times are still missing."""
    place = block = 0
    for part in parts:
        times = iter(part.pictures)
        for packet, is_picture in part.packets():
            if is_picture:
                time = next(times)
                if plan.lead <= place < plan.following:
                    picture = _annex_b(packet, length_size)
                    picture.pts, picture.dts, picture.time_base = time, None, _CLOCK
                    yield from ((each, True) for each in ends.around(picture, place, plan))
                place += 1
            else:
                if sound is not None and sound.begin <= block < sound.stop:
                    yield _placed(packet, sound, block - sound.begin), False
                block += 1
    yield from ((each, True) for each in ends.last())


@dataclass(frozen=True)
class _Ends:
    """Encoders of the two groups of pictures that are cut."""

    head: GroupEncoder | None
    tail: GroupEncoder | None

    @property
    def parameters(self) -> bytes:
        """Their parameter sets."""
        return b"".join(each.parameters for each in (self.head, self.tail) if each is not None)

    def around(self, picture: av.Packet[Any], place: int, plan: _Plan) -> Iterator[av.Packet[Any]]:
        """Take or pass on the source's next picture; yield the whole head before the first one."""
        if place < plan.begin:
            if self.head is not None:
                self.head.feed(picture)
            return
        if place == plan.begin and self.head is not None:
            yield from self.head.finish()
        if place < plan.stop:
            yield picture
        elif self.tail is not None:
            self.tail.feed(picture)

    def last(self) -> Iterator[av.Packet[Any]]:
        """Yield the tail."""
        if self.tail is not None:
            yield from self.tail.finish()


def _placed(packet: av.Packet[Any], sound: _SoundPlan, number: int) -> av.Packet[Any]:
    """Return a copied block of sound at its time; the last one ends with the clip."""
    packet.pts = packet.dts = sound.at + number * sound.block
    packet.time_base = Fraction(1, sound.rate)
    packet.duration = max(1, min(sound.block, sound.samples - packet.pts))
    return packet


def _encoded_sound(
    parts: Sequence[SourcePackets],
    plan: _Plan,
    stream: Any,  # noqa: ANN401
) -> Iterator[av.Packet[Any]]:
    """Decode the clip's sound to one track, and encode that."""
    track = SoundTrack(plan.first / TICKS, plan.end / TICKS)
    for part in parts:
        with av.open(str(part.source.path), options=OPTIONS) as container:
            source = audio_stream(container, part.source.audio_track)
            if source is None:
                continue
            track.use(source)
            times = iter(part.sounds)
            for packet in container.demux(source):
                if not packet.size:
                    continue
                time = next(times)
                if plan.first - _SOUND_MARGIN <= time <= plan.end + _SOUND_MARGIN:
                    packet.pts = packet.dts = time
                    packet.time_base = _CLOCK
                    track.feed(packet)
    track.finish()
    if not track.heard:
        raise CannotCutError("their sound cannot be decoded")
    for frame in track.frames():
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _annex_b(packet: av.Packet[Any], length_size: int) -> av.Packet[Any]:
    """Return a picture whose units begin with start codes instead of lengths of so many bytes."""
    if not length_size:
        return packet
    data, units, at = bytes(packet), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        units += [_START_CODE, data[at : at + size]]
        at += size
    picture: av.Packet[Any] = av.Packet(b"".join(units))
    picture.is_keyframe = packet.is_keyframe
    return picture


def _parameter_sets(header: bytes) -> tuple[bytes, int]:
    """Return parameter sets with start codes, and how many bytes a length in the pictures has.

    The latter is 0 if the pictures have start codes, as in MPEG-TS.

    Raises:
        CannotCutError: there are none.
    """
    if not header:
        raise CannotCutError("their parameters are not known")
    if header[0] != 1:
        return header, 0
    # ISO/IEC 14496-15, 5.3.3.1.2
    at, units = 5, []
    for mask in (31, 255):
        count = header[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(header[at : at + 2], "big")
            units += [_START_CODE, header[at + 2 : at + 2 + size]]
            at += 2 + size
    return b"".join(units), (header[4] & 3) + 1
