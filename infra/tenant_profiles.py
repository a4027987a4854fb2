"""Each tenant's view of the profiles, read from the database and resolved once for each change."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.profile_catalog import ProfileCatalog
from domain.profile_override import ProfileOverride
from domain.tenant_profiles import TenantProfiles
from infra.profile_store import ProfileStore
from infra.repositories.profiles import ProfileOverrides

CACHED: Final = 64
"""Tenants whose view is kept; resolving one takes some 80 ms of a processor."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _View:
    """A view, and what it was made of: it is valid as long as both are the current ones."""

    shipped: ProfileCatalog
    heads: tuple[tuple[str, int], ...]
    profiles: TenantProfiles


class TenantProfileStore:
    """Reads and changes tenants' profiles. Methods work within the caller's transaction."""

    def __init__(self, shipped: ProfileStore) -> None:
        self._shipped = shipped
        self._views: OrderedDict[UUID, _View] = OrderedDict()

    async def read(self, session: AsyncSession, tenant_id: UUID) -> TenantProfiles:
        """Return the tenant's profiles as they are now."""
        shipped = self._shipped.catalog
        stored = ProfileOverrides(session)
        heads = await stored.heads(tenant_id)
        view = self._views.get(tenant_id)
        if view is None or view.shipped is not shipped or view.heads != heads:
            overrides = await stored.current(tenant_id)
            # On a thread, so that one tenant's profiles do not hold up everyone's requests.
            profiles = await asyncio.to_thread(TenantProfiles.of, shipped, overrides)
            _tell_refused(tenant_id, profiles)
            heads = tuple((o.profile_id, o.revision) for o in overrides)
            view = _View(shipped=shipped, heads=heads, profiles=profiles)
        self._views[tenant_id] = view
        self._views.move_to_end(tenant_id)
        if len(self._views) > CACHED:
            self._views.popitem(last=False)
        return view.profiles

    async def read_to_change(self, session: AsyncSession, tenant_id: UUID) -> TenantProfiles:
        """Return the tenant's profiles; no one else changes them until the transaction ends."""
        await ProfileOverrides(session).lock(tenant_id)
        return await self.read(session, tenant_id)

    async def override(
        self,
        session: AsyncSession,
        before: TenantProfiles,
        *,
        tenant_id: UUID,
        profile_id: str,
        patch: dict[str, object],
        key_id: UUID,
    ) -> ProfileOverride:
        """Store a new override, if the profiles with it are valid.

        Raises:
            InvalidProfilesError: they are not; the problems name the override and the place.
        """
        override = await _next(
            session, tenant_id=tenant_id, profile_id=profile_id, patch=patch, key_id=key_id
        )
        await asyncio.to_thread(before.with_override, override)
        await ProfileOverrides(session).append(override)
        return override

    async def withdraw(
        self,
        session: AsyncSession,
        before: TenantProfiles,
        *,
        tenant_id: UUID,
        profile_id: str,
        key_id: UUID,
    ) -> None:
        """Take an override back, unless another builds upon it; its history stays.

        Raises:
            InvalidProfilesError: another does.
        """
        await asyncio.to_thread(before.without_override, profile_id)
        empty = await _next(
            session, tenant_id=tenant_id, profile_id=profile_id, patch={}, key_id=key_id
        )
        await ProfileOverrides(session).append(empty)


async def _next(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    profile_id: str,
    patch: dict[str, object],
    key_id: UUID,
) -> ProfileOverride:
    return ProfileOverride(
        tenant_id=tenant_id,
        profile_id=profile_id,
        revision=await ProfileOverrides(session).next_revision(tenant_id, profile_id),
        patch=patch,
        created_at=datetime.now(UTC),
        created_by=key_id,
    )


def _tell_refused(tenant_id: UUID, profiles: TenantProfiles) -> None:
    for profile_id, problems in profiles.refused.items():
        _log.warning(
            "override_left_out",
            tenant_id=str(tenant_id),
            profile=profile_id,
            problems=[str(problem) for problem in problems],
        )
