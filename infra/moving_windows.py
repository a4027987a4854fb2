"""Moving windows counted in this process, exactly, at the same small cost for every request.

The memory storage of the library `limits` keeps an entry for each unit, in a list that it copies
on a thread after every request. This one keeps an entry for each request, in a queue that it takes
expired ones off, and forgets owners of whom nothing is left. Beside a shared count in Redis it
also keeps what other processes had used when Redis last answered.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict, deque
from typing import Final

from limits.aio.storage import MemoryStorage

_SWEPT: Final = 2
"""Idle windows looked at for each request: more than come into being by it."""


class _Window:
    """What was used of one limit by one owner in the last `length` seconds, oldest first.

    Attributes:
        used: units used in this process.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._uses: deque[tuple[float, int]] = deque()
        self._others = 0
        self._others_at = -math.inf
        self.used = 0

    def move(self, now: float) -> None:
        """Take off what is over."""
        while self._uses and self._uses[0][0] < now - self._length:
            self.used -= self._uses.popleft()[1]
        if self._others_at < now - self._length:
            self._others = 0

    def add(self, now: float, units: int) -> None:
        self._uses.append((now, units))
        self.used += units

    def note_all(self, now: float, units: int) -> None:
        """Note how much all processes together have used; the rest is that of the others."""
        self._others, self._others_at = max(0, units - self.used), now

    def taken(self, *, with_others: bool) -> int:
        """Return the units used, with those that other processes had used when last heard of."""
        return self.used + (self._others if with_others else 0)

    def begin(self, now: float, *, with_others: bool) -> float:
        """Return when the oldest use was that still counts; now, if there is none."""
        first = self._uses[0][0] if self._uses else now
        return min(first, self._others_at) if with_others and self._others else first


class MovingWindows(MemoryStorage):
    """Storage of `limits` for its moving-window strategy, in memory.

    Attributes:
        count_others: whether what other processes had used when last heard of counts too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count_others = False
        # The longest unused first.
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Use `amount` units if the window has room for them."""
        now = time.time()
        window = self._used_window(key, expiry, now)
        if window.taken(with_others=self.count_others) + amount > limit:
            return False
        window.add(now, amount)
        return True

    def note_all(self, key: str, expiry: int, units: int) -> None:
        """Note how many units all processes together have used of a window."""
        now = time.time()
        if units or key in self._windows:
            self._used_window(key, expiry, now).note_all(now, units)

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002
        """Return when the window began, and the units used in it."""
        now = time.time()
        window = self._windows.get(key)
        if window is None:
            return now, 0
        window.move(now)
        others = self.count_others
        return window.begin(now, with_others=others), window.taken(with_others=others)

    def __len__(self) -> int:
        """Return how many owners' windows are remembered."""
        return len(self._windows)

    def _used_window(self, key: str, expiry: int, now: float) -> _Window:
        self._sweep(now)
        window = self._windows.setdefault(key, _Window(expiry))
        self._windows.move_to_end(key)
        window.move(now)
        return window

    def _sweep(self, now: float) -> None:
        for _ in range(min(_SWEPT, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            window.move(now)
            if window.taken(with_others=True):
                return
            del self._windows[key]
