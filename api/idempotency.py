"""`Idempotency-Key`: a creating request can be repeated without creating twice."""

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
from infra.db.repositories.idempotency import ClaimOutcome, StoredResponse
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
        description="A key of your choice, such as a UUID. Within 24 hours the same request under "
        "the same key is answered alike and creates nothing more.",
        examples=["7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51"],
    ),
]


@dataclass(frozen=True, kw_only=True)
class Created:
    """What a request made, in the transaction of its rows.

    Attributes:
        answer: for the client that made it.
        stored: for repetitions; by default the same. What is shown once must not be in it.
        begin: what is to be done once the rows are committed, such as starting a workflow; the
            answer is stored after it.
        undo: takes the rows back when `begin` finds Temporal away.
    """

    answer: StoredResponse
    stored: StoredResponse | None = None
    begin: Callable[[], Awaitable[None]] | None = None
    undo: Callable[[AsyncSession], Awaitable[None]] | None = None


Create = Callable[[AsyncSession, UUID], Awaitable[Created]]
Resume = Callable[[AsyncSession, UUID], Awaitable[Created | None]]


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """One creating request, with or without a key.

    Args:
        tenant_id: whose request it is; keys of different tenants never meet.
        key: the client's, or None when it sent none.
        operation: which operation it is, with the ids in its path, so that a key is not taken for
            another's.
        body: what it asks for.
    """

    tenant_id: UUID
    key: str | None
    operation: str
    body: BaseModel

    async def answer(
        self,
        database: Database,
        create: Create,
        *,
        resume: Resume | None = None,
    ) -> JSONResponse:
        """Create and answer, or repeat the answer given before.

        A repetition that comes meanwhile waits for the transaction to end. One whose answer is
        made then is answered alike; with something left to `begin` it is told to wait, until that
        has taken so long that the request must have died: then it is resumed under the same id.

        Args:
            database: where the tenant's rows are.
            create: makes the resource under the id it is given.
            resume: goes on with what a request that died has left under the id, or answers None
                when it left nothing; whoever has something to `begin` needs one.

        Raises:
            IdempotencyMismatchProblem: the key was used for something else.
            RequestInProgressProblem: the same request is being answered right now.
        """
        async with database.session(self.tenant_id) as session:
            claim = await self._claim(session, resource_id=uuid4())
            if (stored := claim.response) is not None:
                return _response(stored, headers=_REPLAYED)
            created = None
            if claim.outcome is ClaimOutcome.RESUMED and resume is not None:
                created = await resume(session, claim.resource_id)
            if created is None:
                created = await create(session, claim.resource_id)
            if created.begin is None:
                await self._complete(session, created)
        if created.begin is not None:
            await self._begin(database, created.begin, created)
        return _response(created.answer)

    async def _begin(
        self, database: Database, begin: Callable[[], Awaitable[None]], created: Created
    ) -> None:
        try:
            await begin()
        except TemporalUnavailableError:
            async with database.session(self.tenant_id) as session:
                if created.undo is not None:
                    await created.undo(session)
                await self._release(session)
            raise
        async with database.session(self.tenant_id) as session:
            await self._complete(session, created)

    async def _claim(self, session: AsyncSession, *, resource_id: UUID) -> idempotency.Claim:
        if self.key is None:
            return idempotency.Claim(outcome=ClaimOutcome.NEW, resource_id=resource_id)
        claim = await idempotency.claim(
            session,
            tenant_id=self.tenant_id,
            key=self.key,
            request_hash=self._hash(),
            resource_id=resource_id,
            lease=_LEASE,
        )
        if claim.outcome is ClaimOutcome.OTHER_REQUEST:
            raise IdempotencyMismatchProblem
        if claim.outcome is ClaimOutcome.IN_PROGRESS:
            raise RequestInProgressProblem
        return claim

    async def _complete(self, session: AsyncSession, created: Created) -> None:
        if self.key is not None:
            await idempotency.complete(
                session,
                tenant_id=self.tenant_id,
                key=self.key,
                response=created.stored or created.answer,
            )

    async def _release(self, session: AsyncSession) -> None:
        if self.key is not None:
            await idempotency.release(session, tenant_id=self.tenant_id, key=self.key)

    def _hash(self) -> bytes:
        text = f"{self.operation}\n{self.body.model_dump_json()}"
        return hashlib.sha256(text.encode()).digest()


def _response(answer: StoredResponse, *, headers: Mapping[str, str] = _NONE) -> JSONResponse:
    return JSONResponse(
        answer.body, status_code=answer.status, headers={**answer.headers, **headers}
    )
