"""100ms connections as requests are judged by, remembered for seconds: each event needs one.

A connection that is changed, rotated or deleted in this process is forgotten at once; elsewhere it
counts as changed within `LIFETIME` seconds. That there is none is remembered for as long, so that
a sender of refused events costs no look-up each; one that is made in this process works at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.hms.admission import Checks, Secrets
from domain.tenants.addresses import IPNetwork, network
from domain.tenants.audit import Actor, AuditAction
from infra.connection_secrets import OVERLAP, ConnectionSecrets, PlainSecrets
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, connections
from infra.db.tables import Connection
from infra.encryption import SecretDecryptionError

LIFETIME: Final = 5.0
"""Seconds for which another process may go by what was changed; docs/webhooks-100ms.md has it."""

_CAPACITY: Final = 10_000
"""Of those found; and of those that are not, apart, so that strangers push out nobody."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, repr=False)
class KnownConnection:
    """What judging a request needs of a connection.

    Attributes:
        secrets: what is accepted now; None when the signing secret cannot be read.
        trusted_proxies: those that the connection trusts itself.
    """

    tenant_id: UUID
    id: UUID
    account_id: str | None
    app_id: str | None
    checks: Checks
    secrets: Secrets | None
    trusted_proxies: tuple[IPNetwork, ...]


_Found = tuple[KnownConnection, ...]


class KnownConnections:
    """Finds connections by what a request names, in the database when not seen lately.

    Args:
        database: where they are.
        secrets: opens their secrets.
        clock: seconds, never going back.
        now: the time, by which secrets before a rotation lose their worth.
    """

    def __init__(
        self,
        database: Database,
        secrets: ConnectionSecrets,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock
        self._now = now
        self._known: OrderedDict[UUID | str, tuple[float, _Found]] = OrderedDict()
        self._unknown: OrderedDict[UUID | str, float] = OrderedDict()
        self._changes = 0

    def remembers(self, name: UUID | str) -> bool:
        """Return True if an id or workspace was found before, or needs no look-up to be refused.

        What was found before may have to be looked up again, but is none that somebody made up.
        """
        return name in self._known or self._remembered(name) is not None

    async def find(self, connection_id: UUID) -> KnownConnection | None:
        """Return a connection, or None when there is none of this id.

        Raises:
            DatabaseUnavailableError: the database is away, and the connection not remembered.
        """
        found = self._remembered(connection_id)
        if found is None:
            asked, changes = self._clock(), self._changes
            async with self._database.connection_session(connection_id) as session:
                row = await connections.find(session, connection_id=connection_id)
            rows = [] if row is None else [row]
            found = self._remember(connection_id, rows, asked=asked, changes=changes)
        return found[0] if found else None

    async def find_by_workspace(self, workspace: str) -> _Found:
        """Return the connections of a 100ms workspace, oldest first.

        Raises:
            DatabaseUnavailableError: the database is away, and they are not remembered.
        """
        found = self._remembered(workspace)
        if found is None:
            asked, changes = self._clock(), self._changes
            async with self._database.workspace_session(workspace) as session:
                rows = await connections.find_by_workspace(session, workspace=workspace)
            found = self._remember(workspace, rows, asked=asked, changes=changes)
        return found

    def forget(self, connection_id: UUID) -> None:
        """Look a connection up anew from now on: it was changed. Call it once that is committed."""
        self.forget_workspaces()  # a change may have given it to another, or taken it from one
        self._known.pop(connection_id, None)

    def forget_workspaces(self) -> None:
        """Look up anew which connections a workspace has. Call it once a new one is committed."""
        self._changes += 1
        self._unknown.clear()
        for workspace in [each for each in self._known if isinstance(each, str)]:
            del self._known[workspace]

    def _remembered(self, name: UUID | str) -> _Found | None:
        until, found = self._known.get(name, (0.0, None))
        if self._clock() < until:
            return found
        return () if self._clock() < self._unknown.get(name, 0.0) else None

    def _remember(
        self, name: UUID | str, rows: Sequence[Connection], *, asked: float, changes: int
    ) -> _Found:
        now = self._now()
        found = tuple(self._known_of(row, now) for row in rows)
        # What was read before a change may be what was changed.
        if changes != self._changes:
            return found
        if not found:
            self._known.pop(name, None)
            self._unknown[name] = asked + LIFETIME
            self._unknown.move_to_end(name)
            if len(self._unknown) > _CAPACITY:
                self._unknown.popitem(last=False)
        else:
            self._known[name] = (asked + min(_lifetime(row, now) for row in rows), found)
            self._known.move_to_end(name)
            if len(self._known) > _CAPACITY:
                self._known.popitem(last=False)
        return found

    def _known_of(self, row: Connection, now: datetime) -> KnownConnection:
        checks = Checks.model_validate(row.checks)
        return KnownConnection(
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
    """Return for how long a row tells what is accepted: not beyond the end of old secrets."""
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
        self, database: Database, secrets: ConnectionSecrets, cache: KnownConnections
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
