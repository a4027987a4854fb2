"""ffmpeg as a child process: bounded, cancellable, and clear about what went wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import imageio_ffmpeg
import psutil
import pytest

from infra.ffmpeg import (
    FfmpegError,
    FfmpegLimits,
    FfmpegTimeoutError,
    find_ffmpeg,
    run_ffmpeg,
)

BINARY = find_ffmpeg()


def endless(output: Path) -> list[str]:
    """A command that writes a second of film per second, for ever."""
    source = ["-re", "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25"]
    return [str(BINARY), "-loglevel", "error", "-y", *source, "-c:v", "libx264", str(output)]


def short(output: Path, *, seconds: float = 1.0) -> list[str]:
    source = ["-f", "lavfi", "-i", f"testsrc2=size=64x64:rate=25:duration={seconds}"]
    return [str(BINARY), "-loglevel", "error", "-y", *source, "-c:v", "libx264", str(output)]


def processes_on(output: Path) -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [each for each in children if str(output) in _command_line(each)]


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


async def test_runs_to_the_end_and_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[float] = []
    output = tmp_path / "out.mp4"
    await run_ffmpeg(short(output, seconds=2.0), limits=FfmpegLimits(), on_progress=told.append)
    assert output.stat().st_size > 0
    assert told == sorted(told)
    assert told[-1] == pytest.approx(2.0, abs=0.1)


async def test_a_failure_says_what_ffmpeg_said(tmp_path: Path) -> None:
    missing = tmp_path / "missing.ts"
    command = [str(BINARY), "-loglevel", "error", "-i", str(missing), str(tmp_path / "out.mp4")]
    with pytest.raises(FfmpegError, match=r"exit code \d+: .*No such file or directory"):
        await run_ffmpeg(command, limits=FfmpegLimits())


async def test_a_silent_failure_says_that_it_is_silent(tmp_path: Path) -> None:
    silent = [str(BINARY), "-loglevel", "quiet", "-i", str(tmp_path / "missing.ts"), "out.mp4"]
    with pytest.raises(FfmpegError, match="it wrote no message"):
        await run_ffmpeg(silent, limits=FfmpegLimits())


async def test_a_process_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(FfmpegTimeoutError, match="did not finish within"):
        await run_ffmpeg(endless(output), limits=FfmpegLimits(wall_seconds=0.5))
    assert processes_on(output) == []


async def test_cancelling_leaves_no_process(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    running = asyncio.Event()
    task = asyncio.create_task(
        run_ffmpeg(
            endless(output), limits=FfmpegLimits(), on_progress=lambda _seconds: running.set()
        )
    )
    await running.wait()
    assert len(processes_on(output)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_on(output) == []


async def test_a_process_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    running = asyncio.Event()
    task = asyncio.create_task(
        run_ffmpeg(
            [str(stubborn_program(tmp_path)), str(output)],
            limits=FfmpegLimits(),
            on_progress=lambda _seconds: running.set(),
        )
    )
    await running.wait()
    assert processes_on(output) != []  # more than one where the shell is just forking
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_on(output) == []


def stubborn_program(folder: Path) -> Path:
    script = folder / "stubborn"
    script.write_text(
        "#!/bin/bash\ntrap '' TERM\necho out_time_us=1\nwhile true; do sleep 1; done\n"
    )
    script.chmod(0o755)
    return script


async def test_an_output_that_grows_too_large_ends_the_process(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(FfmpegError, match=r"SIGXFSZ|File too large"):
        await run_ffmpeg(
            short(output, seconds=60.0), limits=FfmpegLimits(output_bytes=20_000, wall_seconds=60)
        )


async def test_a_process_that_takes_too_much_cpu_is_killed(tmp_path: Path) -> None:
    busy = [str(BINARY), "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360"]
    # Asked by SIGXCPU, ffmpeg ends by itself with 255.
    with pytest.raises(FfmpegError, match=r"exit code 255|SIGXCPU|SIGKILL"):
        await run_ffmpeg(
            [*busy, "-f", "null", "-"], limits=FfmpegLimits(cpu_seconds=1, wall_seconds=60)
        )


def test_the_configured_ffmpeg_is_used() -> None:
    configured = Path(imageio_ffmpeg.get_ffmpeg_exe())
    assert find_ffmpeg(configured) == configured


def test_a_configured_ffmpeg_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FfmpegError, match=r"FFMPEG_PATH names .* not a file"):
        find_ffmpeg(tmp_path / "ffmpeg")


def test_the_ffmpeg_on_the_path_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "ffmpeg"
    ours.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == ours


def test_without_one_on_the_path_the_packaged_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == Path(imageio_ffmpeg.get_ffmpeg_exe())


def test_without_any_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise RuntimeError("no ffmpeg exe could be found")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", missing)
    with pytest.raises(FfmpegError, match="install one on PATH"):
        find_ffmpeg()
