"""Deletions of streams with their proof, and legal holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import deletion_id
from domain.streams.deletion import (
    DeletionInProgressError,
    DeletionProof,
    DeletionStatus,
    LegalHold,
    LegalHoldError,
)
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.tables import (
    Clip,
    Deletion,
    Export,
    Highlight,
    HighlightFeedbackRow,
    HighlightTerm,
    HighlightWord,
    Stream,
    StreamGap,
    StreamWindow,
)

_NEWEST: Final = Order(column=Deletion.created_at, id=Deletion.id, descending=True)
_OF_STREAM: Final = (Highlight, Clip, Export, StreamGap, StreamWindow)
_OF_HIGHLIGHT: Final = (HighlightFeedbackRow, HighlightTerm, HighlightWord)


async def request(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, reason: str
) -> Deletion:
    """Return the deletion of a stream, inserted if there is none; nothing can be held from then on.

    Raises:
        RecordMissingError: the tenant has no such stream, and has deleted none.
        LegalHoldError: the stream or a highlight of it is held.
    """
    identity = deletion_id(stream=stream_id)
    stream = await _locked(session, tenant_id, stream_id)
    found = await session.get(Deletion, (tenant_id, identity))
    if found is not None:
        return found
    if stream is None:
        raise RecordMissingError("stream", stream_id)
    await require_not_held(session, tenant_id=tenant_id, stream_id=stream_id)
    await session.execute(
        insert(Deletion).values(
            tenant_id=tenant_id,
            id=identity,
            stream_id=stream_id,
            external_id=stream.external_id,
            reason=reason,
            status=DeletionStatus.RUNNING.value,
        )
    )
    return await session.get_one(Deletion, (tenant_id, identity))


async def get(session: AsyncSession, *, tenant_id: UUID, deletion_id: UUID) -> Deletion | None:
    """Return a deletion, or None when the tenant has none of this id."""
    return await session.get(Deletion, (tenant_id, deletion_id))


async def list_page(
    session: AsyncSession, *, tenant_id: UUID, after: Position | None = None, limit: int = 50
) -> list[Deletion]:
    """Return deletions, newest first."""
    query = select(Deletion).where(Deletion.tenant_id == tenant_id)
    return list(await session.scalars(_NEWEST.page(query, after=after, limit=limit)))


def proof_of(row: Deletion) -> DeletionProof:
    """Return what was deleted so far."""
    return DeletionProof.model_validate(row.proof)


async def delete_rows(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Delete a stream with all of its rows, and record how many; usage and events stay.

    Raises:
        RecordMissingError: the deletion was not requested.
    """
    deletion = await _deletion(session, tenant_id, stream_id)
    if await _locked(session, tenant_id, stream_id) is None:
        return
    counted = {"streams": 1}
    for table in _OF_STREAM:
        counted[table.__tablename__] = await _count(
            session,
            select(func.count()).where(table.tenant_id == tenant_id, table.stream_id == stream_id),
        )
    of_stream = select(Highlight.id).where(
        Highlight.tenant_id == tenant_id, Highlight.stream_id == stream_id
    )
    for part in _OF_HIGHLIGHT:
        counted[part.__tablename__] = await _count(
            session,
            select(func.count()).where(
                part.tenant_id == tenant_id, part.highlight_id.in_(of_stream)
            ),
        )
    await session.execute(
        delete(Stream).where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
    )
    at = datetime.now(UTC).isoformat()
    deletion.proof = {**deletion.proof, "rows": counted, "rows_deleted_at": at}
    await session.flush()


async def record_objects(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, files: int, media: int
) -> None:
    """Add to the number of files and media objects that were deleted.

    Raises:
        RecordMissingError: the deletion was not requested.
    """
    deletion = await _deletion(session, tenant_id, stream_id)
    before = proof_of(deletion)
    counts = {"files": before.files + files, "media": before.media + media}
    deletion.proof = {**deletion.proof, **counts}
    await session.flush()


async def finish(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, cdn_expires_at: datetime | None
) -> DeletionProof:
    """Record that nothing of a stream is left. Idempotent.

    Raises:
        RecordMissingError: the deletion was not requested.
    """
    deletion = await _deletion(session, tenant_id, stream_id)
    if deletion.status != DeletionStatus.DONE:
        expires = None if cdn_expires_at is None else cdn_expires_at.isoformat()
        verified = {"verified_at": datetime.now(UTC).isoformat(), "cdn_expires_at": expires}
        deletion.proof = {**deletion.proof, **verified}
        deletion.status = DeletionStatus.DONE.value
        deletion.finished_at = func.now()
        await session.flush()
    return proof_of(deletion)


