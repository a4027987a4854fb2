"""A finished video is analyzed as a whole, whether it has a URL or is uploaded."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from rich.console import Console
from starlette.responses import Response
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.testing import ActivityEnvironment

from activities.maintenance import ExecutionActivities
from app.container import Container
from app.dev.postgres import DatabaseUrls
from app.dev.temporal import TemporalServer
from app.recordings import ApiAccess, Recording, process
from app.serve import build_app
from app.services.api_keys import create_key
from app.services.clips import MediaRetention
from demo.origin.server import bind, serving
from domain.ids import backfill_workflow_id
from domain.streams.reconciliation import ReconcileExecutionsInput
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.errors import SetupError
from infra.media.recordings.cache import RecordingCache, upload_key
from infra.media.recordings.local_recording import LocalRecording
from infra.settings import Settings
from infra.temporal.client import WorkflowExecutions
from tests.integration.backfill.conftest import PEAK, SECONDS, settings_of, working
from tests.integration.ingest.harness import static_origin

pytestmark = pytest.mark.timeout(240)

SECRET = "s" * 32
MEDIA = {"Content-Type": "application/octet-stream"}
TERMINAL = {"completed", "failed", "cancelled"}


@dataclass
class Service:
    """API and worker of one installation, called with a tenant's key."""

    http: httpx.AsyncClient
    app: FastAPI
    key: str
    tenant: UUID
    container: Container

    async def ended(self, stream_id: str) -> dict[str, Any]:
        """Wait for the end of a stream."""
        return await self.until(stream_id, lambda stream: stream["status"] in TERMINAL)

    async def until(
        self, stream_id: str, holds: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        """Wait until a stream is as wanted."""
        async with asyncio.timeout(120):
            while True:
                stream: dict[str, Any] = (await self.http.get(f"/v1/streams/{stream_id}")).json()
                if holds(stream):
                    return stream
                await asyncio.sleep(0.1)

    async def until_clip(self, clip_id: str, status: str) -> dict[str, Any]:
        """Wait until a clip has a status; a clip that failed gets no other."""
        async with asyncio.timeout(120):
            while True:
                clip: dict[str, Any] = (await self.http.get(f"/v1/clips/{clip_id}")).json()
                if clip["status"] == status:
                    return clip
                assert clip["status"] != "failed", clip
                await asyncio.sleep(0.1)

    async def expire_media(self, stream_id: UUID) -> None:
        """Let the time of a recording's media pass, and run the maintenance that deletes it."""
        registry, database = self.container.services, self.container.database
        retention = MediaRetention(database, seconds=1e6, recording_seconds=-1.0)
        await retention.keep(tenant_id=self.tenant, stream_id=stream_id)
        maintenance = ExecutionActivities(
            database=database,
            executions=WorkflowExecutions(registry.temporal.client),
            starter=registry.starter,
            segments=registry.segments,
            dispatcher=registry.dispatcher,
            retention=retention,
            exports=registry.exports,
            batches=registry.export_batches,
        )
        await ActivityEnvironment().run(
            maintenance.reconcile_executions, ReconcileExecutionsInput()
        )

    async def highlights(self, stream_id: str) -> list[dict[str, Any]]:
        """Read a stream's highlights."""
        found = await self.http.get("/v1/highlights/list", params={"stream_id": stream_id})
        data: list[dict[str, Any]] = found.json()["data"]
        return data


@pytest.fixture
def settings(postgres: DatabaseUrls, temporal_server: TemporalServer, tmp_path: Path) -> Settings:
    return settings_of(postgres, tmp_path).model_copy(
        update={
            "temporal_address": temporal_server.address,
            "signing_secret": SecretStr(SECRET),
            "public_base_url": "http://api.test",
        }
    )


@pytest.fixture
async def service(
    temporal_client: Client, database: Database, settings: Settings
) -> AsyncIterator[Service]:
    made = await create_key(
        database,
        secret=SECRET.encode(),
        slug=f"tenant-{uuid4().hex}",
        name="test",
        scopes=(Scope.ADMIN,),
    )
    app = build_app(settings)
    async with (
        working(temporal_client, settings) as container,
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://api.test",
            headers={"Authorization": f"Bearer {made.key.value}"},
            timeout=60.0,
        ) as http,
    ):
        yield Service(http, app, made.key.value, made.tenant_id, container)


Submit = Callable[[Service, bytes], Awaitable[httpx.Response]]


async def by_url(service: Service, content: bytes) -> httpx.Response:
    """Ask for the analysis of a file on an origin, and wait until it was read."""
    async with static_origin({"film.mp4": lambda _: Response(content)}) as (base, _):
        answer = await service.http.post(
            "/v1/recordings", json={"url": f"{base}/film.mp4", "game": "soccer", "title": "Cup"}
        )
        await service.until(answer.json()["id"], lambda stream: stream["duration"] is not None)
    return answer


async def by_upload(service: Service, content: bytes) -> httpx.Response:
    """Upload a file."""
    return await service.http.post(
        "/v1/recordings/upload",
        params={"game": "soccer", "title": "Cup"},
        content=content,
        headers=MEDIA,
    )


