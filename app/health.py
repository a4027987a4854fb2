"""Health of a process: the worker's endpoint, and `python -m app.health URL`, which asks for it.

The command imports the standard library only: container engines run it every few seconds, and
`highlights` takes more than a second of CPU time to load.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

_TIMEOUT: Final = 3.0
_LONGEST_HEAD: Final = 8 << 10


@asynccontextmanager
async def serve_health(address: str, is_healthy: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer every HTTP request at `address` while the context lasts: 200, or 503 if unhealthy.

    An event loop that is stuck does not answer, so the same check finds it.

    Args:
        address: `host:port` to listen on.
        is_healthy: called for each request.

    Raises:
        OSError: the address is in use, or not of this machine.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_HEALTHY if is_healthy() else _UNHEALTHY)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    host, _, port = address.rpartition(":")
    server = await asyncio.start_server(answer, host.strip("[]"), int(port), limit=_LONGEST_HEAD)
    async with server:
        yield


def _response(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\nConnection: close\r\n\r\n{body}".encode()


_HEALTHY: Final = _response("200 OK", '{"status":"ok"}')
_UNHEALTHY: Final = _response("503 Service Unavailable", '{"status":"stopped"}')


def main(url: str) -> int:
    """Return 0 if `url` answers with a status below 400, else 1; say why on stderr."""
    try:
        with urlopen(url, timeout=_TIMEOUT):  # noqa: S310 - our own address
            return 0
    except (URLError, OSError, ValueError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
