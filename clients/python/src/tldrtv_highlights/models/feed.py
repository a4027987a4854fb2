"""Events of feeds, and feed clocks."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class FeedEvent(Model):
    """An event of a stream's feed, and what became of it; `place` and `error` in seconds."""

    id: str
    revision: int
    kind: str
    market: str | None
    subjects: tuple[str, ...]
    outcome: str
    highlight_id: str | None
    place: float | None
    error: float | None
    detail: str
    received_at: AwareDatetime
    updated_at: AwareDatetime


class FeedEventResults(Model):
    """The events of a request, each once."""

    data: tuple[FeedEvent, ...]


class FeedClock(Model):
    """How far a feed is from the picture: seconds to add to its time, and the error's bound."""

    source: str
    offset: float
    error: float
    pairs: int
