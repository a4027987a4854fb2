"""`python -m benchmarks.inbound.load`: sends events as 100ms does, in a separate process.

On bare asyncio, parsing only the status and the end of a response, so that it costs a fraction of
what it measures. It reads a `Load` from standard input and writes the result to standard output.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Final, cast

import uvloop
from pydantic import BaseModel, ConfigDict

_LENGTH: Final = b"content-length:"
_URL: Final = "https://cdn.example.com/beam/room/master.m3u8"


class Load(BaseModel):
    """The events to send, and their rate.

    Attributes:
        types: of the events, one after the other for each beam; each connection has its own beams.
        names: of the beams and events, to which a number is added unless they are `same`.
        count: events at most.
        duration: seconds after which no event is sent any more.
        rate: events a second, or as fast as they are answered. An event that is sent late because
            the answer before it was late counts from when it should have been sent.
    """

    model_config = ConfigDict(frozen=True)

    port: int
    path: str
    headers: Mapping[str, str]
    types: tuple[str, ...]
    names: str
    same: bool = False
    connections: int
    count: int | None = None
    duration: float
    rate: float | None = None


class Outcome(BaseModel):
    """The result: seconds of each response, and the sender's share of a core."""

    model_config = ConfigDict(frozen=True)

    seconds: list[float]
    elapsed: float
    refused: int
    broken: int
    sender_share: float


def events(load: Load, connection: int) -> Iterator[bytes]:
    """Return the bodies that one connection sends."""
    for number in itertools.count():
        beam = load.names if load.same else f"{load.names}-{connection}-{number}"
        for kind in load.types:
            data = {"beam_id": beam, "session_id": beam, "room_id": "room", "url": _URL}
            data["hls_vod_recording_path"] = _URL
            event = {"id": f"{kind}/{beam}", "type": kind, "version": "2.0", "data": data}
            yield json.dumps(event).encode()


class _Connection(asyncio.Protocol):
    """Sends an event, waits for the whole answer, and sends the next when it is due."""

    def __init__(self, load: Load, number: int, budget: Iterator[int], begun: float) -> None:
        self.seconds: list[float] = []
        self.refused = 0
        self.broken = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        names = {**load.headers, "Host": "127.0.0.1", "Content-Type": "application/json"}
        lines = [f"POST {load.path} HTTP/1.1", *(f"{name}: {names[name]}" for name in names)]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode()
        self._bodies = events(load, number)
        self._budget = budget
        self._interval = None if load.rate is None else load.connections / load.rate
        self._due = begun + (0.0 if load.rate is None else number / load.rate)
        self._until = begun + load.duration
        self._buffer = b""
        self._is_done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is by shape only
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._buffer = b""
        self.seconds.append(time.perf_counter() - self._due)
        self.refused += not head.startswith(b"HTTP/1.1 200 ")
        self._due = time.perf_counter() if self._interval is None else self._due + self._interval
        self._wait()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.broken = not self._is_done
        self.ended.set_result(None)

    def _wait(self) -> None:
        delay = self._due - time.perf_counter()
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._send)
        else:
            self._send()

    def _send(self) -> None:
        if time.perf_counter() > self._until or next(self._budget, None) is None:
            self._is_done = True
            self._transport.close()
            return
        if self._interval is None:
            self._due = time.perf_counter()
        body = next(self._bodies)
        self._transport.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)


def _length(head: bytes) -> int:
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    return int(head[start:].partition(b"\r\n")[0])


async def run(load: Load) -> Outcome:
    """Send until all is sent or time is up, and the last answers are there."""
    loop = asyncio.get_running_loop()
    budget = iter(range(load.count)) if load.count is not None else itertools.count()
    cpu, begun = time.process_time(), time.perf_counter()
    connections = [_Connection(load, each, budget, begun) for each in range(load.connections)]
    made = iter(connections)
    for _ in connections:
        await loop.create_connection(lambda: next(made), "127.0.0.1", load.port)
    await asyncio.gather(*(each.ended for each in connections))
    elapsed = time.perf_counter() - begun
    return Outcome(
        seconds=[second for each in connections for second in each.seconds],
        elapsed=elapsed,
        refused=sum(each.refused for each in connections),
        broken=sum(each.broken for each in connections),
        sender_share=(time.process_time() - cpu) / elapsed,
    )


def main() -> None:
    """Read, send, write."""
    load = Load.model_validate_json(sys.stdin.buffer.read())
    print(uvloop.run(run(load)).model_dump_json())


if __name__ == "__main__":
    main()
