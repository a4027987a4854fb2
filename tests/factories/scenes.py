"""A short broadcast made of noise and moving boxes, as an HLS packager would cut it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import av
import numpy as np

from demo.ffmpeg import ffmpeg_path
from domain.media.segments import SegmentRef, Window
from infra.storage.segments import LocalSegmentStore
from tests.factories.screens import Screen

TENANT, STREAM = UUID(int=7), UUID(int=8)
STARTED = datetime(2026, 5, 1, 18, 0, tzinfo=UTC)
RATE, FPS, WIDTH, HEIGHT = 48_000, 25, 320, 180
SEGMENT = 2.0


@dataclass(frozen=True)
class Film:
    """Segments of two seconds with one moment: the first timestamp (s) and the bytes of each."""

    peak: float
    parts: tuple[tuple[float, bytes], ...]


@dataclass(frozen=True)
class Scene:
    """A film as ingest has stored it."""

    peak: float
    segments: tuple[SegmentRef, ...]
    store: LocalSegmentStore

    def windows(self, segments_each: int = 3) -> list[Window]:
        """Group the segments as ingest does."""
        groups = [
            self.segments[first : first + segments_each]
            for first in range(0, len(self.segments), segments_each)
        ]
        return [
            Window(
                index=index,
                variant="180p",
                segments=group,
                start=group[0].start,
                end=group[-1].end,
            )
            for index, group in enumerate(groups)
        ]


def film_scene(folder: Path, *, seconds: float = 40.0, peak: float = 24.0) -> Film:
    """Film a moment at `peak` seconds: a swell of noise, faster boxes, two cuts."""
    video = folder / "scene.mp4"
    _film(video, seconds=seconds, peak=peak)
    return Film(peak=peak, parts=_cut(video, folder))


def film_screens(folder: Path, screens: Sequence[Screen], *, peak: float) -> Film:
    """Film screens, each for a segment of two seconds, without sound."""
    video = folder / "screens.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.options = {"preset": "ultrafast", "g": "10", "sc_threshold": "0"}
        first = screens[0].frame()
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for number in range(10 * len(screens)):
            frame = screens[number // 10].frame()
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Film(peak=peak, parts=_cut(video, folder))


def _cut(video: Path, folder: Path) -> tuple[tuple[float, bytes], ...]:
    command = [ffmpeg_path(), "-loglevel", "error", "-i", str(video), "-c", "copy"]
    command += ["-f", "segment", "-segment_time", str(SEGMENT), str(folder / "%03d.ts")]
    subprocess.run(command, check=True, timeout=60)
    parts = []
    for file in sorted(folder.glob("*.ts")):
        with av.open(str(file)) as container:
            parts.append(((container.start_time or 0) / av.time_base, file.read_bytes()))
    return tuple(parts)


async def store_scene(film: Film, root: Path) -> Scene:
    """Put a film's segments into a new segment store, as ingest does."""
    store = LocalSegmentStore(root)
    segments = []
    for number, (first_timestamp, data) in enumerate(film.parts):
        key = f"{TENANT}/{STREAM}/media/180p/00000-{number:010d}.ts"
        await store.put(key, data)
        segments.append(
            SegmentRef(
                media_sequence=number,
                start=number * SEGMENT,
                duration=SEGMENT,
                first_timestamp=first_timestamp,
                key=key,
                size=len(data),
                program_date_time=STARTED + timedelta(seconds=number * SEGMENT),
                published_at=STARTED + timedelta(seconds=(number + 1) * SEGMENT),
            )
        )
    return Scene(peak=film.peak, segments=tuple(segments), store=store)


def _film(path: Path, *, seconds: float, peak: float) -> None:
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=FPS)
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.options = {"preset": "ultrafast", "g": str(2 * FPS), "sc_threshold": "0"}
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for frame in _pictures(seconds, peak):
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        samples = _samples(seconds, peak)
        for first in range(0, len(samples), 1024):
            block = av.AudioFrame.from_ndarray(samples[None, first : first + 1024], "fltp", "mono")
            block.sample_rate, block.pts, block.time_base = RATE, first, Fraction(1, RATE)
            container.mux(sound.encode(block))
        container.mux(sound.encode())


def _samples(seconds: float, peak: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    count = int(seconds * RATE)
    at = np.arange(count) / RATE
    swell = np.interp(at, [peak - 0.4, peak + 0.3, peak + 3, peak + 7], [0, 0.14, 0.12, 0])
    return (np.random.default_rng(3).normal(size=count) * (0.012 + swell)).astype(np.float32)


def _pictures(seconds: float, peak: float) -> list[av.VideoFrame]:
    rng = np.random.default_rng(4)
    places = rng.uniform(0, 1, (12, 2))
    speeds = rng.normal(size=(12, 2)) * 0.05
    frames = []
    for number in range(int(seconds * FPS)):
        at = number / FPS
        places = (places + speeds * (5 if peak - 3 < at < peak + 3 else 1) / FPS) % 1
        base = 60 + 90 * int(peak + 1.4 < at < peak + 3.4)
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        planes[:HEIGHT] = base + (np.arange(WIDTH) % 32)[None]
        for row, column in (places * (HEIGHT - 20, WIDTH - 20)).astype(int):
            planes[row : row + 20, column : column + 20] = 220
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        frames.append(frame)
    return frames
