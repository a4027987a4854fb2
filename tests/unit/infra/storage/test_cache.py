"""The local cache of media: one load per key, bounded, and gone with its process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from infra.storage.cache import MediaCache
from tests.unit.infra.storage.test_scratch import aged

KILLED_WRITER = """
import asyncio, os, signal, sys
from pathlib import Path
from infra.storage.cache import MediaCache

async def write():
    cache = MediaCache(Path(sys.argv[1]), max_bytes=100)
    file = await cache.scratch()
    file.write_bytes(b"left behind")
    await cache.add("a.ts", file)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(write())
"""


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(tmp_path: Path, clock: Clock) -> AsyncIterator[MediaCache]:
    """A cache of 100 bytes."""
    cache = MediaCache(tmp_path / "media", max_bytes=100, clock=clock)
    yield cache
    await cache.close()


def write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def content(data: bytes) -> Callable[[Path], Awaitable[None]]:
    """A load that writes `data`."""

    async def load(file: Path) -> None:
        write(file, data)

    return load


async def refuse(file: Path) -> None:
    """A load that must not run."""
    raise AssertionError(file)


async def fill(cache: MediaCache, key: str, size: int) -> Path:
    return await cache.path(key, content(bytes(size)))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name != ".lock")


async def test_a_key_is_loaded_once_and_keeps_its_suffix(cache: MediaCache) -> None:
    path = await cache.path("t/s/media/a.ts", content(b"a"))
    assert path.suffix == ".ts"
    assert path.read_bytes() == b"a"
    assert await cache.path("t/s/media/a.ts", refuse) == path


async def test_concurrent_readers_share_one_load(cache: MediaCache) -> None:
    loads = 0
    loading = asyncio.Event()

    async def load(file: Path) -> None:
        nonlocal loads
        loads += 1
        await loading.wait()
        write(file, b"a")

    readers = [asyncio.create_task(cache.path("a.ts", load)) for _ in range(3)]
    await asyncio.sleep(0)
    readers[0].cancel()
    loading.set()
    _, *paths = await asyncio.gather(*readers, return_exceptions=True)
    assert loads == 1
    assert [path.read_bytes() for path in paths if isinstance(path, Path)] == [b"a", b"a"]


async def test_a_load_that_fails_leaves_nothing_and_is_tried_again(
    cache: MediaCache, tmp_path: Path
) -> None:
    async def fail(file: Path) -> None:
        write(file, b"half")
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError, match="reset"):
        await cache.path("a.ts", fail)
    assert names(tmp_path) == []
    assert (await cache.path("a.ts", content(b"whole"))).read_bytes() == b"whole"


async def test_a_file_that_is_added_is_moved_and_not_loaded(cache: MediaCache) -> None:
    file = await cache.scratch()
    file.write_bytes(b"added")
    await cache.add("a.ts", file)
    assert not file.exists()
    assert (await cache.path("a.ts", refuse)).read_bytes() == b"added"


async def test_the_least_recently_used_go_first(
    cache: MediaCache, clock: Clock, tmp_path: Path
) -> None:
    first = await fill(cache, "first.ts", 40)
    second = await fill(cache, "second.ts", 40)
    clock.now += 30
    assert await cache.path("first.ts", refuse) == first
    clock.now += 31
    third = await fill(cache, "third.ts", 40)
    assert not second.exists()
    assert names(tmp_path) == sorted((first.name, third.name))


async def test_what_was_used_within_the_last_minute_stays_readable(
    cache: MediaCache, clock: Clock
) -> None:
    recent = [await fill(cache, f"{number}.ts", 60) for number in range(3)]
    assert all(path.is_file() for path in recent)
    clock.now += 61
    await fill(cache, "next.ts", 60)
    assert not any(path.is_file() for path in recent)


async def test_a_replaced_file_counts_once(cache: MediaCache, clock: Clock) -> None:
    for _ in range(5):
        file = await cache.scratch()
        file.write_bytes(bytes(60))
        await cache.add("a.ts", file)
        clock.now += 61
    await fill(cache, "b.ts", 40)
    assert await cache.path("a.ts", refuse)


async def test_discarded_keys_are_deleted_and_others_stay(
    cache: MediaCache, tmp_path: Path
) -> None:
    await fill(cache, "a.ts", 10)
    kept = await fill(cache, "b.ts", 10)
    await cache.discard(["a.ts", "never-cached.ts"])
    assert names(tmp_path) == [kept.name]


async def test_a_file_deleted_by_someone_else_is_loaded_again(cache: MediaCache) -> None:
    (await fill(cache, "a.ts", 10)).unlink()
    assert (await cache.path("a.ts", content(b"again"))).read_bytes() == b"again"


async def test_a_closed_cache_leaves_nothing(cache: MediaCache, tmp_path: Path) -> None:
    await fill(cache, "a.ts", 10)
    await cache.close()
    assert list((tmp_path / "media").iterdir()) == []


async def test_what_a_killed_process_cached_is_deleted_by_the_next(
    cache: MediaCache, tmp_path: Path
) -> None:
    command = (sys.executable, "-c", KILLED_WRITER, str(tmp_path / "media"))
    await asyncio.to_thread(subprocess.run, command, check=False, timeout=60)
    (directory,) = (tmp_path / "media").iterdir()
    aged(directory / ".lock")
    kept = await fill(cache, "b.ts", 10)
    assert names(tmp_path) == [kept.name]
