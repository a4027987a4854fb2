"""CPU of the local analyzer for one 720p stream at real time, in percent of a core.

`python -m benchmarks.analyzer_cost [--seconds 120]` makes a 720p25 stream of 1.7 Mbit/s with AAC
sound, runs the activity window by window, and counts the CPU time of this process and of its media
child, with all overhead. For comparison it then decodes the same segments in full.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import av
import psutil
from temporalio.testing import ActivityEnvironment

from activities.analysis.local import LocalAnalysis
from demo.ffmpeg import ffmpeg_path
from domain.analysis.messages import AnalyzeWindowInput
from domain.media.segments import SegmentRef, Window
from infra.media.pool import MediaPool
from infra.storage.segments import LocalSegmentStore

TARGET = 2.0
SEGMENT, SEGMENTS_A_WINDOW = 2.0, 3
TENANT, STREAM = UUID(int=1), UUID(int=2)


def make_stream(folder: Path, seconds: int) -> list[Path]:
    command = [
        *[ffmpeg_path(), "-loglevel", "error", "-f", "lavfi"],
        *["-i", "testsrc2=size=1280x720:rate=25,noise=alls=12:allf=t", "-f", "lavfi"],
        *["-i", "anoisesrc=color=pink:amplitude=0.1:sample_rate=48000", "-t", str(seconds)],
        *["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "50"],
        *["-keyint_min", "50", "-sc_threshold", "0", "-b:v", "1700k", "-maxrate", "1900k"],
        *["-bufsize", "3400k", "-c:a", "aac", "-b:a", "128k", "-ac", "2"],
        *["-f", "segment", "-segment_time", str(SEGMENT), str(folder / "%04d.ts")],
    ]
    subprocess.run(command, check=True)
    return sorted(folder.glob("*.ts"))


async def store_stream(store: LocalSegmentStore, files: list[Path]) -> list[Window]:
    segments = []
    for number, file in enumerate(files):
        with av.open(str(file)) as container:
            first_timestamp = (container.start_time or 0) / av.time_base
        key = f"{TENANT}/{STREAM}/media/720p/00000-{number:010d}.ts"
        data = await asyncio.to_thread(file.read_bytes)
        await store.put(key, data)
        segments.append(
            SegmentRef(
                media_sequence=number,
                start=number * SEGMENT,
                duration=SEGMENT,
                first_timestamp=first_timestamp,
                key=key,
                size=len(data),
                published_at=datetime.now(UTC),
            )
        )
    groups = [segments[i : i + SEGMENTS_A_WINDOW] for i in range(0, len(segments), 3)]
    return [
        Window(
            index=index,
            variant="720p",
            segments=tuple(group),
            start=group[0].start,
            end=group[-1].end,
        )
        for index, group in enumerate(groups)
    ]


def cpu_seconds() -> float:
    """Return the CPU time so far of this process and of the children that are running."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


async def analysis_cost(store: LocalSegmentStore, windows: list[Window]) -> float:
    """Return CPU seconds per window, the first (which starts the child) not counted."""
    environment = ActivityEnvironment()
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=120) as pool:
        analysis = LocalAnalysis(segments=store, pool=pool)
        begun = 0.0
        for window in windows:
            request = AnalyzeWindowInput(
                tenant_id=TENANT,
                stream_id=STREAM,
                windows=(window,),
                previous_window=window.index - 1 if window.index else None,
                profile_id="default",
                profile_version="1",
            )
            await environment.run(analysis.analyze_window, request)
            if window.index == 0:
                begun = cpu_seconds()
        return (cpu_seconds() - begun) / (len(windows) - 1)


def decode_cost(files: list[Path]) -> float:
    """Return CPU seconds per window of decoding every picture and all sound, on one thread."""
    begun = time.process_time()
    for file in files:
        with av.open(str(file)) as container:
            container.streams.video[0].thread_count = 1
            for packet in container.demux():
                packet.decode()
    return (time.process_time() - begun) / (len(files) / SEGMENTS_A_WINDOW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_stream(folder, seconds)
        store = LocalSegmentStore(folder / "store")
        windows = asyncio.run(store_stream(store, files))
        analysis = asyncio.run(analysis_cost(store, windows))
        decode = decode_cost(files)
        kilobits = sum(file.stat().st_size for file in files) * 8 / seconds / 1000
    window = SEGMENT * SEGMENTS_A_WINDOW
    share = 100 * analysis / window
    print(f"machine        {platform.machine()}, {psutil.cpu_count()} cores, {processor()}")
    print(f"stream         1280x720, 25/s, {kilobits:.0f} kbit/s in all, {len(windows)} windows")
    print(f"analysis       {share:.2f} % of a core at real time (target: at most {TARGET:g} %)")
    print(f"full decoding  {100 * decode / window:.2f} % of a core, {decode / analysis:.1f} times")
    print(f"one core holds {100 / share:.0f} streams")


def processor() -> str:
    """Return the processor's name if the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


if __name__ == "__main__":
    main()
