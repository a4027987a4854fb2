"""Highlights: candidates, the decisions about them, filters and feedback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.highlights.feedback import Correction, Verdict
from domain.highlights.selection import Decision, DecisionStatus, Reason, Tier
from domain.ids import feedback_id
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories.events import append_highlight_event
from infra.db.repositories.stored import Snapshot, snapshots, stored_columns
from infra.db.tables import Highlight, HighlightFeedbackRow, HighlightTerm, Stream

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
    then = await plan_occurred(session, tenant_id=tenant_id, criteria=criteria)
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
        await append_highlight_event(session, row, before=before.get(row.id))


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


def candidate_values(candidate: HighlightCandidate) -> dict[str, Any]:
    """Return what is stored of a candidate."""
    return {
        "id": candidate.id,
        "start": candidate.start,
        "peak": candidate.peak,
        "end": candidate.end,
        "settled_at": candidate.settled_at,
        "confidence": candidate.score.confidence,
        **candidate.score.dimensions(),
        "peak_wall_clock": candidate.peak_wall_clock,
        "title": candidate.title,
        "description": candidate.description,
        "commentary": candidate.commentary,
        "analyzer": candidate.analyzer,
        "tags": list(candidate.tags),
        "evidence": [evidence.model_dump(mode="json") for evidence in candidate.evidence],
        "corrections": list(candidate.corrections),
    }


def decision_values(decision: Decision) -> dict[str, Any]:
    """Return what is stored of a decision, by itself and not of its candidate."""
    return {
        "status": decision.status.value,
        "tier": decision.tier.value,
        "score": decision.score,
        "clip_start": decision.clip_start,
        "clip_end": decision.clip_end,
        "decided_at": decision.decided_at,
        "reasons": [reason.model_dump(mode="json") for reason in decision.reasons],
    }


def candidate_of(row: Highlight) -> HighlightCandidate:
    """Return the candidate as it was recorded; what served the choice of its clip is not kept."""
    return HighlightCandidate(
        id=row.id,
        start=row.start,
        peak=row.peak,
        end=row.end,
        settled_at=row.settled_at,
        score=HighlightScore(
            **{name: getattr(row, name) for name in DIMENSIONS}, confidence=row.confidence
        ),
        analyzer=row.analyzer,
        title=row.title,
        description=row.description,
        commentary=row.commentary,
        tags=tuple(row.tags),
        evidence=tuple(Evidence.model_validate(evidence) for evidence in row.evidence),
        corrections=tuple(row.corrections),
        peak_wall_clock=row.peak_wall_clock,
    )


def decision_of(row: Highlight) -> Decision:
    """Return the latest decision about a candidate."""
    return Decision(
        highlight_id=row.id,
        status=DecisionStatus(row.status),
        tier=Tier(row.tier),
        score=row.score,
        peak=row.peak,
        clip_start=row.clip_start,
        clip_end=row.clip_end,
        decided_at=row.decided_at,
        reasons=tuple(Reason.model_validate(reason) for reason in row.reasons),
    )


_MAX_WORDS: Final = 8
_term: Final = HighlightTerm.__table__.c
# Written out, not bound: PostgreSQL must see that the condition implies the partial indexes.
HIDDEN: Final[tuple[ColumnElement[str], ...]] = (
    literal_column("'held'"),
    literal_column("'rejected'"),
)


@dataclass(frozen=True, kw_only=True)
class HighlightFilter:
    """Which highlights to list; None leaves a property open. Peaks are seconds of media time.

    With no `statuses` everything but the held and the rejected is listed. `text` is words that
    title, description or tags hold, whole and all of them (the eight longest count). `dimensions`
    are their names with least values. `created` and `happened` include their first instant, not
    their last; the latter is the wall clock of the peak, where the stream says it.
    """

    stream_id: UUID | None = None
    statuses: tuple[DecisionStatus, ...] = ()
    game: str | None = None
    tag: str | None = None
    text: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    dimensions: tuple[tuple[str, float], ...] = ()
    peak_from: float | None = None
    peak_to: float | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    happened_from: datetime | None = None
    happened_to: datetime | None = None


async def conditions(
    session: AsyncSession, *, tenant_id: UUID, criteria: HighlightFilter
) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter; texts are taken apart as those stored were."""
    found = [_of_statuses(criteria.statuses), *_bounds(criteria)]
    if criteria.stream_id is not None:
        found.append(_column.stream_id == criteria.stream_id)
    if criteria.game is not None:
        found.append(_column.game == criteria.game)
    if criteria.tag is not None:
        found.append(_has_term(tenant_id, f"#{criteria.tag}"))
    if criteria.text is not None:
        words = await _words(session, criteria.text)
        found += [_has_term(tenant_id, word) for word in words] or [false()]
    return found


def _of_statuses(statuses: Iterable[DecisionStatus]) -> ColumnElement[bool]:
    wanted = [status.value for status in statuses]
    return _column.status.in_(wanted) if wanted else _column.status.not_in(HIDDEN)


def _bounds(criteria: HighlightFilter) -> list[ColumnElement[bool]]:
    least = (
        (_column.score, criteria.min_score),
        (_column.peak, criteria.peak_from),
        (_column.created_at, criteria.created_from),
        (_column.peak_wall_clock, criteria.happened_from),
        *((_column[name], value) for name, value in criteria.dimensions),
    )
    most = (
        (_column.score, criteria.max_score),
        (_column.peak, criteria.peak_to),
    )
    before = (
        (_column.created_at, criteria.created_to),
        (_column.peak_wall_clock, criteria.happened_to),
    )
    return [
        *(column >= value for column, value in least if value is not None),
        *(column <= value for column, value in most if value is not None),
        *(column < value for column, value in before if value is not None),
    ]


