"""API keys: create, rotate, change, revoke and look up, with audit log entries.

`make`, `rotate`, `change` and `revoke` run in the caller's transaction; `domain/tenants/keys.py`
decides, and one change of a tenant's keys runs at a time. `create_key` and the functions after it
open their own transaction and take a tenant's short name, for the command line.

`KeyCache` keeps usable keys for `KEY_LIFETIME` seconds. A key that is revoked, rotated or changed
in this process is invalidated immediately, and one changed by another process within
`KEY_LIFETIME` seconds. Unknown keys are not cached, so a new key works immediately.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.services.tenants import tenant_id_of
from domain.tenants.audit import OPERATOR, SYSTEM, Actor, AuditAction
from domain.tenants.keys import DEFAULT_OVERLAP, KeyLife, Scope, require_administrator
from domain.tenants.usage import PlanName
from infra import api_keys
from infra.api_keys import KeyMode, PlainKey
from infra.cache import AsyncCache
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import api_keys as stored_keys
from infra.db.repositories import audit, tenants
from infra.db.tables import ApiKey
from infra.state_directory import move_aside_directory, write_private

CHANGEABLE: Final = frozenset({"name", "allowed_ips", "expires_at"})
"""Fields of a key that can be changed; other rights need a new key."""


_AUDITED_FIELDS: Final = ("name", "mode", "scopes", "allowed_ips", "expires_at")


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """Fields of a key to create; `allowed_ips` are networks in CIDR notation, none for any."""

    name: str
    scopes: frozenset[Scope]
    mode: KeyMode = KeyMode.LIVE
    allowed_ips: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MadeKey:
    """A key as stored, and in plain text, which is not stored."""

    row: ApiKey
    plain: PlainKey


def life_of(row: ApiKey) -> KeyLife:
    """Return the fields that decide whether a key works."""
    return KeyLife(
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        replaced_by=row.replaced_by,
        allowed_ips=tuple(row.allowed_ips),
    )


async def make(
    session: AsyncSession,
    wanted: NewKey,
    *,
    tenant_id: UUID,
    secret: bytes,
    actor: Actor,
    key_id: UUID | None = None,
    replaces: UUID | None = None,
) -> MadeKey:
    """Create a key.

    Args:
        session: the tenant's.
        wanted: what it is to be.
        tenant_id: the tenant, which exists.
        secret: the installation's signing secret.
        actor: who makes it.
        key_id: its id, where that was chosen before.
        replaces: the key whose successor it is.
    """
    plain = api_keys.generate(wanted.mode)
    row = await stored_keys.create(
        session,
        tenant_id=tenant_id,
        key_id=key_id,
        name=wanted.name,
        key_hash=api_keys.hash_key(plain, secret=secret),
        hint=plain.hint,
        mode=wanted.mode,
        scopes=wanted.scopes,
        allowed_ips=wanted.allowed_ips,
        expires_at=wanted.expires_at,
    )
    details = {name: _json(getattr(row, name)) for name in _AUDITED_FIELDS}
    if replaces is not None:
        details["replaces"] = str(replaces)
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.KEY_CREATED,
        target_id=row.id,
        actor=actor,
        details=details,
    )
    return MadeKey(row=row, plain=plain)


async def rotate(
    session: AsyncSession,
    key_id: UUID,
    *,
    tenant_id: UUID,
    secret: bytes,
    actor: Actor,
    overlap: timedelta = DEFAULT_OVERLAP,
    expires_at: datetime | None = None,
    successor_id: UUID | None = None,
    spare_last_administrator: bool = True,
) -> MadeKey:
    """Create a key's successor with the same rights; the old key expires after the overlap.

    Args:
        session: the tenant's.
        key_id: the old key.
        tenant_id: the tenant.
        secret: the installation's signing secret.
        actor: who does it.
        overlap: how long the old key still works.
        expires_at: when the successor ends; by default after as long a life as the old one's.
        successor_id: its id, where that was chosen before.
        spare_last_administrator: see `revoke`.

    Raises:
        LastAdministratorError: no key that could make others would be left, or not for long.
        RecordMissingError: the tenant has no such key.
        KeyEndedError: it is revoked or has expired.
        KeyReplacedError: it has a successor already.
    """
    now = await stored_keys.lock(session, tenant_id)
    old = await _get(session, tenant_id=tenant_id, key_id=key_id)
    life = life_of(old)
    end = life.end_after_rotation(now, overlap=overlap)
    async with _keeping_an_administrator(
        session, tenant_id, now, actor, spare=spare_last_administrator
    ):
        made = await make(
            session,
            NewKey(
                name=old.name,
                scopes=frozenset(Scope(scope) for scope in old.scopes),
                mode=KeyMode(old.mode),
                allowed_ips=tuple(old.allowed_ips),
                expires_at=expires_at or life.end_of_successor(now),
            ),
            tenant_id=tenant_id,
            secret=secret,
            actor=actor,
            key_id=successor_id,
            replaces=old.id,
        )
        await stored_keys.change(session, old, {"expires_at": end, "replaced_by": made.row.id})
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.KEY_ROTATED,
        target_id=old.id,
        actor=actor,
        details={"replaced_by": str(made.row.id), "expires_at": end.isoformat()},
    )
    return made


async def change(
    session: AsyncSession,
    key_id: UUID,
    values: Mapping[str, object],
    *,
    tenant_id: UUID,
    actor: Actor,
    spare_last_administrator: bool = True,
) -> ApiKey:
    """Change fields of a key; `values` has some of `CHANGEABLE`.

    Raises:
        LastAdministratorError: no key that could make others would be left, or not for long.
        RecordMissingError: the tenant has no such key.
        KeyEndedError: it is revoked or has expired.
        ValueError: something else is to be changed, which no key can.
    """
    if not values.keys() <= CHANGEABLE:
        raise ValueError(f"of a key, only {sorted(CHANGEABLE)} can be changed")
    now = await stored_keys.lock(session, tenant_id)
    row = await _get(session, tenant_id=tenant_id, key_id=key_id)
    life_of(row).require_working(now)
    new = {name: value for name, value in values.items() if getattr(row, name) != value}
    if new:
        before = {name: _json(getattr(row, name)) for name in new}
        async with _keeping_an_administrator(
            session, tenant_id, now, actor, spare=spare_last_administrator
        ):
            await stored_keys.change(session, row, new)
        await audit.record(
            session,
            tenant_id=tenant_id,
            action=AuditAction.KEY_UPDATED,
            target_id=row.id,
            actor=actor,
            details={
                "before": before,
                "after": {name: _json(value) for name, value in new.items()},
            },
        )
    return row


async def revoke(
    session: AsyncSession,
    key_id: UUID,
    *,
    tenant_id: UUID,
    actor: Actor,
    spare_last_administrator: bool = True,
) -> ApiKey:
    """Revoke a key immediately. Revoking it again changes nothing.

    Args:
        session: the tenant's.
        key_id: the key.
        tenant_id: the tenant.
        actor: who does it.
        spare_last_administrator: refuse to take the last key with the scope `admin` that stays
            usable; an operator, who can make another, need not be refused.

    Raises:
        RecordMissingError: the tenant has no such key.
        LastAdministratorError: it is the last key that could make others.
    """
    now = await stored_keys.lock(session, tenant_id)
    row = await _get(session, tenant_id=tenant_id, key_id=key_id)
    if row.revoked_at is not None:
        return row
    async with _keeping_an_administrator(
        session, tenant_id, now, actor, spare=spare_last_administrator
    ):
        await stored_keys.change(session, row, {"revoked_at": now})
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.KEY_REVOKED,
        target_id=row.id,
        actor=actor,
        details={"name": row.name},
    )
    return row


@asynccontextmanager
async def _keeping_an_administrator(
    session: AsyncSession, tenant_id: UUID, now: datetime, actor: Actor, *, spare: bool
) -> AsyncIterator[None]:
    """Refuse the change made in this block if it leaves no key that can administer keys."""
    before = await _administrators(session, tenant_id)
    yield
    if spare:
        after = await _administrators(session, tenant_id)
        address = None if actor.client_address is None else ip_address(actor.client_address)
        require_administrator(before, after, now, address=address)


async def _administrators(session: AsyncSession, tenant_id: UUID) -> dict[UUID, KeyLife]:
    rows = await stored_keys.list_all(session, tenant_id=tenant_id)
    return {row.id: life_of(row) for row in rows if Scope.ADMIN in row.scopes}


async def _get(session: AsyncSession, *, tenant_id: UUID, key_id: UUID) -> ApiKey:
    row = await stored_keys.get(session, tenant_id=tenant_id, key_id=key_id)
    if row is None:
        raise RecordMissingError("key", key_id)
    return row


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


_DEV_SLUG: Final = "dev"


_KEY_FILE: Final = "api-key"


@dataclass(frozen=True)
class TenantKey:
    """A tenant and a key of its in plain text."""

    tenant_id: UUID
    key_id: UUID
    key: PlainKey


async def ensure_dev_tenant(database: Database, *, secret: bytes, directory: Path) -> TenantKey:
    """Return the development tenant's key, made at the first start and kept for the next.

    The key lies in `directory/api-key`, readable by its owner alone. One that the database does
    not know (any more) is replaced.

    Args:
        database: migrated.
        secret: the installation's signing secret.
        directory: the state directory, which exists.
    """
    path = directory / _KEY_FILE
    move_aside_directory(path)
    kept = api_keys.parse(path.read_text(errors="replace").strip()) if path.exists() else None
    if kept is not None:
        key_hash = api_keys.hash_key(kept, secret=secret)
        async with database.key_session(key_hash) as session:
            row = await stored_keys.find_usable(session, key_hash=key_hash)
        if row is not None:
            return TenantKey(tenant_id=row.tenant_id, key_id=row.id, key=kept)
    created = await create_key(
        database,
        secret=secret,
        slug=_DEV_SLUG,
        name="development",
        scopes=(Scope.ADMIN,),
        mode=KeyMode.TEST,
        actor=SYSTEM,
    )
    async with database.session(created.tenant_id) as session:
        # A local installation has one tenant, so its plan needs no limits.
        await tenants.set_plan(session, tenant_id=created.tenant_id, plan=PlanName.ENTERPRISE)
    write_private(path, created.key.value + "\n")
    return created


async def create_key(
    database: Database,
    *,
    secret: bytes,
    slug: str,
    name: str,
    scopes: Iterable[Scope],
    mode: KeyMode = KeyMode.LIVE,
    allowed_ips: Iterable[str] = (),
    expires_at: datetime | None = None,
    actor: Actor = OPERATOR,
) -> TenantKey:
    """Create a key for the tenant `slug`, and the tenant if it is new.

    The key in plain text is returned only here; it is not stored.
    """
    tenant_id = tenant_id_of(slug)
    async with database.session(tenant_id) as session:
        await stored_keys.ensure_tenant(session, tenant_id=tenant_id, slug=slug, name=slug)
        made = await make(
            session,
            NewKey(
                name=name,
                scopes=frozenset(scopes),
                mode=mode,
                allowed_ips=tuple(allowed_ips),
                expires_at=expires_at,
            ),
            tenant_id=tenant_id,
            secret=secret,
            actor=actor,
        )
    return TenantKey(tenant_id=tenant_id, key_id=made.row.id, key=made.plain)


async def list_keys(database: Database, *, slug: str) -> list[ApiKey]:
    """Return the keys of the tenant `slug`, oldest first, revoked ones included."""
    tenant_id = tenant_id_of(slug)
    async with database.session(tenant_id) as session:
        return await stored_keys.list_all(session, tenant_id=tenant_id)


async def rotate_key(
    database: Database, *, secret: bytes, slug: str, key_id: UUID, overlap: timedelta
) -> TenantKey:
    """Make the successor of a key of the tenant `slug`; the old one works for `overlap` more.

    Raises:
        RecordMissingError: the tenant has no such key.
        KeyChangeRefusedError: it has ended, or was replaced before.
    """
    tenant_id = tenant_id_of(slug)
    async with database.session(tenant_id) as session:
        made = await rotate(
            session,
            key_id,
            tenant_id=tenant_id,
            secret=secret,
            actor=OPERATOR,
            overlap=overlap,
            spare_last_administrator=False,
        )
    return TenantKey(tenant_id=tenant_id, key_id=made.row.id, key=made.plain)


async def revoke_key(database: Database, *, slug: str, key_id: UUID) -> bool:
    """Revoke a key of the tenant `slug` immediately. Return False if there is no such key.

    It may be the last that administers the tenant, since an operator can make another.
    """
    tenant_id = tenant_id_of(slug)
    try:
        async with database.session(tenant_id) as session:
            await revoke(
                session,
                key_id,
                tenant_id=tenant_id,
                actor=OPERATOR,
                spare_last_administrator=False,
            )
    except RecordMissingError:
        return False
    return True


KEY_LIFETIME: Final = 5.0
"""Seconds that a revoked key may still be let in by another process; docs/keys.md promises it."""


_CAPACITY: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class CachedKey:
    """What a request needs of its key."""

    tenant_id: UUID
    id: UUID
    scopes: frozenset[Scope]
    allowed_ips: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Return it from a stored key."""
        return cls(
            tenant_id=row.tenant_id,
            id=row.id,
            scopes=frozenset(Scope(scope) for scope in row.scopes),
            allowed_ips=tuple(row.allowed_ips),
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )


