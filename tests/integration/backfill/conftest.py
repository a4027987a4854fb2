"""Everything real: a film with a moment, an origin, Temporal, PostgreSQL and a whole worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from app.container import Container
from app.dev.postgres import DatabaseUrls
from app.worker import ingest_activities, workers
from infra.settings import Settings
from tests.factories.scenes import film_scene

SECONDS, PEAK = 70.0, 24.0


@pytest.fixture(scope="session")
def match(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of 70 s with one moment at 24 s and a keyframe every two seconds."""
    folder = tmp_path_factory.mktemp("match")
    film_scene(folder, seconds=SECONDS, peak=PEAK)
    return folder / "scene.mp4"


@pytest.fixture
async def worker(
    temporal_client: Client, postgres: DatabaseUrls, tmp_path: Path
) -> AsyncIterator[Container]:
    """A worker for all queues; yields what its activities work with."""
    async with working(temporal_client, settings_of(postgres, tmp_path)) as container:
        yield container


def settings_of(postgres: DatabaseUrls, folder: Path) -> Settings:
    """Settings of a worker whose files lie in a folder."""
    return Settings(
        database_url=SecretStr(postgres.application),
        clip_store=str(folder / "clips"),
        segment_store=str(folder / "segments"),
        allow_private_urls=True,
    )


@asynccontextmanager
async def working(client: Client, settings: Settings) -> AsyncIterator[Container]:
    """A worker for all queues, with these settings."""
    async with AsyncExitStack() as stack:
        container = await stack.enter_async_context(Container(settings, client=client))
        ingest = ingest_activities(container)
        stack.push_async_callback(ingest.close)
        for each in workers(container, client, ingest):
            await stack.enter_async_context(each)
        yield container
