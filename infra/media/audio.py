"""Audio of clips and segments: decoding to one clock, and muxing separate audio into a segment.

Segments of a live broadcast differ in codec, sample rate and channels (RFC 8216, 4.3.2.3). As
samples they are uniform, and each is placed exactly at its timestamp, so that earlier audio cannot
shift it against the video. Muxing copies packets without decoding, in a media child process.
"""

from __future__ import annotations

import wave
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags2
from numpy.typing import NDArray

from domain.media.segments import AudioTrack
from domain.model import Model
from infra.media.probe import DAMAGE, OPTIONS, audio_tracks

RATE: Final = 48_000


CHANNELS: Final = 2


_PULL: Final = round(0.015 * RATE)
"""Samples by which timestamps may deviate from the sound before until they count: rounding to
milliseconds and the jitter of packagers stay below, and viewers notice three times as much."""


_ADJACENT: Final = round(0.05 * RATE)


class SoundTrack:
    """Samples of the seconds `begin`..`end`.

    Audio must be fed in order of time, except where a new source starts.
    """

    def __init__(self, begin: float, end: float) -> None:
        self._begin = begin
        self._samples = np.zeros((max(1, round((end - begin) * RATE)), CHANNELS), np.int16)
        self._heard: list[tuple[int, int]] = []
        self._parameters: tuple[object, ...] | None = None
        self._decoder: AudioCodecContext | None = None
        self._form: tuple[object, ...] | None = None
        self._resampler: AudioResampler | None = None
        self._position = 0

    def use(self, stream: Any) -> None:  # noqa: ANN401 PyAV's streams share no type
        """Decode what follows as this stream's; equal streams share a decoder.

        A transform codec needs the packet before to decode the next, across segments too.
        """
        context = stream.codec_context
        parameters = (
            context.name,
            context.sample_rate,
            context.layout.name,
            bytes(context.extradata or b""),
        )
        if parameters == self._parameters:
            return
        self.finish()
        decoder = av.CodecContext.create(context.name, "r")
        if context.extradata:
            decoder.extradata = context.extradata
        decoder.sample_rate = context.sample_rate
        decoder.layout = context.layout
        # Containers say which samples to skip relative to their own beginning, that of each
        # segment; timestamps already say the same.
        decoder.flags2 |= Flags2.skip_manual
        self._parameters, self._decoder = parameters, decoder

    def feed(self, packet: av.Packet[Any]) -> None:
        """Decode a packet on the clock of `begin`; damage is left out."""
        if self._decoder is None:
            return
        try:
            frames = self._decoder.decode(packet)
        except DAMAGE:
            return
        for frame in frames:
            if frame.time is not None and frame.samples and frame.sample_rate:
                self._place(frame, frame.time)

    def finish(self) -> None:
        """Write what decoder and resampler still hold."""
        if self._decoder is not None:
            with suppress(*DAMAGE):
                for frame in self._decoder.decode(None):
                    if frame.time is not None and frame.samples:
                        self._place(frame, frame.time)
        self._flush()
        self._decoder = self._parameters = None

    @property
    def heard(self) -> tuple[tuple[float, float], ...]:
        """Where there is sound, in order and in seconds on the clock of `begin`."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(self._heard):
            if merged and first <= merged[-1][1] + _ADJACENT:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return tuple((self._begin + a / RATE, self._begin + b / RATE) for a, b in merged)

    def write(self, path: Path) -> None:
        """Write all samples as a WAV file."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(CHANNELS)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self._samples.astype("<i2").tobytes())

    def frames(self) -> Iterator[AudioFrame]:
        """Yield all samples from time 0, a second at a time."""
        for first in range(0, len(self._samples), RATE):
            block = self._samples[first : first + RATE].reshape(1, -1)
            frame = AudioFrame.from_ndarray(block, format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            yield frame

    def _place(self, frame: AudioFrame, at: float) -> None:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        wanted = round((at - self._begin) * RATE)
        if form != self._form or abs(wanted - self._position) > _PULL:
            self._flush()
            self._position = wanted
            self._form = form
        if self._resampler is None:
            self._resampler = AudioResampler(format="s16", layout="stereo", rate=RATE)
        try:
            for each in self._resampler.resample(frame):
                self._put(each)
        except DAMAGE:  # the frame is not what it claims to be
            self._resampler = self._form = None

    def _flush(self) -> None:
        if self._resampler is not None:
            with suppress(*DAMAGE):
                for each in self._resampler.resample(None):
                    self._put(each)
        self._resampler = self._form = None

    def _put(self, frame: AudioFrame) -> None:
        block: NDArray[np.int16] = frame.to_ndarray().reshape(-1, CHANNELS).astype(np.int16)
        first, last = self._position, self._position + len(block)
        self._position = last
        begin, end = max(first, 0), min(last, len(self._samples))
        if begin < end:
            self._samples[begin:end] = block[begin - first : end - first]
            self._heard.append((begin, end))


_MUXERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "ts": ("mpegts", {"mpegts_copyts": "1"}),
    "mp4": (
        "mp4",
        {
            "movflags": "frag_keyframe+delay_moov+default_base_moof+frag_discont",
            "use_editlist": "1",
        },
    ),
}


