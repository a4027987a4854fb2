"""Exports."""

from __future__ import annotations

from typing import Any, Final

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.highlights import LocalizedTitle

_FINISHED: Final = frozenset({"ready", "failed", "cancelled"})


class ReelChapter(Model):
    """A clip of a reel, in seconds of its file."""

    start: float
    end: float
    title: str
    highlight_id: str


class ExportSource(Model):
    """What is exported; bounds in seconds of media time."""

    stream_id: str
    highlight_id: str | None
    clip_id: str | None
    start: float
    end: float
    other_stream_ids: tuple[str, ...] = ()
    chapters: tuple[ReelChapter, ...] = ()


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
    cards: bool = False
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
    batch_id: str | None
    branding_version: int | None
    territory: str | None = None
    renditions: tuple[ExportRendition, ...]
    message: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None

    @property
    def is_finished(self) -> bool:
        """Return True if its status will not change."""
        return self.status in _FINISHED


class Branding(Model):
    """What exports show by default, each part as it was put."""

    version: int
    watermark: dict[str, Any] | None
    lower_third: dict[str, Any] | None
    caption_style: dict[str, Any] | None
    intro: dict[str, Any] | None = None
    outro: dict[str, Any] | None = None
    end_card: dict[str, Any] | None = None
    updated_at: AwareDatetime | None


class ExportBatch(Model):
    """Many exports that were asked for together, and how many of them have which status."""

    id: str
    status: str
    exports: int
    queued: int
    running: int
    ready: int
    failed: int
    cancelled: int
    zip_url: str
    message: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None

    @property
    def is_finished(self) -> bool:
        """Return True if its status will not change, unless it is resumed."""
        return self.status in _FINISHED


class ExportBatchFile(Model):
    """A file of a batch that is ready; size in bytes, seconds of media time."""

    name: str
    export_id: str
    number: int
    format: str
    highlight_id: str | None
    stream_id: str
    title: str
    titles: tuple[LocalizedTitle, ...] = ()
    start: float
    end: float
    size: int | None
    sha256: str | None
    url: str


class ExportBatchManifest(Model):
    """The files of a batch that are ready, in order."""

    id: str
    status: str
    files: tuple[ExportBatchFile, ...]
