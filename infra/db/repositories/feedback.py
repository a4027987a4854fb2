"""What people think of highlights: one opinion each, the latest."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection
from domain.ids import feedback_id
from infra.db.repositories.errors import RecordMissingError
from infra.db.repositories.keyset import Order, Position
from infra.db.tables import Highlight, HighlightFeedbackRow

NEWEST: Final = Order(
    column=HighlightFeedbackRow.created_at, id=HighlightFeedbackRow.id, descending=True
)


async def put(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    author: str,
    verdict: FeedbackVerdict | None,
    correction: HighlightCorrection | None,
    note: str,
) -> HighlightFeedbackRow:
    """Keep what someone thinks of a highlight, in place of what they thought before.

    Raises:
        RecordMissingError: the highlight does not exist.
    """
    held = await session.scalar(
        select(Highlight.id)
        .where(Highlight.tenant_id == tenant_id, Highlight.id == highlight_id)
        .with_for_update(read=True, key_share=True)
    )
    if held is None:
        raise RecordMissingError("highlight", highlight_id)
    opinion = {
        "verdict": verdict.value if verdict is not None else None,
        "start": correction.start if correction is not None else None,
        "end": correction.end if correction is not None else None,
        "note": note,
    }
    await session.execute(
        insert(HighlightFeedbackRow)
        .values(
            tenant_id=tenant_id,
            highlight_id=highlight_id,
            author=author,
            id=feedback_id(highlight=highlight_id, author=author),
            **opinion,
        )
        .on_conflict_do_update(
            index_elements=[
                HighlightFeedbackRow.tenant_id,
                HighlightFeedbackRow.highlight_id,
                HighlightFeedbackRow.author,
            ],
            set_=opinion | {"updated_at": func.now()},
        )
    )
    return await session.get_one(
        HighlightFeedbackRow, (tenant_id, highlight_id, author), populate_existing=True
    )


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    after: Position | None = None,
    limit: int = 50,
) -> list[HighlightFeedbackRow]:
    """Return what people think of a highlight, the newest of them first."""
    query = select(HighlightFeedbackRow).where(
        HighlightFeedbackRow.tenant_id == tenant_id,
        HighlightFeedbackRow.highlight_id == highlight_id,
    )
    return list(await session.scalars(NEWEST.page(query, after=after, limit=limit)))
