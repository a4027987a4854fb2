"""Run ffmpeg as a bounded, cancellable child process that reports its progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import imageio_ffmpeg
from pydantic import Field, PositiveFloat, PositiveInt

from domain.model import Model

_TERMINATE_GRACE = 2.0
_KEPT_LINES = 20


class FfmpegLimits(Model):
    """What one ffmpeg process may use: CPU in seconds, memory and output in bytes, wall in s."""

    cpu_seconds: PositiveInt = 300
    memory_bytes: PositiveInt = 4 << 30
    output_bytes: PositiveInt = 1 << 30
    wall_seconds: PositiveFloat = 240.0
    threads: PositiveInt = Field(default=2, le=64)


class FfmpegError(Exception):
    """Ffmpeg failed; the message holds the last lines it wrote."""


class FfmpegTimeoutError(FfmpegError):
    """Ffmpeg ran for longer than it may and was killed."""


def find_ffmpeg(configured: Path | None = None) -> Path:
    """Return the ffmpeg to use: the configured one, that on PATH, else imageio-ffmpeg's.

    Raises:
        FfmpegError: none of them is there.
    """
    if configured is not None:
        if not configured.is_file():
            message = f"FFMPEG_PATH names {configured}, which is not a file"
            raise FfmpegError(message)
        return configured
    if found := shutil.which("ffmpeg"):
        return Path(found)
    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        message = "no ffmpeg: install one on PATH, or the Python package imageio-ffmpeg"
        raise FfmpegError(message) from error


async def run_ffmpeg(
    arguments: Sequence[str],
    *,
    limits: FfmpegLimits,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Run ffmpeg in a process group of its own until it has finished.

    Args:
        arguments: the whole command line, the binary first; `-progress pipe:1` is appended.
        limits: bounds on CPU, memory, output size and time.
        on_progress: called with the seconds of output written so far.

    Raises:
        FfmpegError: it exited with an error or was killed by a limit.
        FfmpegTimeoutError: `limits.wall_seconds` ran out.
        asyncio.CancelledError: the caller was cancelled; the process is gone by then.
    """
    process = await asyncio.create_subprocess_exec(
        arguments[0],
        "-progress",
        "pipe:1",
        "-nostdin",
        "-nostats",
        *arguments[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    tail: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        _limit(process.pid, limits)
        async with asyncio.timeout(limits.wall_seconds):
            await asyncio.gather(
                _read_progress(process.stdout, on_progress), _read_tail(process.stderr, tail)
            )
            code = await process.wait()
    except TimeoutError as error:
        message = f"ffmpeg did not finish within {limits.wall_seconds:.0f} s and was stopped"
        raise FfmpegTimeoutError(message) from error
    finally:
        await _end(process)
    if code != 0:
        cause = "; ".join(tail) or "it wrote no message"
        message = f"ffmpeg ended with {_describe(code)}: {cause}"
        raise FfmpegError(message)


def _limit(pid: int, limits: FfmpegLimits) -> None:
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
        resource.prlimit(pid, resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limits.output_bytes, limits.output_bytes))


async def _read_progress(
    stream: asyncio.StreamReader | None, on_progress: Callable[[float], None] | None
) -> None:
    if stream is None:
        return
    async for line in stream:
        key, _, value = line.decode("utf-8", "replace").strip().partition("=")
        if key == "out_time_us" and on_progress is not None and value.lstrip("-").isdigit():
            on_progress(max(0.0, int(value) / 1_000_000))


async def _read_tail(stream: asyncio.StreamReader | None, tail: deque[str]) -> None:
    if stream is None:
        return
    async for line in stream:
        if text := line.decode("utf-8", "replace").strip():
            tail.append(text[:400])


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no process behind: terminate the group, then kill what is still there."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        await asyncio.shield(asyncio.wait_for(process.wait(), _TERMINATE_GRACE))
    except (TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def _describe(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
