"""Tenants: ids, short names, plans and publication policies.

Changes of plans and publication policies are recorded in the audit log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID, uuid5

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from domain.highlights.publication import PublicationPolicy
from domain.tenants.audit import Actor, AuditAction
from domain.tenants.usage import PLANS, Plan, PlanName
from infra.cache import AsyncCache
from infra.db.engine import Database, DatabaseUnavailableError
from infra.db.errors import RecordMissingError
from infra.db.repositories import audit, tenants
from infra.db.repositories.publication import policies
from infra.db.tables import EmbedPolicy
from infra.rate_limit import Limit

PLAN_LIFETIME: Final = 30.0
_CAPACITY: Final = 10_000


_TENANT_NAMESPACE: Final = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a003")


_log = structlog.get_logger(__name__)


def tenant_id_of(slug: str) -> UUID:
    """Return the id of the tenant with this short name, the same in every installation."""
    return uuid5(_TENANT_NAMESPACE, slug)


class TenantNames:
    """Looks up tenants' short names, each once.

    Args:
        database: where the tenants are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names = AsyncCache[UUID, str | None](
            capacity=_CAPACITY, lifetime=lambda name: 0.0 if name is None else math.inf
        )

    async def of(self, tenant_id: UUID) -> str:
        """Return the short name, or the id if the name cannot be read."""
        name = await self._names.get_or_load(tenant_id, lambda: self._load(tenant_id))
        return str(tenant_id) if name is None else name

    async def _load(self, tenant_id: UUID) -> str | None:
        try:
            async with self._database.session(tenant_id) as session:
                row = await tenants.get(session, tenant_id=tenant_id)
        except DatabaseUnavailableError as error:
            _log.info("tenant_name_unknown", tenant_id=str(tenant_id), error=str(error))
            return None
        return None if row is None else row.slug


class TenantPlans:
    """Reads plans through a cache; a changed plan takes effect within `PLAN_LIFETIME` seconds.

    Args:
        database: where the plans are.
        default: plan of tenants without one of their own.
        clock: seconds, monotonic.
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
        self._plans = AsyncCache[UUID, Plan](
            capacity=_CAPACITY, lifetime=PLAN_LIFETIME, clock=clock
        )

    async def of(self, tenant_id: UUID) -> Plan:
        """Return a tenant's plan.

        Raises:
            DatabaseUnavailableError: the plan is not cached, and the database is unavailable.
            RecordMissingError: there is no such tenant.
        """
        return await self._plans.get_or_load(tenant_id, lambda: self._load(tenant_id))

    async def _load(self, tenant_id: UUID) -> Plan:
        async with self._database.session(tenant_id) as session:
            own = await tenants.plan_of(session, tenant_id=tenant_id)
        return PLANS[own or self._default]


def feed_limit(plan: Plan) -> Limit:
    """Return how many feed events a stream takes, through the API and the broker together."""
    return Limit(name="feed", quota=plan.feed_events_per_minute)


async def change_plan(
    session: AsyncSession, *, tenant_id: UUID, plan: PlanName | None, actor: Actor
) -> bool:
    """Set a tenant's plan, None for the default one. Return False if there is no such tenant."""
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


async def change_policy(
    session: AsyncSession, *, tenant_id: UUID, policy: PublicationPolicy, actor: Actor
) -> None:
    """Replace a tenant's publication policy, which streams inherit when they are created."""
    before = await policies.of_tenant(session, tenant_id=tenant_id)
    await policies.put_of_tenant(session, tenant_id=tenant_id, policy=policy)
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.TENANT_POLICY_PUT,
        target_id=tenant_id,
        actor=actor,
        details={
            "before": None if before is None else before.stated(),
            "after": policy.stated(),
        },
    )


async def change_embed_policy(
    session: AsyncSession, *, tenant_id: UUID, enabled: bool, origins: Sequence[str], actor: Actor
) -> EmbedPolicy:
    """Say who may embed a tenant's highlights, with an audit entry."""
    row = await tenants.put_embed_policy(
        session, tenant_id=tenant_id, enabled=enabled, origins=origins
    )
    await audit.record(
        session,
        tenant_id=tenant_id,
        action=AuditAction.EMBED_POLICY_PUT,
        target_id=tenant_id,
        actor=actor,
        details={"enabled": enabled, "origins": list(origins)},
    )
    return row
