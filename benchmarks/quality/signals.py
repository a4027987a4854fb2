"""What the simple methods hear and see: level and cuts, on a grid of a quarter of a second."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from demo.errors import PackagingError
from demo.ffmpeg import ffmpeg_path

GRID: Final = 0.25
"""Seconds between two points of a curve."""

_SAMPLES: Final = 16_000
_FRAMES: Final = 12.5
_SIZE: Final = (64, 36)
_BINS: Final = 16
_AROUND: Final = 12
_CUT: Final = 0.25
_BLOCK_SECONDS: Final = 60

Curve = NDArray[np.float64]


def level(video: Path) -> Curve:
    """Return the level of the sound in dBFS (RMS), by point of the grid.

    Raises:
        PackagingError: ffmpeg could not decode it.
    """
    each = int(_SAMPLES * GRID)
    loudness = [
        10 * np.log10(np.mean(block.reshape(-1, each).astype(np.float64) ** 2, axis=1) + 1e-9)
        for sound in sound_of(video, rate=_SAMPLES)
        if len(block := sound[: len(sound) // each * each])
    ]
    return np.concatenate(loudness) if loudness else np.zeros(0)


def sound_of(video: Path, *, rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield the mono downmix of the sound at `rate` samples a second, a minute at a time.

    Raises:
        PackagingError: ffmpeg could not decode it.
    """
    options = ["-vn", "-ac", "1", "-ar", str(rate), "-f", "f32le"]
    for block in _decode(video, options, size=4 * rate * _BLOCK_SECONDS):
        yield np.frombuffer(block, np.float32)


def cuts(video: Path) -> Curve:
    """Return the number of cuts, by point of the grid.

    A cut is where the colours differ from those of the last frame far more than is usual there.

    Raises:
        PackagingError: ffmpeg could not decode it.
    """
    filters = f"fps={_FRAMES},scale={_SIZE[0]}:{_SIZE[1]}:flags=area"
    options = ["-an", "-vf", filters, "-pix_fmt", "rgb24", "-f", "rawvideo"]
    size = 3 * _SIZE[0] * _SIZE[1]
    histograms = np.stack(
        [_histogram(np.frombuffer(block, np.uint8)) for block in _decode(video, options, size=size)]
    )
    change = np.abs(np.diff(histograms, axis=0)).sum(axis=1) / 2
    usual = np.array(
        [np.median(change[max(0, i - _AROUND) : i + _AROUND + 1]) for i in range(len(change))]
    )
    found = np.flatnonzero(change > usual + _CUT)
    return counted(found / _FRAMES, duration=len(histograms) / _FRAMES)


def counted(times: NDArray[np.float64], *, duration: float) -> Curve:
    """Return how many of `times` (seconds) fall to each point of the grid."""
    curve = np.zeros(int(duration / GRID) + 1)
    np.add.at(curve, np.minimum((times / GRID).astype(int), len(curve) - 1), 1.0)
    return curve


def _histogram(frame: NDArray[np.uint8]) -> Curve:
    pixels = frame.reshape(-1, 3)
    counts = [np.bincount(pixels[:, c] // (256 // _BINS), minlength=_BINS) for c in range(3)]
    return np.concatenate(counts) / (3 * len(pixels))


def _decode(video: Path, options: list[str], *, size: int) -> Iterator[bytes]:
    """Yield what ffmpeg makes of the video in blocks of `size` bytes; the last may be shorter."""
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-i", str(video), *options, "pipe:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout is None:
            raise RuntimeError("ffmpeg must be started with a pipe")
        while block := process.stdout.read(size):
            yield block
    if process.returncode:
        raise PackagingError(f"{video} could not be decoded by ffmpeg; see its output above")
