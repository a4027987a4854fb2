"""Migrations: bring a database to a revision, and compare its schema with the expected one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from infra.db.engine import asyncpg_url
from infra.errors import SetupError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

_log = structlog.get_logger(__name__)

_MIGRATION_LOCK: Final = 0x68696768  # any constant of ours: the key of pg_advisory_lock
_LOCK_TIMEOUT: Final = 5.0
_LOCK_ATTEMPTS: Final = 12
_PAUSE: Final = 1.0
_BATCH_ROWS: Final = 1000
_LOCK_NOT_AVAILABLE: Final = "55P03"
_EXPECTED: Final = "schema.txt"
_NEEDED: Final = ("table ", "column ")
# A revision that was published under another number first, and an object that only it creates.
_RENUMBERED: Final = {"0014": ("beams", "job_id")}


class MigrationBlockedError(SetupError):
    """Another transaction holds a table that a revision has to lock."""

    code = "migration_blocked"


class UnknownRevisionError(SetupError):
    """The database is at a revision that this version of the product does not have."""

    code = "unknown_revision"


@dataclass(frozen=True)
class SchemaComparison:
    """How a database's schema differs from the expected one.

    Attributes:
        missing: expected objects that do not exist, one catalog line each, sorted.
        unexpected: objects that differ or are additional, one catalog line each, sorted.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @classmethod
    def of(cls, lines: Iterable[str]) -> Self:
        """Compare the lines of `describe_schema` with the expected ones."""
        found, expected = set(lines), set(expected_schema())
        return cls(tuple(sorted(expected - found)), tuple(sorted(found - expected)))

    @property
    def matches(self) -> bool:
        """Return True if nothing is missing. Objects that the operator added are allowed."""
        return not self.missing

    @property
    def absent(self) -> tuple[str, ...]:
        """Return expected tables and columns that do not exist in any form, sorted.

        Their absence means that the schema is older than the code. A changed constraint or default
        does not: the schema may be newer.
        """
        there = {_name(line) for line in self.unexpected}
        names = {_name(line) for line in self.missing}
        return tuple(sorted(each for each in names - there if each.startswith(_NEEDED)))


def _name(line: str) -> str:
    return line.partition(":")[0]


