"""Measurement of a segment's signals: audio levels, motion, cuts and keyframe thumbnails.

All audio is decoded, and measured in one short-time Fourier transform (Hann windows of about 43 ms
with 50 % overlap), at well under a millisecond per second of stereo. Of the video only keyframes
are decoded: decoding every picture would cost more than twice the budget of a stream (2 % of a
core), and the sizes of the compressed pictures give motion and cuts for free. Runs in a media child
process (`infra.media.pool`), since segments are untrusted.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import av
import numpy as np
import structlog
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from domain.analysis.screen import ScreenMemory
from domain.analysis.signals import (
    FRAME_SECONDS,
    THUMBNAIL_HEIGHT,
    THUMBNAIL_WIDTH,
    KeyPicture,
    PictureFrame,
    SegmentSignals,
    SignalFrame,
    SoundFrame,
)
from domain.media.timeline import unwrap
from domain.model import Model
from domain.profiles.model import Hud
from infra.media.phash import hash_of_frame
from infra.media.probe import DAMAGE, FORMATS, audio_stream, holds_picture, is_continued, is_usable
from infra.media.screen.reader import ScreenReader

Floats = NDArray[np.float32]


# Edges (Hz) of the bands in which a crowd's roar is measured.
_ROAR_EDGES: Final = (400.0, 700.0, 1150.0, 1900.0, 3000.0, 4500.0)


_SPEECH: Final = (300.0, 3400.0)


_PITCHES: Final = (90.0, 500.0)


_FLUX_BANDS: Final = 24


_WINDOW_SECONDS: Final = 0.043


_FLOOR: Final = 1e-10


_FEWEST_HOPS: Final = 2


# The share of bins, from below, that is taken for the floor between the tones.
_FLOOR_QUANTILE: Final = 0.25


@dataclass(frozen=True)
class _Plan:
    """What depends on the sample rate only."""

    size: int
    window: Floats
    k_weight: Floats
    roar_bands: tuple[slice, ...]
    speech: slice
    flux_edges: NDArray[np.intp]
    pitch_size: int

    @property
    def hop(self) -> int:
        return self.size // 2


def measure_sound(
    samples: Floats, *, rate: int, edges: NDArray[np.float64]
) -> list[SoundFrame | None]:
    """Measure mono samples in frames bounded by `edges` (seconds from the first sample).

    Frames in which no sample lies are None.
    """
    plan = _plan(rate)
    count = (len(samples) - plan.size) // plan.hop + 1
    if count < _FEWEST_HOPS:
        return [None] * (len(edges) - 1)
    hops = np.lib.stride_tricks.sliding_window_view(samples, plan.size)[:: plan.hop][:count]
    power = np.abs(np.fft.rfft(hops * plan.window, axis=1)) ** 2
    power = power.astype(np.float32) + np.float32(_FLOOR * 1e-3)
    middles = (np.arange(count) * plan.hop + plan.size / 2) / rate
    flux = _flux(power, plan)
    voicing = _voicing(power, plan, rate)
    bounds = np.searchsorted(middles, edges)
    parts = [power[first:last] for first, last in pairwise(bounds)]
    means = np.array([part.mean(axis=0) if len(part) else power[0] for part in parts])
    tonality = _tonality(means, plan)
    frames: list[SoundFrame | None] = []
    for number, (first, last) in enumerate(pairwise(bounds)):
        part, mean = parts[number], means[number]
        if not len(part):
            frames.append(None)
            continue
        frames.append(
            SoundFrame(
                loudness=_rounded(-0.691 + _decibels(float(mean @ plan.k_weight))),
                roar=_rounded(_roar(part, plan)),
                speech_band=_rounded(_decibels(float(mean[plan.speech].sum()))),
                tonality=_rounded(float(tonality[number])),
                onset=_rounded(float(flux[first:last].max())),
                voicing=_rounded(float(voicing[first:last].mean())),
            )
        )
    return frames


def k_weighting(frequencies: Floats) -> Floats:
    """Return the power gain of the K filter at `frequencies` (Hz).

    The two biquads of ITU-R BS.1770-4, tables 1 and 2 (a shelf for the head, then a high-pass),
    whose coefficients hold at 48 kHz, evaluated on the unit circle.
    """
    z = np.exp(-2j * np.pi * frequencies.astype(np.float64) / 48_000.0)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1.0 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1.0 - 2.0 * z + z**2) / (1.0 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    gain: Floats = (np.abs(shelf * high_pass) ** 2).astype(np.float32)
    return gain


@lru_cache(maxsize=8)
def _plan(rate: int) -> _Plan:
    size = 1 << max(7, round(np.log2(rate * _WINDOW_SECONDS)))
    hann = np.hanning(size + 1)[:-1]
    # One-sided power spectrum whose sum is the mean square of the samples.
    window = (hann * np.sqrt(2.0 / (size * np.sum(hann**2)))).astype(np.float32)
    frequencies = np.fft.rfftfreq(size, 1.0 / rate).astype(np.float32)

    def band(low: float, high: float) -> slice:
        first, last = np.searchsorted(frequencies, (low, high))
        return slice(min(int(first), len(frequencies) - 2), max(int(last), int(first) + 1))

    speech = band(*_SPEECH)
    top = min(4500.0, rate * 0.45)
    edges = [edge for edge in _ROAR_EDGES if edge <= top]
    return _Plan(
        size=size,
        window=window,
        k_weight=k_weighting(frequencies),
        roar_bands=tuple(band(low, high) for low, high in pairwise(edges)),
        speech=speech,
        flux_edges=np.unique(
            np.searchsorted(
                frequencies, np.geomspace(100.0, min(8000.0, rate * 0.45), _FLUX_BANDS + 1)
            )
        ),
        pitch_size=1 << int(2 * speech.stop).bit_length(),
    )


def _roar(part: Floats, plan: _Plan) -> float:
    """Return the level (dB) of what is neither harmonic nor percussive.

    The median over time drops beats, a low quantile over frequency drops harmonics (the two
    filters of Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010);
    what remains is the floor between them, which broadband noise raises and music hardly does.
    """
    lowest, highest = plan.roar_bands[0].start, plan.roar_bands[-1].stop
    steady = np.partition(part[:, lowest:highest], len(part) // 2, axis=0)[len(part) // 2]
    floors = [
        _floor(np.sort(steady[band.start - lowest : band.stop - lowest]))
        for band in plan.roar_bands
    ]
    return float(np.mean(floors)) + _decibels(highest - lowest)


def _floor(ascending: Floats) -> float:
    return _decibels(ascending[int(len(ascending) * _FLOOR_QUANTILE)])


def _tonality(means: Floats, plan: _Plan) -> Floats:
    """Return, by row, 1 - spectral flatness, by band, so that a sloping noise counts as flat."""
    flatness = [
        np.exp(np.log(means[:, band]).mean(axis=1)) / means[:, band].mean(axis=1)
        for band in plan.roar_bands
    ]
    tonality: Floats = np.clip(1.0 - np.mean(flatness, axis=0), 0.0, 1.0)
    return tonality


def _flux(power: Floats, plan: _Plan) -> Floats:
    """Return the mean rise (dB) of the bands from hop to hop, for each hop."""
    bands = np.add.reduceat(power[:, : plan.flux_edges[-1]], plan.flux_edges[:-1], axis=1)
    level = 10 * np.log10(bands + _FLOOR)
    rise = np.maximum(np.diff(level, axis=0, prepend=level[:1]), 0)
    flux: Floats = rise.mean(axis=1).astype(np.float32)
    return flux


def _voicing(power: Floats, plan: _Plan, rate: int) -> Floats:
    """Return, by hop, the height of the autocorrelation's peak at the lags of a voice, 0 to 1.

    The square root of the power keeps one strong harmonic from hiding the others (Tolonen and
    Karjalainen, IEEE TSAP 8, 2000); above the band of speech there is only noise to correlate.
    """
    spectrum = np.zeros((len(power), plan.pitch_size // 2 + 1), np.float32)
    spectrum[:, 1 : plan.speech.stop] = np.sqrt(power[:, 1 : plan.speech.stop])
    correlation = np.fft.irfft(spectrum, axis=1)
    pitch_rate = rate * plan.pitch_size / plan.size
    first = int(pitch_rate / _PITCHES[1])
    part = correlation[:, first : int(pitch_rate / _PITCHES[0]) + 1]
    height = part.max(axis=1) / np.maximum(correlation[:, 0], _FLOOR)
    voicing: Floats = np.clip(height, 0, 1).astype(np.float32)
    return voicing


def _decibels(power: float) -> float:
    return float(10 * np.log10(max(float(power), _FLOOR)))


def _rounded(value: float) -> float:
    return round(float(value), 3)


_log = structlog.get_logger(__name__)


# A frame that its timestamp puts further outside its segment than this lies next to its neighbor.
_LONGEST_OVERRUN: Final = 2.0


_MOST_FRAMES: Final = 4 * 3600


_USUAL_STEP: Final = 0.04


_MPEG_TS_SYNC: Final = 0x47


# PyAV (18) reads planes up to a null pointer, which frames of eight channels and more lack.
_MOST_PLANES: Final = 7


_CUT_TOLERANCE: Final = 0.05


# Probing would decode pictures for unused information, which costs more than the keyframe.
_PROBE_OPTIONS: Final = {"skip_frame": "all", "format_whitelist": FORMATS}


# Kept, since setting up a scaler costs more than scaling. A media child has one thread.
_SCALER: Final = VideoReformatter()


class SegmentFile(Model):
    """A stored segment as a child process needs it; fields as in `SegmentRef`."""

    path: Path
    init_path: Path | None = None
    start: float
    duration: float
    first_timestamp: float
    audio_track: int | None = None


class UndecodableSegmentError(Exception):
    """Nothing in the segment could be decoded."""


@dataclass
class _AudioData:
    rate: int = 0
    first: float | None = None
    blocks: list[Floats] = field(default_factory=list)
    length: int = 0


@dataclass
class _VideoData:
    screen: ScreenReader | None = None
    latest: float = 0.0
    times: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    keys: list[KeyPicture] = field(default_factory=list)


def measure_segments(
    files: tuple[SegmentFile, ...], hud: Hud | None = None, screen: ScreenMemory | None = None
) -> tuple[SegmentSignals | None, ...]:
    """Measure each segment; None stands for one in which nothing could be decoded.

    Args:
        files: consecutive segments.
        hud: what to read on the screen; None reads nothing.
        screen: memory of the reader after the segments before; None at the start of a stream.
    """
    measured = []
    for file in files:
        signals = _measure_or_none(file, hud, screen)
        measured.append(signals)
        if signals is not None and signals.screen is not None:
            screen = signals.screen
    return tuple(measured)


def _measure_or_none(
    file: SegmentFile, hud: Hud | None, screen: ScreenMemory | None
) -> SegmentSignals | None:
    """Measure a segment; an error of a library costs this segment alone."""
    try:
        return measure_segment(file, hud, screen)
    except (UndecodableSegmentError, OSError, MemoryError):
        return None
    except Exception as error:  # noqa: BLE001 damaged media may raise anything
        _log.warning("segment_not_measured", path=file.path.name, problem=repr(error)[:200])
        return None


def measure_segment(
    file: SegmentFile, hud: Hud | None = None, screen: ScreenMemory | None = None
) -> SegmentSignals:
    """Measure one segment; `hud` and `screen` as for `measure_segments`.

    Raises:
        UndecodableSegmentError: nothing in it could be decoded.
        OSError: it could not be read.
    """
    data = file.path.read_bytes()
    init = file.init_path.read_bytes() if file.init_path else b""
    container_format = _container_format(init + data[:16])
    reader = None if hud is None else ScreenReader(hud, screen or ScreenMemory())
    heard, seen, damaged = _AudioData(), _VideoData(screen=reader), 0
    try:
        # Formats are limited and the input is memory, so that no content can make libav open
        # a playlist, a reference to another file, or the network.
        with av.open(
            io.BytesIO(init + data), "r", format=container_format, options=_PROBE_OPTIONS
        ) as container:
            damaged = _read(container, file, heard, seen)
    except DAMAGE as error:
        raise UndecodableSegmentError(f"cannot be read as {container_format}: {error}") from error
    if not heard.blocks and not seen.keys and not seen.sizes:
        raise UndecodableSegmentError("holds neither sound nor picture that can be decoded")
    return SegmentSignals(
        frames=_frames(file, heard, seen),
        damaged_packets=damaged,
        readings=tuple(reader.readings) if reader else (),
        screen=reader.memory() if reader else None,
    )


def _container_format(head: bytes) -> str | None:
    """Return the format that the first bytes name; None leaves packed audio to libav's probing."""
    if head[:1] == bytes([_MPEG_TS_SYNC]):
        return "mpegts"
    if head[4:8] in (b"ftyp", b"styp", b"moof", b"sidx", b"moov"):
        return "mp4"
    return None


