"""The words of highlights, so that they are found by them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped

from infra.schema.base import Base


class HighlightTerm(Base):
    """A word of a highlight's texts, or a tag of its with `#` before it; kept by a trigger.

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
