"""Published revisions never change: databases that ran one would not get the change."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

MIGRATIONS = Path(__file__).parents[3] / "migrations"


def frozen() -> dict[str, str]:
    """The SHA-256 of each published revision, by its file name."""
    lines = (MIGRATIONS / "frozen.sha256").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


@pytest.mark.parametrize("name", frozen())
def test_a_published_revision_is_as_it_was(name: str) -> None:
    content = (MIGRATIONS / "versions" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == frozen()[name], "write a new revision instead"


def test_every_revision_is_frozen() -> None:
    files = {path.name for path in (MIGRATIONS / "versions").glob("*.py")}
    assert files == frozen().keys(), "add new revisions by `make schema`"
