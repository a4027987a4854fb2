"""A stream that only the local analyzer has seen is shown to Gemini from its recording."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from app.commands import reanalyze
from app.container import Container
from app.dev.postgres import DatabaseUrls
from demo.origin import LiveOrigin, OriginOptions
from domain.streams.backfill.messages import BackfillOutcome, BackfillResult
from infra.db.engine import Database
from infra.errors import AlreadyRunningError, NotConfiguredError
from infra.settings import Settings
from tests.factories.rows import new_stream
from tests.fakes.gemini import KEY, FakeGemini
from tests.integration.backfill.conftest import PEAK, settings_of, working
from tests.integration.backfill.test_backfill import PACE, Match

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def fake_gemini() -> Iterator[FakeGemini]:
    with FakeGemini() as server:
        yield server


@pytest.fixture
async def watching(
    temporal_client: Client, postgres: DatabaseUrls, tmp_path: Path, fake_gemini: FakeGemini
) -> AsyncIterator[FakeGemini]:
    """A worker for all queues that has Gemini beside the local analyzer."""
    gemini = {"gemini_api_key": SecretStr(KEY), "gemini_base_url": fake_gemini.url}
    settings = settings_of(postgres, tmp_path).model_copy(update=gemini)
    async with working(temporal_client, settings):
        yield fake_gemini


@pytest.fixture
async def stream(temporal_client: Client, database: Database, tenant: UUID) -> Match:
    """A stream of 70 s that ended with nothing found in it, and nothing missing."""
    match = Match(temporal_client, database, tenant, await new_stream(database, tenant))
    await match.ended_with_gaps()
    return match


@pytest.fixture
async def recording(match: Path) -> AsyncIterator[str]:
    async with LiveOrigin(match, OriginOptions(playlist_type="vod", pace=PACE)) as origin:
        await origin.finished.wait()
        yield origin.master_url


class Again:
    """`highlights reanalyze`, followed to its end."""

    def __init__(self, client: Client, database_url: str) -> None:
        self._client = client
        self._database_url = database_url

    async def start(self, tenant: UUID, stream: UUID, url: str | None) -> str | None:
        settings = Settings(database_url=SecretStr(self._database_url))
        async with Container(settings, client=self._client) as container:
            return await reanalyze(
                container.services, tenant_id=tenant, stream_id=stream, recording=url
            )

    async def run(self, match: Match, url: str) -> BackfillResult:
        workflow = await self.start(match.tenant, match.stream, url)
        assert workflow is not None
        handle = self._client.get_workflow_handle(workflow, result_type=BackfillResult)
        result: BackfillResult = await handle.result()
        return result

    async def give_up(self, workflow: str | None) -> None:
        assert workflow is not None
        await self._client.get_workflow_handle(workflow).terminate()


@pytest.fixture
def again(temporal_client: Client, postgres: DatabaseUrls) -> Again:
    return Again(temporal_client, postgres.application)


async def test_what_gemini_sees_joins_the_stream_once_and_is_paid_once(
    stream: Match, recording: str, again: Again, watching: FakeGemini
) -> None:
    first = await again.run(stream, recording)
    assert (first.outcome, first.highlights) == (BackfillOutcome.REANALYZED, 1)
    (found,) = await stream.shown()
    assert found.peak == pytest.approx(PEAK, abs=1.0)
    assert "gemini" in found.analyzer
    assert found.title.endswith(" dB")
    # The first time nothing but its length tied the stream to the recording, then the moment does.
    await again.run(stream, recording)
    paid = len(watching.answers)
    assert paid >= 3

    last = await again.run(stream, recording)
    assert (last.outcome, last.highlights) == (BackfillOutcome.REANALYZED, 0)
    assert [(each.id, each.revision) for each in await stream.shown()] == [
        (found.id, found.revision)
    ]
    assert len(watching.answers) == paid


async def test_what_is_under_way_is_not_begun_again(again: Again, stream: Match) -> None:
    nobody_works = "https://cdn.example/vod.m3u8"
    workflow = await again.start(stream.tenant, stream.stream, nobody_works)
    with pytest.raises(AlreadyRunningError):
        await again.start(stream.tenant, stream.stream, nobody_works)
    await again.give_up(workflow)


async def test_a_stream_that_goes_on_is_not_analysed_again(
    again: Again, database: Database, tenant: UUID
) -> None:
    running = await new_stream(database, tenant)
    with pytest.raises(NotConfiguredError, match="only one that is over"):
        await again.start(tenant, running, "https://cdn.example/vod.m3u8")


async def test_without_an_address_the_operator_is_asked_for_one(
    again: Again, stream: Match
) -> None:
    with pytest.raises(NotConfiguredError, match="--recording"):
        await again.start(stream.tenant, stream.stream, None)


async def test_another_tenants_stream_is_not_there(again: Again, stream: Match) -> None:
    assert await again.start(uuid4(), stream.stream, "https://cdn.example/vod.m3u8") is None
