"""Highlights: candidates with the decisions about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import Decision, DecisionStatus
from domain.profiles.model import GameProfile
from infra.db.repositories.announcements import announce_highlight
from infra.db.repositories.errors import RecordMissingError
from infra.db.repositories.happened import happened
from infra.db.repositories.highlight_filter import HighlightFilter, conditions
from infra.db.repositories.highlight_values import candidate_values, decision_values
from infra.db.repositories.keyset import Order, Position
from infra.db.repositories.stored import Snapshot, snapshots, stored_columns
from infra.db.tables import Highlight, Stream

_MANAGED: Final = frozenset({"tenant_id", "id", "created_at", "updated_at", "revision"})
_CONTENT: Final = tuple(
    column.name for column in stored_columns(Highlight) if column.name not in _MANAGED
)
# What no list shows, and takes its time to read.
_UNLISTED: Final = frozenset(
    {
        *("analyzer", "commentary", "corrections", "language"),
        *("clip_start", "clip_end", "settled_at", "decided_at"),
    }
)
_LISTED: Final = select(
    *(column for column in stored_columns(Highlight) if column.name not in _UNLISTED)
)
_PROVISIONAL: Final = (DecisionStatus.PENDING.value, DecisionStatus.HELD.value)


class Sort(StrEnum):
    """Orders in which highlights can be listed."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    PEAK = "peak"
    BEST = "-score"


_column: Final = Highlight.__table__.c
ORDERS: Final = {
    Sort.NEWEST: Order(column=_column.created_at, id=_column.id, descending=True),
    Sort.OLDEST: Order(column=_column.created_at, id=_column.id, descending=False),
    Sort.PEAK: Order(column=_column.peak, id=_column.id, descending=False),
    Sort.BEST: Order(column=_column.score, id=_column.id, descending=True),
}


async def get(session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID) -> Highlight | None:
    """Return a highlight, or None when the tenant has none of this id."""
    return await session.get(Highlight, (tenant_id, highlight_id))


async def get_many(
    session: AsyncSession, *, tenant_id: UUID, highlight_ids: Sequence[UUID]
) -> dict[UUID, Highlight]:
    """Return those of these highlights that the tenant has, by id."""
    found = await session.scalars(
        select(Highlight).where(Highlight.tenant_id == tenant_id, Highlight.id.in_(highlight_ids))
    )
    return {row.id: row for row in found}


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    criteria: HighlightFilter,
    sort: Sort = Sort.NEWEST,
    after: Position | None = None,
    limit: int = 50,
) -> list[Snapshot]:
    """Return the highlights that match, in order, after a position: what lists show of them."""
    then = await happened(session, tenant_id=tenant_id, criteria=criteria)
    wanted = await conditions(session, tenant_id=tenant_id, criteria=then.criteria)
    query, order = _LISTED.where(_column.tenant_id == tenant_id, *wanted), ORDERS[sort]
    if then.is_few:
        query, order = order.apart_from(query)
    return snapshots(await session.execute(order.page(query, after=after, limit=limit)))


async def record_decisions(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    profile: GameProfile,
    candidates: Sequence[HighlightCandidate],
    decisions: Sequence[Decision],
) -> frozenset[UUID]:
    """Write decisions and the candidates they are about; answer which highlights changed.

    Doing it again changes nothing, and an older decision never replaces a newer one: decisions
    are ordered by `decided_at`, provisional ones come before final ones of the same instant, and a
    confirmed highlight stays confirmed. Candidates without a decision are left for the call that
    brings it.

    What tenants are told of is an event in the same transaction. The stream's row is locked
    meanwhile, so that two calls for it cannot tell the same change.

    Raises:
        RecordMissingError: the stream does not exist, or a decision is about a highlight that
            was neither passed as a candidate nor recorded before.
    """
    by_id = {candidate.id: candidate for candidate in candidates}
    latest = {decision.highlight_id: decision for decision in decisions}
    stream = (
        await session.execute(
            select(Stream.game, Stream.language)
            .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
            .with_for_update(key_share=True)
        )
    ).one_or_none()
    if stream is None:
        raise RecordMissingError("stream", stream_id)
    origin = {
        "tenant_id": tenant_id,
        "stream_id": stream_id,
        "game": stream.game,
        "language": stream.language,
        "profile_id": profile.id,
        "profile_version": profile.version,
    }
    rows = [
        origin | candidate_values(by_id[identity]) | decision_values(decision)
        for identity, decision in sorted(latest.items())
        if identity in by_id
    ]
    before = await _statuses(session, tenant_id=tenant_id, highlight_ids=list(latest))
    changed: set[UUID] = set()
    if rows:
        changed |= set(await session.scalars(_upsert(rows)))
    for identity, decision in sorted(latest.items()):
        if identity not in by_id:
            changed |= await _decide_again(session, tenant_id=tenant_id, decision=decision)
    await _announce(session, tenant_id=tenant_id, changed=changed, before=before)
    return frozenset(changed)


