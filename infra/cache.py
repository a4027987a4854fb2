"""An in-process cache of values that are loaded asynchronously."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TLRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True)
class _Entry(Generic[V]):
    value: V
    expires_at: float


class AsyncCache(Generic[K, V]):
    """A least-recently-used cache with a lifetime per value.

    Concurrent misses of a key share one load. A value that was loaded before an invalidation is
    returned to those who waited for it, but not cached.

    Args:
        capacity: values that are kept.
        lifetime: seconds from the start of a load for which its value is kept, or a function of
            the value; 0 for not at all.
        is_absent: True for a value that means "there is nothing". Those are kept apart, `capacity`
            of them, so that requests for what does not exist evict nothing that does.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        capacity: int,
        lifetime: float | Callable[[V], float] = math.inf,
        is_absent: Callable[[V], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime = lifetime
        self._is_absent = is_absent
        self._clock = clock
        self._present: TLRUCache[K, _Entry[V]] = TLRUCache(capacity, _expiry, clock)
        self._absent: TLRUCache[K, _Entry[V]] = TLRUCache(capacity, _expiry, clock)
        self._loading: dict[K, asyncio.Future[V]] = {}
        self._invalidations = 0

    async def get_or_load(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """Return the cached value, else the one that `load` returns.

        Raises:
            Exception: whatever `load` raised, to all who waited for it; nothing is cached.
        """
        while True:
            entry = self._entry(key)
            if entry is not None:
                return entry.value
            loading = self._loading.get(key)
            if loading is None:
                return await self._load(key, load)
            try:
                return await asyncio.shield(loading)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not loading.cancelled() or (task is not None and task.cancelling()):
                    raise
                # The task that loaded the value was cancelled, not this one.

    def __contains__(self, key: K) -> bool:
        """Return True if a value is cached, including one that means "there is nothing"."""
        return self._entry(key) is not None

    def replace(self, key: K, change: Callable[[V], V]) -> None:
        """Change a cached value, if there is one; its lifetime stays."""
        entry = self._present.get(key)
        if entry is not None:
            self._present[key] = _Entry(change(entry.value), entry.expires_at)

    def invalidate(self, matches: Callable[[K, V], bool]) -> None:
        """Remove the values that match, and cache no value whose load is under way."""
        self._invalidations += 1
        self._loading.clear()
        for entries in (self._present, self._absent):
            for key, entry in list(entries.items()):
                if matches(key, entry.value):
                    entries.pop(key, None)

    def _entry(self, key: K) -> _Entry[V] | None:
        return self._present.get(key) or self._absent.get(key)

    async def _load(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        started, invalidations = self._clock(), self._invalidations
        loading: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._loading[key] = loading
        try:
            value = await load()
        except asyncio.CancelledError:
            loading.cancel()
            raise
        except Exception as error:
            loading.set_exception(error)
            loading.exception()  # it is raised here as well, so it counts as retrieved
            raise
        else:
            loading.set_result(value)
        finally:
            if self._loading.get(key) is loading:
                del self._loading[key]
        if invalidations == self._invalidations:
            self._store(key, value, started)
        return value

    def _store(self, key: K, value: V, started: float) -> None:
        lifetime = self._lifetime(value) if callable(self._lifetime) else self._lifetime
        entries, others = self._present, self._absent
        if self._is_absent(value):
            entries, others = others, entries
        others.pop(key, None)
        entries[key] = _Entry(value, started + lifetime)


def _expiry(_key: object, entry: _Entry[V], _now: float) -> float:
    return entry.expires_at
