"""The base of all tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from domain.text import clean_text

LONGEST_TEXT: Final = 1 << 20
"""Characters of one value; the longest that is meant to be stored, commentary, has thousands."""

_LARGEST: Final = 2**63 - 1
_YEARS: Final = range(2, 9999)  # in which a zone cannot lead out of what `datetime` holds


class StorableText(TypeDecorator[str]):
    """Text that PostgreSQL takes: half of a surrogate pair and NUL do not fail a whole record."""

    impl = Text
    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        """Return the Python type of values."""
        return str

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return the value to send."""
        return clean_text(value, LONGEST_TEXT) if isinstance(value, str) else value


class WideInteger(TypeDecorator[int]):
    """An integer of 64 bits; what is beyond them becomes the nearest that is not."""

    impl = BigInteger
    cache_ok = True

    @property
    def python_type(self) -> type[int]:
        """Return the Python type of values."""
        return int

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return the value to send."""
        return value if value is None else max(-_LARGEST, min(value, _LARGEST))


class Instant(TypeDecorator[datetime]):
    """A time with its zone; at the ends of the calendar, where none fits, in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """Return the Python type of values."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the value to send."""
        if value is None or value.year in _YEARS:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """The base of all tables: fixed types for Python's, and fixed names for constraints."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Instant(),
        float: Double(),
        str: StorableText(),
        bytes: LargeBinary(),
        list[str]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        dict[str, Any]: JSONB(),
    }


def one_of(column: str, values: type[StrEnum], *, name: str | None = None) -> CheckConstraint:
    """Return a CHECK that `column` holds one of the values of an enumeration (or NULL)."""
    return CheckConstraint(f"{column} IN ({_quoted(values)})", name=name or column)


def _quoted(values: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{value.value}'" for value in values)
