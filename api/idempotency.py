"""`Idempotency-Key`: a creating request can be retried without creating twice."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors.problems import IdempotencyMismatchProblem, RequestInProgressProblem
from infra.db.engine import Database
from infra.db.repositories import idempotency
from infra.db.repositories.idempotency import (
    Claim,
    KeyReusedError,
    RequestRunningError,
    StoredResponse,
)
from infra.temporal.client import TemporalUnavailableError

_LEASE: Final = timedelta(seconds=30)
_NONE: Final[Mapping[str, str]] = {}
_REPLAYED: Final = {"Idempotent-Replayed": "true"}

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A key of your choice, such as a UUID. For 24 hours, the same request with "
        "the same key gets the same response and creates nothing more.",
        examples=["7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51"],
    ),
]


@dataclass(frozen=True, kw_only=True)
class Created:
    """What a request created, in the transaction of its rows.

    Attributes:
        response: for the client that created it.
        stored: for retries; by default the same. It must not contain secrets shown once.
        start: runs after the commit, such as the start of a workflow, and undoes the creation if
            Temporal is unavailable. The response is stored once it has succeeded.
    """

    response: StoredResponse
    stored: StoredResponse | None = None
    start: Callable[[], Awaitable[None]] | None = None


Create = Callable[[AsyncSession, UUID], Awaitable[Created]]


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """A creating request, with or without an idempotency key.

    Attributes:
        tenant_id: the tenant. Keys of different tenants are unrelated.
        key: the client's key, if it sent one.
        operation: the operation with the ids in its path, so that a key is valid for one only.
        body: the request body.
    """

    tenant_id: UUID
    key: str | None
    operation: str
    body: BaseModel

    async def respond(self, database: Database, create: Create) -> JSONResponse:
        """Create the resource, or replay the stored response.

        A concurrent retry waits for the transaction and gets the same response. While `start`
        runs it gets `request_in_progress`; once the lease is over, the request is taken for dead
        and resumed with the same id.

        Args:
            database: where the tenant's rows are.
            create: creates the resource with the given id. With a `start`, it may be called
                again with the same id, and then returns what exists.

        Raises:
            IdempotencyMismatchProblem: the key was used for a different request.
            RequestInProgressProblem: the same request is running.
        """
        async with database.session(self.tenant_id) as session:
            claim = await self._claim(session)
            if claim.response is not None:
                return _json(claim.response, headers=_REPLAYED)
            created = await create(session, claim.resource_id)
            if created.start is None:
                await self._complete(session, created)
        if created.start is not None:
            try:
                await created.start()
            except TemporalUnavailableError:
                await self._release(database)
                raise
            async with database.session(self.tenant_id) as session:
                await self._complete(session, created)
        return _json(created.response)

    async def _claim(self, session: AsyncSession) -> Claim:
        if self.key is None:
            return Claim(resource_id=uuid4())
        text = f"{self.operation}\n{self.body.model_dump_json()}"
        try:
            return await idempotency.claim(
                session,
                tenant_id=self.tenant_id,
                key=self.key,
                request_hash=hashlib.sha256(text.encode()).digest(),
                resource_id=uuid4(),
                lease=_LEASE,
            )
        except KeyReusedError:
            raise IdempotencyMismatchProblem from None
        except RequestRunningError:
            raise RequestInProgressProblem from None

    async def _complete(self, session: AsyncSession, created: Created) -> None:
        if self.key is not None:
            await idempotency.complete(
                session,
                tenant_id=self.tenant_id,
                key=self.key,
                response=created.stored or created.response,
            )

    async def _release(self, database: Database) -> None:
        if self.key is not None:
            async with database.session(self.tenant_id) as session:
                await idempotency.release(session, tenant_id=self.tenant_id, key=self.key)


def _json(response: StoredResponse, *, headers: Mapping[str, str] = _NONE) -> JSONResponse:
    return JSONResponse(
        response.body, status_code=response.status, headers={**response.headers, **headers}
    )
