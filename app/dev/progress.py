"""Shows what a long set-up is doing: a spinner on a terminal, a line per step elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

_LINE_INTERVAL: Final = 10.0
_WIDTH: Final = 88


class Steps:
    """The current step, with the time since the first."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None)
        self._last_line = -_LINE_INTERVAL
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Show no more."""
        self.done()

    def done(self) -> None:
        """Show no more; what was shown on a terminal disappears."""
        if self._console.is_terminal:
            self._progress.stop()

    def show(self, step: str) -> None:
        """Show the current step; without a terminal, at most one line in ten seconds of a build."""
        if self._console.is_terminal:
            self._progress.update(self._task, description=step[:_WIDTH])
            return
        elapsed = time.monotonic() - self._started
        is_package = " " not in step
        if not is_package or elapsed - self._last_line >= _LINE_INTERVAL:
            self._last_line = elapsed
            self._console.print(f"[{elapsed:5.1f} s] {step}", markup=False, highlight=False)
