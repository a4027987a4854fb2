"""Where playlists and segments are read from: an origin, or an archive of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from domain.ingest.playlist import Resource
from infra.media.hls_client import PlaylistAnswer, Validators


class MediaSource(Protocol):
    """Gives playlists and segments by their URLs, bounded in bytes and seconds.

    `seconds` bounds the whole answer, `idle` the time in which nothing of it comes.

    All raise `infra.media.hls_client.FetchError` where there is nothing usable to be had.
    """

    async def playlist(
        self,
        url: str,
        *,
        max_bytes: int,
        seconds: float,
        validators: Validators,
        idle: float | None = None,
    ) -> PlaylistAnswer:
        """Read a playlist, unless it has not changed since `validators`."""

    async def read(
        self, resource: Resource, *, max_bytes: int, seconds: float, idle: float | None = None
    ) -> bytes:
        """Read something small."""

    async def download(
        self,
        resource: Resource,
        file: Path,
        *,
        max_bytes: int,
        seconds: float,
        prefix: bytes = b"",
        idle: float | None = None,
    ) -> int:
        """Write `prefix` and then the resource to `file`; return the bytes written."""
