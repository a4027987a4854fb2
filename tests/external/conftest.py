"""The programs of `tools/external`, which `bin/locked-tools` installs."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.openapi import document

SOURCE = Path(__file__).parents[2] / "tools" / "external"
LOCKS = ("package-lock.json", "go.sum")


@pytest.fixture(scope="session")
def tools(home: Path) -> Path:
    """Where the programs are; a skip where there is no npm to install them."""
    locked = b"".join((SOURCE / name).read_bytes() for name in LOCKS)
    path = home / "tools" / f"external-{hashlib.sha256(locked).hexdigest()[:12]}"
    if not path.is_dir():
        pytest.skip("tools/external is not installed: it needs npm (bin/locked-tools external)")
    return path


@pytest.fixture(scope="session")
def node() -> str:
    """Node.js."""
    return program("node")


@pytest.fixture(scope="session")
def openapi_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The OpenAPI document as tenants download it."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_text(json.dumps(document()), "utf-8")
    return path


def program(name: str) -> str:
    """The path of a program, or a skip."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(
    command: Sequence[object], *, cwd: Path | None = None, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it printed is in the result."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
