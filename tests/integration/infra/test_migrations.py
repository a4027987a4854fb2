"""The schema: made and unmade by its revisions, as the models say, and closed to strangers."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Executable, text
from sqlalchemy.ext.asyncio import create_async_engine

from domain.clip import ClipStatus
from domain.events import EventType
from domain.hms.beam import Outcome
from domain.media import GapReason
from domain.selection import DecisionStatus, Tier
from domain.stream import EndReason, StreamStatus
from infra.database import Database, asyncpg_url, migrate
from infra.embedded.postgres import DatabaseUrls
from infra.repositories import streams
from infra.schema import Base

UNPROTECTED = text(
    """
    SELECT class.relname
    FROM pg_class class
    JOIN pg_namespace space ON space.oid = class.relnamespace AND space.nspname = 'public'
    WHERE class.relkind IN ('r', 'p')
      AND (class.relname = 'tenants' OR EXISTS (
        SELECT FROM pg_attribute attribute
        WHERE attribute.attrelid = class.oid AND attribute.attname = 'tenant_id'
          AND NOT attribute.attisdropped
      ))
      AND NOT (
        class.relrowsecurity AND class.relforcerowsecurity AND EXISTS (
          SELECT FROM pg_policy policy
          WHERE policy.polrelid = class.oid
            AND pg_get_expr(policy.polqual, class.oid) LIKE '%app.tenant_id%'
            AND pg_get_expr(policy.polwithcheck, class.oid) LIKE '%app.tenant_id%'
        )
      )
    """
)
KEYS_WITHOUT_TENANT = text(
    """
    SELECT conrelid::regclass || '.' || conname
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f')
      AND conrelid <> 'tenants'::regclass AND conrelid <> 'alembic_version'::regclass
      AND NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = conrelid AND attnum = conkey[1] AND attname = 'tenant_id'
      )
    """
)
GRANTS = text(
    """
    SELECT table_name, string_agg(privilege_type, ',' ORDER BY privilege_type)
    FROM information_schema.role_table_grants
    WHERE grantee = 'highlights_app' GROUP BY table_name
    """
)


async def rows(url: str, statement: Executable) -> list[Any]:
    engine = create_async_engine(asyncpg_url(url))
    async with engine.connect() as connection:
        result = list(await connection.execute(statement))
    await engine.dispose()
    return result


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(
        compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    )


async def test_models_and_migrations_agree(postgres: DatabaseUrls) -> None:
    engine = create_async_engine(asyncpg_url(postgres.owner))
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()
    assert found == []


async def test_migrations_go_up_down_and_up_again(empty_database: DatabaseUrls) -> None:
    await migrate(empty_database.owner)
    await migrate(empty_database.owner, "base")
    left = await rows(
        empty_database.owner, text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    )
    assert left == [("alembic_version",)]
    await migrate(empty_database.owner)


async def test_rows_of_the_first_revision_are_kept_by_the_later_ones(
    empty_database: DatabaseUrls,
) -> None:
    await migrate(empty_database.owner, "0001")
    tenant, stream = uuid4(), uuid4()
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        for statement in (
            "SELECT set_config('app.tenant_id', :tenant, true)",
            "INSERT INTO tenants (id, slug, name) VALUES (CAST(:tenant AS uuid), 'a', 'A')",
            (
                "INSERT INTO streams (tenant_id, id, playlist_url, game, title, profile_id,"
                " profile_version, status) VALUES (CAST(:tenant AS uuid), CAST(:stream AS uuid),"
                " 'https://a/b', 'soccer', '', 'soccer', '1', 'live')"
            ),
        ):
            used = {"tenant": str(tenant), "stream": str(stream)}
            bound = {key: value for key, value in used.items() if f":{key}" in statement}
            await connection.execute(text(statement), bound)
    await engine.dispose()
    await migrate(empty_database.owner)
    database = Database(empty_database.application, pool_size=1)
    async with database.session(tenant) as session:
        found = await streams.get(session, tenant_id=tenant, stream_id=stream)
    await database.close()
    assert found is not None
    assert (found.game, found.profile_match) == ("soccer", None)


async def test_programs_that_start_together_migrate_once(empty_database: DatabaseUrls) -> None:
    await asyncio.gather(*(migrate(empty_database.owner) for _ in range(3)))
    assert await rows(empty_database.owner, text("SELECT count(*) FROM alembic_version")) == [(1,)]


async def test_every_table_of_tenants_has_a_forced_policy(postgres: DatabaseUrls) -> None:
    assert await rows(postgres.owner, UNPROTECTED) == []


async def test_a_table_without_a_policy_would_be_found(empty_database: DatabaseUrls) -> None:
    await migrate(empty_database.owner)
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE forgotten (tenant_id uuid)"))
        await connection.execute(text("ALTER TABLE clips NO FORCE ROW LEVEL SECURITY"))
        await connection.execute(text("DROP POLICY gaps_tenant ON gaps"))
    await engine.dispose()
    found = {name for (name,) in await rows(empty_database.owner, UNPROTECTED)}
    assert found == {"forgotten", "clips", "gaps"}


async def test_every_key_of_every_table_begins_with_the_tenant(postgres: DatabaseUrls) -> None:
    assert await rows(postgres.owner, KEYS_WITHOUT_TENANT) == []


async def test_the_application_has_these_rights_and_no_others(postgres: DatabaseUrls) -> None:
    assert dict(await rows(postgres.application, GRANTS)) == {
        "tenants": "INSERT,SELECT",
        "api_keys": "INSERT,SELECT,UPDATE",
        "streams": "DELETE,INSERT,SELECT,UPDATE",
        "gaps": "INSERT,SELECT",
        "highlights": "INSERT,SELECT,UPDATE",
        "clips": "INSERT,SELECT,UPDATE",
        "idempotency_keys": "DELETE,INSERT,SELECT,UPDATE",
        "profile_overrides": "INSERT,SELECT",
        "pinned_profiles": "INSERT,SELECT",
        "events": "DELETE,INSERT,SELECT,UPDATE",
        "connections": "DELETE,INSERT,SELECT,UPDATE",
        "inbound_events": "DELETE,INSERT,SELECT,UPDATE",
        "beams": "DELETE,INSERT,SELECT,UPDATE",
        "closed_sessions": "DELETE,INSERT,SELECT",
    }


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("ck_streams_status", StreamStatus),
        ("ck_streams_end_reason", EndReason),
        ("ck_gaps_reason", GapReason),
        ("ck_highlights_status", DecisionStatus),
        ("ck_highlights_tier", Tier),
        ("ck_clips_status", ClipStatus),
        ("ck_events_type", EventType),
        ("ck_inbound_events_outcome", Outcome),
    ],
)
async def test_the_database_accepts_exactly_the_values_of_the_domain(
    postgres: DatabaseUrls, constraint: str, values: type[StrEnum]
) -> None:
    query = text(
        "SELECT m[1] FROM pg_constraint,"
        " regexp_matches(pg_get_constraintdef(oid), '''([a-z_.]+)''', 'g') AS m"
        " WHERE conname = :name"
    ).bindparams(name=constraint)
    assert {value for (value,) in await rows(postgres.owner, query)} == set(values)
