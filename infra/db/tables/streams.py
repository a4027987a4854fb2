"""Streams, their gaps and analyzed windows, and what is left of deleted ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.media.segments import GapReason, GapStatus
from domain.streams.deletion import DeletionStatus
from domain.streams.status import EndReason, StreamStatus
from domain.text import Language
from infra.db.tables.base import Base, WideInteger, one_of


class Stream(Base):
    """A stream: the request, and its progress (times in s of media time).

    `is_recording` is True for a recording that is analyzed as it stands, not followed live; its
    `duration` is known once its playlist was read.

    `languages` are those of titles and tags (BCP 47), and `language` is that of what is spoken.

    `media_until` is when the stored media of an ended stream is deleted; NULL before the end, and
    when nothing is stored.
    """

    __tablename__ = "streams"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("status", StreamStatus),
        one_of("end_reason", EndReason),
        one_of("language", Language),
        Index(None, "tenant_id", "created_at", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "game", "created_at", "id"),
        Index(None, "tenant_id", "external_id"),
        Index(
            "ix_streams_media_until",
            "tenant_id",
            "media_until",
            postgresql_where=text("media_until IS NOT NULL"),
        ),
        Index(None, "tenant_id", "language", postgresql_where=text("language IS NOT NULL")),
        Index(
            None,
            "tenant_id",
            "languages",
            postgresql_where=text("languages <> '{}'::text[]"),
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    external_id: Mapped[str | None]
    playlist_url: Mapped[str]
    is_recording: Mapped[bool] = mapped_column(server_default=text("false"))
    duration: Mapped[float | None]
    game: Mapped[str]
    title: Mapped[str]
    language: Mapped[str | None]
    languages: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default=text("'{}'::text[]"))
    criteria: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    profile_id: Mapped[str]
    profile_version: Mapped[str]
    profile_match: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    options: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    correlation_id: Mapped[str | None]
    status: Mapped[str]
    position: Mapped[float] = mapped_column(server_default=text("0"))
    analyzed: Mapped[float] = mapped_column(server_default=text("0"))
    segments: Mapped[int] = mapped_column(WideInteger(), server_default=text("0"))
    missed: Mapped[int] = mapped_column(WideInteger(), server_default=text("0"))
    windows: Mapped[int] = mapped_column(WideInteger(), server_default=text("0"))
    highlights: Mapped[int] = mapped_column(WideInteger(), server_default=text("0"))
    clips: Mapped[int] = mapped_column(WideInteger(), server_default=text("0"))
    refused_marks: Mapped[int] = mapped_column(WideInteger(), server_default=text("0"))
    notice: Mapped[str] = mapped_column(server_default=text("''"))
    problems: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    end_reason: Mapped[str | None]
    end_message: Mapped[str | None]
    last_segment_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    media_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))
    legal_hold: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    feed_clock: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    policy: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class StreamGap(Base):
    """A span of a stream without media (s of media time), and how it was resolved.

    `anchor_at` and `anchor_wall` tie it to a recording, as in `domain.media.segments.Gap`;
    `resolution` is how it was filled, or why it could not be.
    """

    __tablename__ = "gaps"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "stream_id", "start", "first_sequence"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("reason", GapReason),
        one_of("status", GapStatus),
    )

    tenant_id: Mapped[UUID]
    stream_id: Mapped[UUID]
    start: Mapped[float]
    duration: Mapped[float]
    first_sequence: Mapped[int] = mapped_column(WideInteger())
    last_sequence: Mapped[int] = mapped_column(WideInteger())
    reason: Mapped[str]
    detail: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=text("'open'"))
    resolution: Mapped[str] = mapped_column(server_default=text("''"))
    anchor_at: Mapped[float | None]
    anchor_wall: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StreamWindow(Base):
    """A window whose analysis is finished (times in s of media time, size in bytes).

    `analyzer` and `analyzed_at` are NULL for a skipped window.
    """

    __tablename__ = "windows"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "stream_id", "index"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        CheckConstraint('start <= "end"', name="bounds"),
    )

    tenant_id: Mapped[UUID]
    stream_id: Mapped[UUID]
    index: Mapped[int] = mapped_column(WideInteger())
    start: Mapped[float]
    end: Mapped[float]
    segments: Mapped[int]
    size: Mapped[int] = mapped_column(WideInteger())
    analyzer: Mapped[str | None]
    analyzed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Deletion(Base):
    """The deletion of a stream, which it outlives, and what was deleted (`proof`)."""

    __tablename__ = "deletions"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        one_of("status", DeletionStatus),
        Index(None, "tenant_id", "created_at", "id"),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    stream_id: Mapped[UUID]
    external_id: Mapped[str | None]
    reason: Mapped[str] = mapped_column(server_default=text("''"))
    status: Mapped[str]
    proof: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
