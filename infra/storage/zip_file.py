"""Files of the clip store as one ZIP file, written while it is sent."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any, Final

from infra.storage.clips import ClipStore
from infra.storage.scratch import scratch_directory

_CHUNK: Final = 1 << 20


class _Sink(io.RawIOBase):
    """A file that cannot be rewound, and whose content is taken out while it is written."""

    def __init__(self) -> None:
        self._data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


async def zipped(files: list[tuple[str, str]], store: ClipStore) -> AsyncIterator[bytes]:
    """Yield a ZIP file of files of the store, each by its name and key, without compression.

    A file that was deleted meanwhile is left out. One file at a time is on this machine's disk.
    """
    sink = _Sink()
    archive = await asyncio.to_thread(zipfile.ZipFile, sink, "w", zipfile.ZIP_STORED)
    for name, key in files:
        with scratch_directory() as scratch:
            try:
                path = await store.fetch(key, scratch)
            except FileNotFoundError:
                continue
            info = await asyncio.to_thread(zipfile.ZipInfo.from_file, path, name)
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as entry:
                while data := await asyncio.to_thread(source.read, _CHUNK):
                    entry.write(data)
                    yield sink.take()
    archive.close()
    yield sink.take()
