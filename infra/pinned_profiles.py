"""The profile a stream was started with, whatever has been changed, reloaded or restarted since."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final
from uuid import UUID

import structlog

from domain.profile import GameProfile
from domain.profile_catalog import PinnedProfile
from infra.database import Database
from infra.profile_store import ProfileStore
from infra.repositories import profiles

CACHED: Final = 256
"""Profiles kept in memory; a version names its content, so that none of them is ever stale."""

_log = structlog.get_logger(__name__)


class PinnedProfiles:
    """Reads pinned profiles, and keeps those lately used.

    Args:
        database: where they are pinned.
        store: what stands in for a profile that was never pinned.
    """

    def __init__(self, database: Database, store: ProfileStore) -> None:
        self._database = database
        self._store = store
        self._cache: OrderedDict[tuple[UUID, str, str], GameProfile] = OrderedDict()

    async def find(self, tenant_id: UUID, profile_id: str, version: str) -> PinnedProfile:
        """Return the pinned profile, else what `ProfileCatalog.pinned` finds, and why.

        Raises:
            DatabaseUnavailableError: the database is away.
        """
        key = (tenant_id, profile_id, version)
        profile = self._cache.get(key)
        if profile is None:
            async with self._database.session(tenant_id) as session:
                profile = await profiles.pinned(
                    session, tenant_id=tenant_id, profile_id=profile_id, version=version
                )
        if profile is None:
            found = self._store.catalog.pinned(profile_id, version)
            _log.warning(
                "profile_not_pinned",
                tenant_id=str(tenant_id),
                profile=profile_id,
                version=version,
                note=found.note or "found among the shipped profiles",
            )
            return found
        self._cache[key] = profile
        self._cache.move_to_end(key)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return PinnedProfile(profile=profile)
