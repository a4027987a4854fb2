"""Exports and batches of them: what to make for a tenant, and the files once they are ready."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.exports.batches import BatchCounts, BatchItem, BatchRef, NextExports, NextExportsInput
from domain.exports.models import (
    FINISHED,
    Branding,
    ExportRecord,
    ExportSpec,
    ExportStatus,
    RenderedRendition,
)
from domain.tenants.usage import PLANS, Plan, PlanName, UsageKind, require_export_quota, usage_event
from infra.db.errors import BatchRunningError, RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories import tenants, usage
from infra.db.repositories.events import append_batch_event, append_export_event
from infra.db.tables import BrandingRow, Export, ExportBatch

_NEWEST: Final = Order(column=Export.created_at, id=Export.id, descending=True)
# Written as in the index, so that it serves.
_UNFINISHED: Final = Export.status.in_([ExportStatus.QUEUED, ExportStatus.RUNNING])
_UNFINISHED_BATCH: Final = ExportBatch.status.in_([ExportStatus.QUEUED, ExportStatus.RUNNING])
# True of an export that has no workflow yet because its batch has not begun it. A batch that was
# canceled can be resumed.
WAITS_IN_BATCH: Final = and_(
    Export.status == ExportStatus.QUEUED,
    exists().where(
        ExportBatch.tenant_id == Export.tenant_id,
        ExportBatch.id == Export.batch_id,
        ExportBatch.status.not_in([ExportStatus.READY, ExportStatus.FAILED]),
    ),
)


# States only advance. A canceled export has no files, so that nothing can become of it.
_STAGE: Final = {
    ExportStatus.QUEUED: 0,
    ExportStatus.RUNNING: 1,
    ExportStatus.FAILED: 2,
    ExportStatus.READY: 3,
    ExportStatus.CANCELLED: 4,
}


async def reserve_slot(session: AsyncSession, *, tenant_id: UUID, default_plan: PlanName) -> Plan:
    """Check that the tenant may have one more export or batch; call it just before creating it.

    A batch counts as one, whatever is in it.

    Returns:
        The tenant's plan.

    Raises:
        ExportQuotaExceededError: its plan allows no more than are unfinished.
    """
    own = await tenants.plan_of(session, tenant_id=tenant_id, lock=True)
    plan = PLANS[own or default_plan]
    alone = await session.scalar(
        select(func.count()).where(
            Export.tenant_id == tenant_id, _UNFINISHED, Export.batch_id.is_(None)
        )
    )
    batches = await session.scalar(
        select(func.count()).where(ExportBatch.tenant_id == tenant_id, _UNFINISHED_BATCH)
    )
    require_export_quota(plan, (alone or 0) + (batches or 0))
    return plan


async def create(
    session: AsyncSession,
    spec: ExportSpec,
    *,
    batch_id: UUID | None = None,
    batch_number: int | None = None,
) -> Export:
    """Insert an export that is about to start, alone or as number `batch_number` of a batch."""
    row = Export(
        tenant_id=spec.tenant_id,
        id=spec.id,
        stream_id=spec.source.stream_id,
        status=ExportStatus.QUEUED.value,
        spec=spec.model_dump(mode="json"),
        batch_id=batch_id,
        batch_number=batch_number,
        other_stream_ids=list(spec.source.other_stream_ids),
    )
    session.add(row)
    await session.flush()
    await session.refresh(row)
    return row


async def get(session: AsyncSession, *, tenant_id: UUID, export_id: UUID) -> Export | None:
    """Return an export, or None when the tenant has none of this id."""
    return await session.get(Export, (tenant_id, export_id))


async def list_page(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    status: ExportStatus | None = None,
    stream_id: UUID | None = None,
    batch_id: UUID | None = None,
    after: Position | None = None,
    limit: int = 50,
) -> list[Export]:
    """Return exports, newest first."""
    query = select(Export).where(Export.tenant_id == tenant_id)
    if status is not None:
        query = query.where(Export.status == status)
    if stream_id is not None:
        query = query.where(Export.stream_id == stream_id)
    if batch_id is not None:
        query = query.where(Export.batch_id == batch_id)
    return list(await session.scalars(_NEWEST.page(query, after=after, limit=limit)))


async def reels_with(session: AsyncSession, *, tenant_id: UUID, stream_id: UUID) -> list[Export]:
    """Return the reels that show a stream, but belong to another one."""
    return list(
        await session.scalars(
            select(Export).where(
                Export.tenant_id == tenant_id, Export.other_stream_ids.contains([stream_id])
            )
        )
    )


class UnfinishedExport(NamedTuple):
    """An export that is queued or running; `age` in seconds since it was created."""

    row: Export
    age: float


async def unfinished_exports(
    session: AsyncSession, *, tenant_id: UUID, quiet_for: float, after: UUID | None, limit: int
) -> list[UnfinishedExport]:
    """Return unfinished exports whose row was not written for `quiet_for` seconds, by id.

    Those that wait for their turn in a batch are left out.
    """
    query = (
        select(Export, func.extract("epoch", func.now() - Export.created_at))
        .where(
            Export.tenant_id == tenant_id,
            _UNFINISHED,
            ~WAITS_IN_BATCH,
            Export.updated_at < func.now() - timedelta(seconds=quiet_for),
        )
        .order_by(Export.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Export.id > after)
    return [UnfinishedExport(row=row, age=float(age)) for row, age in await session.execute(query)]


class UnfinishedBatch(NamedTuple):
    """A batch that is queued or running."""

    row: ExportBatch


async def unfinished_batches(
    session: AsyncSession, *, tenant_id: UUID, quiet_for: float, after: UUID | None, limit: int
) -> list[UnfinishedBatch]:
    """Return unfinished batches whose row was not written for `quiet_for` seconds, by id."""
    query = (
        select(ExportBatch)
        .where(
            ExportBatch.tenant_id == tenant_id,
            _UNFINISHED_BATCH,
            ExportBatch.updated_at < func.now() - timedelta(seconds=quiet_for),
        )
        .order_by(ExportBatch.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(ExportBatch.id > after)
    return [UnfinishedBatch(row) for row in await session.scalars(query)]


async def remove(session: AsyncSession, *, tenant_id: UUID, export_id: UUID) -> None:
    """Delete an export's row; deleting what is not there is no error."""
    await session.execute(
        delete(Export).where(Export.tenant_id == tenant_id, Export.id == export_id)
    )


