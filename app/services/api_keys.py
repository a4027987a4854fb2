"""Making, rotating, changing and revoking API keys, each with its entry in the audit log.

The functions work within the caller's transaction. What they change is decided by
`domain/tenants/keys.py`, one change of a tenant's keys at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.audit import Actor, AuditAction
from domain.tenants.keys import DEFAULT_OVERLAP, KeyLife, Scope, require_administrator
from infra import api_keys
from infra.api_keys import KeyMode, PlainKey
from infra.db.errors import RecordMissingError
from infra.db.repositories import api_keys as stored_keys
from infra.db.repositories import audit
from infra.db.tables import ApiKey

CHANGEABLE: Final = frozenset({"name", "allowed_ips", "expires_at"})
"""What a key can be given anew; for other rights a new key is made."""

_TOLD_OF_A_NEW_KEY: Final = ("name", "mode", "scopes", "allowed_ips", "expires_at")


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """What a key is to be; `allowed_ips` are networks in CIDR notation, none for anywhere."""

    name: str
    scopes: frozenset[Scope]
    mode: KeyMode = KeyMode.LIVE
    allowed_ips: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MadeKey:
    """A key as stored, and in plain text: it cannot be had again."""

    row: ApiKey
    plain: PlainKey


def life_of(row: ApiKey) -> KeyLife:
    """Return what decides over a key's life."""
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
    """Make a key.

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
    details = {name: _json(getattr(row, name)) for name in _TOLD_OF_A_NEW_KEY}
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
    """Make a key's successor, with the same rights; the old one ends with the overlap.

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
    """Give a key another name, other addresses or another end; `values` names some of CHANGEABLE.

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
    """Revoke a key at once. The first revocation stands.

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
    """Refuse the change that is made within, if it leaves nobody to administer the keys."""
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
