"""A tenant whose work is slow or fails delays no other tenant."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from activities.tenant_turns import for_each_tenant

LIMIT = 60.0


async def test_other_tenants_are_served_while_one_is_slow() -> None:
    slow, *others = tenants = [uuid4() for _ in range(20)]
    served: set[UUID] = set()
    all_served = asyncio.Event()

    async def work(tenant_id: UUID) -> UUID:
        if tenant_id == slow:
            await all_served.wait()
            return tenant_id
        served.add(tenant_id)
        if served == set(others):
            all_served.set()
        return tenant_id

    async with asyncio.timeout(LIMIT):
        found = await for_each_tenant(tenants, work, at_a_time=2, limit=LIMIT)
    assert sorted(found) == sorted(tenants)


async def test_a_tenant_that_takes_too_long_is_left_for_the_next_pass() -> None:
    stuck, other = tenants = [uuid4(), uuid4()]
    cancelled = []

    async def work(tenant_id: UUID) -> UUID:
        if tenant_id == stuck:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(tenant_id)
                raise
        return tenant_id

    async with asyncio.timeout(LIMIT):
        assert await for_each_tenant(tenants, work, at_a_time=1, limit=0.01) == [other]
    assert cancelled == [stuck]


async def test_a_failure_is_raised_after_the_work_of_the_other_tenants() -> None:
    failing, *others = tenants = [uuid4() for _ in range(5)]
    served = []

    async def work(tenant_id: UUID) -> None:
        if tenant_id == failing:
            raise ConnectionError("away")
        served.append(tenant_id)

    with pytest.raises(ConnectionError, match="away"):
        await for_each_tenant(tenants, work, at_a_time=1)
    assert served == others


async def test_a_timeout_of_the_work_itself_is_a_failure() -> None:
    async def work(_tenant_id: UUID) -> None:
        raise TimeoutError("Temporal does not answer")

    with pytest.raises(TimeoutError, match="Temporal"):
        await for_each_tenant([uuid4()], work, limit=LIMIT)


async def test_no_more_tenants_than_allowed_are_served_at_once() -> None:
    running = most = 0

    async def work(_tenant_id: UUID) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await for_each_tenant([uuid4() for _ in range(10)], work, at_a_time=3)
    assert most == 3
