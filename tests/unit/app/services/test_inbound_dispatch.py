"""Lanes are drained a few at a time beside the requests, and left to the relay when need be."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast
from uuid import UUID, uuid4

import pytest

from app.services import hms_events as inbound_dispatch
from app.services.hms_events import AT_A_TIME, Drained, InboundDelivery, InboundDispatch
from infra.db.repositories.inbound_events import Lane
from infra.temporal.client import TemporalUnavailableError

TENANT = uuid4()
CONNECTION = uuid4()
LONG = 60.0
SHORT = 0.001


class Drains:
    """Stands for what drains: it waits for its gate, and notes what was asked of it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.under_way: Counter[str] = Counter()
        self.most_at_once = 0
        self.failure: Exception | None = None

    async def drain(self, tenant_id: UUID, lane: Lane) -> Drained:
        assert tenant_id == TENANT
        self.begun.append(lane.name)
        self.under_way[lane.name] += 1
        assert self.under_way[lane.name] == 1, "a lane is drained by one at a time"
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        try:
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.under_way[lane.name] -= 1
        self.ended.append(lane.name)
        return Drained()


@pytest.fixture
async def drains() -> Drains:
    return Drains()


@pytest.fixture
async def dispatch(drains: Drains) -> InboundDispatch:
    return InboundDispatch(cast("InboundDelivery", drains), clock=lambda: 0.0)


def deliver(dispatch: InboundDispatch, name: str, *, patience: float = LONG) -> asyncio.Task[None]:
    lane = Lane(connection_id=CONNECTION, name=name)
    return asyncio.create_task(dispatch.deliver(TENANT, lane, patience=patience))


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_answer_waits_until_its_lane_is_drained(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    answer = deliver(dispatch, "a")
    await turn()
    assert not answer.done()
    drains.gate.set()
    await answer
    assert drains.ended == ["a"]


async def test_an_answer_waits_no_longer_than_its_patience_and_the_drain_goes_on(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    await deliver(dispatch, "a", patience=SHORT)
    assert (drains.begun, drains.ended) == (["a"], [])
    drains.gate.set()
    await turn()
    assert drains.ended == ["a"]


async def test_few_lanes_are_drained_at_once_in_the_order_in_which_they_came(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    names = [f"lane-{number}" for number in range(5 * AT_A_TIME)]
    answers = [deliver(dispatch, name) for name in names]
    await turn()
    assert drains.begun == names[:AT_A_TIME]
    drains.gate.set()
    await asyncio.gather(*answers)
    assert drains.begun == names
    assert drains.most_at_once == AT_A_TIME


async def test_many_events_of_a_lane_that_waits_cost_one_drain(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    ahead = [deliver(dispatch, f"lane-{number}") for number in range(AT_A_TIME)]
    await turn()
    burst = [deliver(dispatch, "burst") for _ in range(50)]
    await turn()
    drains.gate.set()
    await asyncio.gather(*ahead, *burst)
    assert drains.begun.count("burst") == 1


async def test_an_event_that_comes_while_its_lane_is_drained_is_followed_by_another_drain(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    answers = [deliver(dispatch, "a")]
    await turn()
    answers += [deliver(dispatch, "a") for _ in range(3)]
    await turn()
    assert drains.begun == ["a"]
    drains.gate.set()
    await asyncio.gather(*answers)
    assert drains.ended == ["a", "a"]


async def test_an_event_is_taken_up_that_comes_as_the_last_drain_ends(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    drains.gate.set()
    for number in range(3 * AT_A_TIME):
        await asyncio.gather(
            *(deliver(dispatch, f"{number}/{each}") for each in range(AT_A_TIME)),
        )
    assert len(drains.ended) == 3 * AT_A_TIME**2


async def test_when_temporal_is_away_all_that_waits_is_left_to_the_relay(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    answers = [deliver(dispatch, f"lane-{number}") for number in range(3 * AT_A_TIME)]
    await turn()
    drains.failure = TemporalUnavailableError("away")
    drains.gate.set()
    await asyncio.gather(*answers)
    assert len(drains.begun) == AT_A_TIME
    assert dispatch.is_away
    await deliver(dispatch, "later")
    assert "later" not in drains.begun


async def test_a_mistake_in_one_lane_stops_no_other(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    drains.failure = RuntimeError("a mistake of ours")
    drains.gate.set()
    await asyncio.gather(*(deliver(dispatch, f"lane-{number}") for number in range(9)))
    assert len(drains.begun) == 9
    assert not dispatch.is_away


async def test_more_lanes_than_may_wait_are_left_to_the_relay(
    dispatch: InboundDispatch, drains: Drains, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [deliver(dispatch, f"lane-{number}") for number in range(AT_A_TIME)]
    await turn()
    monkeypatch.setattr(inbound_dispatch, "MOST_UNPROCESSED", 2)
    waiting += [deliver(dispatch, "third"), deliver(dispatch, "fourth")]
    await turn()
    await deliver(dispatch, "fifth")
    drains.gate.set()
    await asyncio.gather(*waiting)
    assert "fifth" not in drains.begun


async def test_closing_waits_for_what_is_under_way_and_leaves_the_rest(
    dispatch: InboundDispatch, drains: Drains
) -> None:
    answers = [deliver(dispatch, f"lane-{number}") for number in range(2 * AT_A_TIME)]
    await turn()
    closing = asyncio.create_task(dispatch.close())
    await turn()
    assert not closing.done()
    drains.gate.set()
    await asyncio.gather(closing, *answers)
    assert len(drains.ended) == AT_A_TIME


async def test_closing_does_not_wait_for_ever(
    dispatch: InboundDispatch, drains: Drains, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound_dispatch, "_GRACE", 0.0)
    answer = deliver(dispatch, "a")
    await turn()
    await dispatch.close()
    await answer
    assert drains.ended == []
