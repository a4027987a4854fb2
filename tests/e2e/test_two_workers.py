"""Two workers with separate disks share streams through S3; something happens to one of them.

`make drills` runs the same at length: ten streams at real time, and one worker after the other.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
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
from tests.e2e.installation import ROOT, START_TIMEOUT, command
from tests.factories.rows import new_tenant
from tests.fakes.s3_server import S3Server
from tests.fakes.tcp_proxy import TcpProxy

LONG = float(os.environ.get("DRILL_PLAYLIST", "0"))
SEGMENT_DURATION = 2.0
STOP_TIMEOUT = 60.0
RESULT_TIMEOUT = 600.0 if LONG else 180.0
BETWEEN_TURNS = 12  # segments that the first stream publishes

pytestmark = [pytest.mark.serial, pytest.mark.slow, pytest.mark.timeout(900 if LONG else 300)]


class Worker:
    """A worker process with a separate home, and its way to the store."""

    def __init__(self, process: asyncio.subprocess.Process, network: TcpProxy) -> None:
        self.process = process
        self.network = network

    async def ended(self) -> None:
        """Wait for the end of the process."""
        await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT)


class Workers:
    """Worker processes that share everything but their disk and their way to the store."""

    def __init__(self, folder: Path, settings: dict[str, str], s3_server: S3Server) -> None:
        self.folder = folder
        self.s3_server = s3_server
        self._settings = settings
        self._all: list[Worker] = []
        self._networks = AsyncExitStack()

    async def start(self) -> None:
        """Start another worker and wait until it works, as a deployment does."""
        network = await self._networks.enter_async_context(TcpProxy(self.s3_server.port))
        home = Path(tempfile.mkdtemp(prefix="worker-", dir=self.folder))
        environment = {**os.environ, **self._settings, **self.s3_server.environment()}
        environment |= {"AWS_ENDPOINT_URL_S3": network.url, "HIGHLIGHTS_HOME": str(home)}
        with (home / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command("worker"), cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        self._all.append(Worker(process, network))
        async with asyncio.timeout(START_TIMEOUT):
            while True:
                log_so_far = await asyncio.to_thread((home / "log").read_bytes)
                if b"worker_ready" in log_so_far:
                    return
                await asyncio.sleep(0.1)

    def __getitem__(self, pid: int) -> Worker:
        """Return the worker with a process id."""
        (worker,) = [each for each in self._all if each.process.pid == pid]
        return worker

    async def close(self) -> None:
        """Stop all workers."""
        for each in self._all:
            if each.process.returncode is None:
                each.process.terminate()
        await asyncio.gather(*(each.ended() for each in self._all))
        await self._networks.aclose()


@dataclass(frozen=True)
class Drill:
    """What happens to one worker, or to one after the other, while how much is played.

    Attributes:
        disturb: what happens to a worker, for so many seconds if it passes.
        streams: live streams that both workers share.
        pace: of the streams.
        playlist: seconds of wall clock that their playlists list.
        outage: seconds.
        turns: workers to which it happens; one that ends is then replaced.
    """

    disturb: Callable[[Worker, float], Awaitable[None]]
    streams: int = 1
    pace: float = 4.0
    playlist: float = 15.0
    outage: float = 5.0
    turns: int = 1

    @property
    def options(self) -> OriginOptions:
        """How the streams are played."""
        window = round(self.playlist * self.pace / SEGMENT_DURATION)
        return OriginOptions(pace=self.pace, window=window, autostart=False)


async def kill(worker: Worker, _: float) -> None:
    """Kill a worker; the system ends its children."""
    worker.process.kill()
    await worker.ended()


async def terminate(worker: Worker, _: float) -> None:
    """Stop a worker as a deployment does."""
    worker.process.terminate()
    await worker.ended()


async def silence(worker: Worker, seconds: float) -> None:
    """Lose all that a worker sends to the store and gets from it."""
    async with worker.network.silent():
        await asyncio.sleep(seconds)


async def refuse(worker: Worker, seconds: float) -> None:
    """Refuse all connections of a worker to the store."""
    async with worker.network.refusing():
        await asyncio.sleep(seconds)


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
async def workers(
    settings: dict[str, str], s3_server: S3Server, tmp_path: Path
) -> AsyncIterator[Workers]:
    workers = Workers(tmp_path, settings, s3_server)
    yield workers
    await workers.close()


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


async def follower_of(client: Client, workflow_ids: Sequence[str], *, but: set[int]) -> int:
    """Return the process id of a worker that follows one of the streams, and is not excepted."""
    while True:
        for workflow_id in workflow_ids:
            description = await client.get_workflow_handle(workflow_id).describe()
            for each in description.raw_description.pending_activities:
                pid, _, _ = each.last_worker_identity.partition("@")
                if each.activity_type.name == "follow_stream" and pid and int(pid) not in but:
                    return int(pid)
        await asyncio.sleep(0.05)


async def result_of(client: Client, workflow_id: str) -> StreamWorkflowResult:
    handle = client.get_workflow_handle(workflow_id, result_type=StreamWorkflowResult)
    return await asyncio.wait_for(handle.result(), RESULT_TIMEOUT)


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


async def until_indexed(s3_server: S3Server, location: str, streams: int) -> None:
    """Wait until so many streams have media in the store, so that they have been joined."""
    while True:
        names = await asyncio.to_thread(stored, s3_server, location)
        if sum("/media/index/" in name for name in names) >= streams:
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


DRILLS = {
    "killed": Drill(kill, streams=2, pace=2.0, playlist=14.0),
    "terminated": Drill(terminate),
    "cut-off": Drill(silence),
    "refused": Drill(refuse),
}
if LONG:
    DRILLS = {
        name: replace(drill, streams=10, pace=1.0, playlist=LONG, outage=20.0, turns=2)
        for name, drill in DRILLS.items()
    }
else:
    del DRILLS["refused"]  # the short form of cut-off does


@pytest.mark.parametrize("drill", DRILLS.values(), ids=DRILLS)
async def test_no_segment_is_lost_and_each_clip_exists_once(
    workers: Workers, container: Container, temporal_client: Client, match: Match, drill: Drill
) -> None:
    s3_server = workers.s3_server
    await asyncio.gather(workers.start(), workers.start())
    tenant_id = await new_tenant(container.database)
    async with AsyncExitStack() as stack:
        origins = [
            await stack.enter_async_context(LiveOrigin(match.video, drill.options))
            for _ in range(drill.streams)
        ]
        streams = [
            await start_stream(container, tenant_id, origin.master_url) for origin in origins
        ]
        await asyncio.gather(*(origin.wait_requested() for origin in origins))
        for origin in origins:
            origin.begin()
        await until_indexed(s3_server, container.settings.segment_store or "", drill.streams)
        disturbed: set[int] = set()
        for turn in range(drill.turns):
            await origins[0].wait_published(turn * BETWEEN_TURNS)
            pid = await follower_of(temporal_client, streams, but=disturbed)
            disturbed.add(pid)
            await drill.disturb(workers[pid], drill.outage)
            if drill.turns > 1 and workers[pid].process.returncode is not None:
                await workers.start()
        results = await asyncio.gather(*(result_of(temporal_client, each) for each in streams))
        published = [origin.published for origin in origins]

    assert [each.end.reason for each in results] == [EndReason.PLAYLIST_ENDED] * drill.streams
    assert [each.progress.missed for each in results] == [0] * drill.streams
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
        if not LONG:  # where both workers go, others render the last clips
            own_queue = task_queues.of_worker(task_queues.RENDER, "")
            assert (await render_queue(temporal_client, clip)).startswith(own_queue)
