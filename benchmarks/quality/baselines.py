"""The simple methods, each given every advantage.

Each has parameters (smoothing, clip length, where the clip lies around the peak, spacing), and
those are used with which it does best (by F1, then mean IoU) on the very videos and truths it is
compared on. What is reported for a baseline is therefore more than it could reach on a stream it
does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality.metrics import CLIP_SECONDS, Interval, f1, mean_iou, saliency_of
from benchmarks.quality.signals import GRID, Curve

_SMOOTHING: Final = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds
_LENGTHS: Final = (6.0, 8.0, 10.0, 12.0, 14.0, 16.0)  # seconds
_SHIFTS: Final = (-8.0, -6.0, -4.0, -2.0, 0.0, 2.0)  # of the clip's middle from the peak, seconds
_WIDTHS: Final = (4.0, 6.0, 8.0, 12.0)  # seconds in which cuts are counted
_PHASES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of the distance between clips
_SPACINGS: Final = (15.0, 24.0, 30.0)  # seconds
_CONTRAST: Final = (0.0, 30.0, 60.0)  # seconds of which the median is subtracted; 0 for none

PEAKS: Final = ("loudness peaks", "librosa onsets")
"""Methods that look for peaks of a curve."""

DENSITIES: Final = ("scene-cut density", "scenedetect")
"""Methods that look for where there is most of something."""

UNIFORM: Final = "uniform"


class Video(NamedTuple):
    """One video: what a baseline may know of it, and what it is compared with."""

    duration: float
    curves: Mapping[str, Curve]
    true: tuple[Interval, ...]


class Found(NamedTuple):
    """What a method found in one video: clips, and the saliency of every two seconds."""

    clips: tuple[Interval, ...]
    saliency: tuple[float, ...]


Peaks = list[tuple[float, float]]
"""Times (seconds) and heights."""

_Try = tuple[list[list[Interval]], list[Curve], float]
"""Clips by video, and their curves, with how far they were shifted (seconds)."""


def best(name: str, videos: Sequence[Video], counts: Sequence[int]) -> list[Found]:
    """Return what the method of this name finds in each video, `counts` of them, at its best.

    Raises:
        KeyError: a video has no curve for it.
    """
    if name == UNIFORM:
        clips = max(_even_tries(videos, counts), key=lambda tried: _merit(tried, videos))
        return [
            Found(tuple(found), saliency_of(found, video.duration))
            for found, video in zip(clips, videos, strict=True)
        ]
    curves = [video.curves[name] for video in videos]
    shapes = _density_shapes(curves) if name in DENSITIES else _peak_shapes(curves)
    found, shaped, shift = max(
        _around_peaks(shapes, counts), key=lambda tried: _merit(tried[0], videos)
    )
    return [
        Found(tuple(clips), _saliency(curve, shift, video.duration))
        for clips, curve, video in zip(found, shaped, videos, strict=True)
    ]


def _merit(found: Sequence[Sequence[Interval]], videos: Sequence[Video]) -> tuple[float, float]:
    """Return what is to be as great as can be: F1, then mean IoU, summed over the videos."""
    told = [(f1(f, v.true), mean_iou(f, v.true)) for f, v in zip(found, videos, strict=True)]
    return sum(each for each, _ in told), sum(each for _, each in told)


def _even_tries(videos: Sequence[Video], counts: Sequence[int]) -> Iterator[list[list[Interval]]]:
    for phase, length in product(_PHASES, _LENGTHS):
        yield [
            _even(video.duration, count, phase, length)
            for video, count in zip(videos, counts, strict=True)
        ]


def _even(duration: float, count: int, phase: float, length: float) -> list[Interval]:
    step = duration / max(count, 1)
    middles = [(index + phase) * step for index in range(count)]
    return [Interval(start=m - length / 2, end=m + length / 2, score=1.0) for m in middles]


def _peak_shapes(curves: Sequence[Curve]) -> Iterator[list[Curve]]:
    for contrast in _CONTRAST:
        contrasted = [_contrast(curve, contrast) for curve in curves]
        for smoothing in _SMOOTHING:
            yield [_smooth(curve, smoothing) for curve in contrasted]


def _density_shapes(curves: Sequence[Curve]) -> Iterator[list[Curve]]:
    for width in _WIDTHS:
        yield [_smooth(curve, width) for curve in curves]


def _around_peaks(shapes: Iterable[list[Curve]], counts: Sequence[int]) -> Iterator[_Try]:
    """Yield clips of every length and place around the peaks of each set of curves."""
    for of_videos, spacing in product(shapes, _SPACINGS):
        peaks = [
            spaced_peaks(curve, count, spacing)
            for curve, count in zip(of_videos, counts, strict=True)
        ]
        for length, shift in product(_LENGTHS, _SHIFTS):
            yield [_clips(of_video, length, shift) for of_video in peaks], of_videos, shift


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


def _saliency(curve: Curve, shift: float, duration: float) -> tuple[float, ...]:
    """Return the mean of the curve, shifted as the clips were, over every two seconds."""
    each = int(CLIP_SECONDS / GRID)
    moved = np.interp(
        np.arange(int(duration / CLIP_SECONDS + 0.5) * each) * GRID - shift,
        np.arange(len(curve)) * GRID,
        curve,
    )
    return tuple(map(float, moved.reshape(-1, each).mean(axis=1)))


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