@pytest.mark.parametrize("submit", [by_url, by_upload])
async def test_its_moment_becomes_a_clip_and_its_file_does_not_stay(
    service: Service, temporal_client: Client, match: Path, submit: Submit
) -> None:
    answer = await submit(service, await asyncio.to_thread(match.read_bytes))
    assert answer.status_code == httpx.codes.CREATED
    made = answer.json()
    assert (made["is_recording"], made["status"], made["title"]) == (True, "starting", "Cup")
    stream = await service.ended(made["id"])
    assert (stream["status"], stream["end"]["reason"]) == ("completed", "playlist_ended")
    assert stream["duration"] == pytest.approx(SECONDS, abs=0.5)
    assert stream["analyzed"] == pytest.approx(SECONDS, abs=0.5)
    (highlight,) = await service.highlights(made["id"])
    assert highlight["peak"] == pytest.approx(PEAK, abs=1.0)
    assert (highlight["status"], highlight["clip"]["status"]) == ("confirmed", "ready")
    await analysis_of(temporal_client, service, made).result()
    stored = service.container.segments
    assert await stored.list(f"{service.tenant}/{made['id']}/recording/") == []
    assert not await stored.exists(upload_key(tenant_id=service.tenant, stream_id=UUID(made["id"])))


async def test_clips_on_demand_are_cut_from_a_recording_until_its_media_expires(
    service: Service, temporal_client: Client, match: Path
) -> None:
    made = (await by_upload(service, await asyncio.to_thread(match.read_bytes))).json()
    await service.ended(made["id"])
    await analysis_of(temporal_client, service, made).result()
    path = f"/v1/streams/{made['id']}/clips"
    asked = await service.http.post(path, json={"from": 3.0, "to": 8.0})
    assert asked.status_code == httpx.codes.CREATED, asked.text
    (clip,) = asked.json()["data"]
    ready = await service.until_clip(clip["id"], "ready")
    assert (ready["start"], ready["end"]) == (3.0, 8.0)
    latest = (await service.http.post(path, json={"last": 5})).json()["data"][0]
    stream = (await service.http.get(f"/v1/streams/{made['id']}")).json()
    assert latest["end"] == pytest.approx(stream["position"], abs=0.5)
    beyond = await service.http.post(path, json={"from": 60.0, "to": 90.0})
    assert beyond.json()["code"] == "media_missing"
    await service.until_clip(latest["id"], "ready")
    stored = service.container.segments
    assert await stored.list(f"{service.tenant}/{made['id']}/media/")
    await service.expire_media(UUID(made["id"]))
    assert await stored.list(f"{service.tenant}/{made['id']}/media/") == []
    gone = await service.http.post(path, json={"from": 3.0, "to": 8.0})
    assert gone.json()["code"] == "media_gone"


def analysis_of(client: Client, service: Service, made: dict[str, Any]) -> WorkflowHandle[Any, Any]:
    """The workflow of a recording."""
    return client.get_workflow_handle(
        backfill_workflow_id(tenant_id=service.tenant, stream_id=UUID(made["id"]))
    )


async def test_a_file_without_media_fails_and_says_why(service: Service) -> None:
    made = (await by_upload(service, b"<html>no film</html>")).json()
    stream = await service.ended(made["id"])
    assert (stream["status"], stream["end"]["reason"]) == ("failed", "not_a_playlist")
    assert "cannot be read as media" in stream["end"]["message"]


async def test_a_stopped_one_is_cancelled_with_its_workflow(
    service: Service, temporal_client: Client
) -> None:
    async with static_origin({}) as (base, _):
        body = {"url": f"{base}/later.m3u8"}  # its playlist is waited for
        made = (await service.http.post("/v1/recordings", json=body)).json()
        stopped = await service.http.post(f"/v1/streams/{made['id']}/stop")
    assert stopped.json()["status"] == "cancelled"
    handle = analysis_of(temporal_client, service, made)
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 60)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert (await service.ended(made["id"]))["status"] == "cancelled"


async def test_a_file_whose_analysis_is_cancelled_before_it_was_read_is_deleted(
    service: Service, temporal_client: Client, match: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = asyncio.Event()

    async def never_opened(*_: object, **__: object) -> LocalRecording:
        opening.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(RecordingCache, "get", never_opened)
    made = (await by_upload(service, await asyncio.to_thread(match.read_bytes))).json()
    key = upload_key(tenant_id=service.tenant, stream_id=UUID(made["id"]))
    await asyncio.wait_for(opening.wait(), 60)
    assert await service.container.segments.exists(key)
    await service.http.post(f"/v1/streams/{made['id']}/stop")
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(analysis_of(temporal_client, service, made).result(), 60)
    assert not await service.container.segments.exists(key)


async def test_the_command_uploads_a_file_and_shows_what_was_found(
    service: Service, match: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = bind("127.0.0.1", 0)
    async with serving(service.app, listener):
        access = ApiAccess(url=f"http://127.0.0.1:{listener.getsockname()[1]}", key=service.key)
        recording = Recording(source=str(match), game="soccer")
        console = Console(file=io.StringIO())
        assert await process(recording, access, console=console, as_json=True)
        refused = Recording(source=str(match), game="x" * 300)
        with pytest.raises(SetupError, match="The API refuses"):
            await process(refused, access, console=console, as_json=False)
        missing = Recording(source=str(match.with_name("none.mp4")))
        with pytest.raises(SetupError, match="cannot be read: No such file"):
            await process(missing, access, console=console, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    found = json.loads("\n".join(lines[lines.index("{") : lines.index("}") + 1]))
    assert found["stream"]["status"] == "completed"
    assert [each["clip"]["status"] for each in found["highlights"]] == ["ready"]
