"""`Idempotency-Key`: a creating request can be repeated without creating twice."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID, uuid4

from fastapi import Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import IdempotencyMismatchProblem, RequestInProgressProblem
from infra.database import Database
from infra.repositories import idempotency
from infra.repositories.idempotency import ClaimOutcome, StoredResponse

_LEASE: Final = timedelta(seconds=30)
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


Create = Callable[[AsyncSession, UUID], Awaitable[StoredResponse]]


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
        self, database: Database, create: Create, *, secrets: Iterable[str] = ()
    ) -> JSONResponse:
        """Create and answer in one transaction, or repeat the answer given before.

        It is for what the database alone makes. A repetition that comes meanwhile waits for the
        transaction to end, and is then answered alike.

        Args:
            database: where the tenant's rows are.
            create: makes the resource under the id it is given, and says how to answer.
            secrets: fields of the answer's body that are shown once: they are not stored, and null
                in repetitions.

        Raises:
            IdempotencyMismatchProblem: the key was used for something else.
            RequestInProgressProblem: the same request is being answered right now.
        """
        async with database.session(self.tenant_id) as session:
            claim = await self.claim(session, resource_id=uuid4())
            if claim.response is not None:
                return replay(claim.response)
            response = await create(session, claim.resource_id)
            stored = replace(response, body=response.body | dict.fromkeys(secrets))
            await self.complete(session, stored)
        return JSONResponse(response.body, status_code=response.status, headers=response.headers)

    async def claim(self, session: AsyncSession, *, resource_id: UUID) -> idempotency.Claim:
        """Claim the key in the transaction that creates the resource.

        Raises:
            IdempotencyMismatchProblem: the key was used for something else.
            RequestInProgressProblem: the same request is being answered right now.
        """
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

    async def complete(self, session: AsyncSession, response: StoredResponse) -> None:
        """Store the answer for repetitions."""
        if self.key is not None:
            await idempotency.complete(
                session, tenant_id=self.tenant_id, key=self.key, response=response
            )

    async def release(self, session: AsyncSession) -> None:
        """Forget the key, since the request came to nothing."""
        if self.key is not None:
            await idempotency.release(session, tenant_id=self.tenant_id, key=self.key)

    def _hash(self) -> bytes:
        text = f"{self.operation}\n{self.body.model_dump_json()}"
        return hashlib.sha256(text.encode()).digest()


def replay(response: StoredResponse) -> JSONResponse:
    """Return a stored answer once more, marked as such."""
    return JSONResponse(
        response.body, status_code=response.status, headers=response.headers | _REPLAYED
    )
