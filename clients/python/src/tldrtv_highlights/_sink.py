"""A file that appears whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from tldrtv_highlights.errors import DownloadError


class Sink:
    """Takes a file in pieces; a context manager that puts it in its place at the end.

    Args:
        path: its place; what is there is replaced.
        size: bytes that it must have, if known.
        sha256: its hash in hex, if known.
    """

    def __init__(self, path: Path, *, size: int | None = None, sha256: str | None = None) -> None:
        self._path = path
        self._size = size
        self._sha256 = sha256
        self._unfinished = path.with_name(f".{path.name}.{uuid4().hex}.part")
        self._hash = hashlib.sha256()
        self._written = 0

    def __enter__(self) -> Self:
        self._file = self._unfinished.open("wb")
        return self

    def write(self, chunk: bytes) -> None:
        """Append a piece."""
        self._file.write(chunk)
        self._hash.update(chunk)
        self._written += len(chunk)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        try:
            if exc is None:
                self._check()
                self._unfinished.replace(self._path)
        finally:
            self._unfinished.unlink(missing_ok=True)

    def _check(self) -> None:
        if self._size is not None and self._written != self._size:
            raise DownloadError(
                f"{self._path.name}: received {self._written} of {self._size} bytes; try again."
            )
        if self._sha256 is not None and self._hash.hexdigest() != self._sha256:
            raise DownloadError(f"{self._path.name} was damaged on its way; download it again.")
