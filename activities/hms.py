"""Inbound events after the fact: delivered when they could not be, sought when they were lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import heartbeating
from activities.interfaces import Inbound
from app.services.hms_events import InboundDelivery
from domain.hms.effects import StartStream
from domain.hms.messages import (
    ConnectionList,
    ConnectionRef,
    ReconcileReport,
    RelayInput,
    RelayReport,
)
from domain.hms.reconciliation import RemoteStream, Repair, repairs
from infra.connection_secrets import ConnectionSecrets, ManagementKey
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import beams, connections
from infra.encryption import SecretDecryptionError
from infra.hms_api import HmsApi, HmsApiError
from infra.temporal.client import TemporalUnavailableError

REFUSED: Final = "HmsApiRefused"
_log = structlog.get_logger(__name__)


class InboundActivities(Inbound):
    """Relays and reconciles; what either does twice is done once."""

    def __init__(
        self,
        *,
        database: Database,
        delivery: InboundDelivery,
        secrets: ConnectionSecrets,
        api: HmsApi,
    ) -> None:
        self._database = database
        self._delivery = delivery
        self._secrets = secrets
        self._api = api

    @activity.defn(name="relay_inbound")
    async def relay_inbound(self, request: RelayInput) -> RelayReport:
        """Deliver what waits, tenant by tenant, in order within each lane."""
        report = RelayReport()
        async with heartbeating():
            for tenant_id in await self._database.tenant_ids():
                report = await self._relay_tenant(tenant_id, request, report)
        return report

    async def _relay_tenant(
        self, tenant_id: UUID, request: RelayInput, report: RelayReport
    ) -> RelayReport:
        lanes = await self._delivery.pending_lanes(
            tenant_id, min_age=timedelta(seconds=request.min_age), limit=request.batch
        )
        delivered = left = 0
        for lane in lanes:
            try:
                drained = await self._delivery.drain(tenant_id, lane)
            except (TemporalUnavailableError, DatabaseUnavailableError):
                raise
            except Exception:  # noqa: BLE001 - one lane must not hold up all others
                _log.exception("inbound_lane_failed", tenant_id=str(tenant_id))
                left += 1
                continue
            delivered += drained.delivered
            left += not drained.is_empty
        return RelayReport(
            tenants=report.tenants + bool(lanes),
            delivered=report.delivered + delivered,
            left=report.left + left,
        )

    @activity.defn(name="managed_connections")
    async def managed_connections(self) -> ConnectionList:
        """List the connections whose live streams 100ms can be asked for."""
        found: list[ConnectionRef] = []
        async with heartbeating():
            for tenant_id in await self._database.tenant_ids():
                async with self._database.session(tenant_id) as session:
                    rows = await connections.list_managed(session, tenant_id=tenant_id)
                found += [ConnectionRef(tenant_id=tenant_id, connection_id=row.id) for row in rows]
        return ConnectionList(connections=tuple(found))

    @activity.defn(name="reconcile_connection")
    async def reconcile_connection(self, ref: ConnectionRef) -> ReconcileReport:
        """Compare one connection's streams with 100ms's list, and repair the difference.

        Raises:
            ApplicationError: 100ms gave no list; it says whether and when to ask again.
        """
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
        """Record a repair as an event and do it; answer whether it is a new one."""
        recorded = await self._delivery.record_repair(
            repair, tenant_id=ref.tenant_id, connection_id=ref.connection_id
        )
        if recorded.lane is not None:
            await self._delivery.drain(ref.tenant_id, recorded.lane)
        return recorded.is_new
