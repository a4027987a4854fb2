"""Exports: what to make for a tenant, and the files once they are ready."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.exports.models import (
    FINISHED,
    ExportRecord,
    ExportSpec,
    ExportStatus,
    RenderedRendition,
)
from domain.tenants.usage import PLANS, Plan, PlanName, UsageKind, require_export_quota, usage_event
from infra.db.errors import RecordMissingError
from infra.db.keyset import Order, Position
from infra.db.repositories import tenants, usage
from infra.db.repositories.events import append_export_event
from infra.db.tables import Export, ExportBatch

_NEWEST: Final = Order(column=Export.created_at, id=Export.id, descending=True)
# Written as in the index, so that it serves.
_UNFINISHED: Final = Export.status.in_([ExportStatus.QUEUED, ExportStatus.RUNNING])
_UNFINISHED_BATCH: Final = ExportBatch.status.in_([ExportStatus.QUEUED, ExportStatus.RUNNING])


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
