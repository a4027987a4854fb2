"""Deletion of streams, with proof: what was deleted, counted and verified; and legal holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from app.services.streams import StreamStarter
from domain import task_queues
from domain.ids import (
    SearchAttribute,
    backfill_workflow_id,
    deletion_id,
    deletion_workflow_id,
    stream_workflow_id,
)
from domain.streams.deletion import DeletionInput, DeletionProof, DeletionStatus, LegalHold
from domain.streams.reconciliation import ExecutionState
from domain.streams.status import TERMINAL
from domain.tenants.audit import Actor, AuditAction
from infra.db.engine import Database
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, exports, highlights, streams
from infra.db.tables import Deletion
from infra.storage.cdn_invalidation import CdnInvalidation, CloudFrontInvalidator
from infra.storage.clips import ClipStore
from infra.storage.segments import SegmentStore
from infra.temporal.client import WorkflowExecutions, keyword_attributes, temporal_error
from workflows.deletion import DeletionWorkflow

_RPC_TIMEOUT: Final = timedelta(seconds=5)
CDN_KEEPS: Final = timedelta(days=1)
"""Time for which a CDN may keep a copy (`Cache-Control` of the clip store)."""


class DeletionUnfinishedError(Exception):
    """Something of a stream is left, or could still be stored; the deletion has to be repeated."""


class StreamDeletion:
    """Deletes streams with everything that was made of them, and keeps proof.

    Args:
        database: holds the rows.
        client: gives Temporal's client, or raises TemporalUnavailableError.
        starter: cancels the workflows of streams.
        files: clips, thumbnails and exports.
        segments: stored media.
        has_cdn: whether files are read through a CDN, which may keep copies.
        cdn: removes those copies; without it they expire.
    """

    def __init__(
        self,
        database: Database,
        client: Callable[[], Awaitable[Client]],
        *,
        starter: StreamStarter,
        files: ClipStore,
        segments: SegmentStore,
        has_cdn: bool,
        cdn: CloudFrontInvalidator | None = None,
    ) -> None:
        self._database = database
        self._client = client
        self._executions = WorkflowExecutions(client)
        self._starter = starter
        self._files = files
        self._segments = segments
        self._has_cdn = has_cdn
        self._cdn = cdn

    async def request(
        self, *, tenant_id: UUID, stream_id: UUID, reason: str, actor: Actor
    ) -> Deletion:
        """Start the workflow that deletes a stream. Idempotent; return its deletion.

        Raises:
            RecordMissingError: the tenant has no such stream, and has deleted none.
            LegalHoldError: the stream or a highlight of it is held.
            TemporalUnavailableError: Temporal does not respond; the request can be repeated.
        """
        async with self._database.session(tenant_id) as session:
            row = await _request(session, tenant_id, stream_id, reason=reason, actor=actor)
        if row.status != DeletionStatus.DONE:
            await self._start(tenant_id, stream_id)
        return row

    async def delete_now(self, *, tenant_id: UUID, stream_id: UUID, actor: Actor) -> UUID:
        """Delete a stream, and return the id of its deletion. It can be retried after any failure.

        What a running workflow of it may still store is left to a `DeletionWorkflow`.

        Raises:
            RecordMissingError: the tenant has no such stream.
            LegalHoldError: the stream or a highlight of it is held.
            TemporalUnavailableError: Temporal does not respond.
        """
        async with self._database.session(tenant_id) as session:
            stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
            if stream is None:
                raise RecordMissingError("stream", stream_id)
            row = await _request(session, tenant_id, stream_id, reason="", actor=actor)
        if stream.status not in TERMINAL:
            await self._starter.cancel(stream)
            await self._start(tenant_id, stream_id)
        await self._delete(tenant_id, stream_id)
        if stream.status in TERMINAL and await self._verify(tenant_id, stream_id) is None:
            await self._start(tenant_id, stream_id)
        return row.id

    async def run(self, *, tenant_id: UUID, stream_id: UUID) -> DeletionProof:
        """Delete what there is of a stream, and verify that nothing is left. Idempotent.

        Raises:
            RecordMissingError: the deletion was not requested.
            DeletionUnfinishedError: a workflow of the stream is running, or something is left.
            TemporalUnavailableError: Temporal does not respond.
        """
        async with self._database.session(tenant_id) as session:
            stream = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
        if stream is not None and stream.status not in TERMINAL:
            await self._starter.cancel(stream)
        await self._delete(tenant_id, stream_id)
        for workflow_id in (stream_workflow_id, backfill_workflow_id):
            state = await self._executions.state(
                workflow_id(tenant_id=tenant_id, stream_id=stream_id)
            )
            if state is ExecutionState.RUNNING:
                raise DeletionUnfinishedError(f"a workflow of stream {stream_id} is ending")
        proof = await self._verify(tenant_id, stream_id)
        if proof is None:
            raise DeletionUnfinishedError(
                f"something of stream {stream_id} was stored meanwhile, or a CDN still has it"
            )
        return proof

    async def _delete(self, tenant_id: UUID, stream_id: UUID) -> None:
        """Delete files and media, then rows: while there are rows, a failure can be retried."""
        await self._delete_objects(tenant_id, stream_id)
        async with self._database.session(tenant_id) as session:
            await streams.delete_rows(session, tenant_id=tenant_id, stream_id=stream_id)

    async def _verify(self, tenant_id: UUID, stream_id: UUID) -> DeletionProof | None:
        """Record that nothing is left, if so: what is stored from now on deletes itself."""
        if await self._delete_objects(tenant_id, stream_id):
            return None
        expires = datetime.now(UTC) + CDN_KEEPS if self._has_cdn else None
        invalidation = None
        if self._cdn is not None:
            invalidation = await self._invalidate(self._cdn, tenant_id, stream_id)
            if not invalidation.is_completed:
                return None
            expires = None
        async with self._database.session(tenant_id) as session:
            return await streams.finish_deletion(
                session,
                tenant_id=tenant_id,
                stream_id=stream_id,
                cdn_expires_at=expires,
                cdn_invalidation_id=None if invalidation is None else invalidation.id,
            )

    async def _invalidate(
        self, cdn: CloudFrontInvalidator, tenant_id: UUID, stream_id: UUID
    ) -> CdnInvalidation:
        """Invalidate the files in the CDN, once more only if more of them were deleted since."""
        deletion = deletion_id(stream=stream_id)
        async with self._database.session(tenant_id) as session:
            row = await streams.get_deletion(session, tenant_id=tenant_id, deletion_id=deletion)
        if row is None:
            raise RecordMissingError("deletion", deletion)
        files = streams.proof_of(row).files
        return await cdn.invalidate(f"{tenant_id}/{stream_id}/", reference=f"{deletion}-{files}")

    async def _delete_objects(self, tenant_id: UUID, stream_id: UUID) -> int:
        """Delete all files and media; return how many there were."""
        prefix = f"{tenant_id}/{stream_id}/"
        files = await self._files.delete_prefix(prefix)
        files += await self._delete_reels(tenant_id, stream_id)
        media = await self._segments.delete_prefix(prefix)
        if files or media:
            async with self._database.session(tenant_id) as session:
                await streams.record_deleted_objects(
                    session, tenant_id=tenant_id, stream_id=stream_id, files=files, media=media
                )
        return files + media

    async def _delete_reels(self, tenant_id: UUID, stream_id: UUID) -> int:
        """Delete reels that show the stream and belong to another; return how many files.

        The workflow of one that is being made finds no row, and deletes what it stored.
        """
        async with self._database.session(tenant_id) as session:
            reels = await exports.reels_with(session, tenant_id=tenant_id, stream_id=stream_id)
            files = [
                result.key
                for row in reels
                for result in exports.results_of(row).values()
                if result.key is not None
            ]
        for key in files:
            await self._files.delete(key)
        async with self._database.session(tenant_id) as session:
            for row in reels:
                await exports.remove(session, tenant_id=tenant_id, export_id=row.id)
        return len(files)

    async def _start(self, tenant_id: UUID, stream_id: UUID) -> None:
        client = await self._client()
        values = {
            SearchAttribute.TENANT_ID: str(tenant_id),
            SearchAttribute.STREAM_ID: str(stream_id),
        }
        try:
            await client.start_workflow(
                DeletionWorkflow.run,
                DeletionInput(tenant_id=tenant_id, stream_id=stream_id),
                id=deletion_workflow_id(tenant_id=tenant_id, stream_id=stream_id),
                task_queue=task_queues.ORCHESTRATION,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                search_attributes=keyword_attributes(values),
                priority=Priority(fairness_key=str(tenant_id)),
                static_summary="deletion of a stream",
                rpc_timeout=_RPC_TIMEOUT,
            )
        except RPCError as error:
            raise temporal_error(error) from error


async def _request(
    session: AsyncSession, tenant_id: UUID, stream_id: UUID, *, reason: str, actor: Actor
) -> Deletion:
    """Return the deletion of a stream, inserted with an audit entry if there is none."""
    deletion = deletion_id(stream=stream_id)
    found = await streams.get_deletion(session, tenant_id=tenant_id, deletion_id=deletion)
    row = await streams.request_deletion(
        session, tenant_id=tenant_id, stream_id=stream_id, reason=reason
    )
    if found is None:
        await audit.record(
            session,
            tenant_id=tenant_id,
            action=AuditAction.STREAM_DELETED,
            target_id=stream_id,
            actor=actor,
            details={"deletion_id": str(deletion), "reason": reason},
        )
    return row


async def hold_stream(
    session: AsyncSession, *, tenant_id: UUID, stream_id: UUID, reason: str | None, actor: Actor
) -> LegalHold | None:
    """Hold a stream, or for None lift its hold, with an audit entry. Return the hold.

    Raises:
        RecordMissingError: the tenant has no such stream.
        DeletionInProgressError: it is being deleted.
    """
    row = await streams.get(session, tenant_id=tenant_id, stream_id=stream_id)
    was_held = row is not None and row.legal_hold is not None
    hold = await streams.hold_stream(
        session, tenant_id=tenant_id, stream_id=stream_id, reason=reason
    )
    if hold is not None or was_held:
        action = AuditAction.STREAM_RELEASED if hold is None else AuditAction.STREAM_HELD
        await _record_hold(session, tenant_id, stream_id, hold, action=action, actor=actor)
    return hold


async def hold_highlight(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    highlight_id: UUID,
    reason: str | None,
    actor: Actor,
) -> LegalHold | None:
    """Hold a highlight, or for None lift its hold, with an audit entry. Return the hold.

    Raises:
        RecordMissingError: the tenant has no such highlight.
        DeletionInProgressError: its stream is being deleted.
    """
    row = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
    was_held = row is not None and row.legal_hold is not None
    hold = await streams.hold_highlight(
        session, tenant_id=tenant_id, highlight_id=highlight_id, reason=reason
    )
    if hold is not None or was_held:
        action = AuditAction.HIGHLIGHT_RELEASED if hold is None else AuditAction.HIGHLIGHT_HELD
        await _record_hold(session, tenant_id, highlight_id, hold, action=action, actor=actor)
    return hold


async def _record_hold(
    session: AsyncSession,
    tenant_id: UUID,
    target_id: UUID,
    hold: LegalHold | None,
    *,
    action: AuditAction,
    actor: Actor,
) -> None:
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=action,
        target_id=target_id,
        actor=actor,
        details={} if hold is None else {"reason": hold.reason},
    )
