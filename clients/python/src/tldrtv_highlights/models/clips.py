"""Clips."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model

_SETTLED: Final = frozenset({"ready", "failed", "deleted"})


class Clip(Model):
    """A highlight's clip; bounds in seconds of media time, size in bytes.

    `url` and `thumbnail_url` open without a key until they expire; read the clip again for new
    ones.
    """

    id: str
    status: str
    start: float
    end: float
    duration: float
    url: str | None
    thumbnail_url: str | None
    ready_at: AwareDatetime | None
    width: int | None
    height: int | None
    size: int | None

    @property
    def is_ready(self) -> bool:
        """Whether it can be watched."""
        return self.status == "ready" and self.url is not None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _SETTLED


class ClipDetail(Clip):
    """A clip with where it belongs and what came of it."""

    stream_id: str
    highlight_id: str
    has_audio: bool | None
    sha256: str | None
    message: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
