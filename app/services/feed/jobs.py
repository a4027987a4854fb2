"""Feed events from the platform's broker: jobs of kind `stream.event`.

A job has the fields of `POST /v1/streams/{stream_id}/events`, a tenant and a stream. Producers with
access to the queue are trusted to act for any tenant.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field

from app.services.feed.feed_service import FeedService
from app.services.jobs import read_job
from app.services.tenants import TenantPlans, feed_limit
from domain.feed.models import MOST_EVENTS, FeedBatch, FeedEvent
from infra.amqp import JobDelayedError, JobRefusedError
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.rate_limit import RateLimitBucket, RateLimiter, RateLimiterUnavailableError
from infra.temporal.client import TemporalUnavailableError

_UNAVAILABLE: Final = (
    DatabaseUnavailableError,
    RateLimiterUnavailableError,
    TemporalUnavailableError,
)
_log = structlog.get_logger(__name__)


class FeedEventsJob(BaseModel):
    """A job of kind `stream.event`."""

    model_config = ConfigDict(extra="forbid")

    version: Literal["1"] = "1"
    tenant_id: UUID = Field(description="The stream's tenant.")
    stream_id: UUID = Field(description="The stream.")
    events: Annotated[list[FeedEvent], Field(min_length=1, max_length=MOST_EVENTS)]


class FeedEventJobs:
    """Stores the events of jobs. A job delivered twice changes nothing more.

    Args:
        database: holds the events.
        feed: stores and links them.
        limiter: counts the events of each stream, with those that the API accepts.
        plans: how many a stream takes in a minute.
    """

    kind = "stream.event"

    def __init__(
        self, *, database: Database, feed: FeedService, limiter: RateLimiter, plans: TenantPlans
    ) -> None:
        self._database = database
        self._feed = feed
        self._limiter = limiter
        self._plans = plans

    async def handle(self, body: bytes) -> None:
        """Store the events, and signal the stream's workflow.

        Raises:
            JobRefusedError: the job is invalid, there is no such stream, or it takes no more
                events in this minute.
            JobDelayedError: the database, the limiter or the workflow service is unavailable.
        """
        job = read_job(body, FeedEventsJob)
        new = FeedBatch(events=tuple(job.events)).latest()
        try:
            await self._charge(job, events=len(new))
            async with self._database.session(job.tenant_id) as session:
                stream, rows = await self._feed.store(
                    session, tenant_id=job.tenant_id, stream_id=job.stream_id, new=new
                )
            await self._feed.notify(stream, rows)
        except RecordMissingError as error:
            message = f"The tenant has no stream {job.stream_id}."
            raise JobRefusedError("unknown_stream", message) from error
        except _UNAVAILABLE as error:
            raise JobDelayedError(type(error).__name__) from error
        _log.info("feed_job_done", stream_id=str(job.stream_id), events=len(rows))

    async def _charge(self, job: FeedEventsJob, *, events: int) -> None:
        """Charge events to their stream.

        One that exceeds its limit is refused, not delayed: the jobs of others would wait behind it.
        """
        plan = await self._plans.of(job.tenant_id)
        limit = feed_limit(plan)
        bucket = RateLimitBucket(limit, f"{job.tenant_id}/{job.stream_id}")
        verdict = await self._limiter.take([bucket], cost=events)
        if verdict.refused_by is not None:
            raise JobRefusedError(
                "rate_limited",
                f"A stream takes {limit.quota} feed events in {limit.window} s; the job has "
                f"{events}, and {verdict.refused_by.remaining} are left. Send it again later.",
            )
