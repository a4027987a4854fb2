"""Clips."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model

_SETTLED: Final = frozenset({"ready", "failed", "deleted"})


class Playback(Model):
    """How something can be played now.

    `ready` is `instant` while `hls_url` plays whole segments, `exact` once `mp4_url` plays the
    finished file, and None if neither is there. Both open without a key until they expire.
    """

    ready: str | None
    hls_url: str | None
    mp4_url: str | None


class MissingMedia(Model):
    """A part of a stream without media, in seconds of media time."""

    start: float
    end: float


class Clip(Model):
    """A clip, of a highlight or on demand; bounds in seconds of media time, size in bytes.

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
    playback: Playback | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it can be watched."""
        return self.status == "ready" and self.url is not None

    @property
    def is_settled(self) -> bool:
        """Return True if its status will not change."""
        return self.status in _SETTLED


class ClipDetail(Clip):
    """A clip with where it belongs and what came of it.

    One on demand has no highlight, but the title that you gave it.
    """

    stream_id: str
    highlight_id: str | None
    title: str = ""
    has_audio: bool | None
    sha256: str | None
    message: str
    created_at: AwareDatetime
    updated_at: AwareDatetime


class CreatedClips(Model):
    """The clips made of a span of a stream, in order, and the parts of it that none shows."""

    data: list[ClipDetail]
    missing: list[MissingMedia]
