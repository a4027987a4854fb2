"""A limit holds over any window, for all who share it, and whatever happens to Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from infra.rate_limit import Limit, RateLimitBucket, RateLimiter, RateLimiterUnavailableError
from tests.fakes.redis_server import RedisServer

TEN = Limit(name="default", quota=10, window=60)


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[RateLimiter]:
    url = request.getfixturevalue("redis_server").url if request.param == "redis" else None
    limiter = RateLimiter(url, timeout=20.0)
    yield limiter
    await limiter.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the limiter goes by; a test moves them on."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def bucket(limit: Limit = TEN) -> RateLimitBucket:
    return RateLimitBucket(limit, f"owner-{uuid4()}")


async def test_an_untouched_limit_is_whole(limiter: RateLimiter, clock: list[float]) -> None:
    status = await limiter.look(bucket())
    assert (status.remaining, status.reset) == (10, 60)


async def test_what_is_used_is_gone_until_the_window_has_moved_on(
    limiter: RateLimiter, clock: list[float]
) -> None:
    own = bucket()
    await limiter.take([own], cost=4)
    clock[0] += 30
    verdict = await limiter.take([own], cost=6)
    assert (verdict.statuses[0].remaining, verdict.statuses[0].reset) == (0, 30)
    assert (await limiter.take([own], cost=1)).refused_by is not None
    clock[0] += 30.001
    assert (await limiter.look(own)).remaining == 4
    assert (await limiter.take([own], cost=5)).refused_by is not None
    assert (await limiter.take([own], cost=4)).refused_by is None


async def test_a_refusal_uses_nothing(limiter: RateLimiter) -> None:
    own = bucket()
    await limiter.take([own], cost=8)
    for _ in range(3):
        verdict = await limiter.take([own], cost=3)
        assert verdict.refused_by is not None
        assert verdict.refused_by.remaining == 2


async def test_what_the_first_bucket_refuses_costs_the_second_nothing(
    limiter: RateLimiter,
) -> None:
    narrow, wide = bucket(Limit(name="key", quota=1)), bucket()
    await limiter.take([narrow, wide], cost=1)
    verdict = await limiter.take([narrow, wide], cost=1)
    assert verdict.refused_by is not None
    assert verdict.refused_by.limit.name == "key"
    assert [status.remaining for status in verdict.statuses] == [0, 9]


async def test_requests_at_the_same_moment_never_get_more_than_the_quota(
    limiter: RateLimiter,
) -> None:
    own = bucket()
    verdicts = await asyncio.gather(*(limiter.take([own], cost=1) for _ in range(25)))
    assert sum(verdict.refused_by is None for verdict in verdicts) == TEN.quota


async def test_owners_do_not_share(limiter: RateLimiter) -> None:
    first, second = bucket(), bucket()
    await limiter.take([first], cost=10)
    assert (await limiter.look(second)).remaining == 10


async def test_processes_with_one_redis_share(redis_server: RedisServer) -> None:
    one, other = (RateLimiter(redis_server.url, timeout=20.0) for _ in range(2))
    own = bucket()
    await one.take([own], cost=7)
    assert (await other.take([own], cost=3)).refused_by is None
    assert (await one.take([own], cost=1)).refused_by is not None
    await one.close()
    await other.close()


async def test_an_outage_is_told_once_and_so_is_its_end(redis_server: RedisServer) -> None:
    limiter = RateLimiter(redis_server.url, timeout=20.0, retry_interval=0.0, count_locally=False)
    own = bucket()
    with capture_logs() as logs:
        await limiter.take([own], cost=1)
        redis_server.stop()
        for _ in range(3):
            with pytest.raises(RateLimiterUnavailableError):
                await limiter.take([own], cost=1)
        redis_server.start()
        await limiter.take([own], cost=1)
        await limiter.look(own)
    await limiter.close()
    assert [entry["event"] for entry in logs] == ["rate limits are away", "rate limits are back"]


async def test_while_redis_is_away_nobody_waits_for_it() -> None:
    connections = 0

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        limiter = RateLimiter(f"redis://127.0.0.1:{port}", timeout=0.05, retry_interval=3600.0)
        for _ in range(200):
            assert (await limiter.look(bucket())).remaining == TEN.quota
        await limiter.close()
    assert connections <= 1


class SlowPath:
    """A proxy before Redis whose replies take `delay` seconds."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.delay = 0.0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", self._port)
        there = asyncio.create_task(self._pump(reader, behind[1], slow=False))
        await self._pump(behind[0], writer, slow=True)
        there.cancel()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, slow: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if slow and self.delay:
                    await asyncio.sleep(self.delay)
                target.write(data)
        target.close()