def _read(container: InputContainer, file: SegmentFile, heard: _AudioData, seen: _VideoData) -> int:
    audio = audio_stream(container, file.audio_track)
    video = _video_stream(container)
    if video is not None:
        video.thread_count = 1
        video.codec_context.skip_frame = "NONKEY"
    chosen = {stream.index for stream in (audio, video) if stream is not None}
    damaged = 0
    # Damage can grow a new stream while reading, at which PyAV (18) stumbles: that is the end.
    with suppress(LookupError, TypeError, AttributeError, ArithmeticError):
        for packet in container.demux():
            if packet.stream_index not in chosen:
                continue
            try:
                _take(packet, file, heard, seen)
            except DAMAGE:
                damaged += 1
    return damaged


def _video_stream(container: InputContainer) -> VideoStream | None:
    """Return the first stream of pictures; one whose parameters lie in a segment before will do."""
    videos = container.streams.video
    usable = [stream for stream in videos if is_usable(stream)]
    return next(iter([*usable, *(each for each in videos if is_continued(each))]), None)


def _take(packet: Packet[Stream], file: SegmentFile, heard: _AudioData, seen: _VideoData) -> None:
    if packet.stream.type == "audio":
        for frame in packet.decode():
            _hear(frame, file, heard)  # type: ignore[arg-type]  # an audio stream's frames
        return
    if packet.size and not packet.is_keyframe:
        if is_usable(packet.stream) or _is_picture(packet):
            seen.times.append(_picture_offset(packet, file, seen))
            seen.sizes.append(packet.size)
        return
    for picture in packet.decode():
        if isinstance(picture, VideoFrame):
            offset = _offset(picture.time, file)
            seen.latest = seen.latest if offset is None else offset
            seen.keys.append(_key_picture(picture, file, seen.latest))
            if seen.screen is not None:
                seen.screen.see(picture, seen.keys[-1].time)


