"""100ms connections as needed to check an incoming event, cached for seconds.

A connection that is changed, rotated or deleted in this process is invalidated immediately, and one
changed by another process within `LIFETIME` seconds. That there is no connection is cached as long,
so that refused events cost no look-up each; a connection created in this process works immediately.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncSession

from domain.hms.admission import Checks, Secrets
from domain.tenants.addresses import IPNetwork, network
from domain.tenants.audit import Actor, AuditAction
from infra.cache import AsyncCache
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, connections
from infra.db.tables import Connection
from infra.encryption import OVERLAP, ConnectionSecrets, PlainSecrets, SecretDecryptionError

LIFETIME: Final = 5.0
"""Seconds until a change takes effect in other processes; documented in docs/webhooks-100ms.md."""

_CAPACITY: Final = 10_000
"""Names with connections that are cached, and as many without."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, repr=False)
class CachedConnection:
    """What checking a request needs of a connection.

    Attributes:
        secrets: accepted now; None if the signing secret cannot be decrypted.
        trusted_proxies: those of the connection itself.
    """

    tenant_id: UUID
    id: UUID
    account_id: str | None
    app_id: str | None
    checks: Checks
    secrets: Secrets | None
    trusted_proxies: tuple[IPNetwork, ...]


@dataclass(frozen=True)
class _LookUp:
    """The connections that a name has, and the seconds for which that may be cached."""

    found: tuple[CachedConnection, ...]
    lifetime: float


