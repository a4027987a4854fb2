"""The local segment store: whole objects by key."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from pathlib import Path

import pytest

from infra.storage.segments import (
    LocalSegmentStore,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnknownKeyError,
    store_error,
)


@pytest.fixture
def store(tmp_path: Path) -> LocalSegmentStore:
    return LocalSegmentStore(tmp_path / "segments")


def files_under(path: Path) -> list[Path]:
    return [each for each in path.rglob("*") if each.is_file()]


async def test_reads_back_what_was_put(store: LocalSegmentStore) -> None:
    await store.put("a/b/media/720p/1.ts", b"media")
    assert await store.read("a/b/media/720p/1.ts") == b"media"
    assert (await store.path("a/b/media/720p/1.ts")).read_bytes() == b"media"
    assert await store.exists("a/b/media/720p/1.ts")


async def test_a_key_never_written_is_unknown(store: LocalSegmentStore) -> None:
    assert not await store.exists("a/b")
    with pytest.raises(UnknownKeyError, match="never written"):
        await store.read("a/b")
    with pytest.raises(UnknownKeyError):
        await store.path("a/b")


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/.hidden", ".scratch/x", "a\\..\\b/"]
)
async def test_a_key_cannot_leave_the_store(store: LocalSegmentStore, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await store.put(key, b"")


async def test_adopting_moves_the_file(store: LocalSegmentStore) -> None:
    file = await store.scratch()
    file.write_bytes(b"fetched")
    await store.adopt("a/b/1.ts", file)
    assert await store.read("a/b/1.ts") == b"fetched"
    assert not file.exists()


async def test_adopting_from_another_place_moves_the_file_too(
    store: LocalSegmentStore, tmp_path: Path
) -> None:
    file = tmp_path / "elsewhere"
    file.write_bytes(b"fetched")
    await store.adopt("a/b/1.ts", file)
    assert await store.read("a/b/1.ts") == b"fetched"


async def test_a_write_that_fails_leaves_nothing(store: LocalSegmentStore, tmp_path: Path) -> None:
    await store.put("a", b"a file where a directory would be needed")
    with pytest.raises(OSError, match="a"):
        await store.put("a/b", b"media")
    assert files_under(tmp_path) == [tmp_path / "segments" / "a"]


async def test_lists_by_prefix_in_order_and_without_scratch(store: LocalSegmentStore) -> None:
    for key in ("t/s1/2", "t/s1/1", "t/s2/1", "t/s10/1"):
        await store.put(key, b"")
    (await store.scratch()).write_bytes(b"half")
    assert await store.list("t/s1/") == ["t/s1/1", "t/s1/2"]
    assert await store.list("t/s1") == ["t/s1/1", "t/s1/2", "t/s10/1"]
    assert await store.list("") == ["t/s1/1", "t/s1/2", "t/s10/1", "t/s2/1"]
    assert await store.list("nobody/") == []


async def test_deleting_a_prefix_leaves_neighbours_and_no_empty_directories(
    store: LocalSegmentStore, tmp_path: Path
) -> None:
    for key in ("t/s1/media/1", "t/s1/media/2", "t/s10/media/1"):
        await store.put(key, b"")
    await store.delete_prefix("t/s1/")
    await store.delete_prefix("t/s1/")
    assert await store.list("") == ["t/s10/media/1"]
    assert not (tmp_path / "segments/t/s1").exists()


async def test_writing_while_the_directory_is_being_deleted_loses_nothing(
    store: LocalSegmentStore,
) -> None:
    async def write(number: int) -> None:
        await store.put(f"t/s/{number}", b"media")
        assert await store.read(f"t/s/{number}") == b"media"

    async def clear() -> None:
        await store.delete("t/s/0")

    await store.put("t/s/0", b"")
    await asyncio.gather(*(write(number) for number in range(1, 40)), *(clear() for _ in range(9)))
    assert len(await store.list("t/s/")) == 39


async def test_sweeping_removes_what_a_killed_writer_left(store: LocalSegmentStore) -> None:
    old, new = await store.scratch(), await store.scratch()
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 100, time.time() - 100))
    await store.sweep(older_than=50)
    assert not old.exists()
    assert new.exists()


async def test_a_full_store_sheds_old_media_and_nothing_else(
    store: LocalSegmentStore, tmp_path: Path
) -> None:
    old = [f"tenant/stream/media/720p/{number}.ts" for number in range(3)]
    for key in (*old, "tenant/stream/media/720p/new.ts", "tenant/stream/analysis/state.json"):
        await store.put(key, b"media")
    long_ago = time.time() - 7200
    for key in (*old, "tenant/stream/analysis/state.json"):
        os.utime(tmp_path / "segments" / key, (long_ago, long_ago))
    assert await store.shed() == 15
    assert list(await store.list("")) == [
        "tenant/stream/analysis/state.json",
        "tenant/stream/media/720p/new.ts",
    ]


async def test_streams_that_meet_a_full_store_together_share_one_deletion(
    store: LocalSegmentStore, tmp_path: Path
) -> None:
    long_ago = time.time() - 7200
    for number in range(8):
        key = f"tenant/stream/media/720p/{number}.ts"
        await store.put(key, bytes(1 << 20))
        os.utime(tmp_path / "segments" / key, (long_ago, long_ago))
    freed = await asyncio.gather(*(store.shed() for _ in range(4)))
    assert sorted(freed) == [0, 0, 0, 4 << 20]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EROFS, StoreUnavailableError),
        (errno.EIO, StoreUnavailableError),
        (errno.EACCES, StoreUnavailableError),
    ],
)
def test_an_error_of_the_volume_is_told_in_words(number: int, expected: type[StoreError]) -> None:
    error = store_error(OSError(number, os.strerror(number)))
    assert type(error) is expected
    assert os.strerror(number) not in str(error)


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), ValueError()])
def test_an_error_of_something_else_is_none_of_the_store(error: Exception) -> None:
    assert store_error(error) is None
