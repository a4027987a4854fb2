"""What exports cost, as ratios to ffmpeg alone on the same media, by CPU time.

`python -m benchmarks.exports [--seconds 20] [--height 360] [--only copies …]` makes one video with
keyframes every two seconds and compares, in one run:

    memory      of ffmpeg, for a source four times as long
    copies      a copy and a smart cut with `ffmpeg -c copy`; the smart cut also with that and one
                ffmpeg that encodes just the pictures that have to be, with the same encoder
    watermark   a watermarked encode with its own ffmpeg command run alone
    fifty       fifty renditions made together with the same made one by one, and how many times
                the pictures of the source are decoded

CPU time counts this process and all its children. Each figure is printed when it is known.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

import psutil

from benchmarks.quality.report import machine
from demo.ffmpeg import ffmpeg_path
from domain.exports.models import ExportSource, ExportSpec, RenditionSpec, Watermark
from infra.media.concat import SourceFile
from infra.media.exports import encode, renderer
from infra.media.exports.group_encoder import OPTIONS
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg, run_ffmpeg
from infra.media.pool import MediaPool
from infra.media.probe import probe
from infra.media.render import Cut

_PARTS: Final = ("memory", "copies", "watermark", "fifty")
_MP4: Final = RenditionSpec.model_validate({"format": "mp4"})
_CUT: Final = 0.7
"""Seconds that a smart cut takes from each end."""

_GROUP: Final = 2.0
"""Seconds between keyframes."""

_ROUNDS: Final = 10
"""Copies are made so many times: the clock of a living process counts in hundredths of a second."""


def main() -> None:
    """Measure, and print each figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=_PARTS)
    arguments = parser.parse_args()
    asyncio.run(_measure(arguments.seconds, arguments.height, arguments.only))


class _Stage:
    """A renderer with a directory; each rendering starts in an empty one."""

    def __init__(self, pool: MediaPool, directory: Path) -> None:
        self.directory = directory
        self.renderer = ExportRenderer(
            pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits(wall_seconds=1800.0)
        )

    async def render(
        self,
        sources: Sequence[SourceFile],
        renditions: Sequence[RenditionSpec],
        *,
        offset: float,
        duration: float,
        movie: Path | None = None,
        watermark: Watermark | None = None,
    ) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        spec = ExportSpec(
            id=uuid4(),
            tenant_id=uuid4(),
            source=ExportSource(stream_id=uuid4(), start=offset, end=offset + duration),
            renditions=tuple(renditions),
            watermark=watermark,
        )
        cut = Cut(
            sources=tuple(sources), offset=offset, duration=duration, thumbnail_at=duration / 2
        )
        made = await self.renderer.render(
            cut, spec, range(1, len(renditions) + 1), directory=self.directory, movie=movie
        )
        if problems := [each.problem for each in made.values() if each.problem]:
            raise RuntimeError("; ".join(problems))


async def _measure(seconds: float, height: int, wanted: Sequence[str]) -> None:
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="exports-") as name:
        root = Path(name)
        film = _film(root / "film.mp4", seconds, height)
        async with _pool() as pool:
            stage = _Stage(pool, root / "work")
            clip = [SourceFile(path=film, first_timestamp=0.0, duration=seconds)]
            await stage.render(clip, [_MP4], offset=0.0, duration=seconds, movie=film)  # warms up
            if "memory" in wanted:  # first: the peak is that of all children so far
                short = await _peak(stage, film, seconds)
                long = await _peak(
                    stage, _film(root / "long.mp4", 4 * seconds, height), 4 * seconds
                )
                print(
                    f"peak memory of one ffmpeg with six outputs: {short} MiB for {seconds:g} s, "
                    f"{long} MiB for {4 * seconds:g} s"
                )
            if "copies" in wanted:
                await _compare_copies(stage, clip, _segments(film, root / "parts"))
            if "watermark" in wanted:
                await _compare_watermark(stage, clip)
            if "fifty" in wanted:
                await _compare_fifty(stage, clip)
    print(f"load average {os.getloadavg()[0]:.1f}")


