"""The simple methods, each given every advantage.

Each has parameters (smoothing, clip length, where the clip lies around the peak, spacing), and
those are used with which it does best on the very videos and truths it is compared on. What is
reported for a baseline is therefore more than it could reach on a stream it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality.metrics import Interval, evaluate, mean
from benchmarks.quality.signals import GRID, Curve, Signals

_SMOOTHING: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds
_LENGTHS: Final = (6.0, 8.0, 10.0, 12.0, 14.0, 16.0)  # seconds
_SHIFTS: Final = (-8.0, -6.0, -4.0, -2.0, 0.0, 2.0)  # of the clip's middle from the peak, seconds
_WIDTHS: Final = (4.0, 6.0, 8.0, 12.0)  # seconds in which cuts are counted
_PHASES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the distance between clips
_SPACINGS: Final = (15.0, 24.0, 30.0)  # seconds
_CONTRAST: Final = (0.0, 30.0, 60.0)  # seconds of which the median is subtracted; 0 for none


class Video(NamedTuple):
    """One video: what a baseline may know of it, and what it is compared with."""

    duration: float
    signals: Signals
    true: tuple[Interval, ...]


Found = list[list[Interval]]
"""By video."""

Peaks = list[tuple[float, float]]
"""Times (seconds) and heights."""


def best_loudness(videos: Sequence[Video], counts: Sequence[int]) -> Found:
    """Return the loudest passages of each video, `counts` of them."""
    curves = (
        [_smooth(_contrast(video.signals.level, contrast), smoothing) for video in videos]
        for contrast, smoothing in product(_CONTRAST, _SMOOTHING)
    )
    return _best(_around_peaks(curves, counts), videos)


def best_cut_density(videos: Sequence[Video], counts: Sequence[int]) -> Found:
    """Return the passages of each video with the most cuts, `counts` of them."""
    curves = ([_smooth(video.signals.cuts, width) for video in videos] for width in _WIDTHS)
    return _best(_around_peaks(curves, counts), videos)


def best_uniform(videos: Sequence[Video], counts: Sequence[int]) -> Found:
    """Return evenly spaced clips of each video, `counts` of them."""
    tried = (
        [
            _even(video.duration, count, phase, length)
            for video, count in zip(videos, counts, strict=True)
        ]
        for phase, length in product(_PHASES, _LENGTHS)
    )
    return _best(tried, videos)


def _best(tried: Iterable[Found], videos: Sequence[Video]) -> Found:
    """Return the finding with the best mean F1 (ties: by mean IoU)."""

    def merit(found: Found) -> tuple[float, float]:
        told = mean([evaluate(f, v.true) for f, v in zip(found, videos, strict=True)])
        return told.f1, told.mean_iou

    return max(tried, key=merit)


def _even(duration: float, count: int, phase: float, length: float) -> list[Interval]:
    step = duration / max(count, 1)
    middles = [(index + phase) * step for index in range(count)]
    return [Interval(start=m - length / 2, end=m + length / 2) for m in middles]


def _around_peaks(curves: Iterable[list[Curve]], counts: Sequence[int]) -> Iterator[Found]:
    """Yield clips of every length and place around the peaks of each set of curves."""
    for of_videos, spacing in product(curves, _SPACINGS):
        peaks = [
            spaced_peaks(curve, count, spacing)
            for curve, count in zip(of_videos, counts, strict=True)
        ]
        for length, shift in product(_LENGTHS, _SHIFTS):
            yield [_clips(of_video, length, shift) for of_video in peaks]


def _clips(peaks: Peaks, length: float, shift: float) -> list[Interval]:
    return [
        Interval(
            start=max(0.0, at + shift - length / 2),
            end=max(0.5, at + shift + length / 2),
            score=height,
        )
        for at, height in peaks
    ]


def spaced_peaks(curve: Curve, count: int, spacing: float) -> Peaks:
    """Return the `count` highest points at least `spacing` seconds apart, highest first."""
    chosen: Peaks = []
    for index in np.argsort(-curve, kind="stable"):
        if len(chosen) == count:
            break
        at = float(index) * GRID
        if all(abs(at - other) >= spacing for other, _ in chosen):
            chosen.append((at, float(curve[index])))
    return chosen


def _contrast(curve: Curve, seconds: float) -> Curve:
    if not seconds:
        return curve
    half = int(seconds / GRID / 2)
    usual = [np.median(curve[max(0, i - half) : i + half + 1]) for i in range(len(curve))]
    return np.asarray(curve - np.array(usual))


def _smooth(curve: Curve, seconds: float) -> Curve:
    width = max(1, int(seconds / GRID)) | 1
    padded = np.pad(curve, width // 2, mode="edge")
    return np.asarray(np.convolve(padded, np.ones(width) / width, mode="valid"))
