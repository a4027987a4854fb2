"""Sliding-window rate limits, counted in Redis or in this process.

The library `limits` counts. This adapter adds a deadline, a circuit breaker (no request waits for
Redis while it is known to be unavailable), and a second count in this process. A request passes
only if both counts have room. While Redis is unavailable, or comes back empty, a process therefore
never lets through more than the limit, less what the others had used when Redis last answered.

`SlidingWindowStorage` replaces the memory storage of `limits`, which walks over all owners after
requests: at 100 requests per second it took 31 to 69 % of a core, this one 3 %
(docs/decisions/0026-own-code.md). This one also remembers the usage of other processes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from infra.errors import NotConfiguredError
from infra.telemetry.metrics import DEPENDENCY_UP

T = TypeVar("T")


HARD_LIMIT: Final = 8
"""Multiple of the deadline after which waiting ends, however busy the event loop is."""


_SLICES: Final = 20


# A slice that took longer than this many times its length was spent on other work of the loop.
_LAG: Final = 1.5


async def within(work: Awaitable[T], seconds: float) -> T:
    """Await `work` for `seconds` in which the event loop was free to notice that it has ended.

    A plain timeout counts the loop's own lag: a reply that has long arrived is given up because
    the process was busy. Here the wait is divided into slices, and a slice that ended late does
    not count.

    Raises:
        TimeoutError: it has not ended; it is cancelled.
    """
    task = asyncio.ensure_future(work)
    clock = asyncio.get_running_loop().time
    began, counted, length = clock(), 0.0, seconds / _SLICES
    try:
        while True:
            start = clock()
            done, _ = await asyncio.wait((task,), timeout=length)
            if done:
                return task.result()
            took = clock() - start
            if took <= length * _LAG:
                counted += took
            if counted >= seconds or clock() - began >= seconds * HARD_LIMIT:
                raise TimeoutError
    finally:
        if not task.done():
            task.add_done_callback(_discard)
            task.cancel()


def _discard(task: asyncio.Future[T]) -> None:
    """Retrieve the exception of abandoned work, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()


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
        """Take off what is over, and what is in the future since the clock was set back."""
        while self._uses and self._uses[-1][0] > now:
            self.used -= self._uses.pop()[1]
        while self._uses and self._uses[0][0] < now - self._length:
            self.used -= self._uses.popleft()[1]
        if not now - self._length <= self._others_at <= now:
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


class SlidingWindowStorage(MemoryStorage):
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


_PREFIX: Final = "highlights"


_log = structlog.get_logger(__name__)