async def _compare_copies(
    stage: _Stage, clip: Sequence[SourceFile], parts: Sequence[SourceFile]
) -> None:
    costs = await _copy_costs(stage, clip, parts, _ROUNDS)
    _show("copy of a clip", costs.copy, "ffmpeg -c copy", costs.plain, target=1.2)
    _show("smart cut of segments", costs.smart_cut, "ffmpeg -c copy", costs.plain, target=1.2)
    least = costs.plain + costs.ends
    _show("the same", costs.smart_cut, "ffmpeg -c copy and encoding the ends", least, target=1.2)


class CopyCosts(NamedTuple):
    """CPU time (s) of copies by ffmpeg alone and by us; `ends` is ffmpeg's for the cut groups."""

    plain: float
    ends: float
    copy: float
    smart_cut: float


def copy_costs(seconds: float, height: int, rounds: int) -> CopyCosts:
    """Return what copies of a video cost, on average of some rounds."""

    async def measure() -> CopyCosts:
        with tempfile.TemporaryDirectory(prefix="exports-") as name:
            root = Path(name)
            film = _film(root / "film.mp4", seconds, height)
            clip = [SourceFile(path=film, first_timestamp=0.0, duration=seconds)]
            parts = _segments(film, root / "parts")
            async with _pool() as pool:
                stage = _Stage(pool, root / "work")
                await stage.render(clip, [_MP4], offset=0.0, duration=seconds, movie=film)
                return await _copy_costs(stage, clip, parts, rounds)

    return asyncio.run(measure())


async def _copy_costs(
    stage: _Stage, clip: Sequence[SourceFile], parts: Sequence[SourceFile], rounds: int
) -> CopyCosts:
    film = clip[0]
    seconds, folder = film.duration or 0.0, stage.directory.parent

    async def whole() -> None:
        await stage.render(clip, [_MP4], offset=0.0, duration=seconds, movie=film.path)

    async def cut() -> None:
        await stage.render(parts, [_MP4], offset=_CUT, duration=seconds - 2 * _CUT)

    return CopyCosts(
        plain=await _cost(lambda: _copied(film.path, folder / "plain.mp4"), rounds=rounds),
        ends=await _cost(lambda: _encoded_ends(film.path, seconds, folder), rounds=rounds),
        copy=await _cost(whole, rounds=rounds),
        smart_cut=await _cost(cut, rounds=rounds),
    )


def _pool() -> MediaPool:
    return MediaPool(processes=1, memory_bytes=4 << 30, cpu_seconds=600, timeout=600.0)


async def _compare_watermark(stage: _Stage, clip: Sequence[SourceFile]) -> None:
    seconds = clip[0].duration or 0.0

    async def marked() -> None:
        await stage.render(
            clip, [_MP4], offset=0.0, duration=seconds, watermark=Watermark(text="tldrtv")
        )

    with _noted_encodes() as commands:
        cost = await _cost(marked)
    plain = await _cost(lambda: run_ffmpeg(commands[-1], limits=FfmpegLimits()))
    _show("watermarked encode", cost, "its ffmpeg command alone", plain, target=1.1)


async def _compare_fifty(stage: _Stage, clip: Sequence[SourceFile]) -> None:
    seconds, fifty = clip[0].duration or 0.0, _fifty()

    async def together() -> None:
        await stage.render(clip, fifty, offset=0.0, duration=seconds)

    async def apart() -> None:
        for each in fifty:
            await stage.render(clip, [each], offset=0.0, duration=seconds)

    with _noted_encodes() as commands:
        cost = await _cost(together)
    print(f"50 renditions at once: {cost:.2f} s of CPU, {len(commands)} decoding", flush=True)
    with _noted_encodes() as commands:
        plain = await _cost(apart)
    _show(f"the same against {len(commands)} decodings", cost, "one by one", plain, target=0.35)


