"""Activity that deletes expired records."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from temporalio import activity

from activities.heartbeat import heartbeating
from activities.interfaces import Maintenance
from domain.tenants.retention import ExpireRecordsInput, ExpireRecordsResult, RecordKind
from infra.db.engine import Database
from infra.db.repositories import tenants


class MaintenanceActivities(Maintenance):
    """Deletes in batches, each in a short transaction of its tenant, so that nothing blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        tenants = await self._database.tenant_ids()
        deleted = dict.fromkeys(RecordKind, 0)
        async with heartbeating():
            for tenant_id in tenants:
                for kind in RecordKind:
                    deleted[kind] += await self._expire(tenant_id, kind, request)
        return ExpireRecordsResult(tenants=len(tenants), deleted=deleted)

    async def _expire(self, tenant_id: UUID, kind: RecordKind, request: ExpireRecordsInput) -> int:
        total = 0
        while True:
            async with self._database.session(tenant_id) as session:
                batch = await tenants.delete_expired(
                    session,
                    tenant_id=tenant_id,
                    kind=kind,
                    age=timedelta(seconds=request.policy.age_of(kind)),
                    limit=request.batch,
                )
            total += batch
            if batch < request.batch:
                return total
