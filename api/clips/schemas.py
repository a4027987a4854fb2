"""Response models of clips."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.services import Services
from domain.clips.models import ClipStatus
from infra.db.repositories.clips import ClipRow
from infra.db.tables import Clip
from infra.storage.signed_urls import clip_path

_CLIP: dict[str, Any] = {
    "id": "5f0c2a1e-5f4e-5d0b-8b67-1f6b0c9d7e21",
    "status": "ready",
    "start": 301.5,
    "end": 315.5,
    "duration": 14.0,
    "url": "https://api.example.com/v1/clips/5f0c…/download?tenant=…&expires=…",
    "thumbnail_url": "https://api.example.com/v1/clips/5f0c…/thumbnail?tenant=…",
    "ready_at": "2026-05-02T19:05:31Z",
    "width": 1280,
    "height": 720,
    "size": 3145728,
    "playback": {
        "ready": "exact",
        "hls_url": None,
        "mp4_url": "https://api.example.com/v1/clips/5f0c…/download?tenant=…&expires=…",
    },
}
_DETAIL: dict[str, Any] = _CLIP | {
    "stream_id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
    "highlight_id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "title": "",
    "has_audio": True,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "message": "",
    "created_at": "2026-05-02T19:05:16Z",
    "updated_at": "2026-05-02T19:05:31Z",
}


class PlaybackForm(StrEnum):
    """Form in which a clip can be played."""

    INSTANT = "instant"
    EXACT = "exact"


class PlaybackModel(BaseModel):
    """How a clip can be played now."""

    ready: PlaybackForm | None = Field(
        description="`instant`: by HLS, whole segments that contain the clip, while it is "
        "rendered; `exact`: the finished file; null if neither is there."
    )
    hls_url: str | None = Field(
        description="Signed URL of an HLS playlist; needs no API key until it expires."
    )
    mp4_url: str | None = Field(description="Signed URL of the finished file.")

    @classmethod
    def of(cls, *, hls_url: str | None, mp4_url: str | None) -> Self:
        """Return the best form that there is."""
        if mp4_url is not None:
            return cls(ready=PlaybackForm.EXACT, hls_url=None, mp4_url=mp4_url)
        ready = None if hls_url is None else PlaybackForm.INSTANT
        return cls(ready=ready, hls_url=hls_url, mp4_url=None)


class ClipModel(BaseModel):
    """A clip, of a highlight or on demand; bounds in seconds of media time, size in bytes."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CLIP]})

    id: UUID
    status: ClipStatus
    start: float
    end: float
    duration: float = Field(description="Seconds.")
    url: str | None = Field(description="Signed URL; needs no API key until it expires.")
    thumbnail_url: str | None
    ready_at: datetime | None
    width: int | None
    height: int | None
    size: int | None
    playback: PlaybackModel

    @classmethod
    def of(cls, row: Clip | ClipRow, services: Services, *, is_withheld: bool = False) -> Self:
        """Return a clip; with links if it is ready, and its highlight is not withheld."""
        is_ready = row.status == ClipStatus.READY and row.key is not None and not is_withheld
        sign, tenant_id = services.links.sign, row.tenant_id
        url = sign(clip_path(row.id, "download"), tenant_id=tenant_id) if is_ready else None
        is_rendering = row.status == ClipStatus.RENDERING and not is_withheld
        playlist = sign(clip_path(row.id, "clip.m3u8"), tenant_id=tenant_id)
        return cls(
            id=row.id,
            status=ClipStatus(row.status),
            start=row.start,
            end=row.start + row.duration,
            duration=row.duration,
            url=url,
            thumbnail_url=sign(clip_path(row.id, "thumbnail"), tenant_id=tenant_id)
            if is_ready and row.thumbnail_key is not None
            else None,
            ready_at=row.ready_at,
            width=row.width,
            height=row.height,
            size=row.size,
            playback=PlaybackModel.of(hls_url=playlist if is_rendering else None, mp4_url=url),
        )


class ClipDetail(ClipModel):
    """A clip with its stream, highlight and file details."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DETAIL]})

    stream_id: UUID
    highlight_id: UUID | None = Field(description="Null for a clip on demand.")
    title: str = Field(description="Title of a clip on demand.")
    has_audio: bool | None
    sha256: str | None = Field(description="SHA-256 of the file, in hex.")
    message: str = Field(description="Why rendering failed, if it did.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Clip | ClipRow, services: Services, *, is_withheld: bool = False) -> Self:
        """Return a clip with its details."""
        return cls(
            **ClipModel.of(row, services, is_withheld=is_withheld).model_dump(),
            stream_id=row.stream_id,
            highlight_id=row.highlight_id,
            title=row.title,
            has_audio=row.has_audio,
            sha256=row.sha256,
            message=row.message,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
