"""What exports cost, as ratios to ffmpeg alone on the same media, by CPU time.

`python -m benchmarks.exports [--seconds 20] [--height 360]` makes one video with keyframes every
two seconds and compares, in one run: a copy and a smart cut with `ffmpeg -c copy`; a watermarked
encode with its own ffmpeg command run alone; fifty renditions made together with the same made one
by one; and the memory of ffmpeg for a source four times as long. CPU time counts this process and
all its children.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Final
from uuid import uuid4

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.quality.report import machine
from demo.ffmpeg import ffmpeg_path
from domain.exports.models import ExportSource, ExportSpec, RenditionSpec, Watermark
from infra.media.concat import SourceFile
from infra.media.exports import encode, renderer
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg, run_ffmpeg
from infra.media.pool import MediaPool
from infra.media.probe import probe
from infra.media.render import Cut

_CUT: Final = 0.7
"""Seconds that a smart cut takes from each end."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exports", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--height", type=int, default=360)
    arguments = parser.parse_args()
    asyncio.run(_measure(arguments.seconds, arguments.height))


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


async def _measure(seconds: float, height: int) -> None:
    console = Console(width=110)
    console.print(machine())
    with tempfile.TemporaryDirectory(prefix="exports-") as name:
        root = Path(name)
        film = _film(root / "film.mp4", seconds, height)
        parts = _segments(film, root / "parts")
        async with MediaPool(
            processes=1, memory_bytes=4 << 30, cpu_seconds=600, timeout=600.0
        ) as pool:
            stage = _Stage(pool, root / "work")
            table = Table("measurement", "CPU s", "of", "CPU s", "ratio", "target")
            await _compare_all(stage, table, film, parts, seconds)
            console.print(table)
            short = await _peak(stage, film, seconds)
            long = _film(root / "long.mp4", 4 * seconds, height)
            console.print(
                f"peak memory of one ffmpeg with six outputs: {short} MiB for {seconds:g} s, "
                f"{await _peak(stage, long, 4 * seconds)} MiB for {4 * seconds:g} s"
            )


async def _compare_all(
    stage: _Stage, table: Table, film: Path, parts: Sequence[SourceFile], seconds: float
) -> None:
    clip = [SourceFile(path=film, first_timestamp=0.0, duration=seconds)]
    mp4 = [RenditionSpec.model_validate({"format": "mp4"})]
    await stage.render(clip, mp4, offset=0.0, duration=seconds, movie=film)  # starts the pool
    copy = await _cost(lambda: _copied(film, stage.directory.parent / "plain.mp4"))

    async def whole() -> None:
        await stage.render(clip, mp4, offset=0.0, duration=seconds, movie=film)

    async def cut() -> None:
        await stage.render(parts, mp4, offset=_CUT, duration=seconds - 2 * _CUT)

    _row(
        table,
        "copy of a clip",
        await _cost(whole),
        other="ffmpeg -c copy",
        plain=copy,
        target="1.2",
    )
    _row(
        table,
        "smart cut of segments",
        await _cost(cut),
        other="ffmpeg -c copy",
        plain=copy,
        target="1.2",
    )
    commands: list[list[str]] = []
    original = encode.encode_command

    def noted(*arguments: object, **options: object) -> list[str]:
        commands.append(original(*arguments, **options))  # type: ignore[arg-type]
        return commands[-1]

    async def marked() -> None:
        setattr(renderer, original.__name__, noted)
        try:
            await stage.render(
                clip, mp4, offset=0.0, duration=seconds, watermark=Watermark(text="tldrtv")
            )
        finally:
            setattr(renderer, original.__name__, original)

    encoding = await _cost(marked)
    alone = await _cost(lambda: run_ffmpeg(commands[-1], limits=FfmpegLimits()))
    _row(
        table,
        "watermarked encode",
        encoding,
        other="its ffmpeg command alone",
        plain=alone,
        target="1.1",
    )
    fifty = _fifty()

    async def together() -> None:
        await stage.render(clip, fifty, offset=0.0, duration=seconds)

    async def apart() -> None:
        for each in fifty:
            await stage.render(clip, [each], offset=0.0, duration=seconds)

    _row(
        table,
        "50 renditions at once",
        await _cost(together),
        other="one by one",
        plain=await _cost(apart),
        target="0.35",
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


async def _cost(work: Callable[[], Awaitable[object]]) -> float:
    before = _cpu()
    await work()
    return _cpu() - before


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


def _film(path: Path, seconds: float, height: int) -> Path:
    size = f"{height * 16 // 9}x{height}"
    command = [ffmpeg_path(), "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", f"{seconds}"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-sc_threshold", "0"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)
    return path


def _segments(film: Path, folder: Path) -> list[SourceFile]:
    folder.mkdir()
    command = [ffmpeg_path(), "-v", "error", "-i", str(film), "-c", "copy", "-f", "segment"]
    subprocess.run([*command, "-segment_time", "2", str(folder / "%03d.ts")], check=True)
    return [
        SourceFile(path=path, first_timestamp=probe(str(path)).first_timestamp, start=2.0 * number)
        for number, path in enumerate(sorted(folder.glob("*.ts")))
    ]


def _row(table: Table, name: str, own: float, *, other: str, plain: float, target: str) -> None:
    table.add_row(name, f"{own:.2f}", other, f"{plain:.2f}", f"{own / plain:.2f}", target)


if __name__ == "__main__":
    main()
