"""Keyset pagination: each page continues after the last row of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import KeyedColumnElement

_Row = TypeVar("_Row")


@dataclass(frozen=True, kw_only=True)
class Position:
    """The row after which a page starts: its value in the sort column, and its id."""

    value: datetime | float
    id: UUID


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order of rows: by `column`, ties by `id`, both in one direction."""

    column: InstrumentedAttribute[Any] | KeyedColumnElement[Any]
    id: InstrumentedAttribute[UUID] | KeyedColumnElement[UUID]
    descending: bool

    def page(self, query: Select[_Row], *, after: Position | None, limit: int) -> Select[_Row]:
        """Return `query` in this order, after a position, of at most `limit` rows."""
        if after is not None:
            query = query.where(self._beyond(after))
        keys = (self.column, self.id)
        return query.order_by(*(key.desc() if self.descending else key for key in keys)).limit(
            limit
        )

    def _beyond(self, after: Position) -> ColumnElement[bool]:
        row, last = tuple_(self.column, self.id), tuple_(after.value, after.id)
        return row < last if self.descending else row > last