def _is_picture(packet: Packet[Stream]) -> bool:
    codec = packet.stream.codec_context
    return codec is not None and holds_picture(codec.name, bytes(packet))


def _picture_offset(packet: Packet[Stream], file: SegmentFile, seen: _VideoData) -> float:
    """Return where a picture lies; one with a timestamp of another clock follows the one before."""
    base = packet.time_base
    timestamp = packet.pts if packet.pts is not None else packet.dts
    offset = None
    if timestamp is not None and base is not None:
        offset = _offset(timestamp * base.numerator / base.denominator, file)
    if offset is None:
        step = float(packet.duration * base) if packet.duration and base else 0.0
        offset = seen.latest + (step if 0 < step <= _LONGEST_OVERRUN else _USUAL_STEP)
        offset = min(offset, file.duration)
    seen.latest = offset
    return offset


def _offset(timestamp: float | None, file: SegmentFile) -> float | None:
    """Return seconds from the segment's first timestamp; None where that is not in the segment."""
    if timestamp is None:
        return None
    offset = unwrap(timestamp, near=file.first_timestamp) - file.first_timestamp
    inside = -_LONGEST_OVERRUN <= offset <= file.duration + _LONGEST_OVERRUN
    return offset if inside else None


def _hear(frame: av.AudioFrame, file: SegmentFile, heard: _AudioData) -> None:
    if not frame.sample_rate:
        return
    if heard.first is None:
        heard.first, heard.rate = _offset(frame.time, file) or 0.0, frame.sample_rate
    if frame.sample_rate != heard.rate:
        return
    offset = _offset(frame.time, file)
    missing = 0
    if offset is not None:
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
    if frame.layout.nb_channels > _MOST_PLANES:
        (frame,) = av.AudioResampler(format="fltp", layout="mono").resample(frame)
    samples = frame.to_ndarray()
    channels = samples if frame.format.is_planar else samples.reshape(frame.samples, -1).T
    mono: Floats = channels.sum(axis=0, dtype=np.float32)
    scale = float(1 << (8 * samples.itemsize - 1)) if samples.dtype.kind == "i" else 1.0
    return mono / np.float32(scale * len(channels))


def _key_picture(picture: VideoFrame, file: SegmentFile, offset: float) -> KeyPicture:
    small = _SCALER.reformat(
        picture,
        width=THUMBNAIL_WIDTH,
        height=THUMBNAIL_HEIGHT,
        format="yuv444p",
        interpolation="AREA",
    ).to_ndarray()
    luma, blue, red = (tuple(map(int, plane.ravel())) for plane in small)
    return KeyPicture(
        time=round(file.start + offset, 3),
        luma=luma,
        blue=blue,
        red=red,
        hash=hash_of_frame(picture),
    )


def _frames(file: SegmentFile, heard: _AudioData, seen: _VideoData) -> tuple[SignalFrame, ...]:
    count = min(max(1, round(file.duration / FRAME_SECONDS)), _MOST_FRAMES)
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


def _pictures(seen: _VideoData, edges: NDArray[np.float64]) -> list[PictureFrame | None]:
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
                jolt=round(float(np.log2(largest / max(median(around.tolist()), 1.0))), 3),
            )
        )
    return frames
