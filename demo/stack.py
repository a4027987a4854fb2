"""The embedded stack, started as a user would start it and stopped without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import Field, ValidationError

import demo
from demo.errors import StackError
from demo.model import Model

_ROOT = Path(demo.__file__).parent.parent
_START_TIMEOUT = 900.0  # the first start may have to build the Temporal server
_STOP_TIMEOUT = 30.0
_POLL = 0.1
_TAIL_LINES = 30


class Ready(Model, extra="ignore"):
    """What the stack writes to `ready.json` once everything answers."""

    api_url: str
    docs_url: str
    temporal_ui_url: str | None = None
    api_key: str
    pids: dict[str, int] = Field(default_factory=dict)


class Stack:
    """`highlights dev` on free ports while the context lasts.

    Args:
        state_dir: where it keeps its state.
        home: where it keeps what all installations share.
        log: file for all its output.
        code: the checkout that it runs.
    """

    def __init__(self, *, state_dir: Path, home: Path, log: Path, code: Path = _ROOT) -> None:
        self._state_dir = state_dir
        self._home = home
        self._log = log
        self._code = code
        self._ready_file = state_dir / "ready.json"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "HIGHLIGHTS_HOME": str(self._home),
            "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
            "PYTHONUNBUFFERED": "1",
        }
        with self._log.open("wb") as log:
            # A process group of its own: Ctrl-C reaches us alone, and we stop it in good order.
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.cli", "dev", "--free-ports"),
                *("--state-dir", str(self._state_dir)),
                cwd=self._code,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            self._kill_all(process)
        await process.wait()

    def _kill_all(self, process: asyncio.subprocess.Process) -> None:
        """End by force what would not stop: the supervisor first, lest it restart its parts."""
        parts: dict[str, int] = {}
        with contextlib.suppress(OSError, ValidationError):
            parts = Ready.model_validate_json(self._ready_file.read_bytes()).pids
        for pid in (process.pid, *parts.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def ready(self) -> Ready:
        """Wait until the stack answers.

        Raises:
            StackError: it died, or took more than a quarter of an hour; the end of its log is told.
        """
        file = self._ready_file
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                while not file.exists():
                    self.check()
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            raise self._failure("did not become ready") from error
        try:
            return Ready.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise self._failure(f"wrote a {file.name} that cannot be read ({error})") from error

    def check(self) -> None:
        """Raise a `StackError` when the stack is no longer running."""
        process = self._process
        if process is not None and process.returncode is not None:
            raise self._failure(f"ended with exit status {process.returncode}")

    def last_line(self) -> str:
        """Return the last line of the stack's output, to show what it is busy with."""
        return next(iter(self._tail(1)), "")

    def _tail(self, lines: int) -> list[str]:
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-lines:]

    def _failure(self, what: str) -> StackError:
        tail = "\n  ".join(self._tail(_TAIL_LINES))
        return StackError(
            f"The stack {what}. Run `highlights doctor` to see what is missing. "
            f"The end of {self._log}:\n  {tail}"
        )
