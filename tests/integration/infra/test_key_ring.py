"""Keys of a tenant are changed one after the other, each change judged by those before it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.services import api_keys as key_service
from app.services.api_keys import MadeKey, NewKey
from domain.tenants.audit import SYSTEM
from domain.tenants.keys import LastAdministratorError, Scope
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import api_keys

SECRET = b"0" * 32


async def make(database: Database, tenant: UUID, *, scope: Scope = Scope.ADMIN) -> MadeKey:
    async with database.session(tenant) as session:
        return await key_service.make(
            session,
            NewKey(name="test", scopes=frozenset({scope})),
            tenant_id=tenant,
            secret=SECRET,
            actor=SYSTEM,
        )


async def revoke(database: Database, tenant: UUID, key_id: UUID) -> None:
    async with database.session(tenant) as session:
        await key_service.revoke(session, key_id, tenant_id=tenant, actor=SYSTEM)


async def lock_at_once(database: Database, tenant: UUID) -> None:
    async with database.session(tenant) as session:
        await session.execute(text("SET LOCAL lock_timeout = '20ms'"))
        await api_keys.lock(session, tenant)


async def test_while_one_change_is_made_another_waits(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    key = await make(database, tenant)
    await make(database, tenant)
    async with database.session(tenant) as session:
        await key_service.revoke(session, key.row.id, tenant_id=tenant, actor=SYSTEM)
        await lock_at_once(database, other_tenant)
        with pytest.raises(DBAPIError, match="lock timeout"):
            await lock_at_once(database, tenant)
    await lock_at_once(database, tenant)


async def test_a_change_that_waited_counts_what_has_ended_meanwhile(
    database: Database, tenant: UUID
) -> None:
    old = await make(database, tenant)
    async with database.session(tenant) as waiting:
        await waiting.execute(text("SELECT now()"))  # its transaction began before the rotation
        async with database.session(tenant) as session:
            new = await key_service.rotate(
                session,
                old.row.id,
                tenant_id=tenant,
                secret=SECRET,
                actor=SYSTEM,
                overlap=timedelta(0),
            )
        with pytest.raises(LastAdministratorError):
            await key_service.revoke(waiting, new.row.id, tenant_id=tenant, actor=SYSTEM)


async def test_keys_without_the_scope_administer_nothing(database: Database, tenant: UUID) -> None:
    last = await make(database, tenant)
    reader = await make(database, tenant, scope=Scope.READ)
    with pytest.raises(LastAdministratorError):
        await revoke(database, tenant, last.row.id)
    await revoke(database, tenant, reader.row.id)


async def test_another_tenants_administrator_does_not_count(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    last = await make(database, tenant)
    await make(database, other_tenant)
    with pytest.raises(LastAdministratorError):
        await revoke(database, tenant, last.row.id)


async def test_another_tenants_key_does_not_exist(
    database: Database, tenant: UUID, other_tenant: UUID
) -> None:
    theirs = await make(database, other_tenant)
    for key_id in (theirs.row.id, uuid4()):
        with pytest.raises(RecordMissingError):
            await revoke(database, tenant, key_id)
    async with database.session(tenant) as session:
        with pytest.raises(RecordMissingError):
            await key_service.change(
                session, theirs.row.id, {"name": "mine"}, tenant_id=tenant, actor=SYSTEM
            )


@pytest.mark.parametrize("name", ["scopes", "hash", "revoked_at", "tenant_id"])
async def test_rights_are_not_changed(database: Database, tenant: UUID, name: str) -> None:
    reader = await make(database, tenant, scope=Scope.READ)
    async with database.session(tenant) as session:
        with pytest.raises(ValueError, match="'allowed_ips', 'expires_at', 'name'"):
            await key_service.change(
                session, reader.row.id, {name: None}, tenant_id=tenant, actor=SYSTEM
            )