async def record_export(session: AsyncSession, record: ExportRecord) -> bool:
    """Write an export's state; repeated or late writes undo nothing.

    Renditions that have become ready are metered, once. Return True if the change is an event.

    Raises:
        RecordMissingError: the export does not exist, or was canceled and is no longer wanted.
    """
    row = await session.scalar(
        select(Export)
        .where(Export.tenant_id == record.tenant_id, Export.id == record.export_id)
        .with_for_update()
    )
    if row is None:
        raise RecordMissingError("export", record.export_id)
    before = ExportStatus(row.status)
    if before is ExportStatus.CANCELLED and record.status is not before:
        raise RecordMissingError("export", record.export_id)
    if _STAGE[record.status] < _STAGE[before] or before in {record.status} & FINISHED:
        return False
    known = {result["number"]: result for result in row.results}
    known |= {each.number: each.model_dump(mode="json") for each in record.renditions}
    values: dict[str, Any] = {
        "status": record.status.value,
        "results": []
        if record.status is ExportStatus.CANCELLED
        else [known[number] for number in sorted(known)],
        "message": record.message,
    }
    if all(getattr(row, name) == value for name, value in values.items()):
        return False
    for name, value in values.items():
        setattr(row, name, value)
    row.updated_at = func.now()
    if record.status in FINISHED:
        row.finished_at = func.now()
    row.revision += 1
    await session.flush()
    await session.refresh(row)
    await _meter(session, record, row.stream_id)
    return await append_export_event(session, row, before=before)


async def _meter(session: AsyncSession, record: ExportRecord, stream_id: UUID) -> None:
    events = [
        usage_event(
            kind, quantity, subject=f"{record.export_id}/{each.number}", stream_id=stream_id
        )
        for each in record.renditions
        if each.size is not None
        for kind, quantity in (
            (UsageKind.EXPORT_RENDERED, 1),
            (UsageKind.EXPORT_BYTES, each.size),
        )
    ]
    if events:
        await usage.meter(session, tenant_id=record.tenant_id, events=events)


def spec_of(row: Export) -> ExportSpec:
    """Return what an export is to make."""
    return ExportSpec.model_validate(row.spec)


def results_of(row: Export) -> dict[int, RenderedRendition]:
    """Return the renditions that have finished, by number."""
    every = (RenderedRendition.model_validate(result) for result in row.results)
    return {each.number: each for each in every}


async def get_branding(session: AsyncSession, *, tenant_id: UUID) -> BrandingRow | None:
    """Return a tenant's default branding; None if there never was one."""
    return await session.get(BrandingRow, tenant_id)


async def put_branding(
    session: AsyncSession, *, tenant_id: UUID, branding: Branding
) -> BrandingRow:
    """Replace a tenant's default branding, under the next version."""
    document = branding.model_dump(mode="json", exclude_none=True)
    statement = insert(BrandingRow).values(tenant_id=tenant_id, version=1, document=document)
    changed = {
        "version": BrandingRow.version + 1,
        "document": statement.excluded.document,
        "updated_at": func.now(),
    }
    await session.execute(
        statement.on_conflict_do_update(index_elements=[BrandingRow.tenant_id], set_=changed)
    )
    return await session.get_one(BrandingRow, tenant_id, populate_existing=True)


