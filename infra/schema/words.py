"""The words that highlights are searched by."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped

from infra.schema.base import Base


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
