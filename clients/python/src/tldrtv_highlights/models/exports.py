"""Exports."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model

_FINISHED: Final = frozenset({"ready", "failed", "cancelled"})


class ExportSource(Model):
    """What is exported; bounds in seconds of media time."""

    stream_id: str
    highlight_id: str | None
    clip_id: str | None
    start: float
    end: float


class ExportRendition(Model):
    """A file of an export; durations in seconds, size in bytes, loudness in LUFS.

    `url` and `index_url` open without a key until they expire; read the export again for new ones.
    """

    number: int
    format: str
    aspect: str
    fit: str
    resolution: int | None
    preset: str | None
    target_loudness: int | None
    watermark: bool
    lower_third: bool
    captions: bool
    status: str
    url: str | None
    index_url: str | None
    start: float | None
    duration: float | None
    size: int | None
    width: int | None
    height: int | None
    has_audio: bool | None
    loudness: float | None
    blurhash: str | None
    sha256: str | None
    message: str
    ready_at: AwareDatetime | None


class Export(Model):
    """An export with its renditions."""

    id: str
    status: str
    source: ExportSource
    exact: bool
    renditions: tuple[ExportRendition, ...]
    message: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None

    @property
    def is_finished(self) -> bool:
        """Return True if its status will not change."""
        return self.status in _FINISHED