async def hold_stream(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, reason: str | None
) -> LegalHold | None:
    """Hold a stream, or for None lift its hold. Return the hold.

    Raises:
        RecordMissingError: the tenant has no such stream.
        DeletionInProgressError: it is being deleted.
    """
    row = await _held_stream(session, tenant_id, stream_id)
    row.legal_hold = _changed(row.legal_hold, reason)
    await session.flush()
    return hold_of(row)


async def hold_highlight(
    session: AsyncSession, *, tenant_id: UUID, highlight_id: UUID, reason: str | None
) -> LegalHold | None:
    """Hold a highlight, or for None lift its hold. Return the hold.

    Raises:
        RecordMissingError: the tenant has no such highlight.
        DeletionInProgressError: its stream is being deleted.
    """
    row = await session.get(Highlight, (tenant_id, highlight_id))
    if row is None:
        raise RecordMissingError("highlight", highlight_id)
    await _held_stream(session, tenant_id, row.stream_id)
    hold = _changed(row.legal_hold, reason)
    await session.execute(
        update(Highlight)
        .where(Highlight.tenant_id == tenant_id, Highlight.id == highlight_id)
        .values(legal_hold=hold)
        .execution_options(synchronize_session=False)
    )
    return None if hold is None else LegalHold.model_validate(hold)


def hold_of(row: Stream | Highlight) -> LegalHold | None:
    """Return the hold of a stream or highlight; None if there is none."""
    return None if row.legal_hold is None else LegalHold.model_validate(row.legal_hold)


async def is_held(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> bool:
    """Return True if a stream or a highlight of it is under legal hold."""
    highlight = select(Highlight.id).where(
        Highlight.tenant_id == tenant_id,
        Highlight.stream_id == stream_id,
        Highlight.legal_hold.is_not(None),
    )
    found = await session.scalar(
        select(Stream.id).where(
            Stream.tenant_id == tenant_id,
            Stream.id == stream_id,
            or_(Stream.legal_hold.is_not(None), highlight.exists()),
        )
    )
    return found is not None


async def require_not_held(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> None:
    """Raise if a stream or a highlight of it is under legal hold.

    Raises:
        LegalHoldError: it is.
    """
    if await is_held(session, tenant_id=tenant_id, stream_id=stream_id):
        raise LegalHoldError(
            f"The stream {stream_id}, or a highlight of it, is under legal hold. Lift the holds "
            "of the stream and of its highlights first; an admin key can."
        )


def _changed(before: dict[str, Any] | None, reason: str | None) -> dict[str, Any] | None:
    """Return a hold with a new reason; it lasts since it was first placed."""
    if reason is None:
        return None
    since = datetime.now(UTC) if before is None else LegalHold.model_validate(before).since
    return LegalHold(reason=reason, since=since).model_dump(mode="json")


async def _held_stream(session: AsyncSession, tenant_id: UUID, stream_id: UUID) -> Stream:
    row = await _locked(session, tenant_id, stream_id)
    if row is None:
        raise RecordMissingError("stream", stream_id)
    if await session.get(Deletion, (tenant_id, deletion_id(stream=stream_id))) is not None:
        raise DeletionInProgressError
    return row


async def _locked(session: AsyncSession, tenant_id: UUID, stream_id: UUID) -> Stream | None:
    found: Stream | None = await session.scalar(
        select(Stream)
        .where(Stream.tenant_id == tenant_id, Stream.id == stream_id)
        .with_for_update()
    )
    return found


async def _deletion(session: AsyncSession, tenant_id: UUID, stream_id: UUID) -> Deletion:
    row: Deletion | None = await session.scalar(
        select(Deletion)
        .where(Deletion.tenant_id == tenant_id, Deletion.id == deletion_id(stream=stream_id))
        .with_for_update()
    )
    if row is None:
        raise RecordMissingError("deletion", stream_id)
    return row


async def _count(session: AsyncSession, query: Any) -> int:  # noqa: ANN401 - a select of one number
    return await session.scalar(query) or 0
