"""Highlights by the time when they happened, in an order of something else.

PostgreSQL takes what happened in an hour for evenly spread over all highlights, and would walk
the newest, the best or the oldest until enough of that hour have come by. It is told better: how
few there are, and when they were made.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.repositories.highlight_filter import HighlightFilter
from infra.db.tables import Highlight

FEW: Final = 4_000
"""Highlights that are read and sorted, whatever the order, within a page's 5 ms."""

_highlight: Final = Highlight.__table__.c
_lag: Final = _highlight.created_at - _highlight.peak_wall_clock


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A filter that says when its highlights were made, and whether they are few."""

    criteria: HighlightFilter
    is_few: bool


async def happened(
    session: AsyncSession, *, tenant_id: UUID, criteria: HighlightFilter
) -> Happened:
    """Look at a filter's time of happening, if it has one; it matches the same highlights after.

    A highlight is made a while after it happened, and the tenant's shortest and longest while stand
    at the two ends of an index. Of one that analyses live streams alone they are near each other;
    one that analyses recordings as well is served as quickly where few match.
    """
    within = _within(criteria)
    if not within:
        return Happened(criteria=criteria, is_few=False)
    own = _highlight.tenant_id == tenant_id
    some = select(literal(1)).where(own, *within).limit(FEW + 1).subquery()
    known = (own, _highlight.peak_wall_clock.is_not(None))
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
    return Happened(criteria=made, is_few=row.found <= FEW)


def _within(criteria: HighlightFilter) -> list[ColumnElement[bool]]:
    at = _highlight.peak_wall_clock
    return [
        *([at >= criteria.happened_from] if criteria.happened_from is not None else ()),
        *([at < criteria.happened_to] if criteria.happened_to is not None else ()),
    ]


def _after(moment: datetime | None, lag: timedelta | None) -> datetime | None:
    """Return when what happened at a moment was made, or None to leave that open."""
    if moment is not None and lag is not None:
        with suppress(OverflowError):  # the moment is at the end of all time
            return moment + lag
    return None


def _later(*moments: datetime | None) -> datetime | None:
    return max(filter(None, moments), default=None)


def _earlier(*moments: datetime | None) -> datetime | None:
    return min(filter(None, moments), default=None)
