"""Schemas of feed events, feed clocks and subjects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.request_model import RequestModel
from domain.feed.clock import ClockSource, FeedClock
from domain.feed.models import MOST_EVENTS, FeedEvent, FeedEventKind, FeedOutcome
from infra.db.tables import FeedEventRow

FARTHEST_SET: float = 600.0

_EVENT: dict[str, JsonValue] = {
    "id": "goal-2",
    "revision": 1,
    "kind": "score",
    "at": {"wall_clock": "2026-05-02T19:21:07.400Z"},
    "label": "goal",
    "market": "next goal",
    "state": {"home": 2, "away": 1, "clock": "21:07", "period": "1st"},
    "subjects": ["bet:8841"],
}


class FeedEventsRequest(RequestModel):
    """Events of a feed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [_EVENT]}]})

    events: Annotated[list[FeedEvent], Field(min_length=1, max_length=MOST_EVENTS)]


class FeedEventModel(BaseModel):
    """An event of a feed, and what became of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "goal-2",
                    "revision": 1,
                    "kind": "score",
                    "market": "next goal",
                    "subjects": ["bet:8841"],
                    "outcome": "raised",
                    "highlight_id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
                    "place": 1267.4,
                    "error": 0.6,
                    "detail": "",
                    "received_at": "2026-05-02T19:21:09Z",
                    "updated_at": "2026-05-02T19:21:31Z",
                }
            ]
        }
    )

    id: str = Field(description="Your id.")
    revision: int = Field(description="The highest revision received.")
    kind: FeedEventKind
    market: str | None
    subjects: list[str]
    outcome: FeedOutcome = Field(
        description="`raised`: strengthened a highlight. `marked`: made one. `linked`: belongs to "
        "one. `waiting`: its moment is not decided yet. `unused`: there is no highlight. "
        "`too_late`: its moment had been analyzed before. `unplaced`: it has no place in the "
        "stream. `retracted`: another event took it back."
    )
    highlight_id: UUID | None
    place: float | None = Field(description="Seconds of media time; null until it is known.")
    error: float | None = Field(description="Bound of the error of `place`, in seconds.")
    detail: str = Field(description="Why there is no highlight; empty if there is one.")
    received_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: FeedEventRow, subjects: Sequence[str]) -> Self:
        """Return an event."""
        return cls(
            id=row.event_id,
            revision=row.revision,
            kind=FeedEventKind(row.kind),
            market=row.market,
            subjects=list(subjects),
            outcome=FeedOutcome(row.outcome),
            highlight_id=row.highlight_id,
            place=row.place,
            error=row.error,
            detail=row.detail,
            received_at=row.received_at,
            updated_at=row.updated_at,
        )


class FeedEventResults(BaseModel):
    """The events of a request, each once, in the order of their first mention."""

    data: list[FeedEventModel]


class FeedClockRequest(RequestModel):
    """A feed clock that you know better than an estimate."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"offset": -6.5, "error": 0.5}]})

    offset: Annotated[float, Field(ge=-FARTHEST_SET, le=FARTHEST_SET, allow_inf_nan=False)] = Field(
        description="Seconds to add to the time of the feed to get the time of the picture."
    )
    error: Annotated[float, Field(gt=0.0, le=60.0, allow_inf_nan=False)] = Field(
        default=1.0, description="Bound of its error, in seconds."
    )


class FeedClockModel(BaseModel):
    """How far a stream's feed is from its picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"source": "estimated", "offset": -6.52, "error": 0.6, "pairs": 7}]
        }
    )

    source: ClockSource = Field(
        description="`unknown`: fewer than three events met a moment, so that events by wall clock "
        "only strengthen highlights."
    )
    offset: float = Field(
        description="Seconds to add to the time of the feed to get the time of the picture."
    )
    error: float = Field(description="Bound of its error, in seconds.")
    pairs: int = Field(description="Events that the estimate rests on.")

    @classmethod
    def of(cls, clock: FeedClock) -> Self:
        """Return a feed clock."""
        return cls(source=clock.source, offset=clock.offset, error=clock.error, pairs=clock.pairs)
