"""What the database alone creates is created and answered in one transaction, once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.idempotency import IdempotentRequest
from api.problems import IdempotencyMismatchProblem
from infra.database import Database
from infra.repositories.idempotency import StoredResponse


class Body(BaseModel):
    name: str = "a"


@dataclass
class Workshop:
    """Creates things, and counts them."""

    made: list[UUID] = field(default_factory=list)

    async def create(self, _session: AsyncSession, identity: UUID) -> StoredResponse:
        self.made.append(identity)
        return StoredResponse(
            status=201,
            headers={"Location": f"/things/{identity}"},
            body={"id": str(identity), "secret": "s3cret"},
        )

    async def fail(self, session: AsyncSession, identity: UUID) -> StoredResponse:
        await self.create(session, identity)
        raise ConnectionError


def request(tenant: UUID, key: str | None, body: Body | None = None) -> IdempotentRequest:
    return IdempotentRequest(
        tenant_id=tenant, key=key, operation="createThing", body=body or Body()
    )


async def test_a_repetition_is_answered_alike(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    first = await request(tenant, key).answer(database, shop.create)
    second = await request(tenant, key).answer(database, shop.create)
    assert (first.status_code, first.body) == (second.status_code, second.body)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert len(shop.made) == 1


async def test_repetitions_at_the_same_moment_create_once(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    answers = await asyncio.gather(
        *(request(tenant, key).answer(database, shop.create) for _ in range(5))
    )
    assert len(shop.made) == 1
    assert {bytes(answer.body) for answer in answers} == {bytes(answers[0].body)}


async def test_without_a_key_each_request_creates(database: Database, tenant: UUID) -> None:
    shop = Workshop()
    for _ in range(2):
        await request(tenant, None).answer(database, shop.create)
    assert len(set(shop.made)) == 2


async def test_a_key_for_something_else_is_refused(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    await request(tenant, key).answer(database, shop.create)
    with pytest.raises(IdempotencyMismatchProblem):
        await request(tenant, key, Body(name="b")).answer(database, shop.create)


async def test_a_request_that_failed_may_be_repeated_at_once(
    database: Database, tenant: UUID
) -> None:
    shop, key = Workshop(), str(uuid4())
    with pytest.raises(ConnectionError):
        await request(tenant, key).answer(database, shop.fail)
    assert (await request(tenant, key).answer(database, shop.create)).status_code == 201


async def test_a_secret_is_shown_once_and_stored_never(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    first = await request(tenant, key).answer(database, shop.create, secrets=["secret"])
    second = await request(tenant, key).answer(database, shop.create, secrets=["secret"])
    assert json.loads(bytes(first.body))["secret"] == "s3cret"
    assert json.loads(bytes(second.body)) == {"id": str(shop.made[0]), "secret": None}
    async with database.session(tenant) as session:
        rows = await session.scalars(text("SELECT response_body::text FROM idempotency_keys"))
        assert "s3cret" not in "".join(rows)
