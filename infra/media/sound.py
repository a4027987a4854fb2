"""The sound of a clip: decoded from its segments onto one clock, with silence between.

Segments of a live broadcast differ in codec, sample rate and channels (RFC 8216, 4.3.2.3). As
samples they are all the same, and each lies exactly where its timestamp puts it, so that nothing
before it can move it against the picture.
"""

from __future__ import annotations

import wave
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec.context import Flags2
from numpy.typing import NDArray

from infra.media.probe import DAMAGE

RATE: Final = 48_000
CHANNELS: Final = 2

_PULL: Final = round(0.015 * RATE)
"""Samples by which timestamps may deviate from the sound before until they count: rounding to
milliseconds and the jitter of packagers stay below, and viewers notice three times as much."""

_ADJACENT: Final = round(0.05 * RATE)


class SoundTrack:
    """Samples of the seconds `begin`..`end`.

    Sound fed to it must come in order of time, except where a source starts anew.
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
