"""A guide's snippets as the one program that a reader would run."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.installation import ROOT

FENCE: Final = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A snippet that is run; those of the language `shell` are for another terminal."""
_SECTION: Final = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def sections(name: str) -> dict[str, str]:
    """Return the sections of a page of docs/, by their titles."""
    return dict(_SECTION.findall((ROOT / "docs" / name).read_text("utf-8")))


def readme_sections() -> dict[str, str]:
    """Return the sections of README.md, by their titles."""
    return dict(_SECTION.findall((ROOT / "README.md").read_text("utf-8")))


def program(section: str, replaced: Mapping[str, str]) -> list[str]:
    """Return the command that runs a section's snippets, with what a reader replaces, too."""
    snippets = FENCE.findall(section)
    ((language, *others),) = [list(dict.fromkeys(language for language, _ in snippets))]
    assert others == [], "one language a section"
    text = "\n".join(text for _, text in snippets)
    for placeholder, value in replaced.items():
        assert placeholder in text or language == "python", f"{placeholder} is not in the section"
        text = text.replace(placeholder, value)
    if language == "python":
        return [sys.executable, "-c", text]
    assert language == "bash"
    if shutil.which("jq") is None:
        pytest.skip("no jq here, which the guides' commands need (bin/system-packages)")
    return ["bash", "-euo", "pipefail", "-c", text]


@asynccontextmanager
async def running(command: list[str], directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program in a directory until the block ends; our own modules can be imported."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
