"""The shared quota: nobody starves, and its absence holds nothing up."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from app.dev.supervisor import free_ports
from infra.gemini import GeminiBusyError, GeminiQuota, QuotaLimits
from tests.fakes.redis_server import RedisServer

ALICE, BOB, CAROL = uuid4(), uuid4(), uuid4()


def quota(**values: float) -> GeminiQuota:
    limits = {"requests_per_minute": 10, "tokens_per_minute": 1000, "patience": 0.05, **values}
    return GeminiQuota(QuotaLimits.model_validate(limits))


async def taken(shared: GeminiQuota, tenant: UUID) -> int:
    """Take requests until there are none left; a minute may turn meanwhile, which frees one."""
    for count in range(100):
        try:
            await shared.take(tenant, 10)
        except GeminiBusyError:
            return count
    raise AssertionError("the quota has no end")


async def test_one_tenant_cannot_take_it_all() -> None:
    shared = quota()
    assert await taken(shared, ALICE) in {5, 6}
    await shared.take(BOB, 10)


async def test_all_tenants_together_get_no_more_than_the_project() -> None:
    shared = quota()
    got = [await taken(shared, tenant) for tenant in (ALICE, BOB, CAROL)]
    assert sum(got) in {10, 11}


async def test_tokens_are_counted_as_requests_are() -> None:
    shared = quota()
    await shared.take(ALICE, 400)
    with pytest.raises(GeminiBusyError) as caught:
        await shared.take(ALICE, 400)
    assert caught.value.retry_after is not None
    await shared.take(BOB, 400)


async def test_a_call_bigger_than_a_share_is_possible_when_nothing_else_was_asked() -> None:
    await quota().take(ALICE, 10_000)


async def test_without_redis_a_worker_counts_separately() -> None:
    (port,) = free_ports(1)
    limits = QuotaLimits(requests_per_minute=10, tenant_share=1.0, patience=0.05)
    shared = GeminiQuota(limits, f"redis://127.0.0.1:{port}/0")
    assert await taken(shared, ALICE) in {10, 11}


async def test_a_redis_that_goes_away_takes_no_count_with_it(redis_server: RedisServer) -> None:
    limits = QuotaLimits(requests_per_minute=10, tenant_share=1.0, patience=0.05)
    one, other = (GeminiQuota(limits, redis_server.url, timeout=10) for _ in range(2))
    for _ in range(6):
        await one.take(ALICE, 10)
    await other.take(BOB, 10)
    redis_server.stop()
    assert await taken(other, BOB) in {3, 4}
    await one.close()
    await other.close()


async def test_workers_that_share_a_redis_take_no_more_than_the_project_together(
    redis_server: RedisServer,
) -> None:
    limits = QuotaLimits(requests_per_minute=10, tenant_share=1.0, patience=2.0)
    workers = [GeminiQuota(limits, redis_server.url, timeout=10) for _ in range(4)]
    asked = [shared.take(tenant, 10) for shared in workers for tenant in (ALICE, BOB, CAROL) * 3]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for shared in workers:
        await shared.close()
    assert sum(answer is None for answer in answers) in {10, 11}
    assert all(answer is None or isinstance(answer, GeminiBusyError) for answer in answers)
