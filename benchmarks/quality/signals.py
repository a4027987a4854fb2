"""What the baselines hear and see: level and cuts, on a grid of a quarter of a second."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from demo.ffmpeg import ffmpeg_path

GRID: Final = 0.25
"""Seconds between two points of a curve."""

_SAMPLES: Final = 16_000
_FRAMES: Final = 12.5
_SIZE: Final = (64, 36)
_BINS: Final = 16

Curve = NDArray[np.float64]


class Signals(NamedTuple):
    """`level` in dBFS (RMS) and the number of `cuts`, by point of the grid."""

    level: Curve
    cuts: Curve


def measure(video: Path) -> Signals:
    """Decode the video once and measure both.

    Raises:
        subprocess.CalledProcessError: ffmpeg could not decode it.
    """
    level = _level(video)
    cuts = _cuts(video)
    points = max(len(level), len(cuts))
    return Signals(
        np.pad(level, (0, points - len(level)), mode="edge"), np.pad(cuts, (0, points - len(cuts)))
    )


def _level(video: Path) -> Curve:
    raw = _decode(video, ["-vn", "-ac", "1", "-ar", str(_SAMPLES), "-f", "f32le"])
    sound = np.frombuffer(raw, np.float32)
    each = int(_SAMPLES * GRID)
    blocks = sound[: len(sound) // each * each].reshape(-1, each).astype(np.float64)
    return np.asarray(10 * np.log10(np.mean(blocks**2, axis=1) + 1e-9))


def _cuts(video: Path) -> Curve:
    """Find cuts: frames whose colours differ from the last far more than is usual around them."""
    filters = f"fps={_FRAMES},scale={_SIZE[0]}:{_SIZE[1]}:flags=area"
    raw = _decode(video, ["-an", "-vf", filters, "-pix_fmt", "rgb24", "-f", "rawvideo"])
    frames = np.frombuffer(raw, np.uint8).reshape(-1, _SIZE[0] * _SIZE[1], 3)
    histograms = np.stack([_histogram(frame) for frame in frames])
    change = np.abs(np.diff(histograms, axis=0)).sum(axis=1) / 2
    usual = np.array([np.median(change[max(0, i - 12) : i + 13]) for i in range(len(change))])
    found = np.flatnonzero(change > usual + 0.25)
    curve = np.zeros(int(len(frames) / _FRAMES / GRID) + 1)
    np.add.at(curve, (found / _FRAMES / GRID).astype(int), 1.0)
    return curve


def _histogram(frame: NDArray[np.uint8]) -> Curve:
    counts = [np.bincount(frame[:, c] // (256 // _BINS), minlength=_BINS) for c in range(3)]
    return np.concatenate(counts) / (3 * len(frame))


def _decode(video: Path, options: list[str]) -> bytes:
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-i", str(video), *options, "pipe:1"]
    return subprocess.run(command, check=True, capture_output=True).stdout
