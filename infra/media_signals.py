"""From a stored segment to its signals: decodes all sound, and of the picture keyframes only.

Decoding every picture would cost more than twice the budget of a stream (2 % of a core); the
sizes of the compressed pictures between keyframes tell motion and cuts for free. Runs in a media
child process (`infra.media_pool`), for a segment comes from a stranger.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from domain.model import Model
from domain.signals import (
    FRAME_SECONDS,
    THUMBNAIL_HEIGHT,
    THUMBNAIL_WIDTH,
    KeyPicture,
    PictureFrame,
    SegmentSignals,
    SignalFrame,
)
from infra.perceptual_hash import hash_of_frame
from infra.sound_signals import Floats, measure_sound

# PTS of MPEG-TS wrap at 2^33 ticks of 90 kHz (ISO/IEC 13818-1, 2.4.3.7).
_WRAP_SECONDS: Final = 2**33 / 90_000
# A segment whose timestamps claim much more than its playlist duration is not believed.
_LONGEST_OVERRUN: Final = 2.0
_MPEG_TS_SYNC: Final = 0x47
# ADTS (ISO/IEC 13818-7, 6.2): twelve ones, MPEG version, layer 0, protection.
_ADTS_SYNCS: Final = (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9")
_CUT_TOLERANCE: Final = 0.05
# Probing would decode pictures to learn what we do not ask: more than the keyframe itself costs.
_PROBE_OPTIONS: Final = {"skip_frame": "all"}


class SegmentFile(Model):
    """A stored segment as a child process needs it; times as in `domain.media.SegmentRef`."""

    path: Path
    init_path: Path | None = None
    start: float
    duration: float
    first_timestamp: float


class UndecodableError(Exception):
    """Nothing in the segment could be decoded."""


@dataclass
class _Heard:
    rate: int = 0
    first: float | None = None
    blocks: list[Floats] = field(default_factory=list)
    length: int = 0


@dataclass
class _Seen:
    times: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    keys: list[KeyPicture] = field(default_factory=list)


def measure_segments(files: tuple[SegmentFile, ...]) -> tuple[SegmentSignals | None, ...]:
    """Measure each segment; None stands for one in which nothing could be decoded."""
    return tuple(_measure_or_none(file) for file in files)


def _measure_or_none(file: SegmentFile) -> SegmentSignals | None:
    try:
        return measure_segment(file)
    except UndecodableError:
        return None


def measure_segment(file: SegmentFile) -> SegmentSignals:
    """Measure one segment.

    Raises:
        UndecodableError: nothing in it could be decoded.
        OSError: it could not be read.
    """
    data = file.path.read_bytes()
    init = file.init_path.read_bytes() if file.init_path else b""
    container_format = _container_format(init + data[:16])
    heard, seen, damaged = _Heard(), _Seen(), 0
    try:
        # The format is named and the input is memory, so that no content can make libav open
        # a playlist, a reference to another file, or the network.
        with av.open(
            io.BytesIO(init + data), "r", format=container_format, options=_PROBE_OPTIONS
        ) as container:
            damaged = _read(container, file, heard, seen)
    except (av.error.FFmpegError, ValueError) as error:
        raise UndecodableError(f"cannot be read as {container_format}: {error}") from error
    if not heard.blocks and not seen.keys and not seen.sizes:
        raise UndecodableError("holds neither sound nor picture that can be decoded")
    return SegmentSignals(frames=_frames(file, heard, seen), damaged_packets=damaged)


def _container_format(head: bytes) -> str:
    if head[:1] == bytes([_MPEG_TS_SYNC]):
        return "mpegts"
    if head[4:8] in (b"ftyp", b"styp", b"moof", b"sidx", b"moov"):
        return "mp4"
    if head[:3] == b"ID3" or head[:2] in _ADTS_SYNCS:
        return "aac"
    return "mpegts"


def _read(container: InputContainer, file: SegmentFile, heard: _Heard, seen: _Seen) -> int:
    streams: list[VideoStream | AudioStream] = []
    if container.streams.audio:
        streams.append(container.streams.audio[0])
    if container.streams.video:
        video = container.streams.video[0]
        video.thread_count = 1
        video.codec_context.skip_frame = "NONKEY"
        streams.append(video)
    if not streams:
        return 0
    damaged = 0
    for packet in container.demux(streams):
        try:
            _take(packet, file, heard, seen)
        except av.error.FFmpegError:
            damaged += 1
    return damaged


def _take(packet: Packet[Stream], file: SegmentFile, heard: _Heard, seen: _Seen) -> None:
    if packet.stream.type == "audio":
        for frame in packet.decode():
            _hear(frame, file, heard)  # type: ignore[arg-type]  # an audio stream's frames
        return
    if packet.size and not packet.is_keyframe:
        if packet.pts is not None:
            seen.times.append(_offset(float(packet.pts * packet.time_base), file))
            seen.sizes.append(packet.size)
        return
    for picture in packet.decode():
        if isinstance(picture, VideoFrame) and picture.time is not None:
            seen.keys.append(_key_picture(picture, file))


def _offset(timestamp: float, file: SegmentFile) -> float:
    """Return seconds from the segment's first timestamp, unwrapped."""
    offset = timestamp - file.first_timestamp
    return offset + _WRAP_SECONDS if offset < -_WRAP_SECONDS / 2 else offset


