"""Media types of what both kinds of store hold."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

_MEDIA_TYPES: Final = {
    ".aac": "audio/aac",
    ".gif": "image/gif",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".m4a": "audio/mp4",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".ts": "video/mp2t",
    ".vtt": "text/vtt",
    ".webm": "video/webm",
    ".webp": "image/webp",
}


def media_type(key: str) -> str:
    """Return the media type of what is stored under a key, by its suffix."""
    return _MEDIA_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
