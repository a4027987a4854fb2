"""Run ffmpeg as a bounded, cancellable child process that reports its progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from pydantic import Field, PositiveFloat, PositiveInt

from domain.model import Model
from infra.child_process import die_with_parent
from infra.priority import Niceness

MINIMUM_VERSION: Final = (7, 0)
"""Oldest ffmpeg whose clips the tests accept."""

_TERMINATE_GRACE = 2.0
_KEPT_LINES = 20
_ANSWER_TIMEOUT: Final = 20.0

# What clips and exports are made with (`infra.media.render`, `infra.media.exports`).
_ABILITIES: Final = {
    "demuxers": frozenset({"mov", "wav", "image2"}),
    "decoders": frozenset({"h264", "hevc", "vp9", "pcm_s16le", "png"}),
    "encoders": frozenset(
        {"libx264", "aac", "mjpeg", "libvpx-vp9", "libopus", "gif", "libwebp_anim", "pcm_s16le"}
    ),
    "bsfs": frozenset({"setts"}),
    "muxers": frozenset({"mp4", "mov", "image2", "hls", "ipod", "webm", "gif", "webp"}),
    "filters": frozenset(
        {"format", "interleave", "overlay", "pad", "scale", "setparams", "setpts", "setsar"}
        | {"settb", "split", "tonemap", "trim", "zscale", "atrim", "asetpts"}
        | {"aresample", "asplit", "ass", "bwdif", "colorchannelmixer", "crop", "delogo", "fps"}
        | {"gblur", "loudnorm", "palettegen", "paletteuse", "sendcmd", "tile"}
        | {"afade", "amix", "anullsrc", "apad", "color", "tpad", "xfade"}
    ),
    "protocols": frozenset({"file", "pipe"}),
}


class FfmpegLimits(Model):
    """What one ffmpeg process may use: CPU in seconds, memory and output in bytes, wall in s."""

    cpu_seconds: PositiveInt = 300
    memory_bytes: PositiveInt = 4 << 30
    output_bytes: PositiveInt = 1 << 30
    wall_seconds: PositiveFloat = 240.0
    threads: PositiveInt = Field(default=2, le=64)


class FfmpegError(Exception):
    """Ffmpeg failed; the message holds the last lines it wrote."""


class FfmpegKilledError(FfmpegError):
    """Ffmpeg was killed by a signal: by the kernel for lack of memory, or by one of its limits."""


class FfmpegTimeoutError(FfmpegError):
    """Ffmpeg ran for longer than it may and was killed."""


def find_ffmpeg(configured: Path | None = None) -> Path:
    """Return the ffmpeg to use: the configured one, else the one locked with `imageio-ffmpeg`.

    An ffmpeg on PATH is not used: it may be of any version and render clips differently.

    Raises:
        FfmpegError: it does not exist.
    """
    if configured is not None:
        if not configured.is_file() or not os.access(configured, os.X_OK):
            message = f"HIGHLIGHTS_FFMPEG_PATH names {configured}, which is not a file we can run"
            raise FfmpegError(message)
        return configured
    for path in sorted(Path(str(files("imageio_ffmpeg.binaries"))).glob("ffmpeg-*")):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    message = (
        "the Python package imageio-ffmpeg holds no ffmpeg for this platform: "
        "set HIGHLIGHTS_FFMPEG_PATH to one"
    )
    raise FfmpegError(message)


@cache
def check_ffmpeg(binary: Path) -> str:
    """Return the version of an ffmpeg that has all required features.

    Raises:
        FfmpegError: it does not run, is older than `MINIMUM_VERSION`, or lacks a feature.
    """
    version = _ask(binary, "-version").partition("\n")[0].removeprefix("ffmpeg version ")
    version = version.split(" ")[0]
    numbers = re.match(r"n?(\d+)\.(\d+)", version)
    # A build from the development branch has a date or a commit instead.
    if numbers and (int(numbers[1]), int(numbers[2])) < MINIMUM_VERSION:
        needed = ".".join(str(part) for part in MINIMUM_VERSION)
        message = f"{binary} is ffmpeg {version}; {needed} or later is needed"
        raise FfmpegError(message)
    for kind, names in _ABILITIES.items():
        offered = set(re.findall(r"[\w.-]+", _ask(binary, f"-{kind}")))
        if missing := sorted(names - offered):
            message = f"{binary} (ffmpeg {version}) lacks these {kind}: {', '.join(missing)}"
            raise FfmpegError(message)
    return version


def _ask(binary: Path, *arguments: str) -> str:
    try:
        answer = subprocess.run(
            [binary, "-hide_banner", *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_ANSWER_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        message = f"{binary} does not run: {error}"
        raise FfmpegError(message) from error
    text = answer.stdout.decode("utf-8", "replace")
    if answer.returncode != 0 or not text:
        message = f"{binary} does not answer {' '.join(arguments)} like an ffmpeg"
        raise FfmpegError(message)
    return text


async def run_ffmpeg(
    arguments: Sequence[str],
    *,
    limits: FfmpegLimits,
    on_progress: Callable[[float], None] | None = None,
) -> Sequence[str]:
    """Run ffmpeg in its own process group until it has finished; it dies with this process.

    On Linux the kernel kills it when the thread that runs the event loop ends, even by SIGKILL.
    It stays in our session, since Linux shares the CPU among sessions first (autogroup, sched(7)),
    and yields it to the rest of that. Returns the last lines that it wrote.

    Args:
        arguments: the whole command line, the binary first; `-progress pipe:1` is appended.
        limits: bounds on CPU, memory, output size and time.
        on_progress: called with the seconds of output written so far.

    Raises:
        FfmpegError: it exited with an error.
        FfmpegKilledError: a signal killed it.
        FfmpegTimeoutError: `limits.wall_seconds` ran out.
        asyncio.CancelledError: the caller was cancelled; the process is gone by then.
    """
    process = await asyncio.create_subprocess_exec(
        *die_with_parent(
            [arguments[0], "-progress", "pipe:1", "-nostdin", "-nostats", *arguments[1:]],
            stop_signal=signal.SIGKILL,
            niceness=Niceness.RENDERING,
        ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,
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
        raise FfmpegKilledError(message) if code < 0 else FfmpegError(message)
    return tuple(tail)


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
    """Terminate the process group, then kill what is left of it."""
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
