"""The recording of a beam: its whole stream as a VOD playlist, or the same in a ZIP archive."""

from __future__ import annotations

import hashlib
import hmac
import io
import time
import zipfile
from pathlib import PurePosixPath
from typing import Final, Literal
from urllib.parse import urlencode

from demo.origin import LiveOrigin

#: 100ms's documents call the recording both "the VOD playlist" and "a ZIP file of m3u8 format
#: with all the chunks", so a client has to be tried with either.
RecordingForm = Literal["playlist", "zip"]

PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_TYPES: Final = {".m3u8": PLAYLIST_TYPE, ".ts": "video/mp2t", ".m4s": "video/iso.segment"}
_ENTRANCES: Final = {"playlist": "master.m3u8", "zip": "recording.zip"}


class Recording:
    """A recorded stream, in which nothing that was lost live is missing."""

    def __init__(self, origin: LiveOrigin, form: RecordingForm) -> None:
        self.entrance = _ENTRANCES[form]
        self._origin = origin
        self._channel = origin.channel

    def size(self) -> int:
        """Count the bytes of media in the best quality."""
        best = self._channel.variants[0].name
        return sum(
            len(self._channel.recorded_segment(best, segment.index))
            for segment in self._origin.segments
        )

    def read(self, path: str) -> tuple[bytes, str] | None:
        """Return a file of the recording and its media type, or None when there is none."""
        content = self._content(PurePosixPath(path))
        if content is None:
            return None
        return content, _TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")

    def _content(self, path: PurePosixPath) -> bytes | None:
        match path.parts:
            case ("master.m3u8",):
                return self._channel.master().encode()
            case ("recording.zip",) if self.entrance == "recording.zip":
                return self._archive()
            case (variant, name) if self._channel.has_variant(variant):
                return self._file(variant, name)
            case _:
                return None

    def _file(self, variant: str, name: str) -> bytes | None:
        if name == "index.m3u8":
            return self._channel.recording().encode()
        if name == "init.mp4":
            return self._channel.init(variant)
        index = self._channel.index_of(name)
        return None if index is None else self._channel.recorded_segment(variant, index)

    def _archive(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("master.m3u8", self._channel.master())
            for variant in self._channel.variants:
                folder = variant.name
                archive.writestr(f"{folder}/index.m3u8", self._channel.recording())
                if (init := self._channel.init(folder)) is not None:
                    archive.writestr(f"{folder}/init.mp4", init)
                for segment in self._origin.segments:
                    name = self._channel.name_of(segment.index)
                    data = self._channel.recorded_segment(folder, segment.index)
                    archive.writestr(f"{folder}/{name}", data)
        return buffer.getvalue()


class Presigner:
    """Makes and checks addresses that hold for a time, in the form of S3's.

    Args:
        secret: that only we know.
        lifetime: seconds for which an address holds.
    """

    def __init__(self, secret: bytes, *, lifetime: float) -> None:
        self._secret = secret
        self._lifetime = lifetime

    def sign(self, path: str) -> str:
        """Return `path` with the query that opens it."""
        expires = int(time.time() + self._lifetime)
        query = {"X-Amz-Expires": expires, "X-Amz-Signature": self._signature(path, expires)}
        return f"{path}?{urlencode(query)}"

    def opens(self, path: str, query: dict[str, str]) -> bool:
        """Tell whether a query opens a path, now."""
        expires, signature = query.get("X-Amz-Expires", ""), query.get("X-Amz-Signature", "")
        if not expires.isdecimal() or int(expires) <= time.time():
            return False
        expected = self._signature(path, int(expires))
        return hmac.compare_digest(signature.encode(), expected.encode())

    def _signature(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
