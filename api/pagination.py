"""Keyset pagination with opaque cursors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from api.errors.problems import InvalidCursorProblem
from api.request_model import Timestamp
from infra.db.keyset import Position

T = TypeVar("T")

MAX_LIMIT: Final = 100
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Maximum number of items per page.")]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next_cursor` of the previous page.")
]


class Page(BaseModel, Generic[T]):
    """One page of a list; `next_cursor` is null on the last page."""

    data: list[T]
    next_cursor: str | None = None


class _Token(BaseModel):
    """Content of a cursor: the sort order and the position of the last row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sort: str = Field(alias="s")
    time: Timestamp | None = Field(default=None, alias="t")
    number: FiniteFloat | None = Field(default=None, alias="n")
    id: UUID = Field(alias="i")


def encode(position: Position, *, sort: str) -> str:
    """Return the cursor of a position."""
    value = position.value
    is_time = isinstance(value, datetime)
    token = _Token(
        s=sort, t=value if is_time else None, n=None if is_time else value, i=position.id
    )
    text = token.model_dump_json(by_alias=True, exclude_none=True)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str | None, *, sort: str, by_time: bool) -> Position | None:
    """Return the position of a cursor.

    Args:
        cursor: as the client sent it.
        sort: the sort order that it must belong to.
        by_time: whether that order is by time.

    Raises:
        InvalidCursorProblem: it is not one of ours, or belongs to another order.
    """
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars="-_", validate=True)
        token = _Token.model_validate_json(text)
    except (binascii.Error, ValueError, ValidationError):
        raise InvalidCursorProblem from None
    value = token.time if by_time else token.number
    if token.sort != sort or value is None:
        raise InvalidCursorProblem
    return Position(value=value, id=token.id)


def next_cursor(rows: Sequence[object], *, limit: int, column: str, sort: str) -> str | None:
    """Return the cursor after the first `limit` rows, or None if there are no more.

    Query one row more than a page holds to know whether there is a next page.
    """
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    position = Position(value=getattr(last, column), id=last.id)  # type: ignore[attr-defined]
    return encode(position, sort=sort)
