"""Game profiles: each tenant's view of them, its overrides, and the profiles pinned by streams.

A stream keeps the profile version it was started with, whatever has changed since.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import structlog
from cachetools import LRUCache
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision
from domain.highlights.selection.preview import preview_selection
from domain.media.segments import GapStatus
from domain.profiles.catalog import PinnedProfile, ProfileCatalog, TenantProfiles
from domain.profiles.documents import ProfileOverride
from domain.profiles.model import GameProfile
from domain.streams.status import TERMINAL, StreamStatus
from domain.tenants.audit import Actor, AuditAction
from infra.cache import AsyncCache
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, highlights, profiles, streams
from infra.db.repositories.backfills import gap_of
from infra.db.repositories.profiles import ProfileOverrides
from infra.profiles.store import ProfileStore

CACHED_VIEWS: Final = 64
"""Tenants whose view is cached; resolving a view takes about 80 ms of CPU time."""


_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _View:
    """A view and its inputs: it is valid as long as both are current."""

    shipped: ProfileCatalog
    heads: tuple[tuple[str, int], ...]
    profiles: TenantProfiles


class TenantProfileStore:
    """Reads and changes tenants' profiles. Methods work within the caller's transaction."""

    def __init__(self, shipped: ProfileStore) -> None:
        self._shipped = shipped
        self._views: LRUCache[UUID, _View] = LRUCache(CACHED_VIEWS)

    async def read(self, session: AsyncSession, tenant_id: UUID) -> TenantProfiles:
        """Return the tenant's current profiles."""
        shipped = self._shipped.catalog
        stored = ProfileOverrides(session)
        heads = await stored.heads(tenant_id)
        view = self._views.get(tenant_id)
        if view is None or view.shipped is not shipped or view.heads != heads:
            overrides = await stored.current(tenant_id)
            # On a thread, so that it does not block other requests.
            profiles = await asyncio.to_thread(TenantProfiles.of, shipped, overrides)
            _log_refused(tenant_id, profiles)
            heads = tuple((o.profile_id, o.revision) for o in overrides)
            view = self._views[tenant_id] = _View(shipped=shipped, heads=heads, profiles=profiles)
        return view.profiles

    async def read_to_change(self, session: AsyncSession, tenant_id: UUID) -> TenantProfiles:
        """Return the tenant's profiles, locked against other changes until the transaction ends."""
        await ProfileOverrides(session).lock(tenant_id)
        return await self.read(session, tenant_id)

    async def preview(
        self,
        session: AsyncSession,
        *,
        tenant_id: UUID,
        profile_id: str,
        patch: dict[str, object] | None,
    ) -> GameProfile | None:
        """Return a profile as an override would make it, and store nothing.

        Without a patch, it is the current profile; None if there is none.

        Raises:
            InvalidProfilesError: it is invalid, or makes another profile invalid.
        """
        before = await self.read(session, tenant_id)
        if patch is None:
            return before.catalog.profiles.get(profile_id)
        override = ProfileOverride(
            tenant_id=tenant_id,
            profile_id=profile_id,
            revision=await ProfileOverrides(session).next_revision(tenant_id, profile_id),
            patch=patch,
            created_at=datetime.now(UTC),
        )
        after = await asyncio.to_thread(before.with_override, override)
        return after.catalog.profiles[profile_id]

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
        """Withdraw an override; its history stays.

        Raises:
            InvalidProfilesError: another override builds upon it.
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


def _log_refused(tenant_id: UUID, profiles: TenantProfiles) -> None:
    for profile_id, problems in profiles.refused.items():
        _log.warning(
            "override_left_out",
            tenant_id=str(tenant_id),
            profile=profile_id,
            problems=[str(problem) for problem in problems],
        )


CACHED_PINNED: Final = 256
"""Profiles that are cached; a version identifies its content, so none becomes stale."""

_UNPINNED: Final = 60.0
"""Seconds for which it is remembered that a profile was never pinned; a stream's analyses ask
every few seconds."""


class PinnedProfiles:
    """Reads pinned profiles, through a cache.

    Args:
        database: where the profiles are pinned.
        store: shipped profiles, the fallback for a profile that was never pinned.
    """

    def __init__(self, database: Database, store: ProfileStore) -> None:
        self._database = database
        self._store = store
        self._profiles = AsyncCache[tuple[UUID, str, str], GameProfile | None](
            capacity=CACHED_PINNED,
            lifetime=lambda profile: _UNPINNED if profile is None else math.inf,
        )

    async def find(self, tenant_id: UUID, profile_id: str, version: str) -> PinnedProfile:
        """Return the pinned profile; else what `ProfileCatalog.pinned` finds, with the reason.

        Raises:
            DatabaseUnavailableError: the profile is not cached, and the database is unavailable.
        """
        profile = await self._profiles.get_or_load(
            (tenant_id, profile_id, version), lambda: self._load(tenant_id, profile_id, version)
        )
        if profile is not None:
            return PinnedProfile(profile=profile)
        found = self._store.catalog.pinned(profile_id, version)
        _log.warning(
            "profile_not_pinned",
            tenant_id=str(tenant_id),
            profile=profile_id,
            version=version,
            note=found.note or "found among the shipped profiles",
        )
        return found

    async def find_or_shipped(self, tenant_id: UUID, profile_id: str, version: str) -> GameProfile:
        """Return the pinned profile; without the tenant's overrides if the database is down."""
        try:
            return (await self.find(tenant_id, profile_id, version)).profile
        except DatabaseUnavailableError as error:
            _log.warning("profile_unknown", profile=profile_id, version=version, error=str(error))
            return self._store.catalog.pinned(profile_id, version).profile

    async def _load(self, tenant_id: UUID, profile_id: str, version: str) -> GameProfile | None:
        async with self._database.session(tenant_id) as session:
            return await profiles.pinned(
                session, tenant_id=tenant_id, profile_id=profile_id, version=version
            )


