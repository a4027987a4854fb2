"""A TCP proxy whose network can fail."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Self

_CHUNK: Final = 1 << 16


class TcpProxy:
    """Passes connections on to a server, until it is cut off from it.

    Args:
        server: port of the server on this machine, or its Unix socket.

    Attributes:
        port: of the proxy.
    """

    def __init__(self, server: int | Path) -> None:
        self.port = 0
        self._server = server
        self._delay = 0.0
        self._lost = 0.0
        self._answer: bytes | None = None
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def url(self) -> str:
        """The server's URL by way of the proxy."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def silent(self) -> AsyncIterator[None]:
        """Pass nothing on while the block lasts, as a network that loses all packets."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Break all connections and refuse new ones while the block lasts."""
        await self._stop()
        try:
            yield
        finally:
            await self._start()

    @asynccontextmanager
    async def delayed(self, seconds: float) -> AsyncIterator[None]:
        """Pass everything on that much later while the block lasts."""
        self._delay = seconds
        try:
            yield
        finally:
            self._delay = 0.0

    @asynccontextmanager
    async def losing(self, part: float) -> AsyncIterator[None]:
        """Break connections at random while the block lasts, one in 1/`part` times data passes."""
        self._lost = part
        try:
            yield
        finally:
            self._lost = 0.0

    @asynccontextmanager
    async def answering(self, answer: bytes) -> AsyncIterator[None]:
        """Break all connections, and give each new one this answer while the block lasts."""
        self._answer = answer
        for each in list(self._connections):
            each.cancel()
        try:
            yield
        finally:
            self._answer = None

    async def _start(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._listener is not None:
            self._listener.close()
        connections = list(self._connections)
        for each in connections:
            each.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            if self._answer is not None:
                await reader.read(_CHUNK)
                writer.write(self._answer)
                await writer.drain()
                writer.write_eof()
                await reader.read()  # until the client ends it, so that the answer is not lost
                return
            from_server, to_server = await self._reach()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on(reader, to_server))
                    group.create_task(self._pass_on(from_server, writer))
            finally:
                to_server.transport.abort()
        except* OSError:
            pass
        finally:
            writer.transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, Path):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection("127.0.0.1", self._server)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            if random.random() < self._lost:
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()
