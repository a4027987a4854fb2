"""Values are loaded once, kept for their lifetime, and forgotten at once when invalidated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from infra.cache import AsyncCache
from tests.fakes.clock import FakeClock


class Source:
    """Counts loads; a load waits while the gate is closed."""

    def __init__(self) -> None:
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    def value(self, value: str) -> Callable[[], Awaitable[str]]:
        async def load() -> str:
            self.loads += 1
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return value

        return load


async def test_a_value_is_loaded_again_after_its_lifetime() -> None:
    clock, source = FakeClock(), Source()
    cache = AsyncCache[str, str](capacity=2, lifetime=5.0, clock=clock.monotonic)
    for seconds, loads in ((0.0, 1), (4.9, 1), (5.0, 2)):
        clock.seconds = seconds
        assert await cache.get_or_load("a", source.value("1")) == "1"
        assert source.loads == loads


async def test_a_lifetime_begins_with_the_load() -> None:
    clock, source = FakeClock(), Source()
    cache = AsyncCache[str, str](capacity=2, lifetime=5.0, clock=clock.monotonic)
    source.gate.clear()
    waiting = asyncio.create_task(cache.get_or_load("a", source.value("1")))
    await asyncio.sleep(0)
    clock.seconds = 4.0
    source.gate.set()
    assert await waiting == "1"
    assert "a" in cache
    clock.seconds = 5.0
    assert "a" not in cache


async def test_the_least_recently_used_goes_first() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2)
    for key in ("a", "b", "a", "c"):
        await cache.get_or_load(key, source.value(key))
    assert [key in cache for key in "abc"] == [True, False, True]


async def test_what_has_no_lifetime_is_not_kept() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2, lifetime=lambda value: 5.0 if value else 0.0)
    await cache.get_or_load("a", source.value(""))
    assert "a" not in cache


async def test_absent_values_evict_no_present_ones() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=1, is_absent=lambda value: not value)
    await cache.get_or_load("a", source.value("1"))
    for key in "bc":
        await cache.get_or_load(key, source.value(""))
    assert [key in cache for key in "abc"] == [True, False, True]


async def test_concurrent_misses_share_a_load() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2)
    source.gate.clear()
    waiting = [
        asyncio.create_task(cache.get_or_load("a", source.value(str(each)))) for each in range(3)
    ]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(*waiting) == ["0"] * 3
    assert source.loads == 1


async def test_an_error_is_everyones_and_nothing_is_kept() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2)
    source.error = ConnectionError("away")
    source.gate.clear()
    waiting = [asyncio.create_task(cache.get_or_load("a", source.value("1"))) for _ in range(2)]
    await asyncio.sleep(0)
    source.gate.set()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [ConnectionError] * 2
    assert "a" not in cache


async def test_when_the_loader_is_cancelled_another_loads() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2)
    source.gate.clear()
    first = asyncio.create_task(cache.get_or_load("a", source.value("1")))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.get_or_load("a", source.value("2")))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.gate.set()
    assert await second == "2"


async def test_who_waits_can_be_cancelled_alone() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2)
    source.gate.clear()
    first = asyncio.create_task(cache.get_or_load("a", source.value("1")))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.get_or_load("a", source.value("2")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    source.gate.set()
    assert await first == "1"


async def test_a_value_loaded_before_an_invalidation_is_not_kept() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=2)
    source.gate.clear()
    before = asyncio.create_task(cache.get_or_load("a", source.value("old")))
    await asyncio.sleep(0)
    cache.invalidate(lambda key, _: key == "a")
    after = asyncio.create_task(cache.get_or_load("a", source.value("new")))
    await asyncio.sleep(0)
    source.gate.set()
    assert await before == "old"
    assert await after == "new"
    assert await cache.get_or_load("a", source.value("newer")) == "new"


async def test_what_matches_is_invalidated() -> None:
    source = Source()
    cache = AsyncCache[str, str](capacity=3, is_absent=lambda value: not value)
    for key, value in (("a", "1"), ("b", "2"), ("c", "")):
        await cache.get_or_load(key, source.value(value))
    cache.invalidate(lambda key, value: key == "a" or not value)
    assert [key in cache for key in "abc"] == [False, True, False]


async def test_a_replaced_value_keeps_its_lifetime() -> None:
    clock, source = FakeClock(), Source()
    cache = AsyncCache[str, str](capacity=2, lifetime=5.0, clock=clock.monotonic)
    cache.replace("a", lambda value: value + "!")
    assert "a" not in cache
    await cache.get_or_load("a", source.value("1"))
    clock.seconds = 3.0
    cache.replace("a", lambda value: value + "!")
    assert await cache.get_or_load("a", source.value("2")) == "1!"
    clock.seconds = 5.0
    assert "a" not in cache