class KeyCache:
    """Finds usable keys by their hash, through a cache.

    Args:
        database: where the keys are.
        clock: seconds, monotonic.
        now: current time, by which a cached key expires.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._now = now
        self._keys = AsyncCache[bytes, CachedKey | None](
            capacity=_CAPACITY,
            lifetime=lambda key: 0.0 if key is None else KEY_LIFETIME,
            clock=clock,
        )

    async def find_usable(self, key_hash: bytes) -> CachedKey | None:
        """Return the key with this hash; None if it is unknown, revoked or expired.

        Raises:
            DatabaseUnavailableError: the key is not cached, and the database is unavailable.
        """
        key = await self._keys.get_or_load(key_hash, lambda: self._load(key_hash))
        if key is None or (key.expires_at is not None and self._now() >= key.expires_at):
            return None
        return key

    def note_use(self, key_hash: bytes, at: datetime) -> None:
        """Record in the cache that a use of a key has been stored."""
        self._keys.replace(key_hash, lambda key: key and replace(key, last_used_at=at))

    @contextmanager
    def changing(self, key_id: UUID) -> Iterator[None]:
        """Invalidate a key after this block, which changes it and commits.

        It is invalidated after an error too, since the commit may have succeeded.
        """
        try:
            yield
        finally:
            self._keys.invalidate(lambda _, key: key is not None and key.id == key_id)

    async def _load(self, key_hash: bytes) -> CachedKey | None:
        async with self._database.key_session(key_hash) as session:
            row = await stored_keys.find_usable(session, key_hash=key_hash)
        return None if row is None else CachedKey.of(row)
