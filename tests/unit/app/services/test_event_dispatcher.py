"""Sessions are signaled beside the requests, and left to the relay when Temporal is away."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from app.services import hms_events
from app.services.hms_events import CONCURRENT_SIGNALS, EventDispatcher
from domain.hms.messages import SessionInput, SessionRef
from infra.temporal.client import TemporalUnavailableError

TENANT = uuid4()
CONNECTION = uuid4()
LONG = 60.0
SHORT = 0.001


class Temporal:
    """Stands for Temporal's client: each call waits for the gate, and is counted."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.signaled: list[str] = []
        self.ids: list[str] = []
        self.under_way: Counter[str] = Counter()
        self.most_at_once = 0
        self.failure: Exception | None = None

    async def start_workflow(self, _run: object, request: SessionInput, **options: object) -> None:
        assert options["start_signal"] == "events_stored"
        self.begun.append(request.ref.partition)
        self.ids.append(str(options["id"]))
        self.under_way[request.ref.partition] += 1
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        try:
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.under_way[request.ref.partition] -= 1
        self.signaled.append(request.ref.partition)


@pytest.fixture
async def temporal() -> Temporal:
    return Temporal()


@pytest.fixture
async def dispatcher(temporal: Temporal) -> EventDispatcher:
    async def connect() -> Client:
        return cast("Client", temporal)

    return EventDispatcher(connect, clock=lambda: 0.0)


def ref(name: str) -> SessionRef:
    return SessionRef(tenant_id=TENANT, connection_id=CONNECTION, partition=name)


def dispatch(
    dispatcher: EventDispatcher, name: str, *, ack_timeout: float = LONG
) -> asyncio.Task[None]:
    return asyncio.create_task(dispatcher.dispatch(ref(name), ack_timeout=ack_timeout))


async def turn() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_answer_waits_until_its_session_is_signaled(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    answer = dispatch(dispatcher, "a")
    await turn()
    assert not answer.done()
    temporal.gate.set()
    await answer
    assert temporal.signaled == ["a"]
    assert temporal.ids == [f"session/{TENANT}/{CONNECTION}/a"]


async def test_an_answer_waits_no_longer_than_its_timeout_and_the_signal_goes_on(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    await dispatch(dispatcher, "a", ack_timeout=SHORT)
    assert (temporal.begun, temporal.signaled) == (["a"], [])
    temporal.gate.set()
    await turn()
    assert temporal.signaled == ["a"]


async def test_few_signals_are_under_way_at_once_in_the_order_in_which_their_events_came(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    names = [f"session-{number}" for number in range(5 * CONCURRENT_SIGNALS)]
    answers = [dispatch(dispatcher, name) for name in names]
    await turn()
    assert temporal.begun == names[:CONCURRENT_SIGNALS]
    temporal.gate.set()
    await asyncio.gather(*answers)
    assert temporal.begun == names
    assert temporal.most_at_once == CONCURRENT_SIGNALS


async def test_many_events_of_a_session_that_waits_cost_one_signal(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    ahead = [dispatch(dispatcher, f"session-{number}") for number in range(CONCURRENT_SIGNALS)]
    await turn()
    burst = [dispatch(dispatcher, "burst") for _ in range(50)]
    await turn()
    temporal.gate.set()
    await asyncio.gather(*ahead, *burst)
    assert temporal.begun.count("burst") == 1


async def test_an_event_that_comes_while_its_session_is_signaled_is_followed_by_another_signal(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    """The workflow may have read its events before this one was stored."""
    answers = [dispatch(dispatcher, "a")]
    await turn()
    answers.append(dispatch(dispatcher, "a"))
    await turn()
    temporal.gate.set()
    await asyncio.gather(*answers)
    assert temporal.signaled == ["a", "a"]


async def test_when_temporal_is_away_all_that_waits_is_left_to_the_relay(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    answers = [
        dispatch(dispatcher, f"session-{number}") for number in range(3 * CONCURRENT_SIGNALS)
    ]
    await turn()
    temporal.failure = RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
    temporal.gate.set()
    await asyncio.gather(*answers)
    assert len(temporal.begun) == CONCURRENT_SIGNALS
    assert dispatcher.is_unavailable
    await dispatch(dispatcher, "later")
    assert "later" not in temporal.begun


async def test_a_signal_fails_while_temporal_is_away(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    temporal.failure = RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
    temporal.gate.set()
    with pytest.raises(TemporalUnavailableError):
        await dispatcher.signal(ref("a"))


async def test_a_mistake_in_one_session_stops_no_other(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    temporal.failure = RuntimeError("a mistake of ours")
    temporal.gate.set()
    await asyncio.gather(*(dispatch(dispatcher, f"session-{number}") for number in range(9)))
    assert len(temporal.begun) == 9
    assert not dispatcher.is_unavailable


async def test_a_session_that_temporal_refuses_stops_no_other(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    temporal.failure = RPCError("too long", RPCStatusCode.INVALID_ARGUMENT, b"")
    temporal.gate.set()
    await asyncio.gather(*(dispatch(dispatcher, f"session-{number}") for number in range(9)))
    assert len(temporal.begun) == 9
    assert not dispatcher.is_unavailable


async def test_more_signals_than_may_wait_are_left_to_the_relay(
    dispatcher: EventDispatcher, temporal: Temporal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hms_events, "MAX_QUEUED_SIGNALS", 2)
    waiting = [dispatch(dispatcher, "first"), dispatch(dispatcher, "second")]
    await turn()
    await dispatch(dispatcher, "third")
    temporal.gate.set()
    await asyncio.gather(*waiting)
    assert temporal.begun == ["first", "second"]


async def test_closing_waits_for_what_is_under_way_and_leaves_the_rest(
    dispatcher: EventDispatcher, temporal: Temporal
) -> None:
    answers = [
        dispatch(dispatcher, f"session-{number}") for number in range(2 * CONCURRENT_SIGNALS)
    ]
    await turn()
    closing = asyncio.create_task(dispatcher.close())
    await turn()
    assert not closing.done()
    temporal.gate.set()
    await asyncio.gather(closing, *answers)
    assert len(temporal.signaled) == CONCURRENT_SIGNALS


async def test_closing_has_a_time_limit(
    dispatcher: EventDispatcher, temporal: Temporal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hms_events, "_CLOSE_TIMEOUT", SHORT)
    answer = dispatch(dispatcher, "a")
    await turn()
    await dispatcher.close()
    await answer
    assert temporal.signaled == []
