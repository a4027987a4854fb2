"""Highlights, their clips, feedback, and the terms by which both are found."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from domain.clips.models import ClipStatus
from domain.highlights.feedback import FeedbackVerdict
from domain.highlights.publication import ReviewStatus
from domain.highlights.selection import DecisionStatus, Tier
from domain.text import Language
from infra.db.tables.base import Base, WideInteger, one_of


class Highlight(Base):
    """A candidate and what was decided about it (times in s of media time).

    `game` repeats the stream's, so that a list by game reads one index, and `language`, so that
    the words of `document` (migrations 0011, 0027) are made of this row alone. `revision` counts
    the changes a reader could have seen.

    `policy` repeats the stream's. `review` is NULL if the highlight needs none, and `release` is
    who approved or rejected it (`domain/highlights/publication.py`).
    """

    __tablename__ = "highlights"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("status", DecisionStatus),
        one_of("tier", Tier),
        one_of("language", Language),
        one_of("review", ReviewStatus),
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
        Index(
            "ix_highlights_in_order",
            "tenant_id",
            "peak",
            "id",
            postgresql_where=text("status NOT IN ('held', 'rejected')"),
        ),
        Index(None, "tenant_id", "stream_id", "peak", "id"),
        Index(None, "tenant_id", "status", "created_at", "id"),
        Index(None, "tenant_id", "game", "created_at", "id"),
        Index(None, "tenant_id", "peak_wall_clock"),
        Index(
            "ix_highlights_lag",
            "tenant_id",
            text("(created_at - peak_wall_clock)"),
            postgresql_where=text("peak_wall_clock IS NOT NULL"),
        ),
        Index(None, "tenant_id", "stream_id", "updated_at", "id"),
        Index(
            "ix_highlights_held",
            "tenant_id",
            "stream_id",
            postgresql_where=text("legal_hold IS NOT NULL"),
        ),
        Index(
            "ix_highlights_awaiting_review",
            "tenant_id",
            "review_until",
            postgresql_where=text("review = 'awaiting'"),
        ),
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
    commentary: Mapped[str] = mapped_column(server_default=text("''"))
    match_state: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    titles: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    moderation: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    language: Mapped[str | None]
    document: Mapped[str | None] = mapped_column(
        TSVECTOR(),
        Computed(
            "document_of_highlight(title, description, tags, reasons, game, commentary, language) "
            "|| document_of_titles(titles)",
            persisted=True,
        ),
        deferred=True,
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))
    legal_hold: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    policy: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    review: Mapped[str | None]
    review_until: Mapped[datetime | None]
    release: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


def _picture_part(number: int) -> Mapped[int | None]:
    """Return a column that holds 16 bits of the thumbnail's hash."""
    bits = f"('x' || substr(thumbnail_hash, {4 * number + 1}, 4))::bit(16)::integer"
    return mapped_column(Integer(), Computed(bits, persisted=True), deferred=True)


class Clip(Base):
    """A clip: what was to be cut and, once ready, its file (times in s, sizes in bytes).

    One on demand has no highlight; `title` is what its tenant calls it.

    Hashes that differ in few bits agree in one of four parts, or nearly so; equality of a part
    finds an index under row-level security, which a distance does not.
    """

    __tablename__ = "clips"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "stream_id"], ["streams.tenant_id", "streams.id"], ondelete="CASCADE"
        ),
        one_of("status", ClipStatus),
        CheckConstraint("thumbnail_hash ~ '^[0-9a-f]{16}$'", name="thumbnail_hash"),
        Index(None, "tenant_id", "highlight_id", "created_at"),
        Index(None, "tenant_id", "stream_id", "updated_at"),
        Index(None, "tenant_id", "stream_id", "created_at", "id"),
        Index(
            "ix_clips_on_demand",
            "tenant_id",
            "created_at",
            postgresql_where=text("highlight_id IS NULL"),
        ),
        Index(
            "ix_clips_rendering",
            "tenant_id",
            "updated_at",
            postgresql_where=text("status = 'rendering'"),
        ),
        *(
            Index(None, "tenant_id", part, postgresql_where=text("thumbnail_hash IS NOT NULL"))
            for part in ("picture_a", "picture_b", "picture_c", "picture_d")
        ),
    )

    tenant_id: Mapped[UUID]
    id: Mapped[UUID]
    stream_id: Mapped[UUID]
    highlight_id: Mapped[UUID | None]
    title: Mapped[str] = mapped_column(server_default=text("''"))
    status: Mapped[str]
    start: Mapped[float]
    duration: Mapped[float]
    key: Mapped[str | None]
    thumbnail_key: Mapped[str | None]
    size: Mapped[int | None] = mapped_column(WideInteger())
    width: Mapped[int | None]
    height: Mapped[int | None]
    has_audio: Mapped[bool | None]
    sha256: Mapped[str | None]
    thumbnail_hash: Mapped[str | None]
    picture_a: Mapped[int | None] = _picture_part(0)
    picture_b: Mapped[int | None] = _picture_part(1)
    picture_c: Mapped[int | None] = _picture_part(2)
    picture_d: Mapped[int | None] = _picture_part(3)
    message: Mapped[str]
    ready_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revision: Mapped[int] = mapped_column(Integer(), server_default=text("1"))


class HighlightFeedbackRow(Base):
    """One person's opinion of a highlight, the latest (times in s of media time).

    `author` is the tenant's own name for the person.
    """

    __tablename__ = "highlight_feedback"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "highlight_id", "author"),
        ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            ondelete="CASCADE",
        ),
        one_of("verdict", FeedbackVerdict),
        CheckConstraint('start < "end"', name="bounds"),
        CheckConstraint('(start IS NULL) = ("end" IS NULL)', name="both_bounds"),
        Index(None, "tenant_id", "highlight_id", "created_at", "id"),
        Index(None, "tenant_id", "updated_at", "id"),
    )

    tenant_id: Mapped[UUID]
    highlight_id: Mapped[UUID]
    author: Mapped[str]
    id: Mapped[UUID]
    verdict: Mapped[str | None]
    start: Mapped[float | None]
    end: Mapped[float | None]
    note: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class HighlightTerm(Base):
    """A word of a highlight's texts, a tag with `#` before it, or the state of the match.

    The state is `@score:2-1` and `@period:2nd`. A trigger keeps the rows.

    Why no GIN index serves instead: docs/decisions/0015-search-under-row-security.md.
    """

    __tablename__ = "highlight_terms"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "term", "highlight_id"),
        ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            ondelete="CASCADE",
        ),
        Index(None, "tenant_id", "highlight_id"),
    )

    tenant_id: Mapped[UUID]
    term: Mapped[str]
    highlight_id: Mapped[UUID]


class HighlightWord(Base):
    """A word of a highlight's `document`, kept by a trigger: what the search finds rows by.

    `highlight_terms` holds less: the list's filter looks for words of title, description and tags
    as they are written, the search for stems, and for those of reasons and game as well.
    """

    __tablename__ = "highlight_words"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "word", "highlight_id"),
        ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            ondelete="CASCADE",
        ),
        Index(None, "tenant_id", "highlight_id"),
    )

    tenant_id: Mapped[UUID]
    word: Mapped[str]
    highlight_id: Mapped[UUID]
