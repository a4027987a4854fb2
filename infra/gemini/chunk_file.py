"""Writes stored segments to one MP4 file for Gemini. Runs in a media child process.

Gemini does not accept MPEG-TS, so that video is remuxed to MP4 without encoding. If size or codec
change within a chunk, the longest run is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from domain.media.packet_times import TICKS
from domain.model import Model
from infra.media.audio import RATE
from infra.media.concat import PictureRun, SourceFile, SpliceError, splice
from infra.media.probe import OPTIONS
from infra.storage.scratch import scratch_directory

MIME_TYPE: Final = "video/mp4"
_LONGEST_LAST: Final = 10.0
"""Seconds that a last source of unknown duration is read for."""

_SOUND_BIT_RATE: Final = 96_000


class ChunkFile(Model):
    """A written file: `start` in seconds after the first source, `duration` in seconds."""

    start: float
    duration: float


def write_chunk(sources: Sequence[SourceFile], target: Path) -> ChunkFile:
    """Write `sources` to `target` as MP4 whose clock begins at its first picture or sound.

    Raises:
        SpliceError: there is no picture that could be written.
        FileNotFoundError: a segment is no longer there.
    """
    end = max(source.start + (source.duration or _LONGEST_LAST) for source in sources)
    try:
        with scratch_directory() as directory:
            spliced = splice(sources, str(directory), 0.0, end, 0.0)
            if not spliced.runs:
                raise SpliceError("none of the segments holds pictures that can be read")
            run = max(spliced.runs, key=lambda run: run.seconds)
            last = _write(run, spliced.sound, target, start=spliced.start)
    except av.error.FFmpegError as error:
        message = f"the piece cannot be written: {error.strerror or error}"
        raise SpliceError(message) from error
    return ChunkFile(start=spliced.start, duration=last)


def _write(run: PictureRun, sound: Path | None, target: Path, *, start: float) -> float:
    """Copy the pictures, encode the sound; return where the last picture ends (s)."""
    shift = run.base - round(start * TICKS)
    end = 0
    with (
        av.open(str(run.path), "r", options=OPTIONS) as pictures,
        av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as output,
    ):
        source = pictures.streams.video[0]
        stream: Any = output.add_stream_from_template(source, opaque=True)
        heard: AudioStream | None = None
        if sound is not None:
            heard = output.add_stream("aac", rate=RATE)
            heard.layout = "stereo"
            heard.bit_rate = _SOUND_BIT_RATE
        for packet in pictures.demux(source):
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.time_base = Fraction(1, TICKS)
            end = max(end, packet.pts + (packet.duration or 0))
            packet.stream = stream
            output.mux(packet)
        if sound is not None and heard is not None:
            for frame in (*_frames(sound, skip=round(start * RATE)), None):
                output.mux(heard.encode(frame))
    return end / TICKS


def _frames(sound: Path, *, skip: int) -> Iterator[AudioFrame]:
    """Yield the samples of a WAV file from `skip` on, counted from there."""
    with av.open(str(sound), "r", format="wav") as container:
        for frame in container.decode(audio=0):
            if frame.pts is not None and frame.pts >= skip:
                frame.pts -= skip
                yield frame
