"""Analysis jobs from the platform's broker.

A job has the fields of `POST /v1/streams/analyze` and a tenant. Producers with access to the queue
are trusted to act for any tenant.
"""

from __future__ import annotations

from typing import Final, Literal, TypeVar
from uuid import UUID

import structlog
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import IntegrityError

from app.services.streams import NewStream, StreamCreation, StreamStarter, find_or_create
from domain.ids import job_stream_id
from domain.streams.messages import StreamRequest
from domain.streams.status import TERMINAL
from domain.tenants.usage import StreamQuotaExceededError
from domain.text import Name
from infra.amqp import JobDelayedError, JobRefusedError
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import tenants
from infra.db.tables import Stream
from infra.ssrf import UrlForbiddenError, UrlGuard
from infra.temporal.client import TemporalUnavailableError

_LARGEST: Final = 64 << 10
T = TypeVar("T", bound=BaseModel)
_log = structlog.get_logger(__name__)


class AnalyzeJob(StreamRequest):
    """A job of kind `stream.analyze.requested`."""

    version: Literal["1"] = "1"
    job_id: Name = Field(description="The platform's job id; one job starts one stream.")
    tenant_id: UUID = Field(description="The stream's tenant.")


class AnalyzeJobs:
    """Starts the streams that jobs request. A job delivered twice starts one stream.

    Args:
        database: holds the streams.
        creation: creates streams.
        starter: starts their workflows.
        guard: checks playlist URLs.
    """

    kind = "stream.analyze.requested"

    def __init__(
        self,
        *,
        database: Database,
        creation: StreamCreation,
        starter: StreamStarter,
        guard: UrlGuard,
    ) -> None:
        self._database = database
        self._creation = creation
        self._starter = starter
        self._guard = guard

    async def handle(self, body: bytes) -> None:
        """Create the stream and start its workflow.

        Raises:
            JobRefusedError: the job is invalid, or not allowed.
            JobDelayedError: the database or the workflow service is unavailable.
        """
        job = read_job(body, AnalyzeJob)
        try:
            self._guard.check(job.url)
        except UrlForbiddenError as error:
            raise JobRefusedError("url_forbidden", str(error)) from error
        try:
            stream = await self._find_or_create(job)
            if stream.status not in TERMINAL:
                await self._starter.start(stream)
        except StreamQuotaExceededError as error:
            # Not delayed: a stream may take hours to end, and the jobs behind would wait.
            raise JobRefusedError("stream_quota_exceeded", str(error)) from error
        except (DatabaseUnavailableError, TemporalUnavailableError) as error:
            raise JobDelayedError(type(error).__name__) from error
        except IntegrityError as error:
            raise JobDelayedError("the same job is running concurrently") from error
        _log.info("job_done", stream_id=str(stream.id), tenant_id=str(stream.tenant_id))

    async def _find_or_create(self, job: AnalyzeJob) -> Stream:
        stream_id = job_stream_id(tenant_id=job.tenant_id, job_id=job.job_id)
        async with self._database.session(job.tenant_id) as session:
            if await tenants.get(session, tenant_id=job.tenant_id) is None:
                raise JobRefusedError("unknown_tenant", f"There is no tenant {job.tenant_id}.")
            return await find_or_create(
                session,
                self._creation,
                NewStream(
                    tenant_id=job.tenant_id,
                    stream_id=stream_id,
                    playlist_url=job.url,
                    game=job.game,
                    title=job.title,
                    language=job.language,
                    languages=job.languages,
                    criteria=job.criteria,
                    external_id=job.external_id,
                    policy=job.policy,
                    options=job.options.model_dump(exclude_none=True),
                    correlation_id=str(stream_id),
                ),
            )


def read_job(body: bytes, model: type[T]) -> T:
    """Return the job in a message.

    Raises:
        JobRefusedError: it is too large or invalid.
    """
    if len(body) > _LARGEST:
        raise JobRefusedError("too_large", f"A job has at most {_LARGEST} bytes.")
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        # Locations and messages only: the input itself is in the queue.
        found = error.errors(include_url=False, include_input=False, include_context=False)
        problems = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in found]
        raise JobRefusedError("invalid_job", "; ".join(problems)) from error
