"""PostgreSQL sessions, each scoped to one tenant.

The application connects as a role that owns no tables. Row-level security compares each row with
the transaction-local setting `app.tenant_id`. Only this module opens sessions, and it sets that
setting at the start of every transaction: there is no session without a tenant.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from uuid import UUID, uuid4

from asyncpg import DataError as DriverDataError
from asyncpg import PostgresError
from asyncpg.exceptions import ClientConfigurationError
from pydantic_core import from_json
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import NullPool

from domain.text import clean_text, is_storable
from infra.db.tables.base import LONGEST_TEXT
from infra.db.tls import driver_url, tls_problem
from infra.telemetry.metrics import DEPENDENCY_UP


class StaleConnectionError(Exception):
    """A pooled connection broke while it was idle; no statement of the caller was sent on it."""


_SETTING: Final = "setting"
# `is_local`: the value ends with the transaction, so neither the pool nor a pooler can leak it.
_SET_LOCAL: Final = text("SELECT set_config(:name, :value, true)")
_BROKE: Final = "the connection to PostgreSQL broke"
_DATA_EXCEPTION: Final = "22"
_QUERY_CANCELED: Final = "57014"


class MissingTenantError(RuntimeError):
    """A session was opened without a tenant."""


_AWAY: Final = (
    OSError,
    SQLAlchemyTimeoutError,
    DBAPIError,
    PostgresError,
    ClientConfigurationError,
)


class DatabaseUnavailableError(Exception):
    """PostgreSQL cannot be reached, or no connection is free; a retry may help."""


class UnstorableValueError(Exception):
    """PostgreSQL rejects a value as invalid; a retry does not help."""


class _ScopedSession(Session):
    """A session that sets its scope (`info`) at the start of every transaction."""


@event.listens_for(_ScopedSession, "after_begin")
def _set_scope(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    """Set the session's scope until the transaction ends.

    It is the first statement on a connection from the pool, so it also detects one that broke while
    idle, in time to take another.

    Raises:
        MissingTenantError: the session was not opened by `Database`.
        StaleConnectionError: the connection is broken.
        TimeoutError: the server did not answer in time.
    """
    if _SETTING not in session.info:
        raise MissingTenantError("open sessions by Database.session(tenant_id)")
    if transaction.nested:  # a savepoint keeps the scope of its transaction
        return
    name, value = session.info[_SETTING]
    try:
        connection.execute(_SET_LOCAL, {"name": name, "value": value})
    except BaseException as error:
        # Cancelled or failed, the connection may be in an open transaction: drop it.
        connection.invalidate(error)
        if isinstance(error, ConnectionError | DBAPIError):
            raise StaleConnectionError from error
        raise


class Database:
    """A pool of connections as the application's role.

    Args:
        url: `postgresql://…`, TCP or Unix socket (`?host=/directory`).
        pool_size: connections kept; ignored with `transaction_pooler`.
        max_overflow: further connections under load.
        pool_timeout: seconds to wait for a connection before giving up.
        connect_timeout: seconds to wait for the server when opening one.
        statement_timeout: seconds after which the server stops a statement.
        transaction_pooler: the server is a transaction pooler (PgBouncer, RDS Proxy): keep no
            connections here, and no prepared statements across transactions.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        max_overflow: int = 10,
        pool_timeout: float = 10.0,
        connect_timeout: float = 5.0,
        statement_timeout: float = 15.0,
        transaction_pooler: bool = False,
    ) -> None:
        options: dict[str, Any] = {
            "json_serializer": _json,
            "json_deserializer": from_json,  # takes half the time of `json.loads`
            "connect_args": {
                "timeout": connect_timeout,
                "command_timeout": statement_timeout,
                # A pooler may hand each transaction another server connection, where a statement
                # prepared earlier does not exist, or exists with another meaning.
                "prepared_statement_name_func": lambda: f"__hl_{uuid4()}__",
                **(
                    {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
                    if transaction_pooler
                    else {}
                ),
            },
        }
        if transaction_pooler:
            options["poolclass"] = NullPool
        else:
            options |= {
                "pool_size": pool_size,
                "max_overflow": max_overflow,
                "pool_timeout": pool_timeout,
                "pool_recycle": 1800,
            }
        self._engine = create_async_engine(asyncpg_url(url), **options)
        # Each pooled connection may be broken before a new one is opened.
        self._attempts = 1 if transaction_pooler else pool_size + max_overflow + 1
        self._sessions = async_sessionmaker(
            self._engine, sync_session_class=_ScopedSession, expire_on_commit=False
        )

    @asynccontextmanager
    async def session(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """Open a transaction as `tenant_id`: committed on success, rolled back on any error.

        Cancellation counts as an error: a cancelled request leaves no changes.

        Raises:
            DatabaseUnavailableError: no connection is free, or the connection broke.
        """
        async with self._scoped("app.tenant_id", str(tenant_id)) as session:
            yield session

    @asynccontextmanager
    async def key_session(self, key_hash: bytes) -> AsyncIterator[AsyncSession]:
        """Open a transaction that sees one row of one table: the API key with this hash.

        Authentication needs it before a tenant is known. A separate policy (`app.key_hash`) grants
        it: without the hash of a key the session sees no row.
        """
        async with self._scoped("app.key_hash", key_hash.hex()) as session:
            yield session

    async def tenants_to_send_for(self) -> list[UUID]:
        """Return the tenants that have events or deliveries without a workflow.

        A database function returns only the ids; what is sent is read in one session per tenant.

        Raises:
            DatabaseUnavailableError: the server does not respond.
        """
        async with self._answering() as session:
            found = await session.execute(text("SELECT tenants_to_send_for()"))
            return list(found.scalars())

    @asynccontextmanager
    async def connection_session(self, connection_id: UUID) -> AsyncIterator[AsyncSession]:
        """Open a transaction that sees one row of one table: the 100ms connection with this id.

        A webhook names only its connection, which leads to the tenant. A separate policy
        (`app.connection_id`) grants it: without the id the session sees no row.
        """
        async with self._scoped("app.connection_id", str(connection_id)) as session:
            yield session

    @asynccontextmanager
    async def workspace_session(self, workspace: str) -> AsyncIterator[AsyncSession]:
        """Open a transaction that sees only the 100ms connections of one workspace.

        Args:
            workspace: 100ms's account or app id, as the connection gives it (`app.hms_workspace`).
        """
        async with self._scoped("app.hms_workspace", workspace) as session:
            yield session

    async def tenant_ids(self) -> list[UUID]:
        """Return the ids of all tenants, for work in one session per tenant.

        The session has no tenant and sees no row of any table.

        Raises:
            DatabaseUnavailableError: no connection is free, or the connection broke.
        """
        async with self._scoped("app.tenant_id", "") as session:
            return list(await session.scalars(text("SELECT tenant_ids()")))

    async def tenants_to_publish_for(self) -> list[UUID]:
        """Return the ids of the tenants with events that no broker has confirmed.

        Raises:
            DatabaseUnavailableError: no connection is free, or the connection broke.
        """
        async with self._scoped("app.tenant_id", "") as session:
            return list(await session.scalars(text("SELECT tenants_to_publish_for()")))

    async def ping(self) -> None:
        """Make a round trip to the server.

        Raises:
            DatabaseUnavailableError: the server does not respond.
        """
        async with self._answering() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[AsyncSession]:
        """Open a session without a tenant, in which any error means that the server is away."""
        try:
            async with self._scoped("app.tenant_id", "") as session:
                yield session
        except _AWAY as error:
            reason = tls_problem(error) or error
            raise DatabaseUnavailableError(f"PostgreSQL does not answer: {reason}") from error

    @asynccontextmanager
    async def _scoped(self, name: str, value: str) -> AsyncIterator[AsyncSession]:
        session, end = await self._begin(name, value)
        try:
            async with end:
                yield session
        except StaleConnectionError as error:  # in a second transaction
            raise DatabaseUnavailableError(_BROKE) from error
        except TimeoutError as error:  # asyncpg's, which SQLAlchemy passes on as it is
            raise DatabaseUnavailableError("a statement took too long") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailableError(_BROKE) from error
            if _is_canceled(error):
                raise DatabaseUnavailableError("a statement took too long") from error
            if _is_unstorable(error):
                raise UnstorableValueError("a value does not fit its column") from error
            raise

    async def _begin(self, name: str, value: str) -> tuple[AsyncSession, AsyncExitStack]:
        """Return a session in an open transaction, and the stack that closes both.

        Raises:
            ValueError: `value` contains NUL, which PostgreSQL cannot store.
            DatabaseUnavailableError: no usable connection.
        """
        if "\0" in value:
            raise ValueError(f"{name} holds a NUL")
        broken: StaleConnectionError | None = None
        for _ in range(self._attempts):
            try:
                async with AsyncExitStack() as stack:
                    session = self._sessions(info={_SETTING: (name, value)})
                    await stack.enter_async_context(session)
                    await stack.enter_async_context(session.begin())
                    await session.connection()
                    DEPENDENCY_UP.labels("postgres").set(1)
                    return session, stack.pop_all()
            except StaleConnectionError as error:
                broken = error
            except _AWAY as error:
                DEPENDENCY_UP.labels("postgres").set(0)
                reason = tls_problem(error) or error
                raise DatabaseUnavailableError(f"PostgreSQL does not answer: {reason}") from error
        DEPENDENCY_UP.labels("postgres").set(0)
        raise DatabaseUnavailableError(_BROKE) from broken


def _json(value: object) -> str:
    """Return JSON that PostgreSQL stores: no NUL, no half of a surrogate pair, no NaN."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        is_clean = is_storable(text) and "\\u0000" not in text
    except ValueError:
        is_clean = False
    return text if is_clean else json.dumps(_cleaned(value), ensure_ascii=False)


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean_text(value, LONGEST_TEXT)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _states(error: DBAPIError) -> Iterator[str]:
    cause: BaseException | None = error.orig
    while cause is not None:
        yield str(getattr(cause, "sqlstate", None) or "")
        cause = cause.__cause__


def _is_canceled(error: DBAPIError) -> bool:
    return _QUERY_CANCELED in _states(error)


def _is_unstorable(error: DBAPIError) -> bool:
    """Return True if the server (class 22), or the driver before it, refuses a value."""
    refused = any(state.startswith(_DATA_EXCEPTION) for state in _states(error))
    return refused or isinstance(getattr(error.orig, "__cause__", None), DriverDataError)


def asyncpg_url(url: str | URL) -> URL:
    """Return `url` for SQLAlchemy's asyncpg dialect; libpq's TLS parameters keep their meaning.

    Raises:
        NotConfiguredError: a certificate's file does not exist.
    """
    return driver_url(make_url(url).set(drivername="postgresql+asyncpg"))


def database_address(url: str) -> str:
    """Return where a database is, without credentials: `host:port/name`."""
    parsed = make_url(url)
    host = parsed.host or parsed.query.get("host", "localhost")
    port = f":{parsed.port}" if parsed.port else ""
    return f"{host}{port}/{parsed.database}"
