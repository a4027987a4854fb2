"""What the stores promise, on a disk and in S3 alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from infra.storage.cache import MediaCache
from infra.storage.clips import ClipStore, ClipStoreError, LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segments import (
    LocalSegmentStore,
    S3SegmentStore,
    SegmentStore,
    UnknownKeyError,
)

KEY = "tenant/stream/media/0-1.ts"
CLIP = "tenant/stream/clip.mp4"
Open = Callable[[str], Awaitable[SegmentStore]]


@pytest.fixture
async def connection() -> AsyncIterator[S3Connection]:
    connection = S3Connection()
    yield connection
    await connection.close()


@pytest.fixture(params=["local", "s3"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, connection: S3Connection
) -> tuple[SegmentStore, ClipStore]:
    if request.param == "local":
        return LocalSegmentStore(tmp_path / "segments"), LocalClipStore(tmp_path / "clips")
    bucket = request.getfixturevalue("s3_bucket")
    segments = S3Bucket(connection, S3Location(bucket, "media/segments"))
    return (
        S3SegmentStore(segments, MediaCache(tmp_path / "cache", max_bytes=1 << 20)),
        S3ClipStore(S3Bucket(connection, S3Location(bucket, "clips"))),
    )


@pytest.fixture
def segments(stores: tuple[SegmentStore, ClipStore]) -> SegmentStore:
    return stores[0]


@pytest.fixture
def clips(stores: tuple[SegmentStore, ClipStore]) -> ClipStore:
    return stores[1]


async def adopted(store: SegmentStore, key: str, data: bytes) -> None:
    file = await store.scratch()
    file.write_bytes(data)
    await store.adopt(key, file)
    assert not file.exists()


async def test_what_was_stored_is_read_back_and_found(segments: SegmentStore) -> None:
    await segments.put("tenant/stream/state.json", b"{}")
    await adopted(segments, KEY, b"media")
    assert await segments.read("tenant/stream/state.json") == b"{}"
    assert await segments.read(KEY) == b"media"
    assert (await segments.path(KEY)).read_bytes() == b"media"
    assert (await segments.path(KEY)).suffix == ".ts"
    assert await segments.exists(KEY)
    assert await segments.list("tenant/stream/m") == [KEY]


async def test_storing_again_replaces(segments: SegmentStore) -> None:
    for data in (b"first", b"second"):
        await segments.put(KEY, data)
        assert await segments.read(KEY) == data
        assert (await segments.path(KEY)).read_bytes() == data


async def test_what_is_not_stored_is_unknown(segments: SegmentStore) -> None:
    assert not await segments.exists(KEY)
    assert await segments.list("tenant") == []
    await segments.delete(KEY)
    for ask in (segments.read, segments.path):
        with pytest.raises(UnknownKeyError, match="never written, or released"):
            await ask(KEY)


async def test_deleting_leaves_the_rest(segments: SegmentStore) -> None:
    for number in range(3):
        await adopted(segments, f"tenant/stream/media/{number}.ts", b"x")
    await segments.put("tenant/stream/media-state", b"x")
    await segments.delete("tenant/stream/media/1.ts")
    assert not await segments.exists("tenant/stream/media/1.ts")
    with pytest.raises(UnknownKeyError):
        await segments.path("tenant/stream/media/1.ts")
    await segments.delete_prefix("tenant/stream/media/")
    assert await segments.list("tenant/stream/") == ["tenant/stream/media-state"]


@pytest.mark.parametrize("key", ["", "/a", "../a", "a//b", "a/.b", "a b"])
async def test_a_key_is_made_of_plain_names(segments: SegmentStore, key: str) -> None:
    for ask in (segments.read, segments.exists, segments.path, segments.delete):
        with pytest.raises(ValueError, match="not a key"):
            await ask(key)


async def test_many_write_at_the_same_time(segments: SegmentStore) -> None:
    data = {f"tenant/stream/media/{number:02d}.ts": os.urandom(50_000) for number in range(40)}
    await asyncio.gather(*(adopted(segments, key, each) for key, each in data.items()))
    assert await segments.list("tenant/stream/media/") == sorted(data)
    found = await asyncio.gather(*(segments.read(key) for key in data))
    assert list(found) == list(data.values())


async def read_as_a_client(clips: ClipStore, key: str) -> bytes | None:
    found = await clips.locate(key, expires=1 << 40)
    if isinstance(found, Path):
        return found.read_bytes() if found.exists() else None
    async with httpx.AsyncClient() as client:
        response = await client.get(found)
    return response.content if response.status_code == 200 else None


async def test_a_clip_is_there_until_it_is_deleted(clips: ClipStore, tmp_path: Path) -> None:
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(b"frames")
    await clips.put(CLIP, movie)
    assert movie.read_bytes() == b"frames"
    assert await read_as_a_client(clips, CLIP) == b"frames"
    movie.write_bytes(b"better frames")
    await clips.put(CLIP, movie)
    assert await read_as_a_client(clips, CLIP) == b"better frames"
    await clips.delete(CLIP)
    await clips.delete(CLIP)
    assert await read_as_a_client(clips, CLIP) is None


@pytest.mark.parametrize("key", ["", "/etc/x.mp4", "a/../../x.mp4", "a\x00.mp4"])
async def test_no_key_leads_out_of_the_clips(clips: ClipStore, tmp_path: Path, key: str) -> None:
    movie = tmp_path / "movie.mp4"
    movie.write_bytes(b"frames")
    with pytest.raises(ClipStoreError, match="no name of a clip"):
        await clips.put(key, movie)
    with pytest.raises(ClipStoreError):
        await clips.locate(key, expires=1 << 40)


async def test_another_process_reads_media_through_a_cache_of_its_own(
    s3_bucket: str, connection: S3Connection, tmp_path: Path
) -> None:
    bucket = S3Bucket(connection, S3Location(s3_bucket))
    writer = S3SegmentStore(bucket, MediaCache(tmp_path / "one", max_bytes=1 << 20))
    reader = S3SegmentStore(bucket, MediaCache(tmp_path / "two", max_bytes=1 << 20))
    await adopted(writer, KEY, b"media")
    paths = await asyncio.gather(*(reader.path(KEY) for _ in range(5)))
    assert {path.read_bytes() for path in paths} == {b"media"}
    assert {tmp_path / "two" in path.parents for path in paths} == {True}
    await bucket.delete([KEY])
    assert (await reader.path(KEY)).read_bytes() == b"media"  # from the cache: media never changes