class ConnectionCache:
    """Finds connections by their id or 100ms workspace, through a cache.

    Args:
        database: where the connections are.
        secrets: decrypts their secrets.
        clock: seconds, monotonic.
        now: current time, by which secrets from before a rotation expire.
        capacity: names with connections that are cached, and as many without.
    """

    def __init__(
        self,
        database: Database,
        secrets: ConnectionSecrets,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        capacity: int = _CAPACITY,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._now = now
        self._cache = AsyncCache[UUID | str, _LookUp](
            capacity=capacity,
            lifetime=lambda look_up: look_up.lifetime,
            is_absent=lambda look_up: not look_up.found,
            clock=clock,
        )
        self._existing: LRUCache[UUID | str, None] = LRUCache(capacity)

    def remembers(self, name: UUID | str) -> bool:
        """Return True if an id or workspace was found before, or is cached as unknown.

        One that was found before may need another look-up, but was not made up by the sender.
        """
        return name in self._existing or name in self._cache

    async def find(self, connection_id: UUID) -> CachedConnection | None:
        """Return a connection, or None if there is none with this id.

        Raises:
            DatabaseUnavailableError: it is not cached, and the database is unavailable.
        """

        async def load() -> _LookUp:
            async with self._database.connection_session(connection_id) as session:
                row = await connections.find(session, connection_id=connection_id)
            return self._looked_up(connection_id, [] if row is None else [row])

        found = (await self._cache.get_or_load(connection_id, load)).found
        return found[0] if found else None

    async def find_by_workspace(self, workspace: str) -> tuple[CachedConnection, ...]:
        """Return the connections of a 100ms workspace, oldest first.

        Raises:
            DatabaseUnavailableError: they are not cached, and the database is unavailable.
        """

        async def load() -> _LookUp:
            async with self._database.workspace_session(workspace) as session:
                rows = await connections.find_by_workspace(session, workspace=workspace)
            return self._looked_up(workspace, rows)

        return (await self._cache.get_or_load(workspace, load)).found

    def forget(self, connection_id: UUID) -> None:
        """Invalidate a connection that was changed, after the commit."""
        self.forget_workspaces()  # a change may have moved it from one workspace to another
        self._existing.pop(connection_id, None)
        self._cache.invalidate(lambda name, _: name == connection_id)

    def forget_workspaces(self) -> None:
        """Invalidate which connections workspaces have, after the commit of a new connection."""
        for workspace in [each for each in self._existing if isinstance(each, str)]:
            self._existing.pop(workspace)
        self._cache.invalidate(lambda name, look_up: isinstance(name, str) or not look_up.found)

    def _looked_up(self, name: UUID | str, rows: Sequence[Connection]) -> _LookUp:
        if rows:
            self._existing[name] = None
        else:
            self._existing.pop(name, None)
        now = self._now()
        return _LookUp(
            found=tuple(self._known_of(row, now) for row in rows),
            lifetime=min((_lifetime(row, now) for row in rows), default=LIFETIME),
        )

    def _known_of(self, row: Connection, now: datetime) -> CachedConnection:
        checks = Checks.model_validate(row.checks)
        return CachedConnection(
            tenant_id=row.tenant_id,
            id=row.id,
            account_id=row.account_id,
            app_id=row.app_id,
            checks=checks,
            secrets=self._accepted(row, now),
            trusted_proxies=tuple(network(each) for each in checks.trusted_proxies),
        )

    def _accepted(self, row: Connection, now: datetime) -> Secrets | None:
        try:
            return self._secrets.accepted(row, now=now)
        except SecretDecryptionError:
            _log.exception("connection_secret_unreadable", connection_id=str(row.id))
            return None


def _lifetime(row: Connection, now: datetime) -> float:
    """Return the seconds for which a row may be cached: not beyond the end of old secrets."""
    if row.previous_until is None or row.previous_until <= now:
        return LIFETIME
    return min(LIFETIME, (row.previous_until - now).total_seconds())


class ConnectionService:
    """Creates, changes, rotates and deletes connections, each with an audit entry.

    Args:
        database: holds the connections.
        secrets: generates and encrypts their secrets.
        cache: forgets a connection once its change is committed.
    """

    def __init__(
        self, database: Database, secrets: ConnectionSecrets, cache: ConnectionCache
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._cache = cache

    async def create(
        self,
        session: AsyncSession,
        connection_id: UUID,
        values: Mapping[str, Any],
        *,
        tenant_id: UUID,
        checks: Checks,
        actor: Actor,
    ) -> tuple[Connection, PlainSecrets]:
        """Insert a connection in the caller's transaction; return it with its new secrets."""
        secrets = self._secrets.generate()
        row = await connections.create(
            session,
            tenant_id=tenant_id,
            id=connection_id,
            checks=checks.model_dump(mode="json"),
            **self._secrets.stored(secrets, connection_id=connection_id),
            **{"title": "", **values},
        )
        await audit.record(
            session,
            tenant_id=tenant_id,
            action=AuditAction.CONNECTION_CREATED,
            target_id=row.id,
            actor=actor,
            details={"name": row.name},
        )
        return row, secrets

    async def update(
        self,
        connection_id: UUID,
        values: Mapping[str, Any],
        *,
        tenant_id: UUID,
        checks: Mapping[str, object] | None,
        actor: Actor,
    ) -> Connection:
        """Change columns and checks of a connection; `checks` has only the fields to change.

        Raises:
            RecordMissingError: the tenant has no such connection.
            ValidationError: the checks contradict each other.
        """
        async with self._database.session(tenant_id) as session:
            row = await connections.get(session, tenant_id=tenant_id, connection_id=connection_id)
            if row is None:
                raise RecordMissingError("connection", connection_id)
            changes = dict(values)
            if checks is not None:
                changes["checks"] = revised(row.checks, checks).model_dump(mode="json")
            changed = await connections.update(
                session, tenant_id=tenant_id, connection_id=connection_id, values=changes
            )
            if changed is None:
                raise RecordMissingError("connection", connection_id)
            await audit.record(
                session,
                tenant_id=tenant_id,
                action=AuditAction.CONNECTION_UPDATED,
                target_id=connection_id,
                actor=actor,
                details={"changed": sorted(changes)},
            )
        self._cache.forget(connection_id)
        return changed

    async def delete(self, connection_id: UUID, *, tenant_id: UUID, actor: Actor) -> None:
        """Delete a connection and its stored events. Streams it started are unaffected.

        Raises:
            RecordMissingError: the tenant has no such connection.
        """
        async with self._database.session(tenant_id) as session:
            if not await connections.remove(
                session, tenant_id=tenant_id, connection_id=connection_id
            ):
                raise RecordMissingError("connection", connection_id)
            await audit.record(
                session,
                tenant_id=tenant_id,
                action=AuditAction.CONNECTION_DELETED,
                target_id=connection_id,
                actor=actor,
            )
        self._cache.forget(connection_id)

    async def rotate(
        self, connection_id: UUID, *, tenant_id: UUID, actor: Actor
    ) -> tuple[Connection, PlainSecrets]:
        """Generate new secrets; the replaced ones stay valid for 24 hours.

        Raises:
            RecordMissingError: the tenant has no such connection.
        """
        secrets = self._secrets.generate()
        stored = self._secrets.stored(secrets, connection_id=connection_id)
        async with self._database.session(tenant_id) as session:
            row = await connections.rotate(
                session,
                tenant_id=tenant_id,
                connection_id=connection_id,
                header_hash=stored["header_hash"],
                signing_secret=stored["signing_secret"],
                previous_until=datetime.now(UTC) + OVERLAP,
            )
            if row is None:
                raise RecordMissingError("connection", connection_id)
            await audit.record(
                session,
                tenant_id=tenant_id,
                action=AuditAction.CONNECTION_ROTATED,
                target_id=connection_id,
                actor=actor,
            )
        self._cache.forget(connection_id)
        return row, secrets


def revised(checks: Mapping[str, Any], changes: Mapping[str, object]) -> Checks:
    """Return checks with some fields changed.

    Raises:
        ValidationError: they contradict each other.
    """
    return Checks.model_validate({**checks, **changes})
