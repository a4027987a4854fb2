"""What breaks a client of `/v1` since the last release, by oasdiff.

Usage: python -m tools.breaking_changes [release]

Without an argument it compares `clients/openapi.json` with the released document and exits with 1
for a break that `clients/breaking-changes.toml` does not allow. With `release` it makes the current
document the released one; the list of allowed breaks is then emptied by hand.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from infra.settings import Settings
from tools import openapi_document

_CLIENTS: Final = openapi_document.PATH.parent
RELEASED: Final = _CLIENTS / "openapi.released.json.gz"
ALLOWED: Final = _CLIENTS / "breaking-changes.toml"


class BreakingChange(BaseModel):
    """A change that oasdiff reports."""

    model_config = ConfigDict(frozen=True)

    id: str
    text: str
    method: str = Field(alias="operation", default="")
    path: str = ""

    @property
    def operation(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"


class AllowedBreak(BaseModel):
    """A break that is made on purpose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    operation: str
    reason: str = Field(min_length=20)


class _AllowList(BaseModel):
    model_config = ConfigDict(extra="forbid")

    allowed: list[AllowedBreak]


def read_allowed(text: str) -> Sequence[AllowedBreak]:
    """Return the breaks that a TOML document allows.

    Raises:
        pydantic.ValidationError: one has no id, operation or reason.
    """
    return _AllowList.model_validate(tomllib.loads(text)).allowed


def released() -> dict[str, Any]:
    """Return the document of the last release."""
    document: dict[str, Any] = json.loads(gzip.decompress(RELEASED.read_bytes()))
    return document


def find_program(home: Path) -> Path | None:
    """Return where `bin/locked-tools oasdiff` put the program, None if it is not installed."""
    return next((home / "tools").glob("oasdiff-*/bin/oasdiff"), None)


def breaking_changes(
    program: Path, before: dict[str, Any], after: dict[str, Any]
) -> Sequence[BreakingChange]:
    """Return what breaks a client of one document when it meets the other."""
    with TemporaryDirectory(prefix="oasdiff-") as folder:
        paths = [Path(folder, name) for name in ("before.json", "after.json")]
        for path, document in zip(paths, (before, after), strict=True):
            path.write_text(json.dumps(document), "utf-8")
        done = subprocess.run(
            [program, "breaking", "--format=json", *paths], stdout=subprocess.PIPE, check=True
        )
    return TypeAdapter(list[BreakingChange]).validate_json(done.stdout)


def problems(found: Sequence[BreakingChange], allowed: Sequence[AllowedBreak]) -> Sequence[str]:
    """Return one line for each break that is not allowed, and each entry that allows nothing."""
    breaks = {(each.id, each.operation) for each in found}
    entries = {(each.id, each.operation) for each in allowed}
    return [
        f"{each.operation}: {each.text} [{each.id}]. Restore it, or allow it in {ALLOWED.name}."
        for each in found
        if (each.id, each.operation) not in entries
    ] + [
        f"{operation}: {ALLOWED.name} allows {change}, which is not a change. Delete the entry."
        for change, operation in sorted(entries - breaks)
    ]


def main(arguments: list[str]) -> int:
    """Compare, or release; return the exit status."""
    document = openapi_document.PATH.read_bytes()
    if arguments == ["release"]:
        RELEASED.write_bytes(gzip.compress(document, mtime=0))
        return 0
    program = find_program(Settings().home_path())
    if program is None:
        sys.stderr.write("oasdiff is not installed: run bin/locked-tools oasdiff (needs Go)\n")
        return 1
    found = breaking_changes(program, released(), json.loads(document))
    lines = problems(found, read_allowed(ALLOWED.read_text("utf-8")))
    sys.stderr.writelines(f"{line}\n" for line in lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
