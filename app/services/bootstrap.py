"""The first tenant and the first key: what an installation needs before its API can be used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from app.services import api_keys as key_service
from app.services.api_keys import NewKey
from domain.tenants.audit import OPERATOR, SYSTEM, Actor
from domain.tenants.keys import Scope
from domain.tenants.usage import PlanName
from infra import api_keys
from infra.api_keys import KeyMode, PlainKey
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import api_keys as stored_keys
from infra.db.repositories import tenants
from infra.db.tables import ApiKey
from infra.state_directory import move_aside_directory, write_private

_TENANT_NAMESPACE: Final = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a003")
_DEV_SLUG: Final = "dev"
_KEY_FILE: Final = "api-key"


@dataclass(frozen=True)
class TenantKey:
    """A tenant and a key of its in plain text."""

    tenant_id: UUID
    key_id: UUID
    key: PlainKey


def tenant_id_of(slug: str) -> UUID:
    """Return the id of the tenant of this name; one name is one tenant everywhere."""
    return uuid5(_TENANT_NAMESPACE, slug)


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
        # Nobody shares a machine's own installation, so nothing there has to be rationed.
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
    """Make a key for the tenant `slug`, and the tenant too when it is new.

    The plain key is in the answer only: it cannot be had again.
    """
    tenant_id = tenant_id_of(slug)
    async with database.session(tenant_id) as session:
        await stored_keys.ensure_tenant(session, tenant_id=tenant_id, slug=slug, name=slug)
        made = await key_service.make(
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
        made = await key_service.rotate(
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
    """Revoke a key of the tenant `slug` at once; answer whether there is such a key.

    It may be the last that administers the tenant, since an operator can make another.
    """
    tenant_id = tenant_id_of(slug)
    try:
        async with database.session(tenant_id) as session:
            await key_service.revoke(
                session,
                key_id,
                tenant_id=tenant_id,
                actor=OPERATOR,
                spare_last_administrator=False,
            )
    except RecordMissingError:
        return False
    return True
