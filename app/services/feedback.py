"""Feedback on highlights, and the new clip that a correction asks for."""

from __future__ import annotations

from uuid import UUID

from app.services.streams import StreamStarter
from domain.highlights.feedback import FeedbackVerdict, HighlightCorrection, check_correction
from domain.streams.messages import ClipCorrection
from domain.streams.status import TERMINAL
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import highlights, streams
from infra.db.tables import HighlightFeedbackRow


async def give(
    database: Database,
    starter: StreamStarter,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    author: str,
    verdict: FeedbackVerdict | None,
    correction: HighlightCorrection | None,
    note: str,
) -> HighlightFeedbackRow:
    """Store an author's feedback in place of their previous one.

    A correction is also sent to the stream's workflow if that runs, which then renders a new clip.

    Args:
        database: holds highlights and feedback.
        starter: reaches the stream's workflow.
        tenant_id: the tenant.
        highlight_id: the highlight.
        author: the user or key who gives the feedback.
        verdict: like or dislike, if any.
        correction: the correct bounds, if any.
        note: free text, may be empty.

    Raises:
        RecordMissingError: the tenant has no such highlight.
        CorrectionError: the highlight cannot have these bounds.
        TemporalUnavailableError: Temporal does not respond. The feedback is stored; a retry sends
            the correction.
    """
    stream = None
    async with database.session(tenant_id) as session:
        row = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
        if row is None:
            raise RecordMissingError("highlight", highlight_id)
        if correction is not None:
            stream = await streams.get(session, tenant_id=tenant_id, stream_id=row.stream_id)
            # The row of a running stream may be a minute behind.
            media_end = max(row.end, row.clip_end, stream.position if stream is not None else 0.0)
            check_correction(correction, start=row.start, end=row.end, media_end=media_end)
        given = await highlights.put_feedback(
            session,
            tenant_id=tenant_id,
            highlight_id=highlight_id,
            author=author,
            verdict=verdict,
            correction=correction,
            note=note,
        )
    if correction is not None and stream is not None and stream.status not in TERMINAL:
        request = ClipCorrection(highlight_id=highlight_id, correction=correction)
        await starter.correct_clip(stream, request)
    return given
