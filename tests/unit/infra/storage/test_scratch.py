"""Scratch directories: gone after use, and after the death of their process at the next start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.storage.scratch import scratch_directory, sweep_scratch

WRITER = (
    "import sys, time; from pathlib import Path\n"
    "from infra.storage.scratch import scratch_directory\n"
    "with scratch_directory(Path(sys.argv[1])) as directory:\n"
    "    (directory / 'pictures0.mp4').write_bytes(b'half')\n"
    "    print(directory, flush=True)\n"
    "    time.sleep(60)\n"
)


def aged(path: Path) -> None:
    """Make a file look as if it had been there for a minute."""
    settled = path.stat().st_mtime - 60
    os.utime(path, (settled, settled))


def test_a_directory_is_gone_after_use(tmp_path: Path) -> None:
    with scratch_directory(tmp_path / "new") as directory:
        (directory / "file").touch()
        assert directory.parent == tmp_path / "new"
    assert list((tmp_path / "new").iterdir()) == []


def test_a_directory_in_use_is_not_swept(tmp_path: Path) -> None:
    with scratch_directory(tmp_path) as directory:
        aged(directory / ".lock")
        assert sweep_scratch(tmp_path) == 0
        assert directory.is_dir()


def test_the_directory_of_a_killed_process_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        directory = Path(writer.stdout.readline().strip())
        aged(directory / ".lock")
        assert sweep_scratch(tmp_path) == 0
        writer.kill()
    assert (directory / "pictures0.mp4").is_file()
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("days", "left"), [(2, 0), (0, 1)])
def test_what_an_older_version_left_goes_after_a_day(tmp_path: Path, days: int, left: int) -> None:
    old = tmp_path / "highlights-clip-abc"
    old.mkdir()
    when = old.stat().st_mtime - days * 86_400
    os.utime(old, (when, when))
    (tmp_path / "something-else").mkdir()
    sweep_scratch(tmp_path)
    assert len(list(tmp_path.iterdir())) == left + 1
