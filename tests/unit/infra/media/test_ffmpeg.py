"""ffmpeg as a child process: bounded, cancellable, and clear about what went wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import psutil
import pytest

from demo.ffmpeg import ffmpeg_path
from infra.media.ffmpeg import (
    FfmpegError,
    FfmpegLimits,
    FfmpegTimeoutError,
    check_ffmpeg,
    find_ffmpeg,
    run_ffmpeg,
)
from infra.priority import Niceness

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


async def test_runs_to_the_end_and_reports_progress(tmp_path: Path) -> None:
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


async def running(command: list[str]) -> asyncio.Task[Sequence[str]]:
    """Start a command, and return its task when it has reported progress."""
    reported = asyncio.Event()
    task = asyncio.create_task(
        run_ffmpeg(command, limits=FfmpegLimits(), on_progress=lambda _seconds: reported.set())
    )
    await reported.wait()
    return task


async def test_cancelling_leaves_no_process(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    task = await running(endless(output))
    assert len(processes_on(output)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_on(output) == []


async def test_ffmpeg_yields_the_processor_to_what_else_runs_in_our_session(
    tmp_path: Path,
) -> None:
    output = tmp_path / "out.mp4"
    task = await running(endless(output))
    (process,) = processes_on(output)
    assert process.nice() == os.nice(0) + Niceness.RENDERING
    assert os.getsid(process.pid) == os.getsid(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_process_that_ignores_being_asked_is_killed(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    task = await running([str(stubborn_program(tmp_path)), str(output)])
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


def test_an_ffmpeg_on_the_path_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = find_ffmpeg()
    (tmp_path / "ffmpeg").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "ffmpeg"))
    assert find_ffmpeg() == locked
    assert "imageio_ffmpeg" in locked.parts


def test_demo_and_tests_use_the_same_ffmpeg_as_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ffmpeg_path.__wrapped__() == str(find_ffmpeg())
    (tmp_path / "ffmpeg").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg_path.__wrapped__() == str(find_ffmpeg())


def test_a_platform_without_a_packaged_ffmpeg_gets_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.media.ffmpeg.files", lambda _package: tmp_path)
    with pytest.raises(FfmpegError, match="set HIGHLIGHTS_FFMPEG_PATH"):
        find_ffmpeg()


def test_the_locked_ffmpeg_can_do_all_that_clips_need() -> None:
    assert check_ffmpeg(BINARY) in subprocess.check_output([BINARY, "-version"], text=True)


def pretender(folder: Path, *, version: str, filters: str = "") -> Path:
    """A program that answers like an ffmpeg of some version, with the abilities of ours."""
    script = folder / "ffmpeg"
    script.write_text(
        f'#!/bin/sh\ncase "$2" in\n'
        f"-version) echo 'ffmpeg version {version} Copyright';;\n"
        f"-filters) {filters or f'exec {BINARY} -hide_banner -filters'};;\n"
        f'*) exec {BINARY} "$@";;\nesac\n'
    )
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("version", ["5.1.8-0+deb12u1", "n6.1", "4.4.2-0ubuntu0.22.04.1"])
def test_an_ffmpeg_that_is_too_old_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(FfmpegError, match=r"7\.0 or later is needed"):
        check_ffmpeg(pretender(tmp_path, version=version))


@pytest.mark.parametrize("version", ["7.0.2-static", "n7.1", "9.0", "N-118000-g1234abcd"])
def test_an_ffmpeg_that_is_recent_enough_is_accepted(tmp_path: Path, version: str) -> None:
    assert check_ffmpeg(pretender(tmp_path, version=version)) == version


def test_an_ffmpeg_without_a_filter_is_refused_by_the_filters_name(tmp_path: Path) -> None:
    poor = pretender(tmp_path, version="9.0", filters="echo ' .. scale V->V'")
    with pytest.raises(FfmpegError, match=r"lacks these filters: .*interleave.*trim"):
        check_ffmpeg(poor)


def test_a_program_that_is_no_ffmpeg_is_refused() -> None:
    with pytest.raises(FfmpegError, match="like an ffmpeg"):
        check_ffmpeg(Path("/bin/false"))


async def test_a_process_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    program = (
        "import asyncio, sys; from infra.media.ffmpeg import FfmpegLimits, run_ffmpeg;"
        "asyncio.run(run_ffmpeg(sys.argv[1:], limits=FfmpegLimits(),"
        " on_progress=lambda _: print('running', flush=True)))"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *endless(output), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    await parent.stdout.readline()
    encoders = psutil.Process(parent.pid).children()
    assert encoders
    parent.kill()
    await parent.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, encoders, 10)
    assert alive == []
