"""The schema: made and unmade by its revisions, as the models say, and closed to strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Executable, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from app.dev.postgres import DatabaseUrls
from domain.clips.models import ClipStatus
from domain.highlights.feedback import FeedbackVerdict
from domain.highlights.selection import DecisionStatus, Tier
from domain.hms.beam import Outcome
from domain.media.segments import GapReason, GapStatus
from domain.streams.status import EndReason, StreamStatus
from domain.tenants.audit import ActorKind
from domain.tenants.usage import PlanName, UsageKind
from domain.text import Language
from domain.webhooks.events import DeliveryStatus, DisabledReason, EndpointStatus, EventType
from infra.api_keys import KeyMode
from infra.db.engine import Database, asyncpg_url
from infra.db.migration import (
    MigrationBlockedError,
    SchemaComparison,
    UnknownRevisionError,
    alembic_config,
    compare_schema,
    describe_schema,
    expected_schema,
    migrate,
)
from infra.db.repositories import api_keys, events, highlights
from infra.db.repositories.highlights import HighlightFilter
from infra.db.tables import Base
from tests.factories.rows import usage_event
from tests.integration.infra.one_row_each import act_as, counts, fill, reflected

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


RENUMBERED = {
    "retention and API requests before search": ("0013", ("0012", "0013")),
    "publication, retention and API requests": ("0013", ("0009", "0012", "0013")),
    "everything but search": ("0013", ("0009", "0010", "0012", "0013")),
    "notice before publication": ("0010", ("0010",)),
    "beam jobs under the number of search": ("0011", ("0009", "0010", "0014")),
}
"""Chains that were published once, by the revision that they report: what they hold after 0008."""


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


async def test_rows_of_each_revision_are_kept_on_the_way_up(empty_database: DatabaseUrls) -> None:
    tenants = {revision: uuid4() for revision in REVISIONS}
    before = {}
    for revision, tenant in tenants.items():
        await migrate(empty_database.owner, revision)
        await run(empty_database, fill, tenant)
        before[revision] = await run(empty_database, counts, tenant)
        assert min(before[revision].values(), default=0) >= 1
    for revision, tenant in tenants.items():
        after = await run(empty_database, counts, tenant)
        assert before[revision] == {table: after[table] for table in before[revision]}, revision


async def test_rows_of_the_last_revision_are_kept_on_the_way_down(
    empty_database: DatabaseUrls,
) -> None:
    tenant = uuid4()
    await migrate(empty_database.owner)
    await run(empty_database, fill, tenant)
    before = await run(empty_database, counts, tenant)
    for revision, next_revision in reversed(list(pairwise(REVISIONS))):
        await run(empty_database, downgrade, revision)
        after = await run(empty_database, counts, tenant)
        assert after == {table: before[table] for table in after}, revision
        await migrate(empty_database.owner, next_revision)
        await run(empty_database, downgrade, revision)


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


def upgrade_as_once_published(connection: Connection, chain: tuple[str, tuple[str, ...]]) -> None:
    reported, revisions = chain
    scripts = ScriptDirectory.from_config(alembic_config())
    context = MigrationContext.configure(connection)
    with Operations.context(context):
        for number in revisions:
            script = scripts.get_revision(number)
            assert script is not None
            script.module.upgrade()
    connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": reported})


@pytest.mark.parametrize("chain", RENUMBERED.values(), ids=RENUMBERED)
async def test_a_database_migrated_under_older_numbers_gets_what_it_lacks(
    empty_database: DatabaseUrls, chain: tuple[str, tuple[str, ...]]
) -> None:
    tenant = uuid4()
    await migrate(empty_database.owner, "0008")
    await run(empty_database, upgrade_as_once_published, chain)
    await run(empty_database, fill, tenant)
    before = await run(empty_database, counts, tenant)
    await migrate(empty_database.owner)
    after = await run(empty_database, counts, tenant)
    found = await compare_schema(empty_database.owner)
    assert (found.missing, found.unexpected) == ((), ())
    assert before == {table: after[table] for table in before}


async def test_the_expected_schema_is_the_one_that_the_revisions_make(
    postgres: DatabaseUrls,
) -> None:
    engine = create_async_engine(asyncpg_url(postgres.owner))
    async with engine.connect() as connection:
        found = await describe_schema(connection)
    await engine.dispose()
    assert found == expected_schema(), "run `make schema` after a new revision"


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("ALTER TABLE streams DROP COLUMN notice", "column streams.notice"),
        ("ALTER TABLE clips NO FORCE ROW LEVEL SECURITY", "table clips"),
        ("DROP POLICY gaps_tenant ON gaps", "policy gaps.gaps_tenant"),
        ("DROP INDEX ix_highlights_lag", "index ix_highlights_lag"),
        ("ALTER TABLE clips DROP CONSTRAINT ck_clips_status", "constraint clips.ck_clips_status"),
        ("REVOKE SELECT ON audit_log FROM highlights_app", "grant audit_log"),
        ("DROP TRIGGER keep_words_of_new ON highlights", "trigger highlights.keep_words_of_new"),
        ("DROP FUNCTION tenant_ids()", "function tenant_ids()"),
        ("ALTER TABLE highlights ALTER score TYPE real", "column highlights.score"),
    ],
)
async def test_what_a_schema_lacks_is_named(
    postgres: DatabaseUrls, change: str, missing: str
) -> None:
    engine = create_async_engine(asyncpg_url(postgres.owner))
    async with engine.connect() as connection:  # rolled back
        await connection.execute(text(change))
        found = SchemaComparison.of(await describe_schema(connection))
    await engine.dispose()
    assert [line.partition(": ")[0] for line in found.missing] == [missing]
    assert not found.matches


async def test_the_application_can_compare_the_schema(postgres: DatabaseUrls) -> None:
    found = await compare_schema(postgres.application)
    assert (found.missing, found.unexpected) == ((), ())


async def test_objects_that_an_operator_added_are_no_fault(postgres: DatabaseUrls) -> None:
    engine = create_async_engine(asyncpg_url(postgres.owner))
    async with engine.connect() as connection:  # rolled back
        await connection.execute(text("CREATE INDEX added ON streams (tenant_id, title)"))
        found = SchemaComparison.of(await describe_schema(connection))
    await engine.dispose()
    assert found.matches
    assert [line.partition(":")[0] for line in found.unexpected] == ["index added"]


async def test_a_table_in_use_blocks_a_migration_for_a_bounded_time(
    empty_database: DatabaseUrls,
) -> None:
    await migrate(empty_database.owner, "0009")
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE streams IN ACCESS SHARE MODE"))
        with pytest.raises(MigrationBlockedError, match="Revision 0010 could not lock a table"):
            await migrate(empty_database.owner, lock_timeout=0.05, lock_attempts=1)
    await engine.dispose()
    await migrate(empty_database.owner)
    assert (await compare_schema(empty_database.owner)).matches


async def test_a_failed_revision_keeps_those_before_it(empty_database: DatabaseUrls) -> None:
    await migrate(empty_database.owner, "0007")
    engine = create_async_engine(asyncpg_url(empty_database.owner))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE streams ADD COLUMN notice text"))
    await engine.dispose()
    with pytest.raises(ProgrammingError, match="already exists"):
        await migrate(empty_database.owner)
    reached = await rows(empty_database.owner, text("SELECT version_num FROM alembic_version"))
    assert reached == [("0009",)]


async def test_a_database_of_a_newer_version_is_refused(empty_database: DatabaseUrls) -> None:
    await migrate(empty_database.owner)
    newer = "UPDATE alembic_version SET version_num = '9999'"
    await run(empty_database, lambda connection, sql: connection.execute(text(sql)), newer)
    with pytest.raises(UnknownRevisionError, match="revision 9999"):
        await migrate(empty_database.owner)


async def test_words_of_many_highlights_are_filled_page_by_page(
    empty_database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.db.migration._BATCH_ROWS", 2)
    tenant = uuid4()
    await migrate(empty_database.owner, "0005")
    await run(empty_database, fill, tenant)
    await run(empty_database, copy_highlights, tenant)
    await migrate(empty_database.owner)
    found = await run(empty_database, highlights_without_words, tenant)
    assert found == [(6, 0)]


async def test_the_match_states_of_older_highlights_are_filled(
    empty_database: DatabaseUrls,
) -> None:
    tenant = uuid4()
    await migrate(empty_database.owner, "0028")
    await run(empty_database, fill_with_state, tenant)
    await migrate(empty_database.owner)
    assert await run(empty_database, terms_of_state, tenant) == ["@period:set2", "@score:2-1"]


def fill_with_state(connection: Connection, tenant: UUID) -> None:
    fill(connection, tenant)
    connection.execute(
        text("UPDATE highlights SET match_state = :state"),
        {"state": '{"score_after": [2, 1], "period": "Set 2"}'},
    )


def terms_of_state(connection: Connection, tenant: UUID) -> list[Any]:
    act_as(connection, tenant)
    found = connection.execute(
        text("SELECT term FROM highlight_terms WHERE term LIKE '@%' ORDER BY term")
    )
    return list(found.scalars())


def copy_highlights(connection: Connection, tenant: UUID) -> None:
    act_as(connection, tenant)
    table = reflected(connection).tables["highlights"]
    row = connection.execute(table.select()).mappings().one()
    for _ in range(5):
        connection.execute(table.insert().values({**row, "id": uuid4()}))


def highlights_without_words(connection: Connection, tenant: UUID) -> list[Any]:
    act_as(connection, tenant)
    found = connection.execute(
        text(
            "SELECT count(*), count(*) FILTER (WHERE"
            " NOT EXISTS (SELECT FROM highlight_words w WHERE w.highlight_id = h.id)"
            " OR NOT EXISTS (SELECT FROM highlight_terms t WHERE t.highlight_id = h.id))"
            " FROM highlights h"
        )
    )
    return [tuple(row) for row in found]


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
        "stream_events": "DELETE,INSERT,SELECT,UPDATE",
        "event_subjects": "DELETE,INSERT,SELECT,UPDATE",
        "deletions": "INSERT,SELECT,UPDATE",
        "export_batches": "DELETE,INSERT,SELECT,UPDATE",
        "exports": "DELETE,INSERT,SELECT,UPDATE",
        "idempotency_keys": "DELETE,INSERT,SELECT,UPDATE",
        "profile_overrides": "INSERT,SELECT",
        "pinned_profiles": "INSERT,SELECT",
        "tastes": "INSERT,SELECT,UPDATE",
        "branding": "INSERT,SELECT,UPDATE",
        "embed_policies": "INSERT,SELECT,UPDATE",
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


async def test_of_a_tenant_the_application_may_change_plan_and_policy_only(
    postgres: DatabaseUrls,
) -> None:
    assert await rows(postgres.application, COLUMN_UPDATES) == [("plan",), ("policy",)]


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
        ("ck_highlight_feedback_verdict", FeedbackVerdict),
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
