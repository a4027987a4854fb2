"""Packets of H.264 and sound of source files, at their times on the media timeline.

Runs in a media child process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple

import av

from domain.media.packet_times import TICKS, presentation_times, sequential_times
from infra.media.concat import (
    SEAM,
    SourceFile,
    distinct,
    length_of,
    picture_stream,
    span_of,
    ticks_of,
    with_durations,
)
from infra.media.probe import OPTIONS, audio_stream

_MOST_KEPT: Final = 64 << 20
"""Bytes of packets that stay in memory; the files of longer sources are read a second time."""


class CannotCutError(Exception):
    """The pictures cannot be copied; the message states why."""


class PictureForm(NamedTuple):
    """What pictures have in common that share a track; sizes in pixels."""

    container: str
    codec: str
    pixels: str | None
    width: int
    height: int
    color: tuple[int, int, int, int]
    extradata: bytes


class SoundForm(NamedTuple):
    """What blocks of sound have in common that share a track; `rate` in samples per second."""

    container: str
    codec: str
    rate: int
    channels: int
    extradata: bytes


@dataclass
class SourcePackets:
    """The packets of one source, in the order of its file.

    Attributes:
        pictures: time of each picture, in ticks after the first source.
        keys: whether it is a keyframe.
        sounds: time of each block of sound, in the same ticks.
        kept: its packets, and whether each is a picture; None if they are read again.
    """

    source: SourceFile
    picture_form: PictureForm
    sound_form: SoundForm | None
    pictures: list[int] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    sounds: list[int] = field(default_factory=list)
    kept: list[tuple[av.Packet[Any], bool]] | None = None

    def packets(self) -> Iterator[tuple[av.Packet[Any], bool]]:
        """Yield each packet, and whether it is a picture."""
        if self.kept is not None:
            yield from self.kept
            return
        with av.open(str(self.source.path), options=OPTIONS) as container:
            yield from _packets(container, self.source)


def read_packets(sources: Sequence[SourceFile]) -> list[SourcePackets]:
    """Read sources whose pictures can share a track.

    Raises:
        CannotCutError: they cannot.
    """
    parts: list[SourcePackets] = []
    room = _MOST_KEPT
    for source in with_durations(sources):
        part = _read(source, room)
        room = 0 if part.kept is None else room - sum(packet.size for packet, _ in part.kept)
        parts.append(part)
    if len({part.picture_form for part in parts}) > 1:
        raise CannotCutError("their parameters change")
    times = distinct([time for part in parts for time in part.pictures])
    for part in parts:
        part.pictures, times = times[: len(part.pictures)], times[len(part.pictures) :]
    for before, after in pairwise(parts):
        hole = min(after.pictures) - max(before.pictures) > SEAM * TICKS
        if hole and not after.keys[0]:
            raise CannotCutError("pictures are missing that later ones refer to")
    return parts


def _read(source: SourceFile, room: int) -> SourcePackets:
    """Read a source; its packets are kept if they have at most `room` bytes."""
    with av.open(str(source.path), options=OPTIONS) as container:
        video, audio = _streams(container, source)
        part = SourcePackets(source, _picture_form(container, video), None)
        if audio is not None:
            part.sound_form = _sound_form(container, audio)
        pts: list[int | None] = []
        dts: list[int | None] = []
        heard: list[int | None] = []
        lengths: list[int] = []
        origin = round(source.first_timestamp * TICKS)
        wraps = container.format.name == "mpegts"
        kept: list[tuple[av.Packet[Any], bool]] = []
        for packet, is_picture in _packets(container, source):
            if packet.is_corrupt:
                raise CannotCutError("a file is damaged")
            room -= packet.size
            if room >= 0:
                kept.append((packet, is_picture))
            else:
                kept.clear()
            base = packet.time_base
            if is_picture:
                pts.append(ticks_of(packet.pts, base, origin, wraps=wraps))
                dts.append(ticks_of(packet.dts, base, origin, wraps=wraps))
                part.keys.append(packet.is_keyframe)
            else:
                heard.append(ticks_of(packet.pts, base, origin, wraps=wraps))
                lengths.append(length_of(packet))
    part.kept = kept if room >= 0 else None
    if not pts:
        raise CannotCutError("a file has no pictures")
    at, span = round(source.start * TICKS), span_of(source)
    part.pictures = [at + time for time in presentation_times(pts, dts, span=span)]
    part.sounds = [at + time for time in sequential_times(heard, lengths, span=span)]
    return part


def _streams(container: Any, source: SourceFile) -> tuple[Any, Any]:  # noqa: ANN401 PyAV's types
    video = picture_stream(container)
    if video is None:
        raise CannotCutError("a file has no pictures")
    return video, audio_stream(container, source.audio_track)


def _packets(container: Any, source: SourceFile) -> Iterator[tuple[av.Packet[Any], bool]]:  # noqa: ANN401
    video, audio = _streams(container, source)
    for packet in container.demux(*(each for each in (video, audio) if each is not None)):
        if packet.size:
            yield packet, packet.stream_index == video.index


def _picture_form(container: Any, stream: Any) -> PictureForm:  # noqa: ANN401
    context = stream.codec_context
    aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio or 1
    if aspect != 1:
        raise CannotCutError("their pixels are not square")
    return PictureForm(
        container.format.name,
        context.name,
        context.pix_fmt,
        context.width,
        context.height,
        (
            int(context.color_range),
            int(context.colorspace),
            int(context.color_trc),
            int(context.color_primaries),
        ),
        bytes(context.extradata or b""),
    )


def _sound_form(container: Any, stream: Any) -> SoundForm:  # noqa: ANN401
    context = stream.codec_context
    return SoundForm(
        container.format.name,
        context.name,
        context.sample_rate,
        context.channels,
        bytes(context.extradata or b""),
    )
