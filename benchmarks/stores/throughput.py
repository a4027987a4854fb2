"""Upload throughput of our S3 store against boto3 alone, in turns on the same server."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import boto3
from botocore.config import Config

from infra.storage.cache import MediaCache
from infra.storage.clips import S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segments import S3SegmentStore

_AT_A_TIME: Final = 8


@dataclass(frozen=True)
class UploadSpeed:
    """Megabytes per second, in the best round of each."""

    size: int
    ours: float
    bare: float

    @property
    def share(self) -> float:
        """Our share of the throughput of boto3 alone."""
        return self.ours / self.bare


async def measure_uploads(
    folder: Path, location: S3Location, *, size: int, files: int, are_clips: bool, rounds: int
) -> UploadSpeed:
    """Upload so many files of `size` bytes, eight at a time, by both in turns.

    Ours is the store of clips or that of segments.
    """
    data = os.urandom(size)
    prefix = uuid4().hex
    connection = S3Connection()
    cache = MediaCache(folder / "cache", max_bytes=1 << 30, read_time=0.0)
    bucket = S3Bucket(connection, location)
    store = S3SegmentStore(bucket, cache)
    put, suffix = (S3ClipStore(bucket).put, "mp4") if are_clips else (store.adopt, "ts")
    client = boto3.client(
        "s3",
        region_name=os.environ.get("AWS_REGION"),
        config=Config(
            max_pool_connections=_AT_A_TIME,
            s3={"addressing_style": "path" if "AWS_ENDPOINT_URL_S3" in os.environ else "auto"},
        ),
    )
    threads = ThreadPoolExecutor(_AT_A_TIME)
    loop = asyncio.get_running_loop()

    async def ours(file: Path, number: int) -> None:
        await put(f"{prefix}/ours/media/{number}.{suffix}", file)

    async def bare(file: Path, number: int) -> None:
        key = location.key(f"{prefix}/bare/{number}.ts")
        await loop.run_in_executor(threads, client.upload_file, str(file), location.bucket, key)

    async def speed(upload: Callable[[Path, int], Awaitable[None]]) -> float:
        paths = [await cache.scratch() for _ in range(files)]
        for path in paths:
            await asyncio.to_thread(path.write_bytes, data)
        slots = asyncio.Semaphore(_AT_A_TIME)

        async def one(path: Path, number: int) -> None:
            async with slots:
                await upload(path, number)

        began = time.perf_counter()
        await asyncio.gather(*(one(path, number) for number, path in enumerate(paths)))
        elapsed = time.perf_counter() - began
        for path in paths:
            path.unlink(missing_ok=True)
        return files * size / elapsed / 1e6

    speeds: dict[str, list[float]] = {"ours": [], "bare": []}
    for turn in range(rounds + 1):
        for name, upload in (("ours", ours), ("bare", bare)):
            measured = await speed(upload)
            if turn:  # the first only opens connections
                speeds[name].append(measured)
    await store.delete_prefix(f"{prefix}/")
    threads.shutdown()
    await cache.close()
    await connection.close()
    return UploadSpeed(size, max(speeds["ours"]), max(speeds["bare"]))
