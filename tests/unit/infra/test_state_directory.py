"""The state directory: one owner at a time, private secrets, and what is told to others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import AlreadyRunningError, StartFailedError
from infra.settings import Settings
from infra.state_directory import Running, StateDirectory, signing_secret

HOLDER = """
import sys
from pathlib import Path
from infra.state_directory import StateDirectory
with StateDirectory(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def a_running(pid: int) -> Running:
    return Running(
        pid=pid,
        pids={},
        api_url="http://127.0.0.1:1",
        docs_url="http://127.0.0.1:1/docs",
        temporal_address="127.0.0.1:2",
        temporal_namespace="default",
        clips="/clips",
        database_url="postgresql://h/d",
        api_key="hl_test_x",
    )


def test_a_second_owner_gets_the_pid_of_the_first(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(AlreadyRunningError, match=f"pid {holder.pid}"),
            StateDirectory(tmp_path),
        ):
            pass
        holder.communicate()


def test_the_lock_of_a_killed_owner_is_no_obstacle(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    with StateDirectory(tmp_path) as state:
        assert state.path == tmp_path


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StartFailedError, match="--state-dir"),
        StateDirectory(tmp_path / "file" / "state"),
    ):
        pass


def test_what_runs_is_announced_privately_and_withdrawn_at_the_end(tmp_path: Path) -> None:
    with StateDirectory(tmp_path) as state:
        state.announce(a_running(os.getpid()))
        assert (tmp_path / "ready.json").stat().st_mode & 0o777 == 0o600
        assert StateDirectory(tmp_path).running() == a_running(os.getpid())
    assert StateDirectory(tmp_path).running() is None
    assert not (tmp_path / "ready.json").exists()


def test_the_announcement_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    StateDirectory(tmp_path).announce(a_running(ended.pid))
    assert StateDirectory(tmp_path).running() is None


def test_a_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    secret = StateDirectory(tmp_path).secret("signing")
    assert StateDirectory(tmp_path).secret("signing") == secret
    assert StateDirectory(tmp_path).secret("other") != secret
    assert len(bytes.fromhex(secret)) == 32
    assert (tmp_path / "secrets" / "signing").stat().st_mode & 0o777 == 0o600


def test_a_configured_signing_secret_comes_before_the_installations_own(tmp_path: Path) -> None:
    assert (
        signing_secret(Settings(home=tmp_path, signing_secret="configured" * 4))
        == b"configured" * 4
    )
    assert not (tmp_path / "dev").exists()
    assert len(signing_secret(Settings(home=tmp_path))) == 64
