"""A tenant whose work is much, slow or fails delays no other tenant."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from activities.tenant_turns import TenantTurns, for_each_tenant

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


class Slots:
    """Requests for slots of `TenantTurns`; each holds its slot until the test releases it."""

    def __init__(self, slots: int) -> None:
        self.turns = TenantTurns(slots)
        self.held: list[str] = []
        self._released: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def request(self, name: str, tenant_id: UUID) -> None:
        """Ask for a slot; `name` is in `held` once it is given."""
        self._released[name] = asyncio.Event()

        async def hold() -> None:
            async with self.turns.slot(tenant_id):
                self.held.append(name)
                await self._released[name].wait()

        self._tasks[name] = asyncio.create_task(hold())
        await asyncio.sleep(0)

    async def release(self, name: str) -> None:
        """Release a slot; it is given to the next one."""
        self._released[name].set()
        await self._tasks[name]
        await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        """Cancel a request."""
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await asyncio.sleep(0)


async def test_a_tenant_with_one_request_waits_for_one_of_the_tenant_with_many() -> None:
    busy, other = uuid4(), uuid4()
    slots = Slots(1)
    for number in range(80):
        await slots.request(f"busy-{number}", busy)
    await slots.request("other", other)
    assert slots.held == ["busy-0"]
    await slots.release("busy-0")
    await slots.release("busy-1")
    assert slots.held == ["busy-0", "busy-1", "other"]
    await slots.release("other")
    assert slots.held[-1] == "busy-2"


async def test_tenants_take_turns_and_each_tenants_requests_keep_their_order() -> None:
    first, second, third = uuid4(), uuid4(), uuid4()
    slots = Slots(1)
    await slots.request("held", first)
    for name, tenant in (
        ("a1", first),
        ("a2", first),
        ("b1", second),
        ("b2", second),
        ("c", third),
    ):
        await slots.request(name, tenant)
    for _ in range(6):
        await slots.release(slots.held[-1])
    assert slots.held == ["held", "a1", "b1", "c", "a2", "b2"]


async def test_as_many_slots_are_held_as_there_are() -> None:
    slots = Slots(2)
    for name in ("a", "b", "c"):
        await slots.request(name, uuid4())
    assert slots.held == ["a", "b"]
    for name in ("a", "b", "c"):
        await slots.release(name)
    for name in ("d", "e", "f"):
        await slots.request(name, uuid4())
    assert slots.held == ["a", "b", "c", "d", "e"]


async def test_a_canceled_request_loses_no_slot() -> None:
    slots = Slots(1)
    await slots.request("a", uuid4())
    await slots.request("waits", uuid4())
    await slots.cancel("waits")
    await slots.release("a")
    await slots.request("b", uuid4())
    await slots.cancel("b")  # while it holds the slot
    await slots.request("c", uuid4())
    assert slots.held == ["a", "b", "c"]


async def test_a_request_that_is_canceled_as_its_slot_comes_passes_it_on() -> None:
    slots = Slots(1)
    await slots.request("a", uuid4())
    await slots.request("waits", uuid4())
    await slots.request("next", uuid4())
    releasing = asyncio.create_task(slots.release("a"))
    await asyncio.sleep(0)  # "a" is about to leave its slot to "waits"
    await slots.cancel("waits")
    await releasing
    assert "next" in slots.held