def _hear(frame: av.AudioFrame, file: SegmentFile, heard: _Heard) -> None:
    if frame.time is None or not frame.sample_rate:
        return
    if heard.first is None:
        heard.first, heard.rate = _offset(frame.time, file), frame.sample_rate
    if frame.sample_rate != heard.rate:
        return
    offset = _offset(frame.time, file)
    missing = round((offset - heard.first) * heard.rate) - heard.length
    limit = (file.duration + _LONGEST_OVERRUN) * heard.rate
    if heard.length + max(missing, 0) + frame.samples > limit:
        return
    if missing > _CUT_TOLERANCE * heard.rate:
        heard.blocks.append(np.zeros(missing, np.float32))
        heard.length += missing
    heard.blocks.append(_mono(frame))
    heard.length += frame.samples


def _mono(frame: av.AudioFrame) -> Floats:
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(frame.samples, -1).T
    mono: Floats = channels.sum(axis=0, dtype=np.float32)
    scale = float(1 << (8 * samples.itemsize - 1)) if samples.dtype.kind == "i" else 1.0
    return mono / np.float32(scale * len(channels))


def _key_picture(picture: VideoFrame, file: SegmentFile) -> KeyPicture:
    small = picture.reformat(
        width=THUMBNAIL_WIDTH, height=THUMBNAIL_HEIGHT, format="yuv444p", interpolation="AREA"
    ).to_ndarray()
    luma, blue, red = (tuple(map(int, plane.ravel())) for plane in small)
    offset = _offset(float(picture.time or 0.0), file)
    return KeyPicture(
        time=round(file.start + offset, 3),
        luma=luma,
        blue=blue,
        red=red,
        hash=hash_of_frame(picture),
    )


def _frames(file: SegmentFile, heard: _Heard, seen: _Seen) -> tuple[SignalFrame, ...]:
    count = max(1, round(file.duration / FRAME_SECONDS))
    edges = np.linspace(0.0, file.duration, count + 1)
    last = count - 1
    sounds = (
        measure_sound(_joined(heard.blocks), rate=heard.rate, edges=edges - heard.first)
        if heard.blocks and heard.first is not None
        else [None] * count
    )
    pictures = _pictures(seen, edges)
    keys: list[list[KeyPicture]] = [[] for _ in range(count)]
    for key in seen.keys:
        place = int((key.time - file.start) / file.duration * count)
        keys[min(max(place, 0), last)].append(key)
    return tuple(
        SignalFrame(
            start=max(0.0, round(file.start + edges[i], 3)),
            duration=round(file.duration / count, 3),
            sound=sounds[i],
            picture=pictures[i],
            keys=tuple(keys[i]),
        )
        for i in range(count)
    )


def _joined(blocks: list[Floats]) -> Floats:
    # A damaged float stream can decode to NaN, which one comparison would spread everywhere.
    return np.nan_to_num(np.concatenate(blocks), posinf=0.0, neginf=0.0)


def _pictures(seen: _Seen, edges: NDArray[np.float64]) -> list[PictureFrame | None]:
    if not seen.sizes:
        return [None] * (len(edges) - 1)
    sizes = np.asarray(seen.sizes, np.float64)
    places = np.clip(np.searchsorted(edges, seen.times, side="right") - 1, 0, len(edges) - 2)
    frames: list[PictureFrame | None] = []
    for index in range(len(edges) - 1):
        part = sizes[places == index]
        if not len(part):
            frames.append(None)
            continue
        around = sizes[np.abs(places - index) <= 1]
        largest = part.max()
        usual = (part.sum() - largest) / (len(part) - 1) if len(part) > 1 else largest
        frames.append(
            PictureFrame(
                motion=round(float(np.log2(max(usual, 1.0))), 3),
                jolt=round(float(np.log2(largest / max(np.median(around), 1.0))), 3),
            )
        )
    return frames
