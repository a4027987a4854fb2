"""The tables, as SQLAlchemy models; `migrations/` makes them, and a test says that both agree.

Every table belongs to a tenant: its primary key and its foreign keys begin with the tenant, so
that no row can refer to another tenant's, and row-level security (`migrations/row_security.py`)
shows a session its own tenant's rows only. Enumerations are text with a CHECK, which can be
widened without rewriting a table.

Indexes follow the list queries of the API. They are ascending, since a B-tree is read backwards
as cheaply. Filters on JSON (`tags`) have none: `@>` is not leakproof, so under row-level security
PostgreSQL would not use it (PostgreSQL manual, 5.9 and 38.5).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from domain.clip import ClipStatus
from domain.media import GapReason
from domain.selection import DecisionStatus, Tier
from domain.stream import EndReason, StreamStatus


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
        datetime: DateTime(timezone=True),
        float: Double(),
        str: Text(),
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


class Tenant(Base):
    """A customer."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slug: Mapped[str]
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A key by its keyed hash; the key itself is never stored.

    The index on `hash` alone serves the one look-up made before a tenant is known.
    """

    __tablename__ = "api_keys"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        UniqueConstraint("tenant_id", "hash"),
        Index(None, "hash"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    name: Mapped[str]
    hash: Mapped[bytes]
    hint: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text()))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Stream(Base):
    """A stream: what was asked for, and how far it has come (times in s of media time)."""

    __tablename__ = "streams"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("status", StreamStatus),
        one_of("end_reason", EndReason),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "external_id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    external_id: Mapped[str | None]
    playlist_url: Mapped[str]
    game: Mapped[str]
    title: Mapped[str]
    profile_id: Mapped[str]
    profile_version: Mapped[str]
    profile_match: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    options: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    correlation_id: Mapped[str | None]
    status: Mapped[str]
    position: Mapped[float] = mapped_column(server_default=text("0"))
    analyzed: Mapped[float] = mapped_column(server_default=text("0"))
    segments: Mapped[int] = mapped_column(BigInteger(), server_default=text("0"))
    missed: Mapped[int] = mapped_column(BigInteger(), server_default=text("0"))
    windows: Mapped[int] = mapped_column(BigInteger(), server_default=text("0"))
    highlights: Mapped[int] = mapped_column(BigInteger(), server_default=text("0"))
    clips: Mapped[int] = mapped_column(BigInteger(), server_default=text("0"))
    end_reason: Mapped[str | None]
    end_message: Mapped[str | None]
    last_segment_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class StreamGap(Base):
    """A stretch of a stream without media (s of media time)."""

    __tablename__ = "gaps"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "stream_id", "start", "first_sequence"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("reason", GapReason),
    )

    tenant_id: Mapped[UUID]
    stream_id: Mapped[UUID]
    start: Mapped[float]
    duration: Mapped[float]
    first_sequence: Mapped[int] = mapped_column(BigInteger())
    last_sequence: Mapped[int] = mapped_column(BigInteger())
    reason: Mapped[str]
    detail: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Highlight(Base):
    """A candidate and what was decided about it (times in s of media time).

    `game` repeats the stream's, so that a list by game reads one index. `revision` counts the
    changes a reader could have seen.
    """

    __tablename__ = "highlights"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("status", DecisionStatus),
        one_of("tier", Tier),
        CheckConstraint('start <= peak AND peak <= "end"', name="bounds"),
        CheckConstraint("clip_start <= clip_end", name="clip_bounds"),
        Index(
            "ix_highlights_shown",
            "tenant_id",
            "created_at",
            "id",
            postgresql_where=text("status NOT IN ('held', 'rejected')"),
        ),
        Index(
            "ix_highlights_best",
            "tenant_id",
            "score",
            "id",
            postgresql_where=text("status NOT IN ('held', 'rejected')"),
        ),
        Index(None, "tenant_id", "stream_id", "peak", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "game", "created_at", "id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    stream_id: Mapped[UUID]
    game: Mapped[str]
    profile_id: Mapped[str]
    profile_version: Mapped[str]
    status: Mapped[str]
    tier: Mapped[str]
    score: Mapped[float]
    skill_execution: Mapped[float]
    game_impact: Mapped[float]
    rarity: Mapped[float]
    visual_spectacle: Mapped[float]
    emotional_intensity: Mapped[float]
    narrative_value: Mapped[float]
    timing_importance: Mapped[float]
    momentum_shift: Mapped[float]
    confidence: Mapped[float]
    start: Mapped[float]
    peak: Mapped[float]
    end: Mapped[float]
    clip_start: Mapped[float]
    clip_end: Mapped[float]
    settled_at: Mapped[float]
    decided_at: Mapped[float]
    peak_wall_clock: Mapped[datetime | None]
    title: Mapped[str]
    description: Mapped[str]
    analyzer: Mapped[str]
    tags: Mapped[list[str]]
    reasons: Mapped[list[dict[str, Any]]]
    evidence: Mapped[list[dict[str, Any]]]
    corrections: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class Clip(Base):
    """A clip: what was to be cut and, once ready, its file (times in s, sizes in bytes)."""

    __tablename__ = "clips"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            ondelete="CASCADE",
        ),
        one_of("status", ClipStatus),
        Index(None, "tenant_id", "highlight_id", "created_at"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    stream_id: Mapped[UUID]
    highlight_id: Mapped[UUID]
    status: Mapped[str]
    start: Mapped[float]
    duration: Mapped[float]
    key: Mapped[str | None]
    thumbnail_key: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(BigInteger())
    width: Mapped[int | None]
    height: Mapped[int | None]
    has_audio: Mapped[bool | None]
    sha256: Mapped[str | None]
    message: Mapped[str]
    ready_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class IdempotencyKey(Base):
    """A request made under a client's own key, and its answer once there is one.

    `claimed_until` is when an unfinished request is taken for dead, so that a retry may finish
    it; `resource_id` is what it made.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "key"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        Index(None, "tenant_id", "created_at"),
    )

    tenant_id: Mapped[UUID]
    key: Mapped[str]
    request_hash: Mapped[bytes]
    resource_id: Mapped[UUID]
    claimed_until: Mapped[datetime]
    response_status: Mapped[int | None] = mapped_column(SmallInteger())
    response_headers: Mapped[dict[str, Any] | None]
    response_body: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ProfileOverrideRow(Base):
    """A revision of a tenant's override of a game profile; an empty patch takes it back."""

    __tablename__ = "profile_overrides"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "profile_id", "revision"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "created_by"], ["api_keys.tenant_id", "api_keys.id"]),
        CheckConstraint("revision > 0", name="revision"),
    )

    tenant_id: Mapped[UUID]
    profile_id: Mapped[str]
    revision: Mapped[int]
    patch: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[UUID | None]


class PinnedProfileRow(Base):
    """A game profile, complete, that a stream was started with; it never changes."""

    __tablename__ = "pinned_profiles"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "profile_id", "version"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[UUID]
    profile_id: Mapped[str]
    version: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
