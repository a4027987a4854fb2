"""Nothing is read for a client that has gone, and no tenant's reads keep out another's."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.errors.problems import RateLimitedProblem
from api.middleware.rate_limits import TenantConcurrency
from api.middleware.size_limits import BodyLimit

PATIENCE = 30.0


class Request:
    """A request whose client goes away when told to; the application it reaches waits for ever."""

    def __init__(self, method: str, path: str = "/v1/x") -> None:
        self.gone = asyncio.Event()
        self.reached = asyncio.Event()
        self.outcome = ""
        self._scope = {"type": "http", "method": method, "path": path, "headers": []}
        self._messages = [{"type": "http.request", "body": b"{", "more_body": True}]
        self._messages += [{"type": "http.request", "body": b"}", "more_body": False}]

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, _message: Message) -> None:
        """Send nothing."""

    async def app(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        assert (await receive())["body"] == b"{}"
        self.reached.set()
        try:
            assert (await receive())["type"] == "http.disconnect"
            await asyncio.sleep(0.05)
            self.outcome = "completed"
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise

    async def run(self) -> None:
        limit = BodyLimit(self.app, limit=10, reads=frozenset({"/v1/read"}))
        work = asyncio.create_task(limit(self._scope, self.receive, self.send))
        await asyncio.wait_for(self.reached.wait(), PATIENCE)
        self.gone.set()
        await asyncio.wait_for(work, PATIENCE)


@pytest.mark.parametrize(
    ("method", "path", "outcome"),
    [
        ("GET", "/v1/x", "cancelled"),
        ("HEAD", "/v1/x", "cancelled"),
        ("POST", "/v1/read", "cancelled"),
        ("POST", "/v1/x", "completed"),
        ("DELETE", "/v1/x", "completed"),
    ],
)
async def test_what_only_reads_ends_with_its_client(method: str, path: str, outcome: str) -> None:
    request = Request(method, path)
    await request.run()
    assert request.outcome == outcome


async def test_a_body_that_breaks_off_is_not_acted_upon() -> None:
    request = Request("POST")
    request._messages.pop()
    request.gone.set()
    await BodyLimit(request.app, limit=10)(request._scope, request.receive, request.send)
    assert not request.reached.is_set()


async def test_cancellation_from_elsewhere_is_passed_on() -> None:
    request = Request("GET")
    work = asyncio.create_task(
        BodyLimit(request.app, limit=10)(request._scope, request.receive, request.send)
    )
    await asyncio.wait_for(request.reached.wait(), PATIENCE)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_tenant_waits_for_its_own_turns_and_no_other_does() -> None:
    turns, busy, other = TenantConcurrency(at_a_time=2, most_waiting=1), uuid4(), uuid4()
    release = asyncio.Event()
    inside = 0

    async def read() -> None:
        nonlocal inside
        async with turns.slot(busy):
            inside += 1
            await release.wait()

    reads = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert inside == 2
    async with turns.slot(other):
        assert inside == 2
    with pytest.raises(RateLimitedProblem):
        async with turns.slot(busy):
            pytest.fail("too many wait")
    reads[2].cancel()  # the client of the one that waits has gone: its place is free
    await asyncio.wait([reads[2]])
    release.set()
    await asyncio.gather(*reads[:2])
    async with turns.slot(busy):
        assert inside == 2
    assert not turns._present
