"""What repositories return: entities, or, where many are only read, snapshots of their rows.

A session tracks each entity that it loads, so that changes can be written; nobody changes a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sqlalchemy import Result
from sqlalchemy.sql.elements import KeyedColumnElement

from infra.db.tables.base import Base

EntityT = TypeVar("EntityT", bound=Base)


class Snapshot:
    """A row as it was read: its columns are attributes, as an entity's are."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__ = values

    if TYPE_CHECKING:

        def __getattr__(self, column: str) -> Any: ...  # noqa: ANN401


Stored: TypeAlias = EntityT | Snapshot
"""An entity, or a snapshot of its columns, but for those that PostgreSQL computes for itself."""


def stored_columns(entity: type[Base]) -> list[KeyedColumnElement[Any]]:
    """Return the columns of an entity that are not computed: those serve its indexes alone."""
    return [column for column in entity.__table__.columns if column.computed is None]


def snapshots(result: Result[Any]) -> list[Snapshot]:
    """Return the rows of a result; SQLAlchemy's own look each attribute up by name."""
    columns = tuple(result.keys())
    return [Snapshot(dict(zip(columns, row, strict=True))) for row in result]
