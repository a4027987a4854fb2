"""Highlights: candidates, the decisions about them, filters and feedback."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Interval,
    and_,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from domain.analysis.screen import MatchState
from domain.feed.models import FeedOutcome
from domain.highlights.candidate import Evidence, HighlightCandidate, LocalizedTitle
from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection
from domain.highlights.moderation import Moderation
from domain.highlights.publication import ReviewStatus
from domain.highlights.selection import Decision, DecisionStatus, Reason, Tier
from domain.ids import feedback_id
from domain.profiles.model import GameProfile
from domain.score import DIMENSIONS, HighlightScore
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories.events import append_highlight_event
from infra.db.repositories.publication.policies import policy_values
from infra.db.tables import (
    EventSubject,
    FeedEventRow,
    Highlight,
    HighlightFeedbackRow,
    HighlightTerm,
    Stream,
)

_MANAGED: Final = frozenset(
    {
        "tenant_id",
        "id",
        "created_at",
        "updated_at",
        "revision",
        "legal_hold",
        "review",
        "review_until",
        "release",
    }
)
_CONTENT: Final = tuple(
    column.name
    for column in Highlight.__table__.columns
    if column.computed is None and column.name not in _MANAGED
)
WITHDRAWN: Final = "feed_retracted"
REVIEW_REJECTED: Final = "review_rejected"
"""Codes of the reasons for which no decision brings a retracted highlight back."""
_PROVISIONAL: Final = (DecisionStatus.PENDING.value, DecisionStatus.HELD.value)


class HighlightRow(NamedTuple):
    """The columns of a highlight that lists show.

    Lists read these rather than `Highlight` entities: SQLAlchemy's loading of entities would add
    40 % to the processor time of a page (3.2 to 4.8 ms for its two queries and its JSON).
    """

    tenant_id: UUID
    id: UUID
    stream_id: UUID
    game: str
    profile_id: str
    profile_version: str
    status: str
    tier: str
    score: float
    skill_execution: float
    game_impact: float
    rarity: float
    visual_spectacle: float
    emotional_intensity: float
    narrative_value: float
    timing_importance: float
    momentum_shift: float
    confidence: float
    start: float
    peak: float
    end: float
    peak_wall_clock: datetime | None
    title: str
    description: str
    tags: list[str]
    reasons: list[dict[str, Any]]
    evidence: list[dict[str, Any]]
    match_state: dict[str, Any] | None
    titles: list[dict[str, Any]]
    moderation: dict[str, Any] | None
    policy: dict[str, Any] | None
    review: str | None
    review_until: datetime | None
    release: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    revision: int


# Columns of the table, not of the entity: one of the latter makes it a query of the ORM.
_COLUMN: Final = Highlight.__table__.c
_TERM: Final = HighlightTerm.__table__.c
_EVENT: Final = FeedEventRow.__table__.c
_SUBJECT: Final = EventSubject.__table__.c
_ROW: Final = select(*(_COLUMN[name] for name in HighlightRow._fields))


class Sort(StrEnum):
    """Orders in which highlights can be listed."""

    NEWEST = "-created_at"
    OLDEST = "created_at"
    PEAK = "peak"
    BEST = "-score"


ORDERS: Final = {
    Sort.NEWEST: Order(column=_COLUMN.created_at, id=_COLUMN.id, descending=True),
    Sort.OLDEST: Order(column=_COLUMN.created_at, id=_COLUMN.id, descending=False),
    Sort.PEAK: Order(column=_COLUMN.peak, id=_COLUMN.id, descending=False),
    Sort.BEST: Order(column=_COLUMN.score, id=_COLUMN.id, descending=True),
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
) -> list[HighlightRow]:
    """Return the highlights that match, in order, after a position."""
    implied = await imply_creation_times(session, tenant_id=tenant_id, criteria=criteria)
    wanted = await conditions(session, tenant_id=tenant_id, criteria=implied)
    query = _ROW.where(_COLUMN.tenant_id == tenant_id, *wanted)
    found = await session.execute(ORDERS[sort].page(query, after=after, limit=limit))
    return [HighlightRow(*row) for row in found]


async def best(
    session: AsyncSession, *, tenant_id: UUID, criteria: HighlightFilter, limit: int
) -> list[Highlight]:
    """Return the highlights that match, whole, the best first."""
    wanted = await conditions(session, tenant_id=tenant_id, criteria=criteria)
    return list(
        await session.scalars(
            select(Highlight)
            .where(Highlight.tenant_id == tenant_id, *wanted)
            .order_by(Highlight.score.desc(), Highlight.id)
            .limit(limit)
        )
    )


async def record_decisions(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    profile: GameProfile,
    candidates: Sequence[HighlightCandidate],
    decisions: Sequence[Decision],
) -> frozenset[UUID]:
    """Write decisions and their candidates. Return the highlights that changed.

    Idempotent. An older decision never replaces a newer one: decisions
    are ordered by `decided_at`, provisional ones come before final ones of the same instant, and a
    confirmed highlight stays confirmed. Candidates without a decision are left for the call
    that has one.

    A change that tenants are notified of is an event in the same transaction. The stream's row is
    locked meanwhile, so that two calls cannot report the same change.

    Raises:
        RecordMissingError: the stream does not exist, or a decision is about a highlight that
            was neither passed as a candidate nor recorded before.
    """
    by_id = {candidate.id: candidate for candidate in candidates}
    latest = {decision.highlight_id: decision for decision in decisions}
    stream = (
        await session.execute(
            select(Stream.game, Stream.language, Stream.policy)
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
        **policy_values(stream.policy),
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


async def between(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    stream_id: UUID,
    first: float = 0.0,
    last: float = math.inf,
    limit: int | None = None,
) -> list[Highlight]:
    """Return all candidates of a stream that peak between two media times (s), in order."""
    return list(
        await session.scalars(
            select(Highlight)
            .where(
                Highlight.tenant_id == tenant_id,
                Highlight.stream_id == stream_id,
                Highlight.peak.between(first, last),
            )
            .order_by(Highlight.peak, Highlight.id)
            .limit(limit)
        )
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
        or_(
            Highlight.status != DecisionStatus.RETRACTED.value,
            ~or_(
                *(
                    Highlight.reasons.contains([{"code": code}])
                    for code in (WITHDRAWN, REVIEW_REJECTED)
                )
            ),
        ),
    )


def candidate_values(candidate: HighlightCandidate) -> dict[str, Any]:
    """Return the columns of a candidate."""
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
        "match_state": None if candidate.state is None else candidate.state.model_dump(mode="json"),
        "titles": [each.model_dump(mode="json") for each in candidate.titles],
        "moderation": None
        if candidate.moderation is None
        else candidate.moderation.model_dump(mode="json"),
    }


def decision_values(decision: Decision) -> dict[str, Any]:
    """Return the columns of a decision, without those of its candidate."""
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
    """Return the candidate as recorded, without the fields that only clip planning uses."""
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
        state=None if row.match_state is None else MatchState.model_validate(row.match_state),
        titles=titles_of(row),
        moderation=moderation_of(row),
    )


def titles_of(row: Highlight | HighlightRow) -> tuple[LocalizedTitle, ...]:
    """Return the titles of a highlight, in the order in which the stream names the languages."""
    return tuple(LocalizedTitle.model_validate(each) for each in row.titles)


def title_in(row: Highlight, language: str | None) -> LocalizedTitle | None:
    """Return the title for a language that was requested; None if the highlight has none."""
    return next((each for each in titles_of(row) if each.requested == language), None)


def moderation_of(row: Highlight | HighlightRow) -> Moderation | None:
    """Return what was found objectionable; None for highlights of older releases."""
    return None if row.moderation is None else Moderation.model_validate(row.moderation)


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
# Written out, not bound: PostgreSQL must see that the condition implies the partial indexes.
HIDDEN: Final[tuple[ColumnElement[str], ...]] = (
    literal_column("'held'"),
    literal_column("'rejected'"),
)


@dataclass(frozen=True, kw_only=True)
class HighlightFilter:
    """Which highlights to list; None leaves a property open. Peaks are seconds of media time.

    With no `statuses` everything but the held and the rejected is listed. Of `any_tag` a highlight
    has one at least; it is of one of the `stream_ids`. `text` is words that
    title, description or tags hold, whole and all of them (the eight longest count). `market` and
    `subject` are those of a feed event that belongs to the highlight and was not taken back.
    `is_released` leaves out those that review keeps back.
    `state` is the score after the moment, such as `2-1`, and `period` the one on the screen.
    `dimensions` are their names with least values. `created` and `occurred` include their first
    instant, not their last; the latter is the wall clock of the peak, if the stream gives one.
    """

    stream_id: UUID | None = None
    stream_ids: tuple[UUID, ...] = ()
    statuses: tuple[DecisionStatus, ...] = ()
    review: ReviewStatus | None = None
    is_released: bool = False
    game: str | None = None
    tag: str | None = None
    any_tag: tuple[str, ...] = ()
    text: str | None = None
    market: str | None = None
    subject: str | None = None
    state: str | None = None
    period: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    dimensions: tuple[tuple[str, float], ...] = ()
    peak_from: float | None = None
    peak_to: float | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    occurred_from: datetime | None = None
    occurred_to: datetime | None = None


async def conditions(
    session: AsyncSession, *, tenant_id: UUID, criteria: HighlightFilter
) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter; texts are taken apart as those stored were."""
    found = [
        _of_statuses(criteria.statuses),
        *_bounds(criteria),
        *_of_match(tenant_id, criteria),
    ]
    if criteria.stream_id is not None:
        found.append(_COLUMN.stream_id == criteria.stream_id)
    if criteria.stream_ids:
        found.append(_COLUMN.stream_id.in_(criteria.stream_ids))
    if criteria.review is not None:
        found.append(_COLUMN.review == criteria.review.value)
    if criteria.is_released:
        found.append(or_(_COLUMN.review.is_(None), _COLUMN.review == ReviewStatus.APPROVED.value))
    if criteria.game is not None:
        found.append(_COLUMN.game == criteria.game)
    if criteria.tag is not None:
        found.append(_has_term(tenant_id, f"#{criteria.tag}"))
    if criteria.any_tag:
        found.append(or_(*(_has_term(tenant_id, f"#{tag}") for tag in criteria.any_tag)))
    if criteria.text is not None:
        words = await _words(session, criteria.text)
        found += [_has_term(tenant_id, word) for word in words] or [false()]
    return found


