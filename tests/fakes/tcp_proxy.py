"""A TCP proxy whose network can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Self

_CHUNK: Final = 1 << 16


class TcpProxy:
    """Passes connections on to a server, until it is cut off from it.

    Args:
        port: of the server, on this machine.

    Attributes:
        port: of the proxy.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self._server_port = port
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
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
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

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()
