"""The plans of tenants, remembered for a while: every request needs one, and few ever change.

A change is written into the tenant's audit log.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID, uuid5

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.tenants.audit import Actor, AuditAction
from domain.tenants.plans import PLANS, Plan, PlanName
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.repositories import audit, tenants
from infra.db.repositories.errors import RecordMissingError

PLAN_LIFETIME: Final = 30.0
_CAPACITY: Final = 10_000


_TENANT_NAMESPACE: Final = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a003")


_log = structlog.get_logger(__name__)


def tenant_id_of(slug: str) -> UUID:
    """Return the id of the tenant of this name; one name is one tenant everywhere."""
    return uuid5(_TENANT_NAMESPACE, slug)


_KEPT: Final = 10_000


class TenantNames:
    """Looks up a tenant's short name, once.

    Args:
        database: holds the tenants.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[UUID, str] = {}

    async def of(self, tenant_id: UUID) -> str:
        """Return the short name, or the id where there is none to be read."""
        known = self._known.get(tenant_id)
        if known is not None:
            return known
        try:
            async with self._database.session(tenant_id) as session:
                row = await tenants.get(session, tenant_id=tenant_id)
        except DatabaseUnavailableError as error:
            _log.info("tenant_name_unknown", tenant_id=str(tenant_id), error=str(error))
            row = None
        if row is None:
            return str(tenant_id)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[tenant_id] = row.slug
        return row.slug


class TenantPlans:
    """Reads plans through a cache; a changed plan counts within `PLAN_LIFETIME` seconds.

    Args:
        database: where they are.
        default: the plan of tenants without one of their own.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        database: Database,
        *,
        default: PlanName,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._default = default
        self._clock = clock
        self._known: OrderedDict[UUID, tuple[float, Plan]] = OrderedDict()

    async def of(self, tenant_id: UUID) -> Plan:
        """Return a tenant's plan.

        Raises:
            DatabaseUnavailableError: the database is away, and the plan not remembered.
            RecordMissingError: there is no such tenant.
        """
        now = self._clock()
        expires, plan = self._known.get(tenant_id, (now, None))
        if plan is not None and now < expires:
            return plan
        async with self._database.session(tenant_id) as session:
            own = await tenants.plan_of(session, tenant_id=tenant_id)
        plan = PLANS[own or self._default]
        self._known[tenant_id] = (now + PLAN_LIFETIME, plan)
        self._known.move_to_end(tenant_id)
        if len(self._known) > _CAPACITY:
            self._known.popitem(last=False)
        return plan


async def change_plan(
    session: AsyncSession, *, tenant_id: UUID, plan: PlanName | None, actor: Actor
) -> bool:
    """Give a tenant a plan of its own, or the default one; answer whether there is a tenant."""
    try:
        before = await tenants.plan_of(session, tenant_id=tenant_id, lock=True)
    except RecordMissingError:
        return False
    if plan is not before:
        await tenants.set_plan(session, tenant_id=tenant_id, plan=plan)
        await audit.record(
            session,
            tenant_id=tenant_id,
            action=AuditAction.TENANT_PLAN_SET,
            target_id=tenant_id,
            actor=actor,
            details={"before": before, "after": plan},
        )
    return True
