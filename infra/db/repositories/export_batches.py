"""Batches of exports, and the exports in them."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.exports.batches import BatchCounts, BatchItem, BatchRef, NextExports, NextExportsInput
from domain.exports.models import FINISHED, ExportStatus
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories.events import append_batch_event
from infra.db.repositories.exports import spec_of
from infra.db.tables import Export, ExportBatch

_NEWEST: Final = Order(column=ExportBatch.created_at, id=ExportBatch.id, descending=True)


async def create(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    batch_id: UUID,
    request: dict[str, Any],
    exports: int,
) -> ExportBatch:
    """Insert a batch that is about to start; its exports are created after it."""
    row = ExportBatch(
        tenant_id=tenant_id,
        id=batch_id,
        status=ExportStatus.QUEUED.value,
        request=request,
        exports=exports,
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def get(session: AsyncSession, *, tenant_id: UUID, batch_id: UUID) -> ExportBatch | None:
    """Return a batch, or None when the tenant has none of this id."""
    return await session.get(ExportBatch, (tenant_id, batch_id))


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    after: Position | None = None,
    limit: int = 50,
) -> list[ExportBatch]:
    """Return batches, newest first."""
    query = select(ExportBatch).where(ExportBatch.tenant_id == tenant_id)
    return list(await session.scalars(_NEWEST.page(query, after=after, limit=limit)))


async def remove(session: AsyncSession, *, tenant_id: UUID, batch_id: UUID) -> None:
    """Delete a batch with its exports, whose files are the caller's to delete."""
    row = await get(session, tenant_id=tenant_id, batch_id=batch_id)
    if row is not None:
        await session.delete(row)


async def counts(
    session: AsyncSession, *, tenant_id: UUID, batch_ids: list[UUID]
) -> dict[UUID, BatchCounts]:
    """Return how many exports of each batch have each status."""
    found = await session.execute(
        select(Export.batch_id, Export.status, func.count())
        .where(Export.tenant_id == tenant_id, Export.batch_id.in_(batch_ids))
        .group_by(Export.batch_id, Export.status)
    )
    by_batch: dict[UUID, dict[str, int]] = {each: {} for each in batch_ids}
    for batch_id, status, number in found:
        if batch_id is not None:
            by_batch[batch_id][status] = number
    return {batch_id: BatchCounts.of(each) for batch_id, each in by_batch.items()}


async def exports_of(session: AsyncSession, *, tenant_id: UUID, batch_id: UUID) -> list[Export]:
    """Return the exports of a batch, in order."""
    return list(
        await session.scalars(
            select(Export)
            .where(Export.tenant_id == tenant_id, Export.batch_id == batch_id)
            .order_by(Export.batch_number)
        )
    )


async def next_exports(session: AsyncSession, request: NextExportsInput) -> NextExports:
    """Return the next exports that are queued, in order.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    batch = request.batch
    await _locked(session, batch)
    rows = await session.scalars(
        select(Export)
        .where(
            Export.tenant_id == batch.tenant_id,
            Export.batch_id == batch.batch_id,
            Export.batch_number > request.after,
            Export.status == ExportStatus.QUEUED,
        )
        .order_by(Export.batch_number)
        .limit(request.limit)
    )
    return NextExports(
        items=tuple(BatchItem(number=row.batch_number or 1, spec=spec_of(row)) for row in rows)
    )


async def start(session: AsyncSession, batch: BatchRef) -> None:
    """Record that a batch is being made.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked(session, batch)
    if row.status == ExportStatus.QUEUED:
        await _set(session, row, ExportStatus.RUNNING)


async def finish(session: AsyncSession, batch: BatchRef) -> bool:
    """Record the end of a batch, whose exports have all had their turn. Idempotent.

    Return True if that is an event. A batch that was canceled stays so.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked(session, batch)
    if row.status in FINISHED:
        return False
    found = await counts(session, tenant_id=batch.tenant_id, batch_ids=[batch.batch_id])
    status, message = found[batch.batch_id].outcome
    await _set(session, row, status, message)
    return await append_batch_event(session, row, found[batch.batch_id])


async def cancel(session: AsyncSession, batch: BatchRef, *, message: str) -> ExportBatch:
    """Record that no further export of a batch is begun; one that has finished stays as it is.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked(session, batch)
    if row.status not in FINISHED:
        await _set(session, row, ExportStatus.CANCELLED, message)
    return row


async def resume(session: AsyncSession, batch: BatchRef) -> ExportBatch:
    """Record that a canceled batch is queued again; any other stays as it is.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked(session, batch)
    if row.status == ExportStatus.CANCELLED:
        await _set(session, row, ExportStatus.QUEUED)
    return row


async def _set(
    session: AsyncSession, row: ExportBatch, status: ExportStatus, message: str = ""
) -> None:
    row.status = status.value
    row.message = message
    row.finished_at = func.now() if status in FINISHED else None
    row.updated_at = func.now()
    row.revision += 1
    await session.flush()
    await session.refresh(row)


async def _locked(session: AsyncSession, batch: BatchRef) -> ExportBatch:
    row = await session.scalar(
        select(ExportBatch)
        .where(ExportBatch.tenant_id == batch.tenant_id, ExportBatch.id == batch.batch_id)
        .with_for_update()
    )
    if row is None:
        raise RecordMissingError("export_batch", batch.batch_id)
    return row
