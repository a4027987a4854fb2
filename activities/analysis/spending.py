"""What Gemini's answers took, metered into the tenant's usage, and what is left of its budget.

The metered dollars are the budget's only book: every worker reads the same, restarts forgive
nothing, and a tenant is held back by the sums that it sees in its usage.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import structlog

from domain.budget import month_of
from domain.gemini.cost import TokenUsage
from domain.gemini.tenant_budget import TenantBudget, TenantSpending
from domain.usage import UsageEvent, UsageKind, usage_event
from infra.database import Database, DatabaseUnavailableError
from infra.repositories import usage

_log = structlog.get_logger(__name__)

# What usage is counted in (domain/usage.py): less is nothing.
_LEAST: Final = 0.000_001
_HOUR: Final = timedelta(hours=1)


class GeminiSpending:
    """Meters answers, and reads what was metered.

    While the database is away nobody is held back, since each stream's own budget, which lies with
    its state, still holds; what is answered meanwhile is metered when it is next used.
    """

    def __init__(self, database: Database, budget: TenantBudget) -> None:
        self._database = database
        self._budget = budget

    async def enter(
        self, tenant_id: UUID, stream_id: UUID, *, key: str, tokens: TokenUsage, dollars: float
    ) -> None:
        """Meter an answer, which `key` names within its tenant: once, however often it is told."""
        used = {UsageKind.GEMINI_TOKENS: tokens.total, UsageKind.GEMINI_COST_USD: dollars}
        events: list[UsageEvent] = [
            usage_event(kind, quantity, subject=key, stream_id=stream_id)
            for kind, quantity in used.items()
            if quantity >= _LEAST
        ]
        try:
            async with self._database.session(tenant_id) as session:
                await usage.meter(session, tenant_id=tenant_id, events=events)
        except DatabaseUnavailableError as error:
            _log.warning(
                "gemini_not_metered",
                tenant_id=str(tenant_id),
                stream_id=str(stream_id),
                tokens=tokens.total,
                dollars=dollars,
                error=str(error),
            )

    async def left(self, tenant_id: UUID) -> float:
        """Return the dollars that the tenant may still spend now.

        Streams that ask at the same moment read the same rest: together they may pass it by the
        price of one look each.
        """
        now = datetime.now(UTC)
        hour = now.replace(minute=0, second=0, microsecond=0)
        kind = UsageKind.GEMINI_COST_USD
        try:
            async with self._database.session(tenant_id) as session:
                lately = await usage.stats(
                    session, tenant_id=tenant_id, since=hour, until=hour + _HOUR, kinds=(kind,)
                )
                month = await usage.used(
                    session, tenant_id=tenant_id, kind=kind, month=month_of(now)
                )
        except DatabaseUnavailableError as error:
            _log.warning("gemini_budget_unknown", tenant_id=str(tenant_id), error=str(error))
            return float("inf")
        spent = sum((each.quantity for each in lately), Decimal(0))
        return self._budget.left(TenantSpending(hour=float(spent), month=float(month)))
