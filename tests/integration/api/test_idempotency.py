"""What is asked for under a key is made and answered once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors.problems import IdempotencyMismatchProblem, RequestInProgressProblem
from api.idempotency import Created, IdempotentRequest
from infra.db.engine import Database
from infra.db.repositories.idempotency import StoredResponse
from infra.temporal.client import TemporalUnavailableError


class Body(BaseModel):
    name: str = "a"


@dataclass
class Workshop:
    """Creates things, and counts them."""

    made: list[UUID] = field(default_factory=list)
    failure: Exception | None = None
    started: int = 0
    undone: int = 0

    async def create(self, _session: AsyncSession, identity: UUID) -> Created:
        self.made.append(identity)
        return Created(response=answer(identity, secret="s3cret"), stored=answer(identity))

    async def fail(self, session: AsyncSession, identity: UUID) -> Created:
        await self.create(session, identity)
        raise ConnectionError

    async def create_and_start(self, session: AsyncSession, identity: UUID) -> Created:
        await self.create(session, identity)
        return Created(response=answer(identity), start=self.start)

    async def start(self) -> None:
        if isinstance(self.failure, TemporalUnavailableError):
            self.undone += 1
        if self.failure is not None:
            raise self.failure
        self.started += 1


def answer(identity: UUID, *, secret: str | None = None) -> StoredResponse:
    return StoredResponse(
        status=201,
        headers={"Location": f"/things/{identity}"},
        body={"id": str(identity), "secret": secret},
    )


def request(tenant: UUID, key: str | None, body: Body | None = None) -> IdempotentRequest:
    return IdempotentRequest(
        tenant_id=tenant, key=key, operation="createThing", body=body or Body()
    )


async def test_a_repetition_is_answered_alike(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    first = await request(tenant, key).respond(database, shop.create)
    second = await request(tenant, key).respond(database, shop.create)
    shown, stored = json.loads(bytes(first.body)), json.loads(bytes(second.body))
    assert (first.status_code, shown | {"secret": None}) == (second.status_code, stored)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert len(shop.made) == 1


async def test_repetitions_at_the_same_moment_create_once(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    answers = await asyncio.gather(
        *(request(tenant, key).respond(database, shop.create) for _ in range(5))
    )
    assert len(shop.made) == 1
    assert {json.loads(bytes(each.body))["id"] for each in answers} == {str(shop.made[0])}
    assert ["Idempotent-Replayed" in each.headers for each in answers].count(False) == 1


async def test_without_a_key_each_request_creates(database: Database, tenant: UUID) -> None:
    shop = Workshop()
    for _ in range(2):
        await request(tenant, None).respond(database, shop.create)
    assert len(set(shop.made)) == 2


async def test_a_key_for_something_else_is_refused(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    await request(tenant, key).respond(database, shop.create)
    with pytest.raises(IdempotencyMismatchProblem):
        await request(tenant, key, Body(name="b")).respond(database, shop.create)


async def test_a_request_that_failed_may_be_repeated_at_once(
    database: Database, tenant: UUID
) -> None:
    shop, key = Workshop(), str(uuid4())
    with pytest.raises(ConnectionError):
        await request(tenant, key).respond(database, shop.fail)
    assert (await request(tenant, key).respond(database, shop.create)).status_code == 201


async def test_a_secret_is_shown_once_and_stored_never(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    first = await request(tenant, key).respond(database, shop.create)
    second = await request(tenant, key).respond(database, shop.create)
    assert json.loads(bytes(first.body))["secret"] == "s3cret"
    assert json.loads(bytes(second.body)) == {"id": str(shop.made[0]), "secret": None}
    async with database.session(tenant) as session:
        rows = await session.scalars(text("SELECT response_body::text FROM idempotency_keys"))
        assert "s3cret" not in "".join(rows)


async def test_what_starts_after_the_commit_starts_once(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    first, second = [
        await request(tenant, key).respond(database, shop.create_and_start) for _ in range(2)
    ]
    assert first.body == second.body
    assert (len(shop.made), shop.started, shop.undone) == (1, 1, 0)


async def test_what_could_not_start_is_undone_and_may_be_repeated_at_once(
    database: Database, tenant: UUID
) -> None:
    shop, key = Workshop(failure=TemporalUnavailableError("it is away")), str(uuid4())
    with pytest.raises(TemporalUnavailableError):
        await request(tenant, key).respond(database, shop.create_and_start)
    shop.failure = None
    assert (await request(tenant, key).respond(database, shop.create_and_start)).status_code == 201
    assert (len(set(shop.made)), shop.started, shop.undone) == (2, 1, 1)


async def test_a_request_that_died_half_way_is_finished_under_its_id(
    database: Database, tenant: UUID
) -> None:
    shop, key = Workshop(failure=ConnectionError()), str(uuid4())
    with pytest.raises(ConnectionError):
        await request(tenant, key).respond(database, shop.create_and_start)
    shop.failure = None
    with pytest.raises(RequestInProgressProblem):
        await request(tenant, key).respond(database, shop.create_and_start)
    async with database.session(tenant) as session:
        await session.execute(text("UPDATE idempotency_keys SET claimed_until = now()"))
    await request(tenant, key).respond(database, shop.create_and_start)
    assert shop.made[0] == shop.made[1]
    assert (len(shop.made), shop.started, shop.undone) == (2, 1, 0)


async def test_a_key_is_new_again_after_a_day(database: Database, tenant: UUID) -> None:
    shop, key = Workshop(), str(uuid4())
    await request(tenant, key).respond(database, shop.create)
    async with database.session(tenant) as session:
        await session.execute(
            text("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
        )
    second = await request(tenant, key, Body(name="b")).respond(database, shop.create)
    third = await request(tenant, key, Body(name="b")).respond(database, shop.create)
    assert len(set(shop.made)) == 2
    assert json.loads(bytes(second.body))["id"] == str(shop.made[1])
    assert json.loads(bytes(third.body))["id"] == str(shop.made[1])
    assert "Idempotent-Replayed" not in second.headers
    assert third.headers["Idempotent-Replayed"] == "true"


async def test_a_dead_request_is_not_resumed_by_a_different_one(
    database: Database, tenant: UUID
) -> None:
    shop, key = Workshop(failure=ConnectionError()), str(uuid4())
    with pytest.raises(ConnectionError):
        await request(tenant, key).respond(database, shop.create_and_start)
    async with database.session(tenant) as session:
        await session.execute(text("UPDATE idempotency_keys SET claimed_until = now()"))
    with pytest.raises(IdempotencyMismatchProblem):
        await request(tenant, key, Body(name="b")).respond(database, shop.create)
    assert len(shop.made) == 1
