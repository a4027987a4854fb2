"""Game profiles: what tenants override, what their streams were started with, and tastes."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Select, bindparam, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection
from domain.highlights.taste import MOST_JUDGEMENTS, Judgement, Taste, judge
from domain.profiles.documents import ProfileOverride
from domain.profiles.model import GameProfile
from infra.db.errors import RecordMissingError, RevisionConflictError
from infra.db.repositories.highlights import candidate_of
from infra.db.tables import (
    Highlight,
    HighlightFeedbackRow,
    PinnedProfileRow,
    ProfileOverrideRow,
    TasteRow,
)

_LOCK: Final = "profile_overrides"
_override_column: Final = ProfileOverrideRow.__table__.c
_pin: Final = PinnedProfileRow.__table__.c
# Built once, since every stream runs them, and SQLAlchemy is slow to build a statement.
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
_taste: Final = TasteRow.__table__.c
_TASTE_IN_FORCE: Final = select(_taste.version, _taste.learned).where(
    _taste.tenant_id == bindparam("tenant_id"),
    _taste.profile_id == bindparam("profile_id"),
    _taste.enabled,
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


class Tastes:
    """Tastes of the session's tenant: one per profile, learned from feedback."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, tenant_id: UUID, profile_id: str) -> TasteRow | None:
        """Return the row of a profile, or None if no feedback on its highlights was given."""
        return await self._session.get(TasteRow, (tenant_id, profile_id))

    async def in_force(self, tenant_id: UUID, profile_id: str) -> Taste:
        """Return the taste to apply to candidates; an empty one if there is none, or disabled."""
        identity = {"tenant_id": tenant_id, "profile_id": profile_id}
        row = (await self._session.execute(_TASTE_IN_FORCE, identity)).one_or_none()
        if row is None:
            return Taste()
        return Taste.model_validate({**row.learned, "version": row.version})

    async def lock(self, tenant_id: UUID, profile_id: str) -> TasteRow:
        """Return the row of a profile, locked until the transaction ends; create it if missing."""
        await self._session.execute(
            insert(TasteRow)
            .values(tenant_id=tenant_id, profile_id=profile_id)
            .on_conflict_do_nothing(index_elements=[TasteRow.tenant_id, TasteRow.profile_id])
        )
        return await self._session.get_one(
            TasteRow, (tenant_id, profile_id), with_for_update=True, populate_existing=True
        )

    async def judgements(
        self, tenant_id: UUID, profile_id: str, *, since: datetime | None
    ) -> list[Judgement]:
        """Return the latest judgements of a profile's highlights, at most `MOST_JUDGEMENTS`.

        Feedback of `since` and before is left out, and so is feedback that is only a note.
        """
        feedback = HighlightFeedbackRow
        query = (
            select(feedback, Highlight)
            .join(
                Highlight,
                (Highlight.tenant_id == feedback.tenant_id)
                & (Highlight.id == feedback.highlight_id),
            )
            .where(
                feedback.tenant_id == tenant_id,
                Highlight.profile_id == profile_id,
                or_(feedback.verdict.is_not(None), feedback.start.is_not(None)),
            )
            .order_by(feedback.updated_at.desc(), feedback.id)
            .limit(MOST_JUDGEMENTS)
        )
        if since is not None:
            query = query.where(feedback.updated_at > since)
        return [_judgement(given, about) for given, about in await self._session.execute(query)]

    async def put(self, tenant_id: UUID, profile_id: str, taste: Taste) -> TasteRow:
        """Store what was learned.

        Raises:
            RecordMissingError: there is no row; `lock` creates it.
        """
        learned = taste.model_dump(mode="json", exclude={"version"})
        return await self._change(tenant_id, profile_id, learned=learned, version=taste.version)

    async def set_enabled(self, tenant_id: UUID, profile_id: str, *, enabled: bool) -> TasteRow:
        """Enable or disable a taste.

        Raises:
            RecordMissingError: there is no row; `lock` creates it.
        """
        return await self._change(tenant_id, profile_id, enabled=enabled)

    async def reset(self, tenant_id: UUID, profile_id: str) -> TasteRow:
        """Clear a taste, as its next version; no feedback until now is learned from again.

        Raises:
            RecordMissingError: there is no row; `lock` creates it.
        """
        return await self._change(
            tenant_id,
            profile_id,
            learned=Taste().model_dump(mode="json", exclude={"version"}),
            version=TasteRow.version + 1,
            reset_at=func.now(),
        )

    async def _change(self, tenant_id: UUID, profile_id: str, **values: object) -> TasteRow:
        row = await self._session.scalar(
            update(TasteRow)
            .where(TasteRow.tenant_id == tenant_id, TasteRow.profile_id == profile_id)
            .values(**values, updated_at=func.now())
            .returning(TasteRow)
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise RecordMissingError("taste", profile_id)
        return row


def taste_of(row: TasteRow) -> Taste:
    """Return what was learned, enabled or not."""
    return Taste.model_validate({**row.learned, "version": row.version})


def _judgement(given: HighlightFeedbackRow, about: Highlight) -> Judgement:
    corrected = given.start is not None and given.end is not None
    return judge(
        candidate_of(about),
        clip_start=about.clip_start,
        clip_end=about.clip_end,
        verdict=None if given.verdict is None else FeedbackVerdict(given.verdict),
        correction=HighlightCorrection(start=given.start, end=given.end) if corrected else None,
    )
