"""Webhooks as 100ms sends them: to a real endpoint, in order, tried again, or gone astray."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from demo.hms import EventFault, Session, Simulator, SimulatorOptions, Webhook, management_token
from tests.fakes.webhook_receiver import Receiver, hms_receiver

# Waits of 1, 3 and 10 s become 1, 3 and 10 ms.
PACE = 1000.0
OPEN, JOIN, LEAVE = "session.open.success", "peer.join.success", "peer.leave.success"
END, CLOSE = "room.end.success", "session.close.success"


@asynccontextmanager
async def simulated(
    endpoint: Receiver, *faults: EventFault, **webhook: object
) -> AsyncIterator[Simulator]:
    options = SimulatorOptions(
        webhook=Webhook.model_validate({"url": endpoint.url, **webhook}),
        event_faults=faults,
        pace=PACE,
    )
    async with Simulator(options) as simulator:
        yield simulator


async def talk(simulator: Simulator) -> Session:
    """Let one person come, and end the room."""
    session = simulator.room("Derby").open()
    session.join()
    session.end()
    await simulator.sender.settled()
    return session


async def test_events_arrive_in_the_order_of_a_session() -> None:
    async with hms_receiver() as endpoint, simulated(endpoint) as simulator:
        await talk(simulator)
        assert endpoint.types == [OPEN, JOIN, END, LEAVE, CLOSE]


async def test_the_envelope_is_that_of_version_2() -> None:
    async with hms_receiver() as endpoint, simulated(endpoint) as simulator:
        session = await talk(simulator)
        event = endpoint.of_type(OPEN)[0].event
        assert event.keys() == {
            *("version", "id", "account_id", "app_id", "timestamp", "type", "data")
        }
        assert event["version"] == "2.0"
        assert event["account_id"] == simulator.options.account_id
        assert event["data"]["session_id"] == session.id
        assert len(session.id) == 24
        assert len(event["data"]["session_started_at"].partition(".")[2]) == len("123456789Z")


async def test_secret_headers_are_sent_along() -> None:
    headers = {"X-Highlights-Secret": "s3cret"}
    async with (
        hms_receiver() as endpoint,
        simulated(endpoint, headers=headers) as simulator,
    ):
        await talk(simulator)
        assert {each.headers["x-highlights-secret"] for each in endpoint.received} == {"s3cret"}


async def test_nothing_is_signed_unless_a_relay_does_it() -> None:
    async with hms_receiver() as endpoint, simulated(endpoint) as simulator:
        await talk(simulator)
        assert "x-100ms-signature" not in endpoint.received[0].headers


async def test_a_relay_signs_the_raw_body() -> None:
    async with (
        hms_receiver() as endpoint,
        simulated(endpoint, signature_secret="key") as simulator,
    ):
        await talk(simulator)
        for each in endpoint.received:
            expected = hmac.new(b"key", each.body.encode(), hashlib.sha256).hexdigest()
            assert each.headers["x-100ms-signature"] == f"sha256={expected}"


@pytest.mark.parametrize("status", [201, 202, 204, 302, 400, 410, 500])
async def test_anything_but_200_is_tried_again(status: int) -> None:
    async with (
        hms_receiver({JOIN: [status]}) as endpoint,
        simulated(endpoint) as simulator,
    ):
        await talk(simulator)
        first, second = endpoint.of_type(JOIN)
        assert first.body == second.body
        assert [d.status for d in simulator.sender.deliveries if d.type == JOIN] == [status, 200]


async def test_an_event_is_given_up_after_three_retries() -> None:
    async with (
        hms_receiver({JOIN: [500] * 9}) as endpoint,
        simulated(endpoint) as simulator,
    ):
        await talk(simulator)
        assert len(endpoint.of_type(JOIN)) == 4
        assert [d.number for d in simulator.sender.deliveries if d.type == JOIN] == [1, 2, 3, 4]


async def test_the_retries_wait_for_1_3_and_10_seconds_by_default() -> None:
    assert Webhook(url="http://example.com").retries == (1.0, 3.0, 10.0)


async def test_a_retry_holds_nothing_back_so_it_comes_out_of_order() -> None:
    retries = (1000.0,)  # a second at this pace: everything else has long been sent
    async with (
        hms_receiver({OPEN: [503]}) as endpoint,
        simulated(endpoint, retries=retries) as simulator,
    ):
        await talk(simulator)
        assert endpoint.types == [OPEN, JOIN, END, LEAVE, CLOSE, OPEN]


async def test_an_endpoint_that_is_away_is_tried_again_too() -> None:
    endpoint = Receiver(url="http://127.0.0.1:1/hooks")
    async with simulated(endpoint) as simulator:
        simulator.room().open()
        await simulator.sender.settled()
        assert [d.status for d in simulator.sender.deliveries] == [None] * 4


async def test_an_event_can_be_lost() -> None:
    fault = EventFault(type=JOIN, drop=True)
    async with hms_receiver() as endpoint, simulated(endpoint, fault) as simulator:
        await talk(simulator)
        assert endpoint.types == [OPEN, END, LEAVE, CLOSE]


async def test_an_event_can_come_twice_with_the_same_id() -> None:
    fault = EventFault(type=JOIN, copies=2)
    async with hms_receiver() as endpoint, simulated(endpoint, fault) as simulator:
        await talk(simulator)
        first, second = endpoint.of_type(JOIN)
        assert first.event["id"] == second.event["id"]


async def test_an_event_can_be_overtaken() -> None:
    fault = EventFault(type=JOIN, after=END)
    async with hms_receiver() as endpoint, simulated(endpoint, fault) as simulator:
        await talk(simulator)
        assert endpoint.types == [OPEN, END, JOIN, LEAVE, CLOSE]


async def test_an_event_can_be_late() -> None:
    fault = EventFault(type=OPEN, delay=1000.0)
    async with hms_receiver() as endpoint, simulated(endpoint, fault) as simulator:
        await talk(simulator)
        assert endpoint.types == [JOIN, END, LEAVE, CLOSE, OPEN]


async def test_a_fault_can_be_of_one_event_alone() -> None:
    fault = EventFault(type=OPEN, nth=2, drop=True)
    async with hms_receiver() as endpoint, simulated(endpoint, fault) as simulator:
        for _ in range(3):
            simulator.room().open()
        await simulator.sender.settled()
        assert endpoint.types == [OPEN, OPEN]


async def test_failed_events_can_be_replayed_over_the_api() -> None:
    async with (
        hms_receiver({JOIN: [500] * 4}) as endpoint,
        simulated(endpoint) as simulator,
        httpx.AsyncClient(base_url=simulator.base_url) as http,
    ):
        await talk(simulator)
        token = management_token(simulator.keys)
        response = await http.post(
            "/v2/analytics/webhooks/replay", json={}, headers={"Authorization": f"Bearer {token}"}
        )
        await simulator.sender.settled()
        assert response.status_code == 200
        *_, last = endpoint.received
        assert (last.type, last.event["is_replay"]) == (JOIN, True)
        assert last.event["id"] == endpoint.of_type(JOIN)[0].event["id"]
        assert len(endpoint.received) == 9
