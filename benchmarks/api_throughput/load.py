"""`python -m benchmarks.api_throughput.load`: sends requests as fast as a server responds.

A separate process on bare asyncio: it writes prepared bytes and parses only the status and the end
of a response, so that it costs a fraction of what it measures. It reads a `Load` from standard
input and writes the result to standard output.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final, cast

import uvloop
from pydantic import BaseModel, ConfigDict

_NUMBER: Final = b"{number}"
_LENGTH: Final = b"content-length:"


class Load(BaseModel):
    """The request, the number of connections, and the duration (seconds).

    `{number}` in the request is another number each time.
    """

    model_config = ConfigDict(frozen=True)

    port: int
    request: str
    status: int
    connections: int
    duration: float
    first_number: int = 0


class Outcome(BaseModel):
    """The result: seconds of each response, and the generator's share of a core."""

    model_config = ConfigDict(frozen=True)

    seconds: list[float]
    elapsed: float
    wrong: int
    bytes: int
    generator_share: float


class _Connection(asyncio.Protocol):
    """Sends a request, reads the whole response, and repeats until time is up."""

    def __init__(self, load: Load, numbers: _Numbers, until: float) -> None:
        self.seconds: list[float] = []
        self.wrong = 0
        self.bytes = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._before, _, self._after = load.request.encode().partition(_NUMBER)
        self._counts = _NUMBER in load.request.encode()
        self._status = f" {load.status} ".encode()
        self._numbers = numbers
        self._until = until
        self._buffer = b""
        self._missing = 0
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's is by shape only
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        if self._missing:
            self._missing -= len(data)
        else:
            self._buffer += data
            head, end, body = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._buffer = b""
            self.wrong += self._status not in head[:16]
            self._missing = _length(head) - len(body)
        if self._missing <= 0:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self.wrong += exc is not None or time.perf_counter() < self._until
        if not self.ended.done():
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        if self._counts:
            self._transport.write(self._before + str(self._numbers.next()).encode() + self._after)
        else:
            self._transport.write(self._before)

    def _answered(self) -> None:
        now = time.perf_counter()
        self._missing = 0
        self.seconds.append(now - self._asked)
        if now < self._until:
            self._ask()
        else:
            self._transport.close()


class _Numbers:
    def __init__(self, first: int) -> None:
        self._last = first

    def next(self) -> int:
        self._last += 1
        return self._last


def _length(head: bytes) -> int:
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    return int(head[start:].partition(b"\r\n")[0])


async def run(load: Load) -> Outcome:
    """Send until time is up and the last responses are complete."""
    loop = asyncio.get_running_loop()
    numbers = _Numbers(load.first_number)
    cpu, begun = time.process_time(), time.perf_counter()
    until = begun + load.duration
    pairs = await asyncio.gather(
        *(
            loop.create_connection(
                lambda: _Connection(load, numbers, until), "127.0.0.1", load.port
            )
            for _ in range(load.connections)
        )
    )
    connections = [connection for _, connection in pairs]
    await asyncio.gather(*(connection.ended for connection in connections))
    elapsed = time.perf_counter() - begun
    return Outcome(
        seconds=[second for connection in connections for second in connection.seconds],
        elapsed=elapsed,
        wrong=sum(connection.wrong for connection in connections),
        bytes=sum(connection.bytes for connection in connections),
        generator_share=(time.process_time() - cpu) / elapsed,
    )


def main() -> None:
    """Read the load, send it, write the result."""
    load = Load.model_validate_json(sys.stdin.buffer.read())
    print(uvloop.run(run(load)).model_dump_json())


if __name__ == "__main__":
    main()
