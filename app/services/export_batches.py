"""Batches of exports: choose what to export, create, start, cancel, resume and delete them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from app.services.exports import (
    ExportService,
    SourceNotReadyError,
    about_highlight,
    brand_of,
    clip_source,
)
from domain import task_queues
from domain.exports.batches import BatchRef, ExportBatchInput
from domain.exports.cards import Card, EndCard, Territory
from domain.exports.models import (
    FINISHED,
    BrandingChoice,
    CaptionStyle,
    ExportSource,
    ExportSpec,
    ExportStatus,
    LowerThird,
    RenditionSpec,
    Watermark,
)
from domain.ids import SearchAttribute, batch_export_id, export_batch_workflow_id
from domain.tenants.audit import Actor, AuditAction
from domain.tenants.usage import PLANS, PlanName, require_batch_quota, require_rendition_quota
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, clips, exports, highlights
from infra.db.repositories.highlights import HighlightFilter
from infra.db.tables import ExportBatch, Highlight
from infra.temporal.client import (
    TemporalUnavailableError,
    if_running,
    keyword_attributes,
    temporal_error,
)
from workflows.export_batch import ExportBatchWorkflow

_RPC_TIMEOUT: Final = timedelta(seconds=5)
_DELETED_AT_A_TIME: Final = 8
_CANCELLED: Final = "The batch was canceled. Resume it to make the exports that are left."
_MOST: Final = max(plan.exports_per_batch for plan in PLANS.values()) + 1


class NothingToExportError(Exception):
    """No highlight with a ready clip matches the filter of a batch."""


@dataclass(frozen=True, kw_only=True)
class NewExportBatch:
    """A requested batch: of the highlights `highlight_ids`, or of those that match `criteria`.

    Attributes:
        limit: how many of those that match to take, the best ones; None for all.
        request: what the tenant asked for, as JSON.
    """

    tenant_id: UUID
    batch_id: UUID
    renditions: tuple[RenditionSpec, ...]
    request: dict[str, Any]
    watermark: Watermark | None = None
    lower_third: LowerThird | None = None
    caption_style: CaptionStyle | None = None
    intro: Card | None = None
    outro: Card | None = None
    end_card: EndCard | None = None
    territory: Territory | None = None
    branding: BrandingChoice = BrandingChoice.DEFAULT
    highlight_ids: tuple[UUID, ...] = ()
    criteria: HighlightFilter | None = None
    limit: int | None = None


class ExportBatchService:
    """Creates and deletes batches, and starts, cancels and resumes their workflows.

    Args:
        database: holds the batches.
        client: gives Temporal's client, or raises TemporalUnavailableError.
        exports: deletes the exports of a batch.
        default_plan: of tenants without a plan of their own.
    """

    def __init__(
        self,
        database: Database,
        client: Callable[[], Awaitable[Client]],
        *,
        exports: ExportService,
        default_plan: PlanName,
    ) -> None:
        self._exports = exports
        self._database = database
        self._client = client
        self._default_plan = default_plan

    async def find_or_create(self, session: AsyncSession, new: NewExportBatch) -> ExportBatch:
        """Return the batch with this id, created with its exports if there is none. Idempotent.

        Raises:
            RecordMissingError: the tenant has no such highlight.
            SourceNotReadyError: a highlight that was named has no ready clip, or is withheld.
            NothingToExportError: nothing that can be exported matches.
            ExportQuotaExceededError: the tenant's plan does not allow it.
        """
        found = await exports.get_batch(session, tenant_id=new.tenant_id, batch_id=new.batch_id)
        if found is not None:
            return found
        sources = await _sources(session, new)
        if not sources:
            raise NothingToExportError
        # Last, since the tenant's other requests wait from here to the end of the transaction.
        plan = await exports.reserve_slot(
            session, tenant_id=new.tenant_id, default_plan=self._default_plan
        )
        require_rendition_quota(plan, len(new.renditions))
        require_batch_quota(plan, len(sources))
        row = await exports.create_batch(
            session,
            tenant_id=new.tenant_id,
            batch_id=new.batch_id,
            request=new.request,
            exports=len(sources),
        )
        brand = await brand_of(session, new.tenant_id, new.branding)
        end_card = new.end_card or brand.branding.end_card
        lower = new.lower_third or brand.branding.lower_third
        for number, (about, source) in enumerate(sources, start=1):
            spec = ExportSpec(
                id=batch_export_id(batch=new.batch_id, number=number),
                tenant_id=new.tenant_id,
                source=source,
                renditions=new.renditions,
                watermark=new.watermark or brand.branding.watermark,
                lower_third=None if lower is None else about_highlight(lower, about),
                caption_style=new.caption_style or brand.branding.caption_style,
                intro=new.intro or brand.branding.intro,
                outro=new.outro or brand.branding.outro,
                end_card=None if end_card is None else end_card.card_in(new.territory),
                territory=new.territory,
                branding_version=brand.version,
            )
            await exports.create(session, spec, batch_id=new.batch_id, batch_number=number)
        return row

    async def start_or_withdraw(self, batch: ExportBatch) -> None:
        """Start the workflow of a batch that was created, or delete the batch if that fails.

        Raises:
            TemporalUnavailableError: Temporal does not respond. The batch is deleted.
        """
        try:
            await self.start(BatchRef(tenant_id=batch.tenant_id, batch_id=batch.id))
        except TemporalUnavailableError:
            async with self._database.session(batch.tenant_id) as session:
                await exports.remove_batch(session, tenant_id=batch.tenant_id, batch_id=batch.id)
            raise

    async def cancel(self, tenant_id: UUID, batch_id: UUID) -> ExportBatch:
        """Begin no further export of a batch; those being made finish. Idempotent.

        Raises:
            RecordMissingError: the tenant has no such batch.
            TemporalUnavailableError: Temporal does not respond.
        """
        batch = BatchRef(tenant_id=tenant_id, batch_id=batch_id)
        async with self._database.session(tenant_id) as session:
            row = await exports.get_batch(session, tenant_id=tenant_id, batch_id=batch_id)
        if row is None:
            raise RecordMissingError("export_batch", batch_id)
        if row.status in FINISHED:
            return row
        await self._signal_cancel(batch)
        async with self._database.session(tenant_id) as session:
            return await exports.cancel_batch(session, batch, message=_CANCELLED)

    async def resume(self, tenant_id: UUID, batch_id: UUID) -> ExportBatch:
        """Go on with a canceled batch; any other stays as it is. Idempotent.

        Raises:
            RecordMissingError: the tenant has no such batch.
            TemporalUnavailableError: Temporal does not respond; the batch is queued, and the
                request can be repeated.
        """
        batch = BatchRef(tenant_id=tenant_id, batch_id=batch_id)
        async with self._database.session(tenant_id) as session:
            row = await exports.resume_batch(session, batch)
        if row.status == ExportStatus.QUEUED:
            await self.start(batch, is_resumed=True)
        return row

    async def delete(self, tenant_id: UUID, batch_id: UUID, *, actor: Actor) -> None:
        """Cancel a batch if it is unfinished, and delete its exports with their files.

        It can be retried after any failure: the row of the batch is deleted last.

        Raises:
            RecordMissingError: the tenant has no such batch.
            TemporalUnavailableError: Temporal does not respond.
        """
        await self.cancel(tenant_id, batch_id)
        async with self._database.session(tenant_id) as session:
            rows = await exports.exports_of_batch(session, tenant_id=tenant_id, batch_id=batch_id)
        slots = asyncio.Semaphore(_DELETED_AT_A_TIME)

        async def delete(export_id: UUID) -> None:
            async with slots:
                # Another request may have deleted it meanwhile.
                with suppress(RecordMissingError):
                    await self._exports.delete(tenant_id, export_id, actor=actor)

        await asyncio.gather(*(delete(row.id) for row in rows))
        async with self._database.session(tenant_id) as session:
            await exports.remove_batch(session, tenant_id=tenant_id, batch_id=batch_id)
            await audit.record(
                session,
                tenant_id=tenant_id,
                action=AuditAction.EXPORT_BATCH_DELETED,
                target_id=batch_id,
                actor=actor,
            )

    async def start(self, batch: BatchRef, *, is_resumed: bool = False) -> None:
        """Start the workflow of a batch unless it is running. Idempotent.

        Args:
            batch: the batch.
            is_resumed: also go on with the first export that had no turn.

        Raises:
            TemporalUnavailableError: Temporal does not respond.
        """
        client = await self._client()
        values = {SearchAttribute.TENANT_ID: str(batch.tenant_id)}
        try:
            await client.start_workflow(
                ExportBatchWorkflow.run,
                ExportBatchInput(batch=batch),
                id=export_batch_workflow_id(tenant_id=batch.tenant_id, batch=batch.batch_id),
                task_queue=task_queues.ORCHESTRATION,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                start_signal=ExportBatchWorkflow.resume.__name__ if is_resumed else None,
                search_attributes=keyword_attributes(values),
                priority=Priority(fairness_key=str(batch.tenant_id)),
                static_summary="batch of exports",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except RPCError as error:
            raise temporal_error(error) from error

    async def _signal_cancel(self, batch: BatchRef) -> None:
        client = await self._client()
        handle = client.get_workflow_handle(
            export_batch_workflow_id(tenant_id=batch.tenant_id, batch=batch.batch_id)
        )
        with if_running():
            await handle.signal(ExportBatchWorkflow.cancel, rpc_timeout=_RPC_TIMEOUT)


async def _sources(
    session: AsyncSession, new: NewExportBatch
) -> Sequence[tuple[Highlight, ExportSource]]:
    """Return the wanted highlights with their clips: as named, or the best first."""
    tenant_id = new.tenant_id
    if new.criteria is None:
        ids = list(dict.fromkeys(new.highlight_ids))
        rows = await highlights.get_many(session, tenant_id=tenant_id, highlight_ids=ids)
        if missing := [each for each in ids if each not in rows]:
            raise RecordMissingError("highlight", missing[0])
    else:
        released = replace(new.criteria, is_released=True)
        matching = await highlights.best(
            session, tenant_id=tenant_id, criteria=released, limit=new.limit or _MOST
        )
        ids = [row.id for row in matching]
        rows = {row.id: row for row in matching}
    latest = await clips.latest_by_highlight(session, tenant_id=tenant_id, highlight_ids=ids)
    found = []
    for each in ids:
        try:
            found.append((rows[each], clip_source(latest.get(each), rows[each])))
        except SourceNotReadyError as error:
            if new.criteria is None:
                raise SourceNotReadyError(f"Highlight {each}: {error}") from None
    return found
