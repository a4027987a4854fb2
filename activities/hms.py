"""Inbound events of 100ms: processing, relay, and reconciliation with 100ms's list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import heartbeating
from activities.interfaces import Inbound
from activities.tenant_turns import for_each_tenant
from app.services.hms_events import EventDispatcher, EventProcessor, EventWriter
from domain.hms.effects import StartStream
from domain.hms.messages import (
    ConnectionList,
    ConnectionRef,
    ProcessedEvents,
    ReconcileReport,
    RelayInput,
    RelayReport,
    SessionRef,
)
from domain.hms.reconciliation import RemoteStream, Repair, repairs
from infra.db.engine import Database
from infra.db.repositories import beams, connections
from infra.encryption import ConnectionSecrets, ManagementKey, SecretDecryptionError
from infra.hms_api import HmsApi, HmsApiError
from infra.temporal.client import TemporalRefusedError, TemporalUnavailableError

REFUSED: Final = "HmsApiRefused"
_log = structlog.get_logger(__name__)


class InboundActivities(Inbound):
    """Processes, relays and reconciles inbound events. Idempotent."""

    def __init__(
        self,
        *,
        database: Database,
        writer: EventWriter,
        dispatcher: EventDispatcher,
        processor: EventProcessor,
        secrets: ConnectionSecrets,
        api: HmsApi,
    ) -> None:
        self._database = database
        self._writer = writer
        self._dispatcher = dispatcher
        self._processor = processor
        self._secrets = secrets
        self._api = api

    @activity.defn(name="process_session_events")
    async def process_session_events(self, ref: SessionRef) -> ProcessedEvents:
        async with heartbeating():
            return await self._processor.process(ref)

    @activity.defn(name="relay_inbound")
    async def relay_inbound(self, request: RelayInput) -> RelayReport:
        async with heartbeating():
            reports = await for_each_tenant(
                await self._database.tenant_ids(),
                lambda tenant_id: self._relay_tenant(tenant_id, request),
            )
        return RelayReport(
            tenants=sum(each.tenants for each in reports),
            delivered=sum(each.delivered for each in reports),
            left=sum(each.left for each in reports),
        )

    async def _relay_tenant(self, tenant_id: UUID, request: RelayInput) -> RelayReport:
        sessions = await self._processor.pending_sessions(
            tenant_id, min_age=timedelta(seconds=request.min_age), limit=request.batch
        )
        signaled = left = 0
        for session in sessions:
            try:
                await self._dispatcher.signal(session)
            except Exception as error:
                if isinstance(error, TemporalUnavailableError) and not isinstance(
                    error, TemporalRefusedError
                ):
                    raise
                # One session must not block all others.
                _log.exception("inbound_session_failed", tenant_id=str(tenant_id))
                left += 1
            else:
                signaled += 1
        return RelayReport(tenants=int(bool(sessions)), delivered=signaled, left=left)

    @activity.defn(name="managed_connections")
    async def managed_connections(self) -> ConnectionList:
        found: list[ConnectionRef] = []
        async with heartbeating():
            for tenant_id in await self._database.tenant_ids():
                async with self._database.session(tenant_id) as session:
                    rows = await connections.list_managed(session, tenant_id=tenant_id)
                found += [ConnectionRef(tenant_id=tenant_id, connection_id=row.id) for row in rows]
        return ConnectionList(connections=tuple(found))

    @activity.defn(name="reconcile_connection")
    async def reconcile_connection(self, ref: ConnectionRef) -> ReconcileReport:
        async with heartbeating():
            return await self._reconcile(ref)

    async def _reconcile(self, ref: ConnectionRef) -> ReconcileReport:
        key = await self._management_key(ref)
        if key is None:
            return ReconcileReport()
        asked_at = datetime.now(UTC)
        remote = await self._ask(key)
        async with self._database.session(ref.tenant_id) as session:
            ours = await beams.known(
                session, tenant_id=ref.tenant_id, connection_id=ref.connection_id
            )
        made = [
            repair
            for repair in repairs(remote, ours, now=asked_at)
            if await self._repair(ref, repair)
        ]
        started = sum(isinstance(each, StartStream) for each in made)
        return ReconcileReport(connections=1, started=started, ended=len(made) - started)

    async def _management_key(self, ref: ConnectionRef) -> ManagementKey | None:
        async with self._database.session(ref.tenant_id) as session:
            row = await connections.get(
                session, tenant_id=ref.tenant_id, connection_id=ref.connection_id
            )
        if row is None:
            return None
        try:
            return self._secrets.management_key(row)
        except SecretDecryptionError as error:
            raise ApplicationError(str(error), type=REFUSED, non_retryable=True) from error

    async def _ask(self, key: ManagementKey) -> list[RemoteStream]:
        try:
            return await self._api.live_streams(key)
        except HmsApiError as error:
            raise ApplicationError(
                str(error),
                type=REFUSED,
                non_retryable=not error.retryable,
                next_retry_delay=error.retry_after,
            ) from error

    async def _repair(self, ref: ConnectionRef, repair: Repair) -> bool:
        """Store a repair as an event and signal its session; return True if it is new."""
        stored = await self._writer.store_repair(
            repair, tenant_id=ref.tenant_id, connection_id=ref.connection_id
        )
        if stored.session is not None:
            await self._dispatcher.signal(stored.session)
        return stored.is_new
