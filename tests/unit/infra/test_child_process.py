"""Child processes: none outlives its parent, and each leaves last words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.child_process import ChildProcess

PARENT = """
import sys
from pathlib import Path
from infra.child_process import ChildProcess
child = ChildProcess(["sleep", "60"], log=Path(sys.argv[1]))
print(child.pid, flush=True)
sys.stdin.read()
"""
STUBBORN = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True)"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, _ = psutil.wait_procs([child], timeout=10)
    assert gone == [child]


def test_stopping_asks_first(tmp_path: Path) -> None:
    child = ChildProcess(["sleep", "60"], log=tmp_path / "log", stop_signal=signal.SIGINT)
    # Until it is `sleep` it may ignore SIGINT, as the background jobs of a shell do.
    while psutil.Process(child.pid).name() != "sleep":
        assert child.running()
    child.stop()
    assert child.wait() == -signal.SIGINT


def test_stopping_what_will_not_stop_kills_it(tmp_path: Path) -> None:
    code = f"{STUBBORN}; import time; time.sleep(60)"
    child = ChildProcess([sys.executable, "-c", code], log=tmp_path / "log", grace=0.1)
    while child.last_words() != "1":
        assert child.running()
    child.stop()
    assert child.wait() == -signal.SIGKILL


def test_stopping_takes_grandchildren_along(tmp_path: Path) -> None:
    child = ChildProcess(["sh", "-c", "sleep 60 & echo $!; exec sleep 61"], log=tmp_path / "log")
    while not child.last_words():
        assert child.running()
    grandchild = psutil.Process(int(child.last_words()))
    child.stop()
    gone, _ = psutil.wait_procs([grandchild], timeout=10)
    assert gone == [grandchild]


def test_stopping_twice_is_no_error(tmp_path: Path) -> None:
    child = ChildProcess(["true"], log=tmp_path / "log")
    child.stop()
    child.stop()
    assert not child.running()


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", ""),
        ("listening\\nout of disk\\n", "out of disk"),
        (
            (
                "2026-11-29 UTC [7] PANIC:  could not read file global/pg_control\\n"
                "2026-11-29 UTC [6] LOG:  database system is shut down\\n"
            ),
            "could not read file global/pg_control",
        ),
        (
            (
                '{"level":"FATAL","msg":"cannot start","error":"disk I/O error"}\\n'
                '{"level":"INFO","msg":"bye"}\\n'
            ),
            "cannot start: disk I/O error",
        ),
        ('{"level":"info","message":"worker_ready"}\\n', ""),
        ("Error: failed starting server\\nusage: …\\n", "failed starting server"),
        ("error not_configured\\nNo server.\\nSet TEMPORAL_ADDRESS.\\n", "No server."),
        ("Traceback (most recent call last):\\n  File x\\nOSError: full\\n", "OSError: full"),
    ],
)
def test_last_words_are_the_line_that_says_why(tmp_path: Path, written: str, reason: str) -> None:
    child = ChildProcess(["printf", "%b", written], log=tmp_path / "log")
    child.wait()
    assert child.last_words() == reason


def test_last_words_are_short_and_not_an_earlier_process_own(tmp_path: Path) -> None:
    ChildProcess(["echo", "FATAL: an old error"], log=tmp_path / "log").wait()
    child = ChildProcess(["sh", "-c", "seq -s, 10000"], log=tmp_path / "log")
    child.wait()
    assert len(child.last_words()) == 300
    assert child.last_words().startswith("1,2,3")


@pytest.mark.parametrize("kind", ["directory", "missing parent that is a file"])
def test_a_log_that_cannot_be_written_does_not_keep_a_process_from_running(
    tmp_path: Path, kind: str
) -> None:
    log = tmp_path / "log"
    if kind == "directory":
        log.mkdir()
    else:
        log.write_text("")
        log = log / "below"
    child = ChildProcess(["true"], log=log)
    assert child.wait() == 0
    assert "cannot be read" in child.last_words()


def test_a_log_that_has_grown_large_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    os.truncate(log, 11 << 20)
    ChildProcess(["true"], log=log).wait()
    assert log.stat().st_size == 0
    assert log.with_name("log.1").stat().st_size == 11 << 20