def branding_of(row: BrandingRow | None) -> Branding:
    """Return what a tenant's exports show by default."""
    return Branding() if row is None else Branding.model_validate(row.document)


_NEWEST_BATCH: Final = Order(column=ExportBatch.created_at, id=ExportBatch.id, descending=True)


async def create_batch(
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


async def get_batch(
    session: AsyncSession, *, tenant_id: UUID, batch_id: UUID
) -> ExportBatch | None:
    """Return a batch, or None when the tenant has none of this id."""
    return await session.get(ExportBatch, (tenant_id, batch_id))


async def list_batches(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    after: Position | None = None,
    limit: int = 50,
) -> list[ExportBatch]:
    """Return batches, newest first."""
    query = select(ExportBatch).where(ExportBatch.tenant_id == tenant_id)
    return list(await session.scalars(_NEWEST_BATCH.page(query, after=after, limit=limit)))


async def remove_batch(session: AsyncSession, *, tenant_id: UUID, batch_id: UUID) -> None:
    """Delete a batch with its exports, whose files are the caller's to delete."""
    row = await get_batch(session, tenant_id=tenant_id, batch_id=batch_id)
    if row is not None:
        await session.delete(row)


async def batch_counts(
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


async def exports_of_batch(
    session: AsyncSession, *, tenant_id: UUID, batch_id: UUID
) -> list[Export]:
    """Return the exports of a batch, in order."""
    return list(
        await session.scalars(
            select(Export)
            .where(Export.tenant_id == tenant_id, Export.batch_id == batch_id)
            .order_by(Export.batch_number)
        )
    )


_LARGEST_PAGE: Final = 1 << 20
"""Bytes of the exports that are read together: a Temporal payload may have 2 MB."""


async def next_exports(session: AsyncSession, request: NextExportsInput) -> NextExports:
    """Return the next exports that are queued, in order; fewer if their pictures are large.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    batch = request.batch
    await _locked_batch(session, batch)
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
    items: list[BatchItem] = []
    size = 0
    for row in rows:
        item = BatchItem(number=row.batch_number or 1, spec=spec_of(row))
        size += len(item.model_dump_json())
        if items and size > _LARGEST_PAGE:
            break
        items.append(item)
    return NextExports(items=tuple(items))


async def start_batch(session: AsyncSession, batch: BatchRef) -> None:
    """Record that a batch is being made.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked_batch(session, batch)
    if row.status == ExportStatus.QUEUED:
        await _set_batch(session, row, ExportStatus.RUNNING)


async def finish_batch(session: AsyncSession, batch: BatchRef) -> bool:
    """Record the end of a batch, whose exports have all had their turn. Idempotent.

    Return True if that is an event. A batch that was canceled stays so.

    Raises:
        RecordMissingError: the batch does not exist.
        BatchRunningError: an earlier run of its workflow began exports that have not ended.
    """
    row = await _locked_batch(session, batch)
    if row.status in FINISHED:
        return False
    found = await batch_counts(session, tenant_id=batch.tenant_id, batch_ids=[batch.batch_id])
    counts = found[batch.batch_id]
    if counts.running:
        raise BatchRunningError(batch.batch_id, counts.running)
    status, message = counts.outcome
    await _set_batch(session, row, status, message)
    return await append_batch_event(session, row, counts)


async def cancel_batch(session: AsyncSession, batch: BatchRef, *, message: str) -> ExportBatch:
    """Record that no further export of a batch is begun; one that has finished stays as it is.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked_batch(session, batch)
    if row.status not in FINISHED:
        await _set_batch(session, row, ExportStatus.CANCELLED, message)
    return row


async def resume_batch(session: AsyncSession, batch: BatchRef) -> ExportBatch:
    """Record that a canceled batch is queued again; any other stays as it is.

    Raises:
        RecordMissingError: the batch does not exist.
    """
    row = await _locked_batch(session, batch)
    if row.status == ExportStatus.CANCELLED:
        await _set_batch(session, row, ExportStatus.QUEUED)
    return row


async def _set_batch(
    session: AsyncSession, row: ExportBatch, status: ExportStatus, message: str = ""
) -> None:
    row.status = status.value
    row.message = message
    row.finished_at = func.now() if status in FINISHED else None
    row.updated_at = func.now()
    row.revision += 1
    await session.flush()
    await session.refresh(row)


async def _locked_batch(session: AsyncSession, batch: BatchRef) -> ExportBatch:
    row = await session.scalar(
        select(ExportBatch)
        .where(ExportBatch.tenant_id == batch.tenant_id, ExportBatch.id == batch.batch_id)
        .with_for_update()
    )
    if row is None:
        raise RecordMissingError("export_batch", batch.batch_id)
    return row