class RateLimiterUnavailableError(Exception):
    """Redis cannot be reached, and counting in this process alone is not wanted."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """At most `quota` units in any `window` seconds; `name` is how clients know it."""

    name: str
    quota: int
    window: int = 60


@dataclass(frozen=True)
class RateLimitBucket:
    """A limit as it holds for one owner: a tenant, a key, an address."""

    limit: Limit
    owner: str


@dataclass(frozen=True, kw_only=True)
class RateLimitStatus:
    """What is left of a limit, and in how many seconds the first used unit comes back."""

    limit: Limit
    remaining: int
    reset: int


@dataclass(frozen=True, kw_only=True)
class RateLimitResult:
    """How each bucket stands, and which of them had too little left, if any."""

    statuses: tuple[RateLimitStatus, ...]
    refused_by: RateLimitStatus | None = None


class RateLimiter:
    """Counts in Redis when there is a URL, so that processes share it; else in this process.

    Args:
        redis_url: `redis://…` or `rediss://…`.
        timeout: seconds within which Redis must answer; this process's own lag does not count.
        retry_interval: seconds between attempts while it is away.
        count_locally: whether to count in this process alone while Redis is away.

    Raises:
        NotConfiguredError: the URL is none of Redis.
    """

    def __init__(
        self,
        redis_url: str | None,
        *,
        timeout: float = 1.0,
        retry_interval: float = 2.0,
        count_locally: bool = True,
    ) -> None:
        self._timeout = timeout
        self._retry_interval = retry_interval
        self._count_locally = count_locally
        self._away = False
        self._next_attempt = -math.inf
        self._pool: ConnectionPool | None = None
        self._windows = SlidingWindowStorage()
        self._local = MovingWindowRateLimiter(self._windows)
        self._shared: MovingWindowRateLimiter | None = None
        if redis_url is not None:
            self._pool = _connections(redis_url, timeout * HARD_LIMIT)
            storage = RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                key_prefix=_PREFIX,
                connection_pool=self._pool,  # type: ignore[arg-type]  # as its documentation has it
            )
            self._shared = MovingWindowRateLimiter(storage)

    async def take(self, buckets: Sequence[RateLimitBucket], *, cost: int) -> RateLimitResult:
        """Use `cost` units of each bucket, in this order, until one has too little left.

        A refusal uses nothing of the bucket that refuses and of those after it.

        Raises:
            RateLimiterUnavailableError: Redis does not answer, and local counting is off.
        """
        if self._shared is None:
            return await self._take(self._local, buckets, cost)
        try:
            verdict = await self._ask(self._take(self._shared, buckets, cost))
        except RateLimiterUnavailableError:
            if not self._count_locally:
                raise
            return await self._take(self._local, buckets, cost)
        if verdict.refused_by is None:
            # Redis may have lost its data, or have been slow while others were let through here.
            own = await self._take(self._local, buckets, cost)
            if own.refused_by is not None:
                verdict = own
        self._note(buckets, verdict.statuses)
        return verdict

    async def look(self, bucket: RateLimitBucket) -> RateLimitStatus:
        """Return how a bucket stands; nothing is used.

        Raises:
            RateLimiterUnavailableError: Redis does not answer, and local counting is off.
        """
        if self._shared is None:
            return await self._status(self._local, bucket)
        try:
            status = await self._ask(self._status(self._shared, bucket))
        except RateLimiterUnavailableError:
            if not self._count_locally:
                raise
            return await self._status(self._local, bucket)
        self._note([bucket], [status])
        return status

    def _note(
        self, buckets: Sequence[RateLimitBucket], statuses: Sequence[RateLimitStatus]
    ) -> None:
        """Remember what all processes have used, for the time when Redis does not say."""
        for bucket, status in zip(buckets, statuses, strict=True):
            limit = bucket.limit
            key = _item(limit).key_for(bucket.owner)
            self._windows.note_all(key, limit.window, limit.quota - status.remaining)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _take(
        self, strategy: MovingWindowRateLimiter, buckets: Sequence[RateLimitBucket], cost: int
    ) -> RateLimitResult:
        refused: int | None = None
        for place, bucket in enumerate(buckets):
            if not await strategy.hit(_item(bucket.limit), bucket.owner, cost=cost):
                refused = place
                break
        statuses = await self._statuses(strategy, buckets)
        return RateLimitResult(
            statuses=statuses, refused_by=None if refused is None else statuses[refused]
        )

    async def _statuses(
        self, strategy: MovingWindowRateLimiter, buckets: Sequence[RateLimitBucket]
    ) -> tuple[RateLimitStatus, ...]:
        if strategy is self._local:  # tasks would cost more than what they do
            return tuple([await self._status(strategy, bucket) for bucket in buckets])
        return tuple(await asyncio.gather(*(self._status(strategy, each) for each in buckets)))

    async def _status(
        self, strategy: MovingWindowRateLimiter, bucket: RateLimitBucket
    ) -> RateLimitStatus:
        stats = await strategy.get_window_stats(_item(bucket.limit), bucket.owner)
        # Headers count in whole seconds, and Redis' Lua gives times with four decimals only.
        reset = max(1, math.ceil(round(stats.reset_time - time.time(), 2)))
        return RateLimitStatus(limit=bucket.limit, remaining=max(0, stats.remaining), reset=reset)

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        try:
            self._admit()
        except RateLimiterUnavailableError:
            question.close()
            raise
        try:
            answer = await within(question, self._timeout)
        except (TimeoutError, OSError, RedisError) as error:
            self._note_away(error)
            DEPENDENCY_UP.labels("redis").set(0)
            raise RateLimiterUnavailableError("Redis does not answer") from error
        DEPENDENCY_UP.labels("redis").set(1)
        if self._away:
            self._away = self._windows.count_others = False
            _log.info("rate limits are back")
        return answer

    def _admit(self) -> None:
        if not self._away:
            return
        now = time.monotonic()
        if now < self._next_attempt:
            raise RateLimiterUnavailableError("Redis did not answer lately")
        # This request tries, and those beside it do not.
        self._next_attempt = now + self._retry_interval

    def _note_away(self, error: Exception) -> None:
        if not self._away:
            _log.warning("rate limits are away", error=f"{type(error).__name__}: {error}")
        self._away = self._windows.count_others = True
        self._next_attempt = time.monotonic() + self._retry_interval


def _connections(url: str, timeout: float) -> ConnectionPool:
    try:
        return ConnectionPool.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise NotConfiguredError(
            "REDIS_URL is no URL of Redis.",
            remedy="Set it to `redis://host:6379/0`, or `rediss://…` for TLS, or leave it out.",
        ) from error


def _item(limit: Limit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(limit.quota, limit.window, namespace=limit.name)