def _of_match(tenant_id: UUID, criteria: HighlightFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on feed events and on the state of the match."""
    found = []
    if criteria.market is not None:
        found.append(_has_event(tenant_id, _EVENT.market == criteria.market))
    if criteria.subject is not None:
        of_subject = (_SUBJECT.tenant_id == tenant_id, _SUBJECT.subject == criteria.subject)
        found.append(_has_event(tenant_id, *of_subject, _SUBJECT.event_id == _EVENT.id))
    if criteria.state is not None:
        found.append(_has_term(tenant_id, f"@score:{criteria.state}"))
    if criteria.period is not None:
        found.append(_has_term(tenant_id, f"@period:{_plain_period(criteria.period)}"))
    return found


def _of_statuses(statuses: Iterable[DecisionStatus]) -> ColumnElement[bool]:
    wanted = [status.value for status in statuses]
    return _COLUMN.status.in_(wanted) if wanted else _COLUMN.status.not_in(HIDDEN)


def _bounds(criteria: HighlightFilter) -> list[ColumnElement[bool]]:
    least = (
        (_COLUMN.score, criteria.min_score),
        (_COLUMN.peak, criteria.peak_from),
        (_COLUMN.created_at, criteria.created_from),
        (_COLUMN.peak_wall_clock, criteria.occurred_from),
        *((_COLUMN[name], value) for name, value in criteria.dimensions),
    )
    most = (
        (_COLUMN.score, criteria.max_score),
        (_COLUMN.peak, criteria.peak_to),
    )
    before = (
        (_COLUMN.created_at, criteria.created_to),
        (_COLUMN.peak_wall_clock, criteria.occurred_to),
    )
    return [
        *(column >= value for column, value in least if value is not None),
        *(column <= value for column, value in most if value is not None),
        *(column < value for column, value in before if value is not None),
    ]


def _has_term(tenant_id: UUID, term: str) -> ColumnElement[bool]:
    return exists().where(
        _TERM.tenant_id == tenant_id,
        _TERM.term == term,
        _TERM.highlight_id == _COLUMN.id,
    )


def _has_event(tenant_id: UUID, *wanted: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(
        _EVENT.tenant_id == tenant_id,
        _EVENT.highlight_id == _COLUMN.id,
        _EVENT.outcome != FeedOutcome.RETRACTED.value,
        *wanted,
    )


def _plain_period(period: str) -> str:
    """Return a period as the trigger stores it (migration 0030): screens write one in many ways."""
    return period.lower().replace(" ", "").replace("-", "")


async def _words(session: AsyncSession, text: str) -> list[str]:
    words = await session.scalar(
        select(func.tsvector_to_array(func.to_tsvector(literal_column("'simple'"), text)))
    )
    return sorted(words or (), key=lambda word: (-len(word), word))[:_MAX_WORDS]


_LAG: Final[ColumnElement[timedelta]] = type_coerce(
    Highlight.created_at - Highlight.peak_wall_clock, Interval()
)


async def imply_creation_times(
    session: AsyncSession, *, tenant_id: UUID, criteria: HighlightFilter
) -> HighlightFilter:
    """Add the range of creation times that `occurred_from` and `occurred_to` imply, if given.

    The result matches the same highlights. PostgreSQL assumes that the highlights of one hour are
    spread evenly over the table, and would walk the newest rows until it has found enough of them:
    74 ms instead of 4 ms among 300,000 highlights (benchmarks/list_pages.py). The time between peak
    and creation lies between the tenant's shortest and longest, which an index gives at once.
    """
    if criteria.occurred_from is None and criteria.occurred_to is None:
        return criteria
    known = (Highlight.tenant_id == tenant_id, Highlight.peak_wall_clock.is_not(None))
    shortest, longest = (
        await session.execute(
            select(
                select(func.min(_LAG)).where(*known).scalar_subquery(),
                select(func.max(_LAG)).where(*known).scalar_subquery(),
            )
        )
    ).one()
    return replace(
        criteria,
        created_from=_later(criteria.created_from, _after(criteria.occurred_from, shortest)),
        created_to=_earlier(criteria.created_to, _after(criteria.occurred_to, longest)),
    )


def _after(moment: datetime | None, lag: timedelta | None) -> datetime | None:
    """Return `moment + lag`, or None if either is unknown."""
    if moment is not None and lag is not None:
        with suppress(OverflowError):  # beyond what datetime holds
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
    verdict: FeedbackVerdict | None,
    correction: HighlightCorrection | None,
    note: str,
) -> HighlightFeedbackRow:
    """Store a person's feedback on a highlight; it replaces their earlier feedback.

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
    """Return the feedback on a highlight, newest first."""
    query = select(HighlightFeedbackRow).where(
        HighlightFeedbackRow.tenant_id == tenant_id,
        HighlightFeedbackRow.highlight_id == highlight_id,
    )
    return list(await session.scalars(NEWEST_FEEDBACK.page(query, after=after, limit=limit)))
