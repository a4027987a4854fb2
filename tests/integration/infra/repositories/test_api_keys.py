"""API keys as stored: found by hash alone, until revoked or expired."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.services.api_keys import create_key, ensure_dev_tenant, list_keys, revoke_key
from domain.tenants.keys import Scope
from infra import api_keys
from infra.db.engine import Database
from infra.db.repositories import api_keys as stored
from infra.db.tables import ApiKey, Stream

SECRET = b"0" * 32


async def usable(database: Database, key: api_keys.PlainKey) -> ApiKey | None:
    key_hash = api_keys.hash_key(key, secret=SECRET)
    async with database.key_session(key_hash) as session:
        return await stored.find_usable(session, key_hash=key_hash)


async def make(
    database: Database, slug: str, *, expires_at: datetime | None = None
) -> tuple[UUID, api_keys.PlainKey]:
    made = await create_key(
        database, secret=SECRET, slug=slug, name="test", scopes=(Scope.READ,), expires_at=expires_at
    )
    return made.key_id, made.key


async def test_a_key_is_found_by_its_hash_before_a_tenant_is_known(
    database: Database, slug: str
) -> None:
    key_id, key = await make(database, slug)
    found = await usable(database, key)
    assert found is not None
    assert (found.id, found.scopes, found.hint) == (key_id, ["read"], key.hint)


async def test_a_key_session_sees_that_key_and_nothing_else(database: Database, slug: str) -> None:
    _, key = await make(database, slug)
    await make(database, slug)
    async with database.key_session(api_keys.hash_key(key, secret=SECRET)) as session:
        assert len((await session.scalars(select(ApiKey))).all()) == 1
        assert (await session.scalars(select(Stream))).all() == []


async def test_a_key_session_writes_nothing(database: Database, slug: str) -> None:
    _, key = await make(database, slug)
    async with database.key_session(api_keys.hash_key(key, secret=SECRET)) as session:
        result = await session.execute(text("UPDATE api_keys SET scopes = '{admin}' RETURNING id"))
        assert result.all() == []
    with pytest.raises(DBAPIError, match="permission denied"):
        async with database.key_session(api_keys.hash_key(key, secret=SECRET)) as session:
            await session.execute(text("DELETE FROM api_keys"))


async def test_a_revoked_key_is_unusable_at_once(database: Database, slug: str) -> None:
    key_id, key = await make(database, slug)
    assert await revoke_key(database, slug=slug, key_id=key_id)
    assert await usable(database, key) is None
    assert [row.revoked_at is None for row in await list_keys(database, slug=slug)] == [False]


async def test_an_expired_key_is_unusable(database: Database, slug: str) -> None:
    _, key = await make(database, slug, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await usable(database, key) is None


async def test_another_tenants_key_cannot_be_revoked(database: Database, slug: str) -> None:
    key_id, key = await make(database, slug)
    assert not await revoke_key(database, slug="somebody-else", key_id=key_id)
    assert await usable(database, key) is not None


async def test_the_last_use_is_noted_once_per_interval(database: Database, slug: str) -> None:
    made = await create_key(database, secret=SECRET, slug=slug, name="n", scopes=(Scope.READ,))

    async def touch(interval: timedelta) -> datetime | None:
        async with database.session(made.tenant_id) as session:
            await stored.touch(
                session, tenant_id=made.tenant_id, key_id=made.key_id, interval=interval
            )
        return (await list_keys(database, slug=slug))[0].last_used_at

    first = await touch(timedelta(minutes=1))
    assert first is not None
    assert await touch(timedelta(minutes=1)) == first
    assert await touch(timedelta(0)) != first


async def test_the_development_key_survives_a_restart(database: Database, tmp_path: Path) -> None:
    first = await ensure_dev_tenant(database, secret=SECRET, directory=tmp_path)
    second = await ensure_dev_tenant(database, secret=SECRET, directory=tmp_path)
    assert second == first
    assert stat.S_IMODE((tmp_path / "api-key").stat().st_mode) == 0o600


async def test_a_development_key_that_the_database_lost_is_replaced(
    database: Database, tmp_path: Path
) -> None:
    first = await ensure_dev_tenant(database, secret=SECRET, directory=tmp_path)
    await revoke_key(database, slug="dev", key_id=first.key_id)
    second = await ensure_dev_tenant(database, secret=SECRET, directory=tmp_path)
    assert second.key != first.key
    assert await usable(database, second.key) is not None
