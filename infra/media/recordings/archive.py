"""Recordings in a ZIP archive of playlist and segments, as 100ms's SDK makes them.

Nothing is unpacked: entries are read from the archive on demand, and their names never become
paths. An archive is refused if it could cost more than a recording: by the size of its directory,
the size it claims to unpack to, or names, methods and passwords that no recorder uses.
"""

from __future__ import annotations

import io
import re
import weakref
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self
from urllib.parse import urlsplit

from domain.ingest.playlist import Resource
from infra.media.hls_client import DamagedError, FetchError, NotFoundError, TooLargeError
from infra.media.recordings.local_recording import LocalRecording

MAX_DIRECTORY_BYTES: Final = 8 << 20
"""Bytes of the archive's directory: 65,000 segments, twelve hours in three qualities, need less."""


MAX_ENTRIES: Final = 100_000


MAX_RATIO: Final = 10
"""Unpacked bytes for each byte of the archive; compressed media hardly shrinks at all."""


_CHUNK: Final = 1 << 18


_ENCRYPTED: Final = 0x1


_DRIVE: Final = re.compile("[A-Za-z]:")


_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class UnusableArchiveError(FetchError):
    """The file is no usable archive of a recording; the message states the reason."""


def is_archive(url: str) -> bool:
    """Return True if a recording's URL names a ZIP archive."""
    return urlsplit(url).path.lower().endswith(".zip")


class RecordingArchive(LocalRecording):
    """An open archive, whose entries have URLs with a host name of the archive. Close it after use.

    Args:
        file: the archive; it may be deleted once this object exists.
        address: its URL, from which the host name is derived.

    Raises:
        UnusableArchiveError: it is refused.
    """

    def __init__(self, file: Path, *, address: str) -> None:
        super().__init__(address=address)
        raw = file.open("rb")
        try:
            self._zip = zipfile.ZipFile(_Bounded(raw))
            self._entries = _checked(self._zip, file.stat().st_size)
            self._first = _entrance(self._entries)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raw.close()
            raise UnusableArchiveError(f"it is no ZIP archive ({error})") from error
        except UnusableArchiveError:
            raw.close()
            raise
        self._close = weakref.finalize(self, raw.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the archive; garbage collection closes it otherwise."""
        self._close()

    @property
    def entrance(self) -> str:
        """URL of the outermost playlist."""
        return self.url_of(self._first)

    def _copy(self, resource: Resource, output: IO[bytes], max_bytes: int) -> int:
        entry = self._entries.get(self.name_of(resource.url))
        if entry is None:
            raise NotFoundError("it is not in the archive")
        part = resource.byte_range
        size = entry.file_size if part is None else part.length
        if size > max_bytes:
            raise TooLargeError(f"{size} bytes; at most {max_bytes} are read")
        left = size
        try:
            with self._zip.open(entry) as source:
                if part is not None:
                    source.seek(part.offset)
                while left and (chunk := source.read(min(left, _CHUNK))):
                    left -= output.write(chunk)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
            raise DamagedError(f"the archive is damaged ({error})") from error
        if left:
            raise DamagedError(f"the archive has {size - left} of {size} bytes")
        return size


class _Bounded(io.RawIOBase):
    """A file whose reads are limited to the size of a directory.

    `zipfile` reads the directory in one call, with a size that the archive itself declares.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(MAX_DIRECTORY_BYTES + 1 if size < 0 else size)
        if max(size, len(found)) > MAX_DIRECTORY_BYTES:
            raise UnusableArchiveError(f"its directory has over {MAX_DIRECTORY_BYTES >> 20} MiB")
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _checked(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the entries by name, if they are as a recorder writes them."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise UnusableArchiveError(f"it has over {MAX_ENTRIES:,} entries")
    if sum(entry.file_size for entry in entries) > MAX_RATIO * size:
        raise UnusableArchiveError(f"it unpacks to over {MAX_RATIO} times its size")
    for entry in entries:
        if _leads_out(entry.orig_filename):
            raise UnusableArchiveError("a name in it leads out of it")
        if entry.flag_bits & _ENCRYPTED:
            raise UnusableArchiveError("it is encrypted, and we have no password")
        if entry.compress_type not in _METHODS:
            raise UnusableArchiveError("it is neither stored nor deflated")
    return {entry.filename: entry for entry in entries if not entry.is_dir()}


def _leads_out(name: str) -> bool:
    """Return True if unpacking the name would write outside the target directory on any system."""
    path = PurePosixPath(name)
    foreign = "\\" in name or "\x00" in name or _DRIVE.match(name) is not None
    return foreign or path.is_absolute() or ".." in path.parts


def _entrance(entries: dict[str, zipfile.ZipInfo]) -> str:
    """Return the outermost playlist; a master playlist before others in the same folder."""
    playlists = [name for name in entries if name.lower().endswith(".m3u8")]
    if not playlists:
        raise UnusableArchiveError("there is no playlist in it")
    return min(playlists, key=lambda name: (name.count("/"), "master" not in name.lower(), name))
