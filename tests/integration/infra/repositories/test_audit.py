"""Entries of the audit log stand or fall with the change they tell of, and then stay."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.tenants.audit import OPERATOR, SYSTEM, Actor, ActorKind, AuditAction
from infra.db.engine import Database
from infra.db.repositories import audit
from infra.db.repositories.audit import AuditFilter
from infra.db.tables import AuditEntry


async def entries(database: Database, tenant: UUID) -> list[AuditEntry]:
    async with database.session(tenant) as session:
        return await audit.list_page(session, tenant_id=tenant, criteria=AuditFilter())


async def record(database: Database, tenant: UUID, *, belongs_to: UUID | None = None) -> None:
    async with database.session(tenant) as session:
        await audit.record(
            session,
            tenant_id=belongs_to or tenant,
            action=AuditAction.KEY_REVOKED,
            target_id=uuid4(),
            actor=OPERATOR,
        )


async def test_an_entry_has_all_given_values(database: Database, tenant: UUID) -> None:
    key, target = uuid4(), uuid4()
    actor = Actor(kind=ActorKind.API_KEY, id=key, request_id="r", client_address="203.0.113.9")
    async with database.session(tenant) as session:
        await audit.record(
            session,
            tenant_id=tenant,
            action=AuditAction.KEY_UPDATED,
            target_id=target,
            actor=actor,
            details={"after": {"name": "x"}},
        )
    (entry,) = await entries(database, tenant)
    assert (entry.actor_kind, entry.actor_id) == ("api_key", key)
    assert (entry.action, entry.target_kind, entry.target_id) == ("key.updated", "key", str(target))
    assert entry.details == {"after": {"name": "x"}}
    assert (entry.request_id, entry.client_address) == ("r", "203.0.113.9")


async def test_a_change_that_is_rolled_back_leaves_no_entry(
    database: Database, tenant: UUID
) -> None:
    async def fail() -> None:
        async with database.session(tenant) as session:
            await audit.record(
                session,
                tenant_id=tenant,
                action=AuditAction.KEY_CREATED,
                target_id=uuid4(),
                actor=SYSTEM,
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await entries(database, tenant) == []


async def test_entries_of_one_transaction_keep_their_order(
    database: Database, tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        for number in range(5):
            await audit.record(
                session,
                tenant_id=tenant,
                action=AuditAction.OVERRIDE_PUT,
                target_id=number,
                actor=SYSTEM,
            )
    found = [entry.target_id for entry in await entries(database, tenant)]
    assert found == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize(
    "statement", ["DELETE FROM audit_log", "UPDATE audit_log SET action = 'x'"]
)
async def test_what_was_written_cannot_be_changed_or_deleted(
    database: Database, tenant: UUID, statement: str
) -> None:
    await record(database, tenant)
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.session(tenant) as session:
            await session.execute(text(statement))


async def test_nothing_of_another_tenants_is_seen_or_written(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    await record(database, other_tenant)
    assert await entries(database, tenant) == []
    async with database.session(tenant) as session:
        assert (await session.execute(text("SELECT count(*) FROM audit_log"))).scalar_one() == 0
    with pytest.raises(DBAPIError, match="row-level security"):
        await record(database, tenant, belongs_to=other_tenant)
