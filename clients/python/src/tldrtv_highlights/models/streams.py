"""Streams."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.policies import Policy
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


class LegalHold(Model):
    """Why a stream or highlight may not be deleted, and since when."""

    reason: str
    since: AwareDatetime


class UnderstoodCriteria(Model):
    """Kinds and tags of the game profile to include, all if empty, and to exclude."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Criteria(Model):
    """What you asked for in a sentence, and what was understood of it."""

    text: str
    understood: UnderstoodCriteria = UnderstoodCriteria()
    not_understood: tuple[str, ...] = ()


class Stream(Model):
    """A stream; positions in seconds of its media time."""

    id: str
    url: str
    game: str
    title: str
    language: str | None = None
    languages: tuple[str, ...] = ()
    criteria: Criteria | None = None
    policy: Policy | None = None
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


class Chapter(Model):
    """A part of a stream: a `highlight`, or what lies `between`; seconds of media time."""

    start: float
    end: float
    kind: str
    title: str
    highlight_id: str | None
    score: float | None
    tags: tuple[str, ...]


class ChapterList(Model):
    """The chapters of a stream, in order."""

    data: tuple[Chapter, ...]


class Deletion(Model):
    """The deletion of a stream: what was deleted, and when nothing was left."""

    id: str
    stream_id: str
    external_id: str | None
    reason: str
    status: str
    rows: dict[str, int]
    rows_deleted_at: AwareDatetime | None
    files: int
    media: int
    verified_at: AwareDatetime | None
    cdn_expires_at: AwareDatetime | None
    cdn_invalidation_id: str | None = None
    created_at: AwareDatetime
    finished_at: AwareDatetime | None
