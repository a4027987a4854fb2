"""Feed events from the broker: stored like those of the API, and limited together with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from app.container import Container
from app.services.feed.jobs import FeedEventJobs
from domain.feed.models import MOST_EVENTS
from domain.streams.status import StreamStatus
from domain.tenants.usage import PLANS, PlanName
from infra.amqp import JobRefusedError
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.settings import Settings
from tests.factories.rows import new_stream
from tests.integration.api.conftest import Account

FREE = PLANS[PlanName.FREE]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"default_plan": "free"})


@pytest.fixture
async def jobs(settings: Settings) -> AsyncIterator[FeedEventJobs]:
    async with Container(settings) as container:
        known = container.services
        yield FeedEventJobs(
            database=known.database,
            feed=known.feed,
            limiter=known.limiter,
            plans=known.plans,
        )


def job(account: Account, stream: UUID, *, batch: int) -> bytes:
    events = [
        {"id": f"{batch}-{number}", "kind": "custom", "at": {"media": 1.0}}
        for number in range(MOST_EVENTS)
    ]
    body = {"tenant_id": str(account.tenant_id), "stream_id": str(stream), "events": events}
    return json.dumps(body).encode()


async def test_jobs_above_the_plan_are_refused_and_store_nothing(
    account: Account, database: Database, jobs: FeedEventJobs
) -> None:
    stream, other = [await new_stream(database, account.tenant_id) for _ in range(2)]
    allowed = FREE.feed_events_per_minute // MOST_EVENTS
    async with database.session(account.tenant_id) as session:
        for each in (stream, other):
            row = await streams.get(session, tenant_id=account.tenant_id, stream_id=each)
            assert row is not None
            row.status = StreamStatus.COMPLETED.value
    for batch in range(allowed):
        await jobs.handle(job(account, stream, batch=batch))
    with pytest.raises(JobRefusedError, match="feed events in 60 s") as refused:
        await jobs.handle(job(account, stream, batch=allowed))
    assert refused.value.code == "rate_limited"
    await jobs.handle(job(account, other, batch=0))


async def test_a_job_of_an_unknown_tenant_is_refused(account: Account, jobs: FeedEventJobs) -> None:
    stranger = replace(account, tenant_id=uuid4())
    with pytest.raises(JobRefusedError) as refused:
        await jobs.handle(job(stranger, uuid4(), batch=0))
    assert refused.value.code == "unknown_stream"
