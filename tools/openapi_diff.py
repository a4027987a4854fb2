"""Show how the OpenAPI document of this checkout differs from that of a Git revision.

Usage: python tools/openapi_diff.py [--descriptions] REVISION

Prints one line per difference: added and removed paths, operations, parameters and components, and
changed fields, types, enums and bounds. Summaries, descriptions and examples, which change nothing
for a program, are counted, and printed with --descriptions. The exit status is 1 if anything but
these differs. The revision is exported to a temporary directory and imported from there with the
packages of this environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

PROSE = {"description", "summary", "example", "examples"}
_SCRIPT = "import json, sys; from tests.openapi import document; json.dump(document(), sys.stdout)"
_WIDTH = 120


def main(arguments: list[str]) -> int:
    """Print the differences; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("revision", metavar="REVISION")
    parser.add_argument("--descriptions", action="store_true", help="print changed texts too")
    options = parser.parse_args(arguments)
    found = list(differences(document_of(options.revision), document_in(Path.cwd())))
    contract = [line for line, is_prose in found if not is_prose]
    prose = [line for line, is_prose in found if is_prose]
    for line in contract:
        print(line)  # noqa: T201
    if options.descriptions:
        for line in prose:
            print(line)  # noqa: T201
    print(f"{len(contract)} differences, {len(prose)} of descriptions and examples")  # noqa: T201
    return 1 if contract else 0


def document_of(revision: str) -> dict[str, Any]:
    """Return the document of a Git revision."""
    with TemporaryDirectory(prefix="openapi-") as path, TemporaryFile() as archive:
        subprocess.run(["git", "archive", revision], stdout=archive, check=True)  # noqa: S607
        archive.seek(0)
        with tarfile.open(fileobj=archive) as files:
            files.extractall(path, filter="data")
        return document_in(Path(path))


def document_in(folder: Path) -> dict[str, Any]:
    """Return the document of the checkout in a folder."""
    made = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{folder / 'clients/python/src'}"},
        stdout=subprocess.PIPE,
        check=True,
    )
    document: dict[str, Any] = json.loads(made.stdout)
    return document


def differences(before: object, now: object, place: str = "") -> Iterator[tuple[str, bool]]:
    """Yield each difference as a line of text, with whether it is prose only."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            yield from _member(before, now, name, f"{place}/{name.replace('/', '~1')}")
    elif isinstance(before, list) and isinstance(now, list) and _are_sets(before, now):
        yield from ((f"- {place}: {_text(each)}", False) for each in before if each not in now)
        yield from ((f"+ {place}: {_text(each)}", False) for each in now if each not in before)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from differences(one, other, f"{place}/{number}")
    elif before != now:
        yield f"~ {place}: {_text(before)} -> {_text(now)}", False


def _member(
    before: dict[str, Any], now: dict[str, Any], name: str, place: str
) -> Iterator[tuple[str, bool]]:
    is_prose = name in PROSE and not place.endswith(f"/properties/{name}")
    if name not in now:
        yield f"- {place}: {_text(before[name])}", is_prose
    elif name not in before:
        yield f"+ {place}: {_text(now[name])}", is_prose
    elif is_prose and before[name] != now[name]:
        yield f"~ {place}: {_text(before[name])} -> {_text(now[name])}", True
    elif not is_prose:
        yield from differences(before[name], now[name], place)


def _are_sets(*lists: list[Any]) -> bool:
    """Return True for lists of names, such as enums and required fields: their order is free."""
    return all(isinstance(each, str) for values in lists for each in values)


def _text(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
