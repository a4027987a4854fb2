"""Workers that make exports of real media: within a test, and as a process that can be killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from temporalio.client import Client
from temporalio.worker import Worker

from activities.exports import ExportActivities
from app.worker import workflow_runner
from domain import task_queues
from infra.db.engine import Database
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.settings import Settings
from infra.storage import s3
from infra.storage.clips import ClipStore, LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segments import LocalSegmentStore, SegmentStore
from infra.temporal.client import connect
from workflows.export import ExportWorkflow

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Until(StrEnum):
    """Where a worker stops, so that it can be killed there."""

    RENDERING = "rendering"
    UPLOADING = "uploading"


class ExportPlace(NamedTuple):
    """Servers and stores of an export worker; `clips` is a directory, or a bucket's name."""

    temporal_address: str
    database_url: str
    clips: Path | str
    scratch: Path

    @asynccontextmanager
    async def open_clips(self) -> AsyncIterator[ClipStore]:
        """The store of finished files."""
        if isinstance(self.clips, Path):
            yield LocalClipStore(self.clips)
            return
        connection = S3Connection()
        yield S3ClipStore(S3Bucket(connection, S3Location(self.clips)))
        await connection.close()


@asynccontextmanager
async def rendering(
    client: Client,
    database: Database,
    *,
    segments: SegmentStore,
    clips: ClipStore,
    scratch: Path,
    ffmpeg: Path | None = None,
) -> AsyncIterator[None]:
    """Make exports of stored media."""
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0) as pool:
        steps = ExportActivities(
            database=database,
            segments=segments,
            clips=clips,
            renderer=ExportRenderer(
                pool=pool, binary=ffmpeg or find_ffmpeg(), limits=FfmpegLimits()
            ),
            scratch=scratch,
        )
        async with Worker(
            client,
            task_queue=task_queues.RENDER,
            activities=[steps.render_export, steps.delete_export],
        ):
            yield


@asynccontextmanager
async def recording(client: Client, database: Database, scratch: Path) -> AsyncIterator[None]:
    """Run export workflows, and record what becomes of them."""
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0) as pool:
        steps = ExportActivities(
            database=database,
            segments=LocalSegmentStore(scratch / "segments"),
            clips=LocalClipStore(scratch / "clips"),
            renderer=ExportRenderer(pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits()),
        )
        async with (
            Worker(
                client,
                task_queue=task_queues.ORCHESTRATION,
                workflows=[ExportWorkflow],
                workflow_runner=workflow_runner(),
            ),
            Worker(client, task_queue=task_queues.IO, activities=[steps.record_export]),
        ):
            yield


@contextmanager
def doomed_worker(place: ExportPlace, until: Until) -> Iterator[BaseProcess]:
    """Run a process that renders, and stays at one step for ever; kill it there."""
    process = multiprocessing.get_context("spawn").Process(target=_render, args=(place, until))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _render(place: ExportPlace, until: Until) -> None:
    ffmpeg = find_ffmpeg()
    if until is Until.RENDERING:
        slow = place.scratch.parent / "slow-ffmpeg"
        # Reads its first input at a hundredth of its speed.
        slow.write_text(f'#!/bin/sh\nexec "{ffmpeg}" -readrate 0.01 "$@"\n')
        slow.chmod(0o700)
        ffmpeg = slow
    elif isinstance(place.clips, str):
        _stall_before_complete()
    else:
        stored = iter(range(10))

        def stall(descriptor: int) -> None:
            os.fdatasync(descriptor)
            if next(stored):  # the first file is stored as a whole
                time.sleep(600)

        vars(os)["fsync"] = stall
    asyncio.run(_serve(place, ffmpeg))


def _stall_before_complete() -> None:
    """Send every file in parts, and stay when all parts of the first one are sent."""
    connect_s3 = s3._new_client

    def stalling() -> S3Client:
        client = connect_s3()
        event = "before-call.s3.CompleteMultipartUpload"
        client.meta.events.register(event, lambda **_: time.sleep(600))
        return client

    vars(s3).update(_new_client=stalling, _MULTIPART_FROM=1)


async def _serve(place: ExportPlace, ffmpeg: Path) -> None:
    client = await connect(Settings(temporal_address=place.temporal_address))
    database = Database(place.database_url, pool_size=1, max_overflow=1)
    async with (
        place.open_clips() as clips,
        rendering(
            client,
            database,
            segments=LocalSegmentStore(place.scratch / "segments"),
            clips=clips,
            scratch=place.scratch,
            ffmpeg=ffmpeg,
        ),
    ):
        await asyncio.Event().wait()
