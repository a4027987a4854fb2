"""Two workers with separate disks share streams through S3; one of them is killed."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from temporalio.client import Client

from app.container import Container
from app.dev.postgres import DatabaseUrls
from app.dev.temporal import TemporalServer
from app.services.streams import NewStream
from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from demo.playback import playback_problem
from domain import task_queues
from domain.clips.models import ClipStatus
from domain.ids import clip_workflow_id, stream_workflow_id
from domain.streams.messages import StreamWorkflowResult
from domain.streams.status import EndReason
from infra.db.tables.highlights import Clip
from infra.settings import Settings
from infra.storage.s3 import S3Location
from tests.e2e.installation import ROOT, command
from tests.factories.rows import new_tenant
from tests.fakes.s3_server import S3Server

pytestmark = [pytest.mark.serial, pytest.mark.slow, pytest.mark.timeout(300)]

# Three times real time, with a playlist that still spans ten seconds of wall clock.
PACE = 3.0
STREAMS = 2
STOP_TIMEOUT = 60.0


class Workers:
    """Worker processes that share everything but their disk."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start another worker with a home of its own."""
        home = self.folder / f"worker-{len(self._processes)}"
        home.mkdir()
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                command("worker"),
                cwd=ROOT,
                env={**os.environ, **self._settings, "HIGHLIGHTS_HOME": str(home)},
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)

    def kill(self, pid: int) -> None:
        """Kill the worker with a process id; the system ends its children."""
        (process,) = [each for each in self._processes if each.pid == pid]
        process.kill()
        process.wait(STOP_TIMEOUT)

    def close(self) -> None:
        """Stop all workers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(STOP_TIMEOUT)


@pytest.fixture
def settings(
    temporal_server: TemporalServer, postgres: DatabaseUrls, s3_bucket: str, tmp_path: Path
) -> dict[str, str]:
    """The settings of all processes, as environment variables."""
    return {
        "DATABASE_URL": postgres.application,
        "TEMPORAL_ADDRESS": temporal_server.address,
        "SEGMENT_STORE": f"s3://{s3_bucket}/segments",
        "CLIP_STORE": f"s3://{s3_bucket}/clips",
        "HIGHLIGHTS_ALLOW_PRIVATE_URLS": "true",
        "HIGHLIGHTS_SIGNING_SECRET": secrets.token_hex(32),
        "HIGHLIGHTS_STATE_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def workers(settings: dict[str, str], s3_server: S3Server, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(tmp_path, {**settings, **s3_server.environment()})
    yield workers
    workers.close()


@pytest.fixture
async def container(
    settings: dict[str, str], temporal_client: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Container]:
    """Services of a process that starts streams."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    async with Container(Settings(), client=temporal_client) as container:
        yield container


async def start_stream(container: Container, tenant_id: UUID, url: str) -> str:
    """Start a stream and return the id of its workflow."""
    services = container.services
    async with container.database.session(tenant_id) as session:
        stream = await services.creation.create(
            session,
            NewStream(tenant_id=tenant_id, stream_id=uuid4(), playlist_url=url, game="soccer"),
        )
    await services.starter.start(stream)
    return stream_workflow_id(tenant_id=tenant_id, stream_id=stream.id)


async def follower_of(client: Client, workflow_id: str) -> int:
    """Return the process id of the worker that follows a stream."""
    while True:
        description = await client.get_workflow_handle(workflow_id).describe()
        for each in description.raw_description.pending_activities:
            if each.activity_type.name in {"fetch_window", "follow_stream"}:
                pid, _, _ = each.last_worker_identity.partition("@")
                if pid:
                    return int(pid)
        await asyncio.sleep(0.05)


async def result_of(client: Client, workflow_id: str) -> StreamWorkflowResult:
    handle = client.get_workflow_handle(workflow_id, result_type=StreamWorkflowResult)
    return await asyncio.wait_for(handle.result(), 180)


