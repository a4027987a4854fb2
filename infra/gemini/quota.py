"""The project's quota, shared by all tenants and workers.

Google counts requests and tokens a minute for the whole project. We count them too, in Redis where
workers share one, so that no call gets a 429, and divide them between tenants
(`domain/analysis/gemini/budget.py`).
"""

from __future__ import annotations

import asyncio
import time
from typing import Final
from uuid import UUID

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from domain.analysis.gemini.budget import FairQueue, QuotaLimits
from infra.gemini.client import GeminiBusyError
from infra.rate_limit import HARD_LIMIT, within

_log = structlog.get_logger(__name__)

_BACK_OFF: Final = 10.0
_KEY: Final = "highlights:gemini:queue"
_KEPT: Final = 180
"""Lifetime (s) of an unused queue: all its entries have expired by then."""


class GeminiQuota:
    """Waits for quota.

    While Redis is unavailable each process counts separately, from the last shared state that it
    read; Google's own 429s remain.

    Args:
        limits: how much may be asked.
        url: `redis://…` or `rediss://…` shared by all workers; None counts in this process.
        timeout: seconds within which Redis must answer; this process's own lag does not count.
    """

    def __init__(
        self, limits: QuotaLimits, url: str | None = None, *, timeout: float = 1.0
    ) -> None:
        self._limits = limits
        self._timeout = timeout
        self._queue = FairQueue()
        self._lock = asyncio.Lock()
        self._redis: Redis | None = None
        if url is not None:
            self._redis = Redis.from_url(
                url,
                socket_timeout=timeout * HARD_LIMIT,
                socket_connect_timeout=timeout * HARD_LIMIT,
                retry=Retry(NoBackoff(), 0),
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._redis is not None:
            await self._redis.aclose()

    async def take(self, tenant_id: UUID, tokens: int) -> None:
        """Take a request and its `tokens` from the quota, waiting briefly if necessary.

        Raises:
            GeminiBusyError: it would take longer; states how long.
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

    async def _try(self, tenant_id: UUID, tokens: int) -> float | None:
        """Take it, or return the seconds until it may be there: in one step, for all workers."""
        if self._redis is not None:
            try:
                async with self._lock:  # so that only other processes can come between
                    work = self._try_shared(self._redis, tenant_id, tokens)
                    return await within(work, self._timeout)
            except (OSError, RedisError, ValidationError) as error:
                _log.warning("gemini_quota_away", error=type(error).__name__)
        self._queue, delay = self._queue.take(tenant_id, tokens, self._limits, at=time.time())
        return delay

    async def _try_shared(self, redis: Redis, tenant_id: UUID, tokens: int) -> float | None:
        latest = self._queue

        async def step(pipe: Pipeline) -> float | None:
            data = await pipe.get(_KEY)
            queue = FairQueue.model_validate_json(data) if data else FairQueue()
            queue, delay = queue.take(tenant_id, tokens, self._limits, at=time.time())
            nonlocal latest
            latest = queue
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.set(_KEY, queue.model_dump_json(exclude_defaults=True), ex=_KEPT)
            return delay

        # Run again where another worker changed the queue meanwhile; one of them always gets on.
        delay: float | None = await redis.transaction(step, _KEY, value_from_callable=True)
        self._queue = latest
        return delay
