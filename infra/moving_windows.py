"""Moving windows counted in this process, exactly, at the same small cost for every request.

The memory storage of the library `limits` keeps an entry for each unit, in a list that it copies
on a thread after every request. This one keeps an entry for each request, in a queue that it takes
expired ones off, and forgets owners of whom nothing is left.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from typing import Final

from limits.aio.storage import MemoryStorage

_SWEPT: Final = 2
"""Idle windows looked at for each request: more than come into being by it."""


class _Window:
    """What was used of one limit by one owner in the last `length` seconds, oldest first."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._uses: deque[tuple[float, int]] = deque()
        self.used = 0

    def move(self, now: float) -> None:
        """Take off what is over."""
        while self._uses and self._uses[0][0] < now - self._length:
            self.used -= self._uses.popleft()[1]

    def add(self, now: float, units: int) -> None:
        self._uses.append((now, units))
        self.used += units

    def begin(self, now: float) -> float:
        """Return when the oldest use was that still counts; now, if there is none."""
        return self._uses[0][0] if self._uses else now


class MovingWindows(MemoryStorage):
    """Storage of `limits` for its moving-window strategy, in memory."""

    def __init__(self) -> None:
        super().__init__()
        # The longest unused first.
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Use `amount` units if the window has room for them."""
        now = time.time()
        self._sweep(now)
        window = self._windows.setdefault(key, _Window(expiry))
        self._windows.move_to_end(key)
        window.move(now)
        if window.used + amount > limit:
            return False
        window.add(now, amount)
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """Return when the window began, and the units used in it."""
        now = time.time()
        window = self._windows.get(key)
        if window is None:
            return now, 0
        window.move(now)
        return window.begin(now), window.used

    def __len__(self) -> int:
        """Return how many owners' windows are remembered."""
        return len(self._windows)

    def _sweep(self, now: float) -> None:
        for _ in range(min(_SWEPT, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            window.move(now)
            if window.used:
                return
            del self._windows[key]
