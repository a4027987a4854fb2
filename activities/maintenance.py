"""Maintenance: going round all tenants to delete what is too old."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID

from temporalio import activity

from activities.interfaces import Maintenance
from domain.expiry import ExpireRecordsInput, ExpireRecordsResult, RecordKind
from infra.database import Database
from infra.repositories import expiry


class MaintenanceActivities(Maintenance):
    """Deletes by batches, each in a short transaction of its tenant, so that nobody waits."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        """Delete the old records of all tenants.

        A retry begins anew and finds less to do; what a failed attempt deleted is not counted.
        """
        tenants = await self._database.tenant_ids()
        deleted: Counter[RecordKind] = Counter()
        for tenant_id in tenants:
            full = True
            while full:
                activity.heartbeat()
                batch = await self._expire_batch(tenant_id, request)
                deleted.update(batch)
                full = request.batch in batch.values()
        return ExpireRecordsResult(tenants=len(tenants), deleted=dict(deleted))

    async def _expire_batch(
        self, tenant_id: UUID, request: ExpireRecordsInput
    ) -> dict[RecordKind, int]:
        async with self._database.session(tenant_id) as session:
            return {
                kind: await expiry.delete_expired(
                    session,
                    tenant_id=tenant_id,
                    kind=kind,
                    age=timedelta(seconds=request.policy.age_of(kind)),
                    limit=request.batch,
                )
                for kind in RecordKind
            }
