"""One live API for all snippets of the documentation, with what their placeholders stand for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
import uvicorn

from app.dev.postgres import DatabaseUrls
from app.dev.temporal import TemporalServer
from app.serve import build_app
from app.services.api_keys import create_key
from demo.origin.server import bind
from domain.streams.messages import StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import streams
from tests.conftest import run_apart
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.integration.api.conftest import SECRET, api_settings


@dataclass(frozen=True)
class World:
    """A running API, and a tenant with a stream that has ended, a highlight and a clip."""

    url: str
    key: str
    key_id: UUID
    slug: str
    database_url: str
    stream: UUID
    deleted_stream: UUID
    highlight: UUID
    clip: UUID

    def replaced(self, text: str) -> str:
        """Put what exists here in the place of what the documentation names."""
        for name, value in {
            "http://localhost:8000": self.url,
            "https://api.example.com": self.url,
            "hl_live_…": self.key,
            "hl_test_…": self.key,
            "--tenant acme": f"--tenant {self.slug}",
            "5f0f6e1c-1d0a-4a57-9a86-9d4f0a4f8c11": str(self.stream),
            "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11": str(self.stream),
            "9b1f6a52-4f0e-4c8e-9d55-6b1f3f1f8a10": str(self.deleted_stream),
            "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21": str(self.highlight),
            "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51": str(self.key_id),
        }.items():
            text = text.replace(name, value)
        return text


@pytest.fixture(scope="module")
def world(
    postgres: DatabaseUrls,
    temporal_server: TemporalServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    root = tmp_path_factory.mktemp("docs")
    listening = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    settings = api_settings(
        postgres, temporal_server, clips=root / "clips", segments=root / "segments"
    ).model_copy(update={"public_base_url": url, "allow_private_urls": True})
    server = uvicorn.Server(uvicorn.Config(build_app(settings), log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield run_apart(made(postgres.application, url))
    finally:
        server.should_exit = True
        thread.join(timeout=60.0)
        listening.close()


async def made(database_url: str, url: str) -> World:
    """Make what the snippets read."""
    database = Database(database_url, pool_size=1, max_overflow=1)
    slug = f"docs-{uuid4().hex}"
    key, rotated = [
        await create_key(
            database, secret=SECRET.encode(), slug=slug, name=name, scopes=(Scope.ADMIN,)
        )
        for name in ("docs", "rotated")
    ]
    tenant = key.tenant_id
    stream = await new_stream(database, tenant, game="soccer")
    deleted_stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    clip = await new_clip(database, tenant, stream, highlight)
    end = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="ended")
    progress = StreamProgress(
        status=StreamStatus.COMPLETED, end=end, position=300.0, analyzed=300.0, segments=1
    )
    async with database.session(tenant) as session:
        for each in (stream, deleted_stream):
            record = StreamRecord(tenant_id=tenant, stream_id=each, progress=progress)
            await streams.record_stream(session, record)
    await database.close()
    return World(
        url=url,
        key=key.key.value,
        key_id=rotated.key_id,
        slug=slug,
        database_url=database_url,
        stream=stream,
        deleted_stream=deleted_stream,
        highlight=highlight,
        clip=clip,
    )
