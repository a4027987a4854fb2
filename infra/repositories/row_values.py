"""Rows as plain values: what a page of a list needs of them, at a fraction of an entity's cost.

A session tracks each entity that it loads, so that changes can be written; nobody changes a page.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Row

from infra.schema.base import Base

EntityT = TypeVar("EntityT", bound=Base)
Stored: TypeAlias = EntityT | Row[Any]
"""An entity, or a row of all its columns, which has the same attributes."""


def values_of(row: Base | Row[Any]) -> dict[str, Any]:
    """Return the values of a row by column; of an entity, those that were loaded."""
    if isinstance(row, Row):
        return dict(zip(row._fields, row, strict=True))
    return {name: value for name, value in vars(row).items() if name in row.__table__.columns}