async def put_override(
    session: AsyncSession,
    store: TenantProfileStore,
    before: TenantProfiles,
    *,
    tenant_id: UUID,
    profile_id: str,
    patch: dict[str, object],
    actor: Actor,
) -> ProfileOverride:
    """Store a new revision of an override, with an audit entry, in the caller's transaction.

    Args:
        session: a session of the tenant.
        store: the tenants' profiles.
        before: as `store.read_to_change` returned them in this transaction.
        tenant_id: the tenant.
        profile_id: the profile to override or add.
        patch: the changes to the shipped profile.
        actor: the API key.

    Raises:
        InvalidProfilesError: the profiles would be invalid; the problems say where.
    """
    override = await store.override(
        session,
        before,
        tenant_id=tenant_id,
        profile_id=profile_id,
        patch=patch,
        key_id=_key_of(actor),
    )
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.OVERRIDE_PUT,
        target_id=profile_id,
        actor=actor,
        details={"revision": override.revision},
    )
    return override


async def delete_override(
    session: AsyncSession,
    store: TenantProfileStore,
    before: TenantProfiles,
    *,
    tenant_id: UUID,
    profile_id: str,
    actor: Actor,
) -> None:
    """Withdraw an override, with an audit entry, in the caller's transaction.

    Raises:
        InvalidProfilesError: another override builds upon it.
    """
    await store.withdraw(
        session, before, tenant_id=tenant_id, profile_id=profile_id, key_id=_key_of(actor)
    )
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.OVERRIDE_DELETED,
        target_id=profile_id,
        actor=actor,
        details={"deleted_revision": before.overrides[profile_id].revision},
    )


MOST_PREVIEWED: Final = 5_000
"""Candidates of a stream that a preview decides on, in about a second of CPU time."""


class TooManyCandidatesError(Exception):
    """A stream has more candidates than a preview decides on."""

    code: Final = "too_many_candidates"


@dataclass(frozen=True)
class PreviewedCandidate:
    """A candidate, what was decided about it, and what other rules would decide."""

    candidate: HighlightCandidate
    before: Decision
    after: Decision


async def preview_stream(
    session: AsyncSession, profile: GameProfile, *, tenant_id: UUID, stream_id: UUID
) -> list[PreviewedCandidate]:
    """Decide on all recorded candidates of a stream by a profile, in order of peak.

    Candidates that the feed took back are left out.

    Raises:
        RecordMissingError: there is no such stream.
        TooManyCandidatesError: the stream has more than `MOST_PREVIEWED` candidates.
    """
    stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
    if stream is None:
        raise RecordMissingError("stream", stream_id)
    rows = await highlights.between(
        session, tenant_id=tenant_id, stream_id=stream_id, limit=MOST_PREVIEWED + 1
    )
    if len(rows) > MOST_PREVIEWED:
        raise TooManyCandidatesError
    gaps = await streams.gaps(session, tenant_id=tenant_id, stream_id=stream_id)
    recorded = [
        (highlights.candidate_of(row), decision)
        for row, decision in ((row, highlights.decision_of(row)) for row in rows)
        if not decision.has(highlights.WITHDRAWN)
    ]
    # On a thread, so that it does not block other requests.
    decided = await asyncio.to_thread(
        preview_selection,
        recorded,
        profile,
        watermark=stream.analyzed,
        ended=StreamStatus(stream.status) in TERMINAL,
        gaps=[gap_of(each) for each in gaps if each.status != GapStatus.FILLED],
    )
    return [
        PreviewedCandidate(candidate, before, decided[candidate.id])
        for candidate, before in recorded
    ]


def _key_of(actor: Actor) -> UUID:
    if actor.id is None:
        raise ValueError("overrides are changed with an API key")
    return actor.id
