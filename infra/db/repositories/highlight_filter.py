"""Which highlights a list holds, in SQL that finds an index under row-level security."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, false, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.selection import DecisionStatus
from infra.db.tables import Highlight, HighlightTerm

_MAX_WORDS: Final = 8
# Of the tables themselves: a page is read by no entity, which spares the ORM's share of its cost.
_highlight: Final = Highlight.__table__.c
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
        found.append(_highlight.stream_id == criteria.stream_id)
    if criteria.game is not None:
        found.append(_highlight.game == criteria.game)
    if criteria.tag is not None:
        found.append(_has_term(tenant_id, f"#{criteria.tag}"))
    if criteria.text is not None:
        words = await _words(session, criteria.text)
        found += [_has_term(tenant_id, word) for word in words] or [false()]
    return found


def _of_statuses(statuses: Iterable[DecisionStatus]) -> ColumnElement[bool]:
    wanted = [status.value for status in statuses]
    return _highlight.status.in_(wanted) if wanted else _highlight.status.not_in(HIDDEN)


def _bounds(criteria: HighlightFilter) -> list[ColumnElement[bool]]:
    least = (
        (_highlight.score, criteria.min_score),
        (_highlight.peak, criteria.peak_from),
        (_highlight.created_at, criteria.created_from),
        (_highlight.peak_wall_clock, criteria.happened_from),
        *((_highlight[name], value) for name, value in criteria.dimensions),
    )
    most = ((_highlight.score, criteria.max_score), (_highlight.peak, criteria.peak_to))
    before = (
        (_highlight.created_at, criteria.created_to),
        (_highlight.peak_wall_clock, criteria.happened_to),
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
        _term.highlight_id == _highlight.id,
    )


async def _words(session: AsyncSession, text: str) -> list[str]:
    words = await session.scalar(
        select(func.tsvector_to_array(func.to_tsvector(literal_column("'simple'"), text)))
    )
    return sorted(words or (), key=lambda word: (-len(word), word))[:_MAX_WORDS]