async def migrate(
    owner_url: str,
    revision: str = "head",
    *,
    lock_timeout: float = _LOCK_TIMEOUT,
    lock_attempts: int = _LOCK_ATTEMPTS,
) -> None:
    """Bring the schema to `revision`, as the role that owns it.

    Each revision is a transaction, and so is each batch of rows that one has to fill. A revision
    that cannot lock a table within `lock_timeout` is rolled back and tried again, so that it does
    not hold up the queries that wait behind it. Two programs that start together migrate one after
    the other.

    Args:
        owner_url: the database, with the owner's credentials.
        revision: an Alembic revision; `base` removes everything.
        lock_timeout: seconds that one statement may wait for a lock.
        lock_attempts: how often a revision is tried.

    Raises:
        MigrationBlockedError: a table stayed locked during all attempts.
        UnknownRevisionError: the database was migrated by a newer version of the product.
    """
    engine = create_async_engine(asyncpg_url(owner_url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.execute(
                text("SELECT pg_advisory_lock(:key), set_config('lock_timeout', :timeout, false)"),
                {"key": _MIGRATION_LOCK, "timeout": f"{round(lock_timeout * 1000)}ms"},
            )
            await connection.commit()
            await _migrate(connection, revision, attempts=lock_attempts)
    finally:
        await engine.dispose()


async def compare_schema(url: str | URL) -> SchemaComparison:
    """Compare the tables, columns, indexes, constraints, policies, grants, functions and triggers.

    Any role that may connect can ask. The expected schema is `migrations/schema.txt`, which a test
    compares with what the revisions make.
    """
    engine = create_async_engine(asyncpg_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return SchemaComparison.of(await describe_schema(connection))
    finally:
        await engine.dispose()


async def describe_schema(connection: AsyncConnection) -> list[str]:
    """Return one line for each object of the schema `public`, sorted."""
    found = await connection.execute(text(_CATALOG))
    return sorted(found.scalars())


def expected_schema() -> list[str]:
    """Return the lines of the schema at the newest revision."""
    return files("migrations").joinpath(_EXPECTED).read_text("utf-8").splitlines()


def newest_revision() -> str:
    """Return the revision that `migrate` leads to."""
    return str(_scripts().get_current_head())


def alembic_config(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration for a connection: the scripts are those of the package.

    Without one it serves to look at the scripts alone.
    """
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "migrations:")
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(alembic_config())


async def _migrate(connection: AsyncConnection, revision: str, *, attempts: int) -> None:
    if revision == "base":
        await connection.run_sync(_remove_everything)
        await connection.commit()
        return
    for pending in await connection.run_sync(_pending, revision):
        await _run_batches(connection, pending)
        for attempt in range(1, attempts + 1):
            try:
                await connection.run_sync(_apply, pending)
                await connection.commit()
                break
            except DBAPIError as error:
                await connection.rollback()
                if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                    raise
                _log.warning("migration_waits_for_a_lock", revision=pending, attempt=attempt)
                if attempt == attempts:
                    raise MigrationBlockedError(
                        f"Revision {pending} could not lock a table: another transaction uses it.",
                        remedy="End long transactions on this database, then run `highlights "
                        "migrate` again; nothing is half done.",
                    ) from error
                await asyncio.sleep(_PAUSE)


async def _run_batches(connection: AsyncConnection, revision: str) -> None:
    """Run the `BATCHES` of a revision: statements that fill many rows, a page at a time.

    Each page is a transaction of its tenant, so that no lock is held for long. A statement takes
    `:tenant`, `:after` and `:size`, and returns the last id of its page. It must be idempotent,
    since an interrupted migration runs it from the start.
    """
    script = _scripts().get_revision(revision)
    statements = getattr(script.module, "BATCHES", ())
    if not statements:
        return
    tenants = list((await connection.execute(text("SELECT tenant_ids()"))).scalars())
    await connection.commit()
    for statement in statements:
        for tenant in tenants:
            after: UUID | None = UUID(int=0)
            while after is not None:
                await connection.execute(
                    text("SELECT set_config('app.tenant_id', :tenant, true)"),
                    {"tenant": str(tenant)},
                )
                page = {"tenant": tenant, "after": after, "size": _BATCH_ROWS}
                after = (await connection.execute(text(statement), page)).scalar_one_or_none()
                await connection.commit()


def _pending(connection: Connection, revision: str) -> list[str]:
    """Return the revisions to apply, oldest first."""
    scripts = _scripts()
    current = _current_revision(connection)
    known = {each.revision for each in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise UnknownRevisionError(
            f"The database is at revision {current}, which this version does not have.",
            remedy="Run the version of the product that migrated it, or a newer one.",
        )
    pending = [each.revision for each in scripts.iterate_revisions(revision, current or "base")]
    connection.rollback()
    return pending[::-1]


def _remove_everything(connection: Connection) -> None:
    from alembic import command

    command.downgrade(alembic_config(connection), "base")


def _apply(connection: Connection, revision: str) -> None:
    from alembic import command

    marker = _RENUMBERED.get(revision)
    if marker is not None and _has_column(connection, *marker):
        command.stamp(alembic_config(connection), revision)
    else:
        command.upgrade(alembic_config(connection), revision)


def _current_revision(connection: Connection) -> str | None:
    if connection.execute(text("SELECT to_regclass('public.alembic_version')")).scalar() is None:
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version"))
    return found.scalar_one_or_none()


def _has_column(connection: Connection, table: str, column: str) -> bool:
    found = connection.execute(
        text(
            "SELECT EXISTS (SELECT FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name = :table AND column_name = :column)"
        ),
        {"table": table, "column": column},
    )
    return bool(found.scalar_one())


def summary(lines: Iterable[str], *, most: int = 6) -> str:
    """Return the objects that the lines name, the first `most` of them, for a message."""
    names = [_name(line) for line in lines]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


# One line for each object: "<kind> <name>: <definition>". NOT NULL constraints are left to the
# columns, since PostgreSQL lists them as constraints from release 18 on only.
_CATALOG: Final = """
WITH tables AS (
    SELECT class.oid, class.relname, class.relrowsecurity, class.relforcerowsecurity, class.relacl
    FROM pg_class class
    WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'p')
      AND class.relname <> 'alembic_version'
)
SELECT format('table %s: row security %s, forced %s', relname, relrowsecurity, relforcerowsecurity)
FROM tables
UNION ALL
SELECT format(
    'column %s.%s: %s%s%s%s', relname, attname, format_type(atttypid, atttypmod),
    CASE WHEN attnotnull THEN ' not null' ELSE '' END,
    CASE WHEN attidentity <> '' THEN ' identity' ELSE '' END,
    CASE WHEN attgenerated <> '' THEN ' generated ' ELSE ' default ' END
        || pg_get_expr(adbin, adrelid)
)
FROM tables JOIN pg_attribute ON attrelid = tables.oid AND attnum > 0 AND NOT attisdropped
LEFT JOIN pg_attrdef ON adrelid = tables.oid AND adnum = attnum
UNION ALL
SELECT format('index %s: %s', index.relname, pg_get_indexdef(indexrelid))
FROM tables JOIN pg_index ON indrelid = tables.oid JOIN pg_class index ON index.oid = indexrelid
UNION ALL
SELECT format('constraint %s.%s: %s', relname, conname, pg_get_constraintdef(pg_constraint.oid))
FROM tables JOIN pg_constraint ON conrelid = tables.oid AND contype <> 'n'
UNION ALL
SELECT format(
    'policy %s.%s: %s using %s check %s', relname, polname, polcmd,
    coalesce(pg_get_expr(polqual, polrelid), '-'),
    coalesce(pg_get_expr(polwithcheck, polrelid), '-')
)
FROM tables JOIN pg_policy ON polrelid = tables.oid
UNION ALL
SELECT format('trigger %s.%s: %s', relname, tgname, pg_get_triggerdef(pg_trigger.oid))
FROM tables JOIN pg_trigger ON tgrelid = tables.oid AND NOT tgisinternal
UNION ALL
SELECT format(
    'function %s(%s): %s', proname, pg_get_function_identity_arguments(pg_proc.oid),
    md5(regexp_replace(prosrc, '\\s+', ' ', 'g') || prosecdef::text || provolatile::text)
)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT format('grant %s: %s', relname, string_agg(privilege_type, ', ' ORDER BY privilege_type))
FROM tables, aclexplode(relacl) AS acl
WHERE pg_get_userbyid(acl.grantee) = 'highlights_app' GROUP BY relname
"""
