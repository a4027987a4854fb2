"""The project's quota, shared by all tenants and workers, and what each tenant may spend.

Google counts requests and tokens a minute for the whole project. We count them too, in Redis where
workers share one, so that nobody runs into 429s, and so that no tenant takes more than a share.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final
from uuid import UUID

import structlog
from limits import (
    RateLimitItem,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
    RateLimitItemPerMonth,
)
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from domain.model import Model
from infra.gemini.errors import GeminiBusyError

_log = structlog.get_logger(__name__)

MICRO: Final = 1_000_000
"""Budgets are counted in whole millionths of a dollar."""

_SHORTEST_WAIT: Final = 0.1
_BACK_OFF: Final = 10.0
_REDIS_TIMEOUT: Final = 0.25
_NAMESPACE: Final = "gemini"


class QuotaLimits(Model):
    """How much may be asked.

    Attributes:
        requests_per_minute: of the project.
        tokens_per_minute: of the project.
        tenant_share: share of both that one tenant may take.
        tenant_dollars_per_hour: what one tenant may spend in an hour.
        tenant_dollars_per_month: what one tenant may spend in 30 days.
        patience: seconds that a call waits here for its turn.
    """

    requests_per_minute: PositiveInt = 150
    tokens_per_minute: PositiveInt = 1_000_000
    tenant_share: float = Field(default=0.5, gt=0.0, le=1.0)
    tenant_dollars_per_hour: NonNegativeFloat = 5.0
    tenant_dollars_per_month: NonNegativeFloat = 500.0
    patience: PositiveFloat = 5.0


class GeminiQuota:
    """Counts requests, tokens and dollars.

    While the shared counters are away nothing is held back here: Google's own 429s remain.

    Args:
        limits: how much may be asked.
        url: `redis://…` or `rediss://…` shared by all workers; None counts in this process.
    """

    def __init__(self, limits: QuotaLimits, url: str | None = None) -> None:
        self._limits = limits
        storage = _storage(url)
        self._rates = SlidingWindowCounterRateLimiter(storage)
        self._spending = FixedWindowRateLimiter(storage)
        share = limits.tenant_share
        self._project = _per_minute(limits.requests_per_minute, limits.tokens_per_minute)
        self._tenant = _per_minute(
            max(1, int(limits.requests_per_minute * share)),
            max(1, int(limits.tokens_per_minute * share)),
        )
        self._budgets: tuple[RateLimitItem, ...] = (
            RateLimitItemPerHour(int(limits.tenant_dollars_per_hour * MICRO), namespace=_NAMESPACE),
            RateLimitItemPerMonth(
                int(limits.tenant_dollars_per_month * MICRO), namespace=_NAMESPACE
            ),
        )

    async def take(self, tenant_id: UUID, tokens: int) -> None:
        """Take a request and its `tokens` from the quota, waiting a little for them.

        Raises:
            GeminiBusyError: it would take longer; says how long.
        """
        waited = 0.0
        while (delay := await self._try(tenant_id, tokens)) is not None:
            if waited + delay > self._limits.patience:
                raise GeminiBusyError(
                    "the shared quota of Gemini is used up for the moment",
                    retry_after=max(delay, _BACK_OFF),
                )
            await asyncio.sleep(delay)
            waited += delay

    async def left(self, tenant_id: UUID) -> float:
        """Return the dollars that the tenant may still spend now."""
        try:
            stats = [
                await self._spending.get_window_stats(budget, "spent", str(tenant_id))
                for budget in self._budgets
            ]
        except StorageError as error:
            _log.warning("gemini_counters_away", error=str(error))
            return float("inf")
        return min(each.remaining for each in stats) / MICRO

    async def spend(self, tenant_id: UUID, dollars: float) -> None:
        """Count what a call cost."""
        try:
            for budget in self._budgets:
                await self._spending.hit(
                    budget, "spent", str(tenant_id), cost=round(dollars * MICRO)
                )
        except StorageError as error:
            _log.warning("gemini_counters_away", error=str(error))

    async def _try(self, tenant_id: UUID, tokens: int) -> float | None:
        """Take it, or return the seconds until it may be there.

        Looking and taking are two steps; what slips between them is a 429 at worst.
        """
        tokens = min(tokens, self._tenant[1].amount)  # a call that never fits could never be made
        wanted = [
            (item, names, cost)
            for items, names in ((self._project, ("all",)), (self._tenant, ("of", str(tenant_id))))
            for item, cost in zip(items, (1, tokens), strict=True)
        ]
        try:
            for item, names, cost in wanted:
                if not await self._rates.test(item, *names, cost=cost):
                    stats = await self._rates.get_window_stats(item, *names)
                    return max(_SHORTEST_WAIT, stats.reset_time - time.time())
            for item, names, cost in wanted:
                await self._rates.hit(item, *names, cost=cost)
        except StorageError as error:
            _log.warning("gemini_counters_away", error=str(error))
        return None


def _storage(url: str | None) -> MemoryStorage | RedisStorage:
    if url is None:
        return MemoryStorage()
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        wrap_exceptions=True,
        socket_timeout=_REDIS_TIMEOUT,
        socket_connect_timeout=_REDIS_TIMEOUT,
    )


def _per_minute(requests: int, tokens: int) -> tuple[RateLimitItem, RateLimitItem]:
    return (
        RateLimitItemPerMinute(requests, namespace=f"{_NAMESPACE}-requests"),
        RateLimitItemPerMinute(tokens, namespace=f"{_NAMESPACE}-tokens"),
    )