class AudioSource(Model):
    """A segment of sound on local disk; `shift` (s) brings its clock to that of the pictures."""

    path: Path
    shift: float


class AudioMuxError(Exception):
    """The audio cannot be muxed with the video; the message states the reason."""


def mux_audio(
    video: str, sound: Sequence[AudioSource], target: str, suffix: str, span: tuple[float, float]
) -> tuple[AudioTrack, ...]:
    """Write the pictures of `video` and what sound lies within its time to `target`.

    Args:
        video: a segment of pictures.
        sound: segments of sound, in order.
        target: the file to write.
        suffix: of the segment: `ts` or `mp4`, which is what is written.
        span: where the pictures begin and end, in seconds of their own clock.

    Returns:
        The audio tracks written; none without any sound within that time.

    Raises:
        AudioMuxError: it cannot be done.
    """
    if suffix not in _MUXERS:
        raise AudioMuxError(f"segments of the type {suffix} hold no pictures")
    name, options = _MUXERS[suffix]
    try:
        with (
            av.open(video, options=OPTIONS) as pictures,
            av.open(target, "w", format=name, options=options) as output,
        ):
            source = pictures.streams.video[0]
            stream = output.add_stream_from_template(source)
            packets = [(packet, stream) for packet in _packets(pictures, source)]
            packets += _sound_packets(output, sound, *span, plain=suffix == "mp4")
            packets.sort(key=lambda each: float((each[0].dts or 0) * (each[0].time_base or 0)))
            heard = any(each[1] is not stream for each in packets)
            for packet, track in packets:
                packet.stream = track
                output.mux(packet)
        if not heard:
            return ()
        with av.open(target, options=OPTIONS) as written:
            return audio_tracks(written)
    except (av.error.FFmpegError, ValueError, IndexError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioMuxError(f"the sound does not go with the pictures ({reason})") from None


def _sound_packets(
    output: av.container.OutputContainer,
    sound: Sequence[AudioSource],
    start: float,
    end: float,
    *,
    plain: bool,
) -> Iterator[tuple[av.Packet[Any], Any]]:
    """Yield the packets within a time, from all sources of the same codec and form.

    `plain` asks for AAC without the ADTS headers that it has outside of MP4.
    """
    track: Any = None
    form: tuple[object, ...] = ()
    last: float | None = None
    for each in sound:
        with av.open(str(each.path), options=OPTIONS) as container:
            if not container.streams.audio:
                continue
            source = container.streams.audio[0]
            context = source.codec_context
            found = (context.name, context.sample_rate, context.channels)
            if track is None:
                track, form = output.add_stream_from_template(source), found
                if language := source.metadata.get("language"):
                    track.metadata["language"] = language
            if found != form:
                continue
            strip = plain and context.name == "aac" and not context.extradata
            for packet in (
                _without_headers(container, source) if strip else _packets(container, source)
            ):
                if packet.pts is None or packet.time_base is None:
                    continue
                offset = round(each.shift / packet.time_base)
                packet.pts += offset
                packet.dts = packet.pts
                at = float(packet.pts * packet.time_base)
                if start <= at < end and (last is None or at > last):
                    last = at
                    yield packet, track


def _without_headers(
    container: av.container.InputContainer,
    stream: Any,  # noqa: ANN401
) -> Iterator[av.Packet[Any]]:
    bare = BitStreamFilterContext("aac_adtstoasc", stream)
    for packet in _packets(container, stream):
        yield from bare.filter(packet)


def _packets(container: av.container.InputContainer, stream: Any) -> Iterator[av.Packet[Any]]:  # noqa: ANN401
    """Yield a stream's packets, up to where damaged media grows a new stream."""
    with suppress(LookupError):
        for packet in container.demux(stream):
            if packet.dts is not None and packet.size:
                yield packet