async def clip_rows(container: Container, tenant_id: UUID) -> Sequence[Clip]:
    async with container.database.session(tenant_id) as session:
        return (await session.scalars(select(Clip).where(Clip.tenant_id == tenant_id))).all()


def stored(s3_server: S3Server, location: str) -> dict[str, S3Location]:
    """Return what is stored below a location: the location of each object by its name."""
    where = S3Location.parse(location)
    pages = s3_server.client().get_paginator("list_objects_v2")
    return {
        where.name(each["Key"]): S3Location(where.bucket, each["Key"])
        for page in pages.paginate(Bucket=where.bucket, Prefix=where.key(""))
        for each in page.get("Contents", [])
    }


async def until_indexed(s3_server: S3Server, location: str) -> None:
    """Wait until each stream has media in the store, so that it has been joined."""
    while True:
        names = await asyncio.to_thread(stored, s3_server, location)
        if sum("/media/index/" in name for name in names) >= STREAMS:
            return
        await asyncio.sleep(0.1)


async def problem_of(
    clip: Clip, s3_server: S3Server, location: S3Location, folder: Path
) -> str | None:
    """Download a clip and decode it; return what is wrong with it."""
    file = folder / f"{clip.id}.mp4"
    download = s3_server.client().download_file
    await asyncio.to_thread(download, location.bucket, location.prefix, str(file))
    return await playback_problem(file, duration=clip.duration, video=True, audio=True)


async def render_queue(client: Client, clip: Clip) -> str:
    """Return the task queue on which a clip's rendering was first scheduled."""
    name = clip_workflow_id(tenant_id=clip.tenant_id, clip=clip.id)
    history = await client.get_workflow_handle(name).fetch_history()
    scheduled = [each.activity_task_scheduled_event_attributes for each in history.events]
    return next(
        each.task_queue.name for each in scheduled if each.activity_type.name == "render_clip"
    )


async def test_no_segment_is_lost_and_each_clip_exists_once_after_one_is_killed(
    workers: Workers,
    container: Container,
    temporal_client: Client,
    s3_server: S3Server,
    match: Match,
) -> None:
    for _ in range(2):
        workers.start()
    tenant_id = await new_tenant(container.database)
    async with AsyncExitStack() as stack:
        options = OriginOptions(pace=PACE, autostart=False)
        origins = [
            await stack.enter_async_context(LiveOrigin(match.video, options))
            for _ in range(STREAMS)
        ]
        streams = [
            await start_stream(container, tenant_id, origin.master_url) for origin in origins
        ]
        await asyncio.gather(*(origin.wait_requested() for origin in origins))
        for origin in origins:
            origin.begin()
        await until_indexed(s3_server, container.settings.segment_store or "")
        workers.kill(await follower_of(temporal_client, streams[0]))
        results = await asyncio.gather(*(result_of(temporal_client, each) for each in streams))
        published = [origin.published for origin in origins]

    assert [each.end.reason for each in results] == [EndReason.PLAYLIST_ENDED] * STREAMS
    assert [each.progress.missed for each in results] == [0] * STREAMS
    assert [each.progress.segments for each in results] == published
    assert all(each.progress.clips == each.progress.highlights > 0 for each in results)
    clips = await clip_rows(container, tenant_id)
    assert [each.status for each in clips] == [ClipStatus.READY] * len(clips)
    files = stored(s3_server, container.settings.clip_store or "")
    assert {name for name in files if name.endswith(".mp4")} == {each.key for each in clips}
    assert len(clips) == sum(each.progress.clips for each in results)
    for clip in clips:
        location = files[clip.key or ""]
        assert await problem_of(clip, s3_server, location, workers.folder) is None
        own_queue = task_queues.of_worker(task_queues.RENDER, "")
        assert (await render_queue(temporal_client, clip)).startswith(own_queue)
    media = stored(s3_server, container.settings.segment_store or "")
    assert [name for name in media if "/media/" in name] == []
