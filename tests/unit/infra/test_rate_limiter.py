"""Whatever comes when, a window holds what the quota allows: no more, and no less."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import NotConfiguredError
from infra.rate_limit import Limit, RateLimitBucket, RateLimiter

LIMIT = Limit(name="default", quota=7, window=4)
BUCKET = RateLimitBucket(LIMIT, "owner")
START = 1_800_000_000.0
# Pauses that floats hold exactly and that never add up to a window, at whose very edge a unit may
# count or not; and what each request costs.
PAUSES = st.integers(0, 8).map(lambda eighths: 3 * eighths / 8)
STEPS = st.lists(st.tuples(PAUSES, st.integers(1, 5)), max_size=40)


@given(STEPS)
def test_exactly_what_fits_into_the_window_is_granted(steps: list[tuple[float, int]]) -> None:
    granted: list[tuple[float, int]] = []

    async def run() -> None:
        limiter = RateLimiter(None)
        now = START
        for pause, cost in steps:
            now += pause
            used = sum(units for at, units in granted if at >= now - LIMIT.window)
            with patch("time.time", return_value=now):
                verdict = await limiter.take([BUCKET], cost=cost)
            if verdict.refused_by is None:
                granted.append((now, cost))
                used += cost
            else:
                assert used + cost > LIMIT.quota
            assert used <= LIMIT.quota
            assert verdict.statuses[0].remaining == LIMIT.quota - used
            assert 1 <= verdict.statuses[0].reset <= LIMIT.window

    asyncio.run(run())


def test_a_url_that_is_none_of_redis_is_refused_at_start() -> None:
    with pytest.raises(NotConfiguredError, match="REDIS_URL"):
        RateLimiter("http://cache.example.com")