def _has_term(tenant_id: UUID, term: str) -> ColumnElement[bool]:
    return exists().where(
        _term.tenant_id == tenant_id,
        _term.term == term,
        _term.highlight_id == _column.id,
    )


async def _words(session: AsyncSession, text: str) -> list[str]:
    words = await session.scalar(
        select(func.tsvector_to_array(func.to_tsvector(literal_column("'simple'"), text)))
    )
    return sorted(words or (), key=lambda word: (-len(word), word))[:_MAX_WORDS]


FEW: Final = 4_000
"""Highlights that are read and sorted, whatever the order, within a page's 5 ms."""


_lag: Final = _column.created_at - _column.peak_wall_clock


@dataclass(frozen=True, kw_only=True)
class PlannedFilter:
    """A filter that says when its highlights were made, and whether they are few."""

    criteria: HighlightFilter
    is_few: bool


async def plan_occurred(
    session: AsyncSession, *, tenant_id: UUID, criteria: HighlightFilter
) -> PlannedFilter:
    """Add the range of creation times that a filter's `occurred_from` and `occurred_to` imply.

    The filter matches the same highlights afterwards. PostgreSQL assumes that the highlights of one
    hour are spread evenly over the table, and would walk the newest (or best, or oldest) rows until
    it has met enough of them. The lag between peak and creation is bounded by the tenant's shortest
    and longest lag, which stand at both ends of an index; where few rows match, the caller reads
    and sorts them all.
    """
    within = _within(criteria)
    if not within:
        return PlannedFilter(criteria=criteria, is_few=False)
    own = _column.tenant_id == tenant_id
    some = select(literal(1)).where(own, *within).limit(FEW + 1).subquery()
    known = (own, _column.peak_wall_clock.is_not(None))
    row = (
        await session.execute(
            select(
                select(func.count()).select_from(some).scalar_subquery().label("found"),
                select(func.min(_lag)).where(*known).scalar_subquery().label("shortest"),
                select(func.max(_lag)).where(*known).scalar_subquery().label("longest"),
            )
        )
    ).one()
    made = replace(
        criteria,
        created_from=_later(criteria.created_from, _after(criteria.happened_from, row.shortest)),
        created_to=_earlier(criteria.created_to, _after(criteria.happened_to, row.longest)),
    )
    return PlannedFilter(criteria=made, is_few=row.found <= FEW)


def _within(criteria: HighlightFilter) -> list[ColumnElement[bool]]:
    at = _column.peak_wall_clock
    return [
        *([at >= criteria.happened_from] if criteria.happened_from is not None else ()),
        *([at < criteria.happened_to] if criteria.happened_to is not None else ()),
    ]


def _after(moment: datetime | None, lag: timedelta | None) -> datetime | None:
    """Return when what plan_occurred at a moment was made, or None to leave that open."""
    if moment is not None and lag is not None:
        with suppress(OverflowError):  # the moment is at the end of all time
            return moment + lag
    return None


def _later(*moments: datetime | None) -> datetime | None:
    return max(filter(None, moments), default=None)


def _earlier(*moments: datetime | None) -> datetime | None:
    return min(filter(None, moments), default=None)


NEWEST_FEEDBACK: Final = Order(
    column=HighlightFeedbackRow.created_at, id=HighlightFeedbackRow.id, descending=True
)


async def put_feedback(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    author: str,
    verdict: Verdict | None,
    correction: Correction | None,
    note: str,
) -> HighlightFeedbackRow:
    """Keep what someone thinks of a highlight, in place of what they thought before.

    Raises:
        RecordMissingError: the highlight does not exist.
    """
    held = await session.scalar(
        select(Highlight.id)
        .where(Highlight.tenant_id == tenant_id, Highlight.id == highlight_id)
        .with_for_update(read=True, key_share=True)
    )
    if held is None:
        raise RecordMissingError("highlight", highlight_id)
    opinion = {
        "verdict": verdict.value if verdict is not None else None,
        "start": correction.start if correction is not None else None,
        "end": correction.end if correction is not None else None,
        "note": note,
    }
    await session.execute(
        insert(HighlightFeedbackRow)
        .values(
            tenant_id=tenant_id,
            highlight_id=highlight_id,
            author=author,
            id=feedback_id(highlight=highlight_id, author=author),
            **opinion,
        )
        .on_conflict_do_update(
            index_elements=[
                HighlightFeedbackRow.tenant_id,
                HighlightFeedbackRow.highlight_id,
                HighlightFeedbackRow.author,
            ],
            set_=opinion | {"updated_at": func.now()},
        )
    )
    return await session.get_one(
        HighlightFeedbackRow, (tenant_id, highlight_id, author), populate_existing=True
    )


async def list_feedback(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    after: Position | None = None,
    limit: int = 50,
) -> list[HighlightFeedbackRow]:
    """Return what people think of a highlight, the newest of them first."""
    query = select(HighlightFeedbackRow).where(
        HighlightFeedbackRow.tenant_id == tenant_id,
        HighlightFeedbackRow.highlight_id == highlight_id,
    )
    return list(await session.scalars(NEWEST_FEEDBACK.page(query, after=after, limit=limit)))
