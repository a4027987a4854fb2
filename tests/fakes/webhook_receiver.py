"""A webhook endpoint: a real HTTP server that keeps its requests and answers as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0" * 4


@dataclass(frozen=True)
class Received:
    """One request."""

    headers: dict[str, str]
    body: str

    @property
    def event(self) -> dict[str, Any]:
        """The event: its type, its payload and what else its sender writes."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.event["type"])

    @property
    def data(self) -> dict[str, Any]:
        """The event's payload."""
        data: dict[str, Any] = self.event["data"]
        return data

    def verify(self, secret: str = SECRET) -> dict[str, Any]:
        """Verify it as tenants do; return the document."""
        document: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return document


Answer = Callable[[Received], Awaitable[int]]


async def accept(_: Received) -> int:
    """Accept everything."""
    return 204


def answering(*statuses: int) -> Answer:
    """Answer with one status after the other, then always with the last."""
    left = list(statuses)

    async def answer(_: Received) -> int:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


@dataclass
class Receiver:
    """The requests of an endpoint, in order; `answer` decides the status of each response."""

    url: str
    answer: Answer = accept
    headers: str = ""
    received: list[Received] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int) -> list[Received]:
        """Wait until `count` requests have arrived."""
        return await self.until_true(lambda: len(self.received) >= count, seconds=60)

    async def until_true(self, true: Callable[[], bool], *, seconds: float) -> list[Received]:
        """Wait until a condition on the received requests holds."""
        async with self.came, asyncio.timeout(seconds):
            await self.came.wait_for(true)
        return self.received

    @property
    def types(self) -> list[str]:
        """The types of the received events, in order."""
        return [each.type for each in self.received]

    def of_type(self, kind: str) -> list[Received]:
        """Return the requests with an event of a type, in order."""
        return [each for each in self.received if each.type == kind]

    def data(self, kind: str) -> dict[str, Any]:
        """Return the payload of the only event of a type."""
        (only,) = self.of_type(kind)
        return only.data

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        request = Received(headers=headers, body=body.decode())
        async with self.came:
            self.received.append(request)
            self.came.notify_all()
        status = await self.answer(request)
        writer.write(
            f"HTTP/1.1 {status} X\r\n{self.headers}Content-Length: 2\r\n"
            "Connection: close\r\n\r\nok".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiver(answer: Answer = accept, *, headers: str = "") -> AsyncIterator[Receiver]:
    """Run an endpoint on a free port."""
    held: set[asyncio.Task[None]] = set()
    made: list[Receiver] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        held.add(task)
        try:
            await made[0]._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()
        finally:
            held.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made.append(Receiver(url=f"http://127.0.0.1:{port}/hook", answer=answer, headers=headers))
    try:
        yield made[0]
    finally:
        server.close()
        for task in tuple(held):
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)


def hms_receiver(
    statuses: Mapping[str, Sequence[int]] | None = None,
) -> AbstractAsyncContextManager[Receiver]:
    """Run an endpoint for 100ms: each event type has its statuses in turn, then 200."""
    left = {kind: list(each) for kind, each in (statuses or {}).items()}

    async def answer(request: Received) -> int:
        remaining = left.get(request.type)
        return remaining.pop(0) if remaining else 200

    return receiver(answer)
