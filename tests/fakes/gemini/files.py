"""The Files API: resumable uploads, and files that are processed before they can be used."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.gemini.rpc import RpcError, bad_field
from tests.fakes.gemini.watching import duration
from tests.fakes.gemini.wire import UploadRequest


@dataclass
class Upload:
    """An upload under way."""

    name: str
    mime_type: str
    size: int
    display_name: str | None
    data: bytearray = field(default_factory=bytearray)


@dataclass
class StoredFile:
    """A file; it is PROCESSING at first and ACTIVE when it is looked at the second time."""

    name: str
    mime_type: str
    data: bytes
    display_name: str | None
    state: str = "PROCESSING"
    sticks: bool = False
    looks: int = 0

    def look(self) -> None:
        self.looks += 1
        if not self.sticks and self.state == "PROCESSING" and self.looks > 1:
            try:
                duration(self.data)
                self.state = "ACTIVE"
            except RpcError:
                self.state = "FAILED"

    def resource(self, base: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "name": self.name,
            "mimeType": self.mime_type,
            "sizeBytes": str(len(self.data)),
            "createTime": "2026-05-01T18:00:00.000000Z",
            "updateTime": "2026-05-01T18:00:00.000000Z",
            "expirationTime": "2026-05-03T18:00:00.000000Z",
            "sha256Hash": hashlib.sha256(self.data).hexdigest(),
            "uri": f"{base}/v1beta/{self.name}",
            "state": self.state,
            "source": "UPLOADED",
        }
        if self.display_name:
            found["displayName"] = self.display_name
        if self.state == "FAILED":
            found["error"] = {"code": 13, "message": "The file could not be processed."}
        return found


class FileStore:
    """All files of the project."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.uploads: dict[str, Upload] = {}
        self.deleted: list[str] = []
        self._numbers = itertools.count(1)

    def begin(self, request: UploadRequest, *, size: str | None, mime_type: str | None) -> str:
        if size is None or not size.isdigit() or not mime_type:
            raise bad_field("x-goog-upload-header", "The size and type of the upload are missing.")
        number = next(self._numbers)
        name = request.file.name or f"files/stand-in-{number}"
        if name in self.files:
            raise RpcError("INVALID_ARGUMENT", f"File {name} already exists.")
        upload = Upload(name, mime_type, int(size), request.file.display_name)
        self.uploads[str(number)] = upload
        return str(number)

    def add(self, session: str, data: bytes, *, offset: str | None) -> None:
        upload = self._upload(session)
        if offset is None or not offset.isdigit() or int(offset) != len(upload.data):
            raise RpcError(
                "INVALID_ARGUMENT",
                f"The upload has {len(upload.data)} bytes, but the offset given is {offset}.",
            )
        upload.data += data

    def finish(self, session: str) -> StoredFile:
        upload = self._upload(session)
        if len(upload.data) != upload.size:
            raise RpcError(
                "INVALID_ARGUMENT",
                f"{upload.size} bytes were announced, but {len(upload.data)} came.",
            )
        del self.uploads[session]
        stored = StoredFile(upload.name, upload.mime_type, bytes(upload.data), upload.display_name)
        self.files[stored.name] = stored
        return stored

    def find(self, name: str) -> StoredFile:
        stored = self.files.get(name)
        if stored is None:
            # What Google says of files that are not there or not yours.
            raise RpcError(
                "PERMISSION_DENIED",
                f"You do not have permission to access the File {name} or it may not exist.",
            )
        return stored

    def delete(self, name: str) -> None:
        self.find(name)
        del self.files[name]
        self.deleted.append(name)

    def _upload(self, session: str) -> Upload:
        upload = self.uploads.get(session)
        if upload is None:
            raise RpcError("NOT_FOUND", "There is no such upload.")
        return upload
