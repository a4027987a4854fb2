"""The schema: made and unmade by its revisions, as the models say, and closed to strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Executable, text
from sqlalchemy.ext.asyncio import create_async_engine

from domain.audit import ActorKind
from domain.clip import ClipStatus
from domain.events import EventType
from domain.feedback import Verdict
from domain.hms.beam import Outcome
from domain.language import Language
from domain.media import GapReason, GapStatus
from domain.plans import PlanName
from domain.selection import DecisionStatus, Tier
from domain.stream import EndReason, StreamStatus
from domain.usage import UsageKind
from domain.webhooks import DeliveryStatus, DisabledReason, EndpointStatus
from infra.api_keys import KeyMode
from infra.database import Database, asyncpg_url
from infra.embedded.postgres import DatabaseUrls
from infra.migration import alembic_config, migrate
from infra.repositories import api_keys, events, highlights
from infra.repositories.highlight_filter import HighlightFilter
from infra.schema import Base
from tests.integration.infra.one_row_each import counts, fill
from tests.integration.rows import usage_event

T = TypeVar("T")

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
COLUMN_UPDATES = text(
    """
    SELECT column_name FROM information_schema.column_privileges
    WHERE grantee = 'highlights_app' AND table_name = 'tenants' AND privilege_type = 'UPDATE'
    """
)


REVISIONS = [
    each.revision
    for each in reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions()))
]


async def run(urls: DatabaseUrls, work: Callable[[Connection, Any], T], argument: object) -> T:
    """Do something as the owner, in a transaction."""
    engine = create_async_engine(asyncpg_url(urls.owner))
    async with engine.begin() as connection:
        result = await connection.run_sync(work, argument)
    await engine.dispose()
    return result


def downgrade(connection: Connection, revision: str) -> None:
    command.downgrade(alembic_config(connection), revision)


async def rows(url: str, statement: Executable) -> list[Any]:
    engine = create_async_engine(asyncpg_url(url))
    async with engine.connect() as connection:
        result = list(await connection.execute(statement))
    await engine.dispose()
    return result


def make_requests_of_usage(connection: Connection, tenant: UUID) -> None:
    connection.execute(
        text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(tenant)}
    )
    for table in ("usage_events", "usage_hourly"):
        connection.execute(text(f"UPDATE {table} SET kind = 'api_request'"))  # noqa: S608 - ours


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


@pytest.mark.parametrize("revision", REVISIONS)
async def test_rows_of_each_revision_are_kept_on_the_way_up(
    empty_database: DatabaseUrls, revision: str
) -> None:
    tenant = uuid4()
    await migrate(empty_database.owner, revision)
    await run(empty_database, fill, tenant)
    before = await run(empty_database, counts, tenant)
    await migrate(empty_database.owner)
    after = await run(empty_database, counts, tenant)
    assert min(before.values(), default=0) >= 1
    assert before == {table: after[table] for table in before}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_rows_of_each_revision_are_kept_on_the_way_down(
    empty_database: DatabaseUrls, revision: str
) -> None:
    tenant = uuid4()
    await migrate(empty_database.owner)
    await run(empty_database, fill, tenant)
    before = await run(empty_database, counts, tenant)
    await run(empty_database, downgrade, revision)
    after = await run(empty_database, counts, tenant)
    assert after == {table: before[table] for table in after}
    await migrate(empty_database.owner)


async def test_requests_are_forgotten_where_they_are_no_kind_of_usage_yet(
    empty_database: DatabaseUrls,
) -> None:
    tenants = (uuid4(), uuid4())
    await migrate(empty_database.owner)
    for tenant in tenants:
        await run(empty_database, fill, tenant)
        await run(empty_database, make_requests_of_usage, tenant)
    await run(empty_database, downgrade, "0012")
    for tenant in tenants:
        left = await run(empty_database, counts, tenant)
        assert {name: count for name, count in left.items() if name.startswith("usage_")} == {
            "usage_events": 0,
            "usage_hourly": 0,
            "usage_budgets": 1,
        }
    await migrate(empty_database.owner)


async def test_highlights_from_before_are_found_by_their_words(
    empty_database: DatabaseUrls,
) -> None:
    tenant = uuid4()
    await migrate(empty_database.owner, "0002")
    await run(empty_database, fill, tenant)
    await migrate(empty_database.owner)
    database = Database(empty_database.application, pool_size=1)
    async with database.session(tenant) as session:
        found = await highlights.list_page(
            session,
            tenant_id=tenant,
            criteria=HighlightFilter(text="highlights.title", statuses=tuple(DecisionStatus)),
        )
    await database.close()
    assert [row.title for row in found] == ["highlights.title"]


async def test_keys_made_before_there_were_modes_have_the_one_in_their_hint(
    empty_database: DatabaseUrls,
) -> None:
    await migrate(empty_database.owner, "0002")
    tenant = uuid4()
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        await connection.execute(
            text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(tenant)}
        )
        await connection.execute(
            text("INSERT INTO tenants (id, slug, name) VALUES (:tenant, 'a', 'A')"),
            {"tenant": tenant},
        )
        for mode in KeyMode:
            await connection.execute(
                text(
                    "INSERT INTO api_keys (tenant_id, id, name, hash, hint, scopes)"
                    " VALUES (:tenant, gen_random_uuid(), :mode, :hash, :hint, '{admin}')"
                ),
                {
                    "tenant": tenant,
                    "mode": mode,
                    "hash": mode.encode(),
                    "hint": f"hl_{mode}_…abcd",
                },
            )
    await engine.dispose()
    await migrate(empty_database.owner)
    database = Database(empty_database.application, pool_size=1)
    async with database.session(tenant) as session:
        keys = await api_keys.list_all(session, tenant_id=tenant)
    await database.close()
    assert {(key.name, key.mode) for key in keys} == {(mode, mode) for mode in KeyMode}
    assert [(key.allowed_ips, key.replaced_by) for key in keys] == [([], None)] * 2


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
        "gaps": "INSERT,SELECT,UPDATE",
        "highlights": "DELETE,INSERT,SELECT,UPDATE",
        "clips": "INSERT,SELECT,UPDATE",
        "idempotency_keys": "DELETE,INSERT,SELECT,UPDATE",
        "profile_overrides": "INSERT,SELECT",
        "pinned_profiles": "INSERT,SELECT",
        "connections": "DELETE,INSERT,SELECT,UPDATE",
        "inbound_events": "DELETE,INSERT,SELECT,UPDATE",
        "beams": "DELETE,INSERT,SELECT,UPDATE",
        "closed_sessions": "DELETE,INSERT,SELECT",
        "audit_log": "INSERT,SELECT",
        "windows": "INSERT,SELECT",
        "usage_events": "DELETE,INSERT,SELECT",
        "usage_budgets": "DELETE,INSERT,SELECT,UPDATE",
        "usage_hourly": "DELETE,INSERT,SELECT,UPDATE",
        "highlight_feedback": "INSERT,SELECT,UPDATE",
        "highlight_terms": "DELETE,INSERT,SELECT",
        "highlight_words": "DELETE,INSERT,SELECT",
        "events": "DELETE,INSERT,SELECT,UPDATE",
        "webhook_endpoints": "DELETE,INSERT,SELECT,UPDATE",
        "deliveries": "DELETE,INSERT,SELECT,UPDATE",
        "delivery_attempts": "INSERT,SELECT",
    }


async def test_of_a_tenant_the_application_may_change_nothing_but_the_plan(
    postgres: DatabaseUrls,
) -> None:
    assert await rows(postgres.application, COLUMN_UPDATES) == [("plan",)]


@pytest.mark.parametrize(
    ("constraint", "values"),
    [
        ("ck_tenants_plan", PlanName),
        ("ck_streams_status", StreamStatus),
        ("ck_streams_end_reason", EndReason),
        ("ck_streams_language", Language),
        ("ck_highlights_language", Language),
        ("ck_gaps_reason", GapReason),
        ("ck_gaps_status", GapStatus),
        ("ck_highlights_status", DecisionStatus),
        ("ck_highlights_tier", Tier),
        ("ck_clips_status", ClipStatus),
        ("ck_inbound_events_outcome", Outcome),
        ("ck_api_keys_mode", KeyMode),
        ("ck_audit_log_actor_kind", ActorKind),
        ("ck_usage_events_kind", UsageKind),
        ("ck_usage_hourly_kind", UsageKind),
        ("ck_usage_budgets_kind", UsageKind),
        ("ck_highlight_feedback_verdict", Verdict),
        ("ck_events_type", EventType),
        ("ck_webhook_endpoints_status", EndpointStatus),
        ("ck_webhook_endpoints_disabled_reason", DisabledReason),
        ("ck_deliveries_event_type", EventType),
        ("ck_deliveries_status", DeliveryStatus),
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


async def test_the_relays_function_names_tenants_and_opens_no_row(
    postgres: DatabaseUrls, database: Database, tenant: UUID
) -> None:
    async with database.session(tenant) as session:
        await events.append(session, usage_event(tenant))
    named = await rows(postgres.application, text("SELECT tenants_to_send_for()"))
    assert (tenant,) in named
    for table in ("events", "deliveries", "webhook_endpoints"):
        everything = text(f"SELECT * FROM {table}")  # noqa: S608 - names of our own
        assert await rows(postgres.application, everything) == []
    public = text(
        "SELECT count(*) FROM pg_proc, aclexplode(proacl) AS acl"
        " WHERE proname = 'tenants_to_send_for' AND acl.grantee = 0"
    )
    assert await rows(postgres.owner, public) == [(0,)]
