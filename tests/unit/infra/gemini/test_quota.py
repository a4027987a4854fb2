"""The shared quota: nobody starves, nobody overspends, and its absence holds nothing up."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from infra.embedded.ports import free_ports
from infra.gemini import GeminiBusyError, GeminiQuota, QuotaLimits

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


async def test_what_is_spent_is_no_longer_left() -> None:
    shared = quota(tenant_dollars_per_hour=1.0, tenant_dollars_per_month=100.0)
    assert await shared.left(ALICE) == 1.0
    await shared.spend(ALICE, 0.4)
    assert await shared.left(ALICE) == pytest.approx(0.6)
    await shared.spend(ALICE, 0.7)
    assert await shared.left(ALICE) == 0.0
    assert await shared.left(BOB) == 1.0


async def test_the_month_counts_when_it_is_nearer_its_end_than_the_hour() -> None:
    shared = quota(tenant_dollars_per_hour=5.0, tenant_dollars_per_month=1.0)
    assert await shared.left(ALICE) == 1.0


async def test_without_its_redis_nothing_is_held_back() -> None:
    (port,) = free_ports(1)
    shared = GeminiQuota(QuotaLimits(), f"redis://127.0.0.1:{port}/0")
    await shared.take(ALICE, 10)
    await shared.spend(ALICE, 1.0)
    assert await shared.left(ALICE) == float("inf")
