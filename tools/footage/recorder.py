"""Writes frames and samples of a game's own clock into an H.264/AAC file."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from demo.ffmpeg import ffmpeg_path

Picture = NDArray[np.uint8]
"""Height, width, red-green-blue."""
Sound = NDArray[np.int16]
"""Samples, channels."""


class RecordingError(Exception):
    """ffmpeg could not write the film; the text says what it said."""


class Format(NamedTuple):
    """What a game gives: size in pixels, frames and samples per second, channels of sound.

    `filters` is the ffmpeg filter chain that makes the film's picture of it.
    """

    width: int
    height: int
    fps: int
    rate: int
    channels: int
    filters: str = "null"


class Recorder:
    """A film that is being written; it exists under its name when the `with` block has ended.

    Pictures go to ffmpeg by a pipe. Sound is kept in a file until the end: two pipes into one
    ffmpeg block each other.
    """

    def __init__(self, video: Path, shape: Format) -> None:
        self._video, self._shape = video, shape
        self._folder = tempfile.TemporaryDirectory(dir=video.parent, prefix=".filming-")
        made = Path(self._folder.name)
        self._pictures, self._samples = made / "pictures.mp4", made / "samples.raw"

    def __enter__(self) -> Self:
        self._sound = self._samples.open("wb")
        size = f"{self._shape.width}x{self._shape.height}"
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(self._shape.fps)]
        self._ffmpeg = subprocess.Popen(
            [
                *(ffmpeg_path(), "-v", "error", "-y", *raw, "-i", "pipe:0"),
                *("-vf", f"{self._shape.filters},format=yuv420p"),
                *encoding(self._shape.fps),
                str(self._pictures),
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return self

    def write(self, picture: Picture, sound: Sound) -> None:
        """Append one frame and the sound that belongs to it.

        Raises:
            RecordingError: ffmpeg has ended.
        """
        if self._ffmpeg.stdin is None:
            raise RuntimeError("ffmpeg must be started with a pipe")
        try:
            self._ffmpeg.stdin.write(np.ascontiguousarray(picture).data)
        except BrokenPipeError as error:
            raise RecordingError(f"ffmpeg stopped: {self._complaint()}") from error
        self._sound.write(np.ascontiguousarray(sound, dtype="<i2").data)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sound.close()
        try:
            complaint = self._complaint()
            if kind is None:
                if self._ffmpeg.returncode:
                    raise RecordingError(f"ffmpeg failed: {complaint}")
                self._join()
        finally:
            self._folder.cleanup()

    def _complaint(self) -> str:
        _, said = self._ffmpeg.communicate()
        return said.decode(errors="replace").strip()[-400:]

    def _join(self) -> None:
        shape, partial = self._shape, self._video.with_suffix(".partial.mp4")
        raw = ["-f", "s16le", "-ar", str(shape.rate), "-ac", str(shape.channels)]
        run_ffmpeg(
            ["-i", str(self._pictures), *raw, "-i", str(self._samples)],
            ["-c:v", "copy", *SOUND, "-movflags", "+faststart", str(partial)],
        )
        partial.rename(self._video)


SOUND = ("-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2")
"""ffmpeg's options for a film's sound."""


def encoding(fps: int) -> tuple[str, ...]:
    """Return ffmpeg's options for a film's pictures: a keyframe every two seconds."""
    return (
        *("-c:v", "libx264", "-preset", "superfast", "-crf", "26"),
        *("-g", str(2 * fps), "-keyint_min", str(2 * fps), "-sc_threshold", "0"),
    )


def run_ffmpeg(inputs: list[str], outputs: list[str]) -> None:
    """Run ffmpeg to its end.

    Raises:
        RecordingError: it failed.
    """
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-y", *inputs, *outputs]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-600:]
        raise RecordingError(f"ffmpeg failed: {said}")


def read_samples(source: Path | bytes, rate: int) -> NDArray[np.float32]:
    """Return a recording as one channel in [-1, 1]; `source` is a file or its content.

    Raises:
        RecordingError: ffmpeg cannot read it.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    done = subprocess.run(
        [
            *(ffmpeg_path(), "-v", "error", "-i", "pipe:0"),
            *("-f", "f32le", "-ac", "1", "-ar", str(rate), "pipe:1"),
        ],
        input=content,
        check=False,
        capture_output=True,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-200:]
        raise RecordingError(f"ffmpeg could not read a recording: {said}")
    return np.frombuffer(done.stdout, np.float32)
