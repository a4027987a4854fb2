"""How many events of 100ms the API receives, and what a flood of duplicates costs.

`python -m benchmarks.inbound [--seconds 10] [--connections 16] [--duplicates 10000]` starts
`highlights dev`, connects a workspace and sends, each over connections that are kept open:

    others      events that concern no stream: judged, recorded, answered
    starts      starts of new beams, each of which makes a stream and its workflow before its answer
    duplicates  one start again and again, which must make one stream

The sender is bare sockets in one process, but it shares the processors with what it measures. Times
are those of single requests, from the first byte sent to the last received.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from benchmarks.quality.report import machine
from demo.stack import Ready, Stack
from infra.settings import Settings

TARGET_RATE: Final = 1000.0
"""Events a second, received on two processors."""

TARGET_P99: Final = 0.050
"""Seconds."""

_URL: Final = "https://cdn.example.com/beam/room/master.m3u8"


class Figures(BaseModel):
    """One kind of load: requests, their rate, and nearest-rank percentiles in seconds."""

    model_config = ConfigDict(frozen=True)

    requests: int
    rate: float
    p50: float
    p99: float


class Door:
    """The webhook of a connection, spoken to over bare sockets."""

    def __init__(self, url: str, header: str, secret: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{header}: {secret}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    async def load(self, bodies: Iterator[bytes], *, connections: int, until: float) -> Figures:
        """Send bodies until they or the time (`time.perf_counter`) are over.

        Raises:
            RuntimeError: an answer was not 200.
        """
        begun = time.perf_counter()
        taken: list[float] = []
        await asyncio.gather(*(self._send(bodies, taken, until) for _ in range(connections)))
        took = time.perf_counter() - begun
        taken.sort()
        return Figures(
            requests=len(taken),
            rate=len(taken) / took,
            p50=taken[len(taken) // 2],
            p99=taken[int(0.99 * (len(taken) - 1))],
        )

    async def _send(self, bodies: Iterator[bytes], taken: list[float], until: float) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        for body in bodies:
            sent = time.perf_counter()
            writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            answer = await reader.readexactly(int(length))
            taken.append(time.perf_counter() - sent)
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"{head.splitlines()[0]!r}: {answer!r}")
            if time.perf_counter() > until:
                break
        writer.close()
        await writer.wait_closed()


def main() -> None:
    """Measure and print."""
    options = _options()
    console = Console(width=100)
    load = os.getloadavg()[0]
    figures, streams = asyncio.run(_measure(options))
    table = Table(title=f"{machine()}, load {load:.1f} before", title_justify="left")
    for column in ("", "requests", "a second", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for name, each in figures.items():
        values = (f"{each.rate:.0f}", f"{each.p50 * 1e3:.1f}", f"{each.p99 * 1e3:.1f}")
        table.add_row(name, str(each.requests), *values)
    console.print(table)
    console.print(f"streams made by the duplicates: {streams} (must be 1)")
    console.print(f"aims: {TARGET_RATE:.0f} a second, p99 under {TARGET_P99 * 1e3:.0f} ms")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inbound", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each kind of load")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--duplicates", type=int, default=10_000)
    return parser.parse_args()


async def _measure(options: argparse.Namespace) -> tuple[dict[str, Figures], int]:
    home = Settings().home_path()
    with tempfile.TemporaryDirectory(prefix="highlights-inbound-") as directory:
        state = Path(directory) / "state"
        async with Stack(state_dir=state, home=home, log=Path(directory) / "log") as stack:
            ready = await stack.ready()
            door = await _connect(ready)
            figures = {}
            for name, kind in (("others", "peer.join.success"), ("starts", "hls.started.success")):
                figures[name] = await door.load(
                    _events(kind, name),
                    connections=options.connections,
                    until=time.perf_counter() + options.seconds,
                )
            before = await _count_streams(ready)
            figures["duplicates"] = await door.load(
                itertools.repeat(next(_events("hls.started.success", "same")), options.duplicates),
                connections=options.connections,
                until=float("inf"),
            )
            return figures, await _count_streams(ready) - before


def _events(kind: str, name: str) -> Iterator[bytes]:
    for number in itertools.count():
        data = {"beam_id": f"{name}-{number}", "session_id": f"{name}-{number}", "url": _URL}
        event = {"id": f"{name}-{number}", "type": kind, "version": "2.0", "data": data}
        yield json.dumps(event).encode()


def _client(ready: Ready) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {ready.api_key}"}
    return httpx.AsyncClient(base_url=ready.api_url, headers=headers, timeout=60.0)


async def _connect(ready: Ready) -> Door:
    checks = {"source": False, "secret_header": True}
    async with _client(ready) as client:
        answer = await client.post("/v1/connections", json={"name": "load", "checks": checks})
    made = answer.raise_for_status().json()
    secrets = made["secrets"]
    return Door(made["webhook_url"], secrets["header_name"], secrets["header_value"])


async def _count_streams(ready: Ready) -> int:
    count, cursor = 0, None
    async with _client(ready) as client:
        while True:
            query = {"limit": "100"} | ({} if cursor is None else {"cursor": cursor})
            page = (await client.get("/v1/streams", params=query)).raise_for_status().json()
            count += len(page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                return count


if __name__ == "__main__":
    main()
