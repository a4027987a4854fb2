"""The long form: `python -m tests.fuzz [--seconds N] [target...]`, guided by coverage (atheris).

Each target runs in its own process. An input that fails is kept in build/fuzz/<target>, where the
inputs that reach new code also are; a run starts with them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

import atheris

_FOLDER: Final = Path("build/fuzz")
_LONGEST_INPUT: Final = 1 << 16
_SECONDS_FOR_ONE: Final = 10
_MEMORY_MIB: Final = 2048


def main() -> None:
    """Fuzz the targets one after the other; exit with 1 if any failed."""
    parser = argparse.ArgumentParser(prog="tests.fuzz")
    parser.add_argument("names", nargs="*", metavar="target")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _fuzz(options.one, options.seconds)
        return
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 a target's process instruments it

    unknown = set(options.names) - TARGETS.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    failed = [name for name in options.names or TARGETS if not _passes(name, options.seconds)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the inputs are in {_FOLDER}")


def _passes(name: str, seconds: int) -> bool:
    sys.stderr.write(f"--- {name}, {seconds} s\n")
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(seconds), "--one", name]
    return subprocess.run(command, check=False).returncode == 0


def _fuzz(name: str, seconds: int) -> None:
    """Fuzz one target; this process ends with it."""
    with atheris.instrument_imports(include=["domain", "infra", "webvtt", "zipfile"]):
        from tests.fuzz.targets import TARGETS, TOKENS  # noqa: PLC0415 instrumented on import

    folder = _FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (folder / f"seed-{number}").write_bytes(seed)

    dictionary = folder.with_suffix(".dict")
    dictionary.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS))

    def check(data: bytes) -> None:
        TARGETS[name].run(data)

    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST_INPUT}",
        f"-timeout={_SECONDS_FOR_ONE}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-artifact_prefix={folder}/failed-",
        f"-dict={dictionary}",
        "-verbosity=0",
        "-print_final_stats=1",
        str(folder),
    ]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)


if __name__ == "__main__":
    main()