async def granted(limiter: RateLimiter, own: RateLimitBucket, times: int) -> int:
    verdicts = await asyncio.gather(*(limiter.take([own], cost=1) for _ in range(times)))
    return sum(verdict.refused_by is None for verdict in verdicts)


async def test_while_replies_are_late_no_more_than_the_limit_passes(
    redis_server: RedisServer,
) -> None:
    own = bucket(Limit(name="default", quota=300))
    async with SlowPath(redis_server.port) as path:
        limiter = RateLimiter(path.url, timeout=0.2, retry_interval=0.05)
        total = await granted(limiter, own, 40)
        for delay in (0.5, 0.0, 0.5, 0.0):
            path.delay = delay
            total += await granted(limiter, own, 120)
            await asyncio.sleep(0.05)
        assert total == 300
        await limiter.close()


async def test_a_busy_loop_is_no_outage_of_redis(redis_server: RedisServer) -> None:
    limiter = RateLimiter(redis_server.url, timeout=0.4)
    own = bucket()
    await limiter.look(own)
    with capture_logs() as logs:
        asked = [asyncio.create_task(limiter.take([own], cost=1)) for _ in range(15)]
        for _ in range(3):  # replies arrive, and the process has no time for them
            await asyncio.sleep(0)
            time.sleep(0.5)  # noqa: ASYNC251 - this is what is tested
        verdicts = await asyncio.gather(*asked)
    assert sum(verdict.refused_by is None for verdict in verdicts) == TEN.quota
    assert logs == []
    await limiter.close()


async def test_a_redis_that_comes_back_empty_gives_nobody_the_limit_again(
    redis_server: RedisServer,
) -> None:
    limiter = RateLimiter(redis_server.url, timeout=20.0, retry_interval=0.0)
    own = bucket()
    assert await granted(limiter, own, 8) == 8
    redis_server.stop()
    assert await granted(limiter, own, 1) == 1
    redis_server.start()
    assert await granted(limiter, own, 5) == 1
    verdict = await limiter.take([own], cost=1)
    assert verdict.refused_by is not None
    assert verdict.refused_by.remaining == 0
    await limiter.close()


async def test_what_others_had_used_counts_while_redis_is_away(redis_server: RedisServer) -> None:
    one, other = (
        RateLimiter(redis_server.url, timeout=20.0, retry_interval=60.0) for _ in range(2)
    )
    own = bucket()
    assert await granted(one, own, 5) == 5
    assert await granted(other, own, 2) == 2
    redis_server.stop()
    assert await granted(other, own, 9) == 3
    await one.close()
    await other.close()


@pytest.mark.parametrize(
    "error",
    [
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOAUTH Authentication required.",
        "MOVED 3999 127.0.0.1:6381",
        "LOADING Redis is loading the dataset in memory",
        "MISCONF Redis is configured to save RDB snapshots",
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ],
    ids=lambda error: error.split()[0],
)
async def test_a_redis_that_refuses_leaves_the_limit_in_force(error: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            writer.write(f"-{error}\r\n".encode() * 4)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"redis://:hush-hush@127.0.0.1:{server.sockets[0].getsockname()[1]}"
        limiter = RateLimiter(url, timeout=5.0, retry_interval=0.0)
        with capture_logs() as logs:
            assert await granted(limiter, bucket(), 25) == TEN.quota
        assert [entry["event"] for entry in logs] == ["rate limits are away"]
        assert "hush" not in str(logs)
        await limiter.close()
