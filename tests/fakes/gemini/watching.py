"""What the stand-in sees and hears in a video: it decodes the bytes it was sent."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np

from tests.fakes.gemini.rpc import RpcError
from tests.fakes.gemini.wire import VideoMetadata

_STEP = 0.1
_LOUD = 3.0
_NEAR_TOP = 0.8
_APART = 8.0
_USUAL = 0.2
_SILENT = 1e-4


class Seen(NamedTuple):
    """A moment in a video: seconds from the beginning of the file, and how much stands out (dB)."""

    start: float
    peak: float
    end: float
    decibels: float


@dataclass(frozen=True)
class Watched:
    """What an excerpt showed; `seconds` and `frames` are what was watched, as billed."""

    moments: tuple[Seen, ...]
    seconds: float
    frames: int
    heard: bool
    brightness: float


def duration(video: bytes) -> float:
    """Return seconds; refuses what cannot be decoded."""
    try:
        with av.open(io.BytesIO(video), "r") as container:
            if not container.streams.video:
                raise RpcError("INVALID_ARGUMENT", "The video has no video track.")
            return float(container.duration or 0) / av.time_base
    except av.error.FFmpegError as error:
        raise RpcError("INVALID_ARGUMENT", "The video is corrupted.") from error


def watch(video: bytes, part: VideoMetadata) -> Watched:
    """Watch an excerpt at so many frames a second: times are no finer than that."""
    length = duration(video)
    if part.start >= length:
        raise RpcError("INVALID_ARGUMENT", "start_offset lies beyond the end of the video.")
    fps = part.fps or 1.0
    times, levels = _loudness(video, part)
    luma = _brightness(video, part)
    seconds = min(length, part.end) - part.start
    return Watched(
        moments=tuple(_moments(times, levels, fps)),
        seconds=seconds,
        frames=max(1, round(seconds * fps)),
        heard=len(levels) > 0,
        brightness=luma,
    )


def _loudness(video: bytes, part: VideoMetadata) -> tuple[list[float], list[float]]:
    sums: dict[int, list[float]] = {}
    with av.open(io.BytesIO(video), "r") as container:
        if not container.streams.audio:
            return [], []
        for frame in container.decode(audio=0):
            at = float(frame.time or 0.0)
            if not part.start <= at < part.end:
                continue
            samples = frame.to_ndarray().astype(np.float64)
            sums.setdefault(int(at / _STEP), []).append(float(np.mean(samples**2)))
    places = sorted(sums)
    return [place * _STEP for place in places], [
        float(np.sqrt(np.mean(sums[place]))) for place in places
    ]


def _brightness(video: bytes, part: VideoMetadata) -> float:
    with av.open(io.BytesIO(video), "r") as container:
        container.streams.video[0].codec_context.skip_frame = "NONKEY"
        levels = [
            float(frame.to_ndarray(format="gray").mean())
            for frame in container.decode(video=0)
            if part.start <= float(frame.time or 0.0) < part.end
        ]
    return float(np.mean(levels)) / 255 if levels else 0.0


def _moments(times: list[float], levels: list[float], fps: float) -> list[Seen]:
    if not levels:
        return []
    usual = max(float(np.quantile(levels, _USUAL)), _SILENT)
    loud = [index for index, level in enumerate(levels) if level > _LOUD * usual]
    runs: list[list[int]] = []
    for index in loud:
        if runs and times[index] - times[runs[-1][-1]] < _APART:
            runs[-1].append(index)
        else:
            runs.append([index])
    found = []
    for run in runs:
        top = max(levels[index] for index in run)
        peak = next(times[index] for index in run if levels[index] >= _NEAR_TOP * top)
        last = times[run[-1]]
        found.append(
            Seen(
                start=_seen(max(times[0], peak - 3.0), fps),
                peak=_seen(peak, fps),
                end=_seen(max(last, peak + 1.0), fps),
                decibels=20 * float(np.log10(top / usual)),
            )
        )
    return found


def _seen(at: float, fps: float) -> float:
    return round(round(at * fps) / fps, 3)
