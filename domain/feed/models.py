"""Events of a tenant's feed: scores, odds and bets, as the tenant sends them.

A feed event is evidence for a moment, as timed metadata is. It is not an event of a webhook, nor
one of the event stream, which tell a tenant about changes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from domain.highlights.markers import FARTHEST
from domain.score import Unit
from domain.text import Name, as_instant

MOST_EVENTS: Final = 100
"""Maximum events of a batch."""

MOST_BATCH_BYTES: Final = 64 << 10
"""Maximum size of a batch, in bytes of JSON."""

MOST_SUBJECTS: Final = 20
"""Maximum subjects of an event."""

HIGHEST_ODDS: Final = 10_000.0
"""Highest decimal odds that a feed may state."""

TYPICAL_MARGIN: Final = 0.05
"""Margin of a market whose event does not state one."""

EventId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]

Subject = Annotated[
    str,
    StringConstraints(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._~:-]*$"),
]
"""Opaque reference to what a moment is about, such as `bet:8841`. It is part of a URL."""

MarketName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")
]
"""The tenant's name of a market, or of a selection in it."""

_MatchClock = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}:[0-5][0-9]$")]


class FeedEventKind(StrEnum):
    """What an event reports."""

    SCORE = "score"
    ODDS = "odds"
    SUSPENDED = "suspended"
    REOPENED = "reopened"
    SETTLED = "settled"
    CASH_OUT = "cash_out"
    REVIEW = "review"
    PERIOD = "period"
    CUSTOM = "custom"


class BetResult(StrEnum):
    """How a settled bet ended for the one who placed it."""

    WON = "won"
    LOST = "lost"
    VOID = "void"


class FeedOutcome(StrEnum):
    """What became of an event."""

    WAITING = "waiting"  # its moment is not decided yet
    RAISED = "raised"  # strengthened a highlight that was found without it
    MARKED = "marked"  # made a highlight, which rests on it
    LINKED = "linked"  # belongs to a highlight, without any effect on it
    UNUSED = "unused"  # its moment was analyzed, and there is no highlight
    TOO_LATE = "too_late"  # its moment had been analyzed before it came, without a highlight
    UNPLACED = "unplaced"  # it has no place in the stream
    RETRACTED = "retracted"  # taken back by another event


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _sequence(value: object) -> object:
    """Take an array of JSON for a tuple, also in strict validation."""
    return tuple(value) if isinstance(value, list) else value


class FeedTime(_Wire):
    """When an event happened. Exactly one of the four forms is set."""

    wall_clock: Annotated[AwareDatetime, BeforeValidator(as_instant)] | None = Field(
        default=None, description="Time of your feed, with a zone; the feed clock corrects it."
    )
    media: Annotated[float, Field(ge=0.0, le=1e6, allow_inf_nan=False)] | None = Field(
        default=None, description="Seconds of media time; exact."
    )
    clock: _MatchClock | None = Field(
        default=None, description="Match clock as shown on the screen, such as `45:12`."
    )
    period: Name | None = Field(default=None, description="Period that `clock` belongs to.")
    now: Literal[True] | None = Field(
        default=None, description="The time at which the service receives the event."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = (self.wall_clock, self.media, self.clock, self.now)
        if sum(each is not None for each in forms) != 1:
            raise ValueError("give exactly one of `wall_clock`, `media`, `clock` and `now`")
        if self.period is not None and self.clock is None:
            raise ValueError("`period` belongs to `clock`, which is missing")
        return self


class OddsMove(_Wire):
    """Decimal odds of one selection before and after a move."""

    before: float
    after: float
    seconds: Annotated[float, Field(gt=0.0, le=600.0, allow_inf_nan=False)] | None = Field(
        default=None, description="Duration of the move in seconds."
    )
    margin: Annotated[float, Field(ge=0.0, le=0.5, allow_inf_nan=False)] = Field(
        default=TYPICAL_MARGIN,
        description="The bookmaker's margin: the sum of 1/odds of all selections, minus 1.",
    )

    @field_validator("before", "after")
    @classmethod
    def _decimal(cls, value: float) -> float:
        if not 1.0 < value <= HIGHEST_ODDS:  # also false for NaN
            raise ValueError(
                f"decimal odds are above 1 and at most {HIGHEST_ODDS:g}: 2.40 returns 2.40 for 1; "
                "convert fractional and American odds, and send `suspended` for a market "
                "without a price"
            )
        return value


class FeedState(_Wire):
    """State of the match after an event."""

    home: Annotated[int, Field(ge=0, le=9999)] | None = None
    away: Annotated[int, Field(ge=0, le=9999)] | None = None
    clock: _MatchClock | None = None
    period: Name | None = None


class FeedEvent(_Wire):
    """An event of a tenant's feed.

    It replaces an event of the same stream and `id` with a lower `revision`. Validate it from JSON
    and in strict mode, so that `true` is not taken for 1.
    """

    id: EventId = Field(description="Your id of the event, unique in the stream.")
    revision: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(
        default=0, description="The highest revision of an id wins, in any order of arrival."
    )
    kind: FeedEventKind
    at: FeedTime
    label: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="Kind of moment, such as `goal`; adds tags of the game profile."
    )
    importance: Unit | None = Field(
        default=None, description="How much the event counts; by default its kind decides."
    )
    offset: Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)] = Field(
        default=0.0, description="Seconds from the event to its moment; negative if it was before."
    )
    market: MarketName | None = None
    selection: MarketName | None = None
    odds: OddsMove | None = None
    state: FeedState | None = None
    result: BetResult | None = Field(default=None, description="Result of a settled bet.")
    subjects: Annotated[
        tuple[Subject, ...], BeforeValidator(_sequence), Field(max_length=MOST_SUBJECTS)
    ] = Field(
        default=(),
        description="Opaque references to bets or users, without personal data.",
    )
    retracts: EventId | None = Field(
        default=None, description="The event that this one takes back, such as a goal after review."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind is FeedEventKind.ODDS) != (self.odds is not None):
            raise ValueError("`odds` belongs to events of kind `odds`, and only to them")
        if self.result is not None and self.kind is not FeedEventKind.SETTLED:
            raise ValueError("`result` belongs to events of kind `settled`")
        if self.retracts == self.id:
            raise ValueError("an event cannot retract itself: send a new event that retracts it")
        return self


class FeedBatch(_Wire):
    """Events to apply together."""

    events: Annotated[tuple[FeedEvent, ...], Field(min_length=1, max_length=MOST_EVENTS)]

    def latest(self) -> tuple[FeedEvent, ...]:
        """Return the event of the highest revision of each id, in the order of first mention."""
        newest: dict[str, FeedEvent] = {}
        for event in self.events:
            known = newest.get(event.id)
            if known is None or event.revision > known.revision:
                newest[event.id] = event
        return tuple(newest.values())