async def end_at(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, media_end: float
) -> None:
    """Bring the bounds of a stream's highlights within its media, which ends at `media_end` (s).

    A moment found in the last seconds is recorded before it is known that nothing follows it.
    """
    await session.execute(
        update(Highlight)
        .where(
            Highlight.tenant_id == tenant_id,
            Highlight.stream_id == stream_id,
            or_(Highlight.end > media_end, Highlight.clip_end > media_end),
        )
        .values(
            start=func.least(Highlight.start, media_end),
            peak=func.least(Highlight.peak, media_end),
            end=func.least(Highlight.end, media_end),
            clip_start=func.least(Highlight.clip_start, media_end),
            clip_end=func.least(Highlight.clip_end, media_end),
            updated_at=func.now(),
            revision=Highlight.revision + 1,
        )
        .execution_options(synchronize_session=False)
    )


async def _statuses(
    session: AsyncSession, *, tenant_id: UUID, highlight_ids: Sequence[UUID]
) -> dict[UUID, DecisionStatus]:
    rows = await session.execute(
        select(Highlight.id, Highlight.status).where(
            Highlight.tenant_id == tenant_id, Highlight.id.in_(highlight_ids)
        )
    )
    return {identity: DecisionStatus(status) for identity, status in rows}


async def _announce(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    changed: Iterable[UUID],
    before: Mapping[UUID, DecisionStatus],
) -> None:
    rows = await session.scalars(
        select(Highlight)
        .where(Highlight.tenant_id == tenant_id, Highlight.id.in_(list(changed)))
        .order_by(Highlight.peak, Highlight.id)
        .execution_options(populate_existing=True)
    )
    for row in rows:
        await announce_highlight(session, row, before=before.get(row.id))


def _upsert(rows: list[dict[str, Any]]) -> ReturningInsert[tuple[UUID]]:
    statement = insert(Highlight).values(rows)
    new = statement.excluded
    before = tuple_(*(getattr(Highlight, name) for name in _CONTENT))
    after = tuple_(*(new[name] for name in _CONTENT))
    return statement.on_conflict_do_update(
        index_elements=[Highlight.tenant_id, Highlight.id],
        set_={name: new[name] for name in _CONTENT}
        | {"updated_at": func.now(), "revision": Highlight.revision + 1},
        where=and_(
            _supersedes(decided_at=new["decided_at"], status=new["status"]),
            before.is_distinct_from(after),
        ),
    ).returning(Highlight.id)


async def _decide_again(
    session: AsyncSession, *, tenant_id: UUID, decision: Decision
) -> frozenset[UUID]:
    values = decision_values(decision)
    own = and_(Highlight.tenant_id == tenant_id, Highlight.id == decision.highlight_id)
    changed = await session.scalar(
        update(Highlight)
        .where(
            own,
            _supersedes(decided_at=literal(decision.decided_at), status=literal(decision.status)),
            or_(*(getattr(Highlight, name).is_distinct_from(v) for name, v in values.items())),
        )
        .values(**values, updated_at=func.now(), revision=Highlight.revision + 1)
        .returning(Highlight.id)
        .execution_options(synchronize_session=False)
    )
    if changed is not None:
        return frozenset({changed})
    if await session.scalar(select(Highlight.id).where(own)) is None:
        raise RecordMissingError("highlight", decision.highlight_id)
    return frozenset()


def _supersedes(
    *, decided_at: ColumnElement[float], status: ColumnElement[str]
) -> ColumnElement[bool]:
    confirmed = DecisionStatus.CONFIRMED.value
    return and_(
        tuple_(decided_at, status.not_in(_PROVISIONAL))
        >= tuple_(Highlight.decided_at, Highlight.status.not_in(_PROVISIONAL)),
        or_(Highlight.status != confirmed, status == confirmed),
    )
