"""The least that any solution must do: one plain `ffmpeg -c copy -f segment` for each stream."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import psutil

from infra.media.ffmpeg import find_ffmpeg

_WARM_UP: Final = 6.0


async def measure_plain_ffmpeg(urls: Sequence[str], folder: Path, *, seconds: float) -> float:
    """Store each stream by one ffmpeg; return percent of a core for each stream.

    Raises:
        RuntimeError: one of them ended.
    """
    binary = str(find_ffmpeg(None))
    async with AsyncExitStack() as stack:
        processes = []
        for number, url in enumerate(urls):
            target = folder / str(number)
            target.mkdir(parents=True)
            process = await asyncio.create_subprocess_exec(
                *(binary, "-v", "error", "-i", url, "-c", "copy", "-f", "segment"),
                *("-segment_time", "2", str(target / "%05d.ts")),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            stack.push_async_callback(process.wait)
            stack.callback(process.kill)
            processes.append(psutil.Process(process.pid))
        await asyncio.sleep(_WARM_UP)
        before = sum(_cpu(each) for each in processes)
        await asyncio.sleep(seconds)
        after = sum(_cpu(each) for each in processes)
    return 100 * (after - before) / seconds / len(urls)


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        raise RuntimeError("an ffmpeg of the baseline ended") from None
    if process.status() == psutil.STATUS_ZOMBIE:
        raise RuntimeError("an ffmpeg of the baseline ended")
    return float(times.user + times.system)
