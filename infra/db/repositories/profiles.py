"""Game profiles: what tenants override, and what their streams were started with."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Select, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.profiles.documents import ProfileOverride
from domain.profiles.model import GameProfile
from infra.db.errors import RevisionConflictError
from infra.db.tables import PinnedProfileRow, ProfileOverrideRow

_LOCK: Final = "profile_overrides"
_override_column: Final = ProfileOverrideRow.__table__.c
_pin: Final = PinnedProfileRow.__table__.c
# Every new stream runs both, and SQLAlchemy is slow to build a statement.
_HEADS: Final = (
    select(
        _override_column.profile_id,
        _override_column.revision,
        (_override_column.patch != {}).label("in_force"),
    )
    .where(_override_column.tenant_id == bindparam("tenant_id"))
    .ext(distinct_on(_override_column.profile_id))
    .order_by(_override_column.profile_id, _override_column.revision.desc())
)
_PINNED: Final = select(_pin.version).where(
    _pin.tenant_id == bindparam("tenant_id"),
    _pin.profile_id == bindparam("profile_id"),
    _pin.version == bindparam("version"),
)


class ProfileOverrides:
    """Profile overrides of the session's tenant, append-only."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, tenant_id: UUID) -> None:
        """Lock the tenant's overrides until this transaction ends.

        An override may build on another, so they are validated together.
        """
        key = func.hashtextextended(f"{_LOCK}:{tenant_id}", 0)
        await self._session.execute(select(func.pg_advisory_xact_lock(key)))

    async def heads(self, tenant_id: UUID) -> tuple[tuple[str, int], ...]:
        """Return profile and latest revision of each override in force, sorted."""
        rows = await self._session.execute(_HEADS, {"tenant_id": tenant_id})
        return tuple((row.profile_id, row.revision) for row in rows if row.in_force)

    async def current(self, tenant_id: UUID) -> tuple[ProfileOverride, ...]:
        """Return the tenant's latest revision of each profile it overrides."""
        rows = await self._session.scalars(
            select(ProfileOverrideRow)
            .where(ProfileOverrideRow.tenant_id == tenant_id)
            .ext(distinct_on(ProfileOverrideRow.profile_id))
            .order_by(ProfileOverrideRow.profile_id, ProfileOverrideRow.revision.desc())
        )
        return tuple(_override(row) for row in rows if row.patch)

    async def history(self, tenant_id: UUID, profile_id: str) -> tuple[ProfileOverride, ...]:
        """Return all revisions for one profile, oldest first."""
        return (await self.history_page(tenant_id, profile_id))[::-1]

    async def history_page(
        self,
        tenant_id: UUID,
        profile_id: str,
        *,
        before: int | None = None,
        limit: int | None = None,
    ) -> tuple[ProfileOverride, ...]:
        """Return revisions for one profile, newest first, those below `before` only."""
        query = (
            select(ProfileOverrideRow)
            .where(
                ProfileOverrideRow.tenant_id == tenant_id,
                ProfileOverrideRow.profile_id == profile_id,
            )
            .order_by(ProfileOverrideRow.revision.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(ProfileOverrideRow.revision < before)
        return tuple(map(_override, await self._session.scalars(query)))

    async def next_revision(self, tenant_id: UUID, profile_id: str) -> int:
        """Return the number of the next revision; a deletion does not reset it."""
        latest = await self._session.scalar(_latest_revision(tenant_id, profile_id))
        return (latest or 0) + 1

    async def append(self, override: ProfileOverride) -> None:
        """Store a new revision; the previous one must be `revision - 1`.

        Raises:
            RevisionConflictError: it is not, since another revision was written meanwhile.
        """
        columns = ("tenant_id", "profile_id", "revision", "patch", "created_at", "created_by")
        table = ProfileOverrideRow.__table__.c
        latest = _latest_revision(override.tenant_id, override.profile_id).scalar_subquery()
        values = (literal(getattr(override, name), table[name].type) for name in columns)
        written = await self._session.scalar(
            insert(ProfileOverrideRow)
            .from_select(
                columns,
                select(*values).where(func.coalesce(latest, 0) == override.revision - 1),
            )
            .on_conflict_do_nothing()
            .returning(ProfileOverrideRow.revision)
        )
        if written is None:
            raise RevisionConflictError("the override", override.profile_id, override.revision)


async def pin(session: AsyncSession, *, tenant_id: UUID, profile: GameProfile) -> None:
    """Store a complete profile in the transaction that starts a stream with it."""
    identity = {"tenant_id": tenant_id, "profile_id": profile.id, "version": profile.version}
    if await session.scalar(_PINNED, identity) is not None:
        return  # as nearly always, and a profile is long
    await session.execute(
        insert(PinnedProfileRow)
        .values(**identity, document=profile.model_dump(mode="json"))
        .on_conflict_do_nothing()
    )


async def pinned(
    session: AsyncSession, *, tenant_id: UUID, profile_id: str, version: str
) -> GameProfile | None:
    """Return a profile as a stream was started with it, or None when no stream was."""
    row = await session.get(PinnedProfileRow, (tenant_id, profile_id, version))
    return None if row is None else GameProfile.model_validate(row.document)


def _latest_revision(tenant_id: UUID, profile_id: str) -> Select[int]:
    return select(func.max(ProfileOverrideRow.revision)).where(
        ProfileOverrideRow.tenant_id == tenant_id, ProfileOverrideRow.profile_id == profile_id
    )


def _override(row: ProfileOverrideRow) -> ProfileOverride:
    return ProfileOverride(
        tenant_id=row.tenant_id,
        profile_id=row.profile_id,
        revision=row.revision,
        patch=row.patch,
        created_at=row.created_at,
        created_by=row.created_by,
    )
