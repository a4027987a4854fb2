"""Jobs of the platform start streams as the API does, and each starts one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionStatus

from app.dev.supervisor import free_ports
from app.services.jobs import AnalyzeJobs
from app.services.profiles import TenantProfileStore
from app.services.streams import StreamCreation, StreamStarter, close_orphan
from domain.ids import job_stream_id, stream_workflow_id
from domain.streams.status import StreamStatus
from domain.tenants.usage import PLANS, PlanName
from infra.amqp import JobDelayedError, JobRefusedError
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.db.tables import Stream
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.temporal.client import TemporalConnection

URL = "https://cdn.example.com/master.m3u8"


def jobs_with(database: Database, settings: Settings) -> AnalyzeJobs:
    return AnalyzeJobs(
        database=database,
        creation=StreamCreation(
            TenantProfileStore(ProfileStore()), default_plan=settings.default_plan
        ),
        starter=StreamStarter(TemporalConnection(settings).client, limits=settings.ingest_limits()),
        guard=UrlGuard(),
    )


@pytest.fixture
def jobs(database: Database, settings: Settings) -> AnalyzeJobs:
    return jobs_with(database, settings)


@pytest.fixture
async def absent_database() -> AsyncIterator[Database]:
    (port,) = free_ports(1)
    url = SecretStr(f"postgresql://nobody@127.0.0.1:{port}/none")
    database = Database(url.get_secret_value())
    yield database
    await database.close()


def job(tenant: UUID, **changes: object) -> bytes:
    content: dict[str, object] = {"job_id": "job-1", "tenant_id": str(tenant), "url": URL}
    return json.dumps(content | changes).encode()


async def streams_of(database: Database, tenant: UUID) -> list[Stream]:
    async with database.session(tenant) as session:
        return await streams.list_page(session, tenant_id=tenant)


async def test_a_job_starts_a_stream_with_all_that_it_says(
    jobs: AnalyzeJobs, database: Database, tenant: UUID, temporal_client: Client
) -> None:
    await jobs.handle(
        job(
            tenant,
            game="Premier League",
            title="Cup final",
            language="en",
            external_id="match-4711",
            options={"max_height": 720},
        )
    )
    (stream,) = await streams_of(database, tenant)
    assert stream.id == job_stream_id(tenant_id=tenant, job_id="job-1")
    assert (stream.playlist_url, stream.game, stream.title) == (URL, "soccer", "Cup final")
    assert (stream.external_id, stream.options) == ("match-4711", {"max_height": 720})
    assert stream.language == "en"
    handle = temporal_client.get_workflow_handle(
        stream_workflow_id(tenant_id=tenant, stream_id=stream.id)
    )
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_a_job_that_comes_twice_starts_one_stream(
    jobs: AnalyzeJobs, database: Database, tenant: UUID
) -> None:
    await jobs.handle(job(tenant))
    await jobs.handle(job(tenant))
    assert len(await streams_of(database, tenant)) == 1


async def test_a_job_that_comes_twice_at_once_starts_one_stream(
    jobs: AnalyzeJobs, database: Database, tenant: UUID
) -> None:
    outcomes = await asyncio.gather(
        *(jobs.handle(job(tenant)) for _ in range(4)), return_exceptions=True
    )
    assert {type(each) for each in outcomes} <= {type(None), JobDelayedError}
    assert len(await streams_of(database, tenant)) == 1


async def test_the_same_id_of_two_tenants_is_two_jobs(
    jobs: AnalyzeJobs, database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await jobs.handle(job(tenant))
    await jobs.handle(job(other_tenant))
    (one,), (other,) = await streams_of(database, tenant), await streams_of(database, other_tenant)
    assert one.id != other.id


@pytest.mark.parametrize(
    ("body", "code", "reason"),
    [
        (b"\xff\x00", "invalid_job", "body: Invalid JSON"),
        (b"[]", "invalid_job", "body: Input should be an object"),
        (b"{}", "invalid_job", "url: Field required; job_id: Field required"),
        (b" " * 70_000, "too_large", "at most 65536 bytes"),
    ],
    ids=["no JSON", "no object", "nothing in it", "too large"],
)
async def test_what_is_no_job_is_refused(
    jobs: AnalyzeJobs, body: bytes, code: str, reason: str
) -> None:
    with pytest.raises(JobRefusedError, match=reason) as refused:
        await jobs.handle(body)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"version": "2"}, "invalid_job"),
        ({"tenant_id": "me"}, "invalid_job"),
        ({"options": {"max_height": -1}}, "invalid_job"),
        ({"colour": "blue"}, "invalid_job"),
        ({"url": "http://10.0.0.1/master.m3u8"}, "url_forbidden"),
        ({"url": "https://127.0.0.1/master.m3u8"}, "url_forbidden"),
        ({"tenant_id": str(uuid4())}, "unknown_tenant"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_a_job_that_must_not_be_done_is_refused(
    jobs: AnalyzeJobs, database: Database, tenant: UUID, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(JobRefusedError) as refused:
        await jobs.handle(job(tenant, **changes))
    assert refused.value.code == code
    assert await streams_of(database, tenant) == []


async def test_a_job_for_which_the_plan_has_no_room_is_refused_with_the_reason(
    database: Database, settings: Settings, tenant: UUID
) -> None:
    free = settings.model_copy(update={"default_plan": PlanName.FREE})
    jobs = jobs_with(database, free)
    room = PLANS[PlanName.FREE].concurrent_streams
    for number in range(room):
        await jobs.handle(job(tenant, job_id=f"job-{number}"))
    with pytest.raises(JobRefusedError, match="streams at a time") as refused:
        await jobs.handle(job(tenant, job_id="one more"))
    assert refused.value.code == "stream_quota_exceeded"
    assert len(await streams_of(database, tenant)) == room


async def test_a_job_that_comes_again_when_its_stream_is_over_starts_nothing(
    jobs: AnalyzeJobs, database: Database, settings_without_temporal: Settings, tenant: UUID
) -> None:
    await jobs.handle(job(tenant))
    (stream,) = await streams_of(database, tenant)
    await close_orphan(database, stream)
    await jobs_with(database, settings_without_temporal).handle(job(tenant))
    (stream,) = await streams_of(database, tenant)
    assert stream.status == StreamStatus.CANCELLED


async def test_the_reason_does_not_repeat_what_was_sent(jobs: AnalyzeJobs, tenant: UUID) -> None:
    with pytest.raises(JobRefusedError) as refused:
        await jobs.handle(job(tenant, url="see cret"))
    assert "see cret" not in str(refused.value)


async def test_a_job_waits_for_the_workflow_service_and_then_goes_on(
    database: Database,
    tenant: UUID,
    settings: Settings,
    settings_without_temporal: Settings,
    temporal_client: Client,
) -> None:
    with pytest.raises(JobDelayedError):
        await jobs_with(database, settings_without_temporal).handle(job(tenant))
    await jobs_with(database, settings).handle(job(tenant))
    (stream,) = await streams_of(database, tenant)
    handle = temporal_client.get_workflow_handle(
        stream_workflow_id(tenant_id=tenant, stream_id=stream.id)
    )
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_a_job_waits_for_the_database(
    absent_database: Database, settings: Settings, tenant: UUID
) -> None:
    with pytest.raises(JobDelayedError):
        await jobs_with(absent_database, settings).handle(job(tenant))
