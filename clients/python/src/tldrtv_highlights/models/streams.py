"""Streams."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.profiles import ProfileMatch, ProfileRef

_OVER: Final = frozenset({"completed", "failed", "cancelled"})


class StreamEnd(Model):
    """Why a stream ended."""

    reason: str
    message: str


class Gap(Model):
    """A stretch without media; seconds of media time. `filled` ones were read from a recording."""

    start: float
    duration: float
    reason: str
    detail: str
    status: str
    resolution: str


class Stream(Model):
    """A stream; positions in seconds of its media time."""

    id: str
    url: str
    game: str
    title: str
    language: str | None = None
    external_id: str | None
    is_recording: bool = False
    duration: float | None = None
    profile: ProfileRef
    profile_match: ProfileMatch | None
    status: str
    position: float
    analyzed: float
    segments: int
    missed: int
    windows: int
    highlights: int
    clips: int
    end: StreamEnd | None
    last_segment_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def is_over(self) -> bool:
        """Whether it has ended; clips of its last moments may still be made."""
        return self.status in _OVER


class StreamDetail(Stream):
    """A stream with its gaps."""

    gaps: tuple[Gap, ...] = ()
