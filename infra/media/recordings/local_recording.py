"""A recording on our own disk, which is read as if an origin served it."""

from __future__ import annotations

import asyncio
import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit

from domain.ingest.playlist import Resource
from infra.media.hls_client import (
    NotFoundError,
    PlaylistAnswer,
    UnreachableError,
    Validators,
)


class LocalRecording(ABC):
    """Named entries, with URLs under a host name of this recording's own.

    Args:
        address: URL of the recording, from which the host name is derived.
    """

    def __init__(self, *, address: str) -> None:
        host = hashlib.sha256(address.encode()).hexdigest()[:32]
        self._base = f"http://{host}.invalid/"

    @property
    @abstractmethod
    def entrance(self) -> str:
        """URL of the outermost playlist."""

    @abstractmethod
    def close(self) -> None:
        """Close the files; garbage collection closes them otherwise."""

    @abstractmethod
    def _copy(self, resource: Resource, output: IO[bytes], max_bytes: int) -> int:
        """Write an entry, or the part of it that is asked for; return the bytes written.

        Raises:
            FetchError: it is not there, too large, or damaged.
        """

    def url_of(self, name: str) -> str:
        """Return the URL of an entry."""
        return self._base + quote(name)

    def name_of(self, url: str) -> str:
        """Return the entry name of a URL, whether or not the entry exists.

        Raises:
            NotFoundError: the URL is outside the recording.
        """
        if not url.startswith(self._base):
            raise NotFoundError("the recording's playlist leads out of it")
        return unquote(urlsplit(url).path.lstrip("/"))

    async def playlist(
        self,
        url: str,
        *,
        max_bytes: int,
        seconds: float,
        validators: Validators,
        idle: float | None = None,
    ) -> PlaylistAnswer:
        """Read a playlist of the recording."""
        body = await self.read(Resource(url=url), max_bytes=max_bytes, seconds=seconds, idle=idle)
        text = body.decode("utf-8", errors="replace")
        return PlaylistAnswer(text=text, url=url, validators=validators)

    async def read(
        self,
        resource: Resource,
        *,
        max_bytes: int,
        seconds: float,
        idle: float | None = None,  # noqa: ARG002 a file has no silences
    ) -> bytes:
        """Read an entry, or a part of one."""
        buffer = io.BytesIO()
        async with _in_time(seconds):
            await asyncio.to_thread(self._copy, resource, buffer, max_bytes)
        return buffer.getvalue()

    async def download(
        self,
        resource: Resource,
        file: Path,
        *,
        max_bytes: int,
        seconds: float,
        prefix: bytes = b"",
        idle: float | None = None,  # noqa: ARG002 a file has no silences
    ) -> int:
        """Write `prefix` and then an entry to `file`; return the bytes written."""

        def write() -> int:
            with file.open("wb") as output:
                output.write(prefix)
                return len(prefix) + self._copy(resource, output, max_bytes)

        try:
            async with _in_time(seconds):
                return await asyncio.to_thread(write)
        except BaseException:
            await asyncio.to_thread(file.unlink, missing_ok=True)
            raise


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UnreachableError(f"not read within {seconds:g} s") from None