@contextmanager
def _noted_encodes() -> Iterator[list[Sequence[str]]]:
    """Note each command that decodes the source's pictures."""
    commands: list[Sequence[str]] = []
    original = encode.encode_command

    def noted(*arguments: Any, **options: Any) -> list[str]:  # noqa: ANN401 - passed on
        command = original(*arguments, **options)
        commands.append(command)
        return command

    setattr(renderer, original.__name__, noted)
    try:
        yield commands
    finally:
        setattr(renderer, original.__name__, original)


def _show(name: str, own: float, other: str, plain: float, *, target: float) -> None:
    print(
        f"{name}: {own:.3f} s of CPU, {other} {plain:.3f} s: ratio {own / plain:.2f}, "
        f"target {target:g}",
        flush=True,
    )


def _fifty() -> list[RenditionSpec]:
    """Return what a publisher asks for: each shape in two sizes, each as five files."""
    shapes = product(("source", "16:9", "9:16", "1:1", "4:5"), (360, 480))
    files = (
        {"format": "mp4"},
        {"format": "hls"},
        {"format": "gif"},
        {"format": "thumbnail"},
        {"format": "storyboard"},
    )
    return [
        RenditionSpec.model_validate({"aspect": aspect, "resolution": size, **file})
        for (aspect, size), file in product(shapes, files)
    ]


async def _peak(stage: _Stage, film: Path, seconds: float) -> int:
    """Return the largest memory of any child so far (MiB), after a rendering with six outputs."""
    source = [SourceFile(path=film, first_timestamp=0.0, duration=seconds)]
    shapes = ("16:9", "9:16", "1:1", "4:5")
    wanted = [RenditionSpec.model_validate({"format": "mp4", "aspect": each}) for each in shapes]
    wanted += [RenditionSpec.model_validate({"format": each}) for each in ("gif", "audio")]
    await stage.render(source, wanted, offset=0.0, duration=seconds)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10


async def _cost(work: Callable[[], Awaitable[object]], *, rounds: int = 1) -> float:
    """Return the mean CPU time (s) of one round."""
    before = _cpu()
    for _ in range(rounds):
        await work()
    return (_cpu() - before) / rounds


def _cpu() -> float:
    """Return the CPU time (s) of this process, its dead children, and those that live."""
    total = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total


async def _copied(film: Path, target: Path) -> None:
    command = [ffmpeg_path(), "-v", "error", "-y", "-i", str(film), "-c", "copy"]
    await run_ffmpeg([*command, "-movflags", "+faststart", str(target)], limits=FfmpegLimits())


async def _encoded_ends(film: Path, seconds: float, folder: Path) -> None:
    """Encode what a smart cut encodes: of the first and the last group what the clip shows."""
    command = [ffmpeg_path(), "-v", "error", "-y"]
    for start in (_CUT, seconds - _GROUP):
        command += ["-ss", f"{start:g}", "-t", f"{_GROUP - _CUT:g}", "-i", str(film)]
    options = [part for name, value in OPTIONS.items() for part in (f"-{name}", value)]
    for number in range(2):
        encode_end = ["-map", f"{number}:v", "-c:v", "libx264", *options]
        command += [*encode_end, str(folder / f"end{number}.mp4")]
    await run_ffmpeg(command, limits=FfmpegLimits())


def _film(path: Path, seconds: float, height: int) -> Path:
    size = f"{height * 16 // 9}x{height}"
    command = [ffmpeg_path(), "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", f"{seconds}"]
    command += [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-g",
        f"{25 * _GROUP:g}",
        "-sc_threshold",
        "0",
    ]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)
    return path


def _segments(film: Path, folder: Path) -> list[SourceFile]:
    folder.mkdir()
    command = [ffmpeg_path(), "-v", "error", "-i", str(film), "-c", "copy", "-f", "segment"]
    command += ["-segment_time", f"{_GROUP:g}", str(folder / "%03d.ts")]
    subprocess.run(command, check=True)
    return [
        SourceFile(
            path=path, first_timestamp=probe(str(path)).first_timestamp, start=_GROUP * number
        )
        for number, path in enumerate(sorted(folder.glob("*.ts")))
    ]


if __name__ == "__main__":
    main()
