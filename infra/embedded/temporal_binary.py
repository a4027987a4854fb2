"""Finds the Temporal development server, or gets it.

In this order: `temporal` on PATH, our cache, the SDK's own download, `go install`.
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
from pathlib import Path
from typing import Final, Literal

from filelock import FileLock

from infra.embedded.child import tethered
from infra.errors import ComponentMissingError

VERSION: Final = "1.5.1"
MINIMUM_SERVER: Final = (1, 28)
MODULE: Final = f"github.com/temporalio/cli/cmd/temporal@v{VERSION}"
DOWNLOAD_TIMEOUT: Final = 120.0
_FLAGS: Final = f"-s -w -X github.com/temporalio/cli/temporalcli.Version={VERSION}"
_PROBE_TIMEOUT: Final = 20.0

Source = Literal["PATH", "cache", "download", "go install"]
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


def find(home: Path) -> TemporalBinary | None:
    """A binary that is already here: on PATH, else in the cache."""
    on_path = shutil.which("temporal")
    if on_path is not None and (binary := _probe(Path(on_path), "PATH")):
        return binary
    return _probe(cached_path(home), "cache")


def obtain(home: Path, *, offline: bool, progress: Progress) -> TemporalBinary:
    """A binary that is here, else one downloaded or built into the cache, once.

    Args:
        home: the home directory, whose `bin` is the cache.
        offline: neither download nor build.
        progress: told what is going on, line by line.

    Raises:
        ComponentMissingError: there is none, and none can be had.
    """
    binary = find(home)
    if binary is None and not offline:
        target = cached_path(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            binary = find(home) or _download(target, progress) or _build(target, progress)
    if binary is None:
        raise ComponentMissingError(
            f"There is no Temporal server {VERSION} here, and none could be downloaded or built.",
            remedy="Put the `temporal` CLI on PATH, install Go 1.25 or later so that it can be "
            "built, or set TEMPORAL_ADDRESS to a running server.",
        )
    return binary


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
                tethered(
                    [sys.executable, "-m", "infra.embedded.temporal_download", VERSION, scratch]
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
            tethered([go, "install", "-v", f"-ldflags={_FLAGS}", MODULE]),
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
