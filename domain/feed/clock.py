"""Feed clock: how far a feed is from the picture, estimated from events and measured moments.

A feed is early or late against the picture by seconds, differently for each stream. The estimate is
a consensus: the offset at which most reported events meet a measured moment, so that events that
never happened and moments that no feed reports do not move it. Around it, pairs count the less the
farther off they are (Tukey's biweight), since some crowds react late.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum
from statistics import fmean
from typing import Annotated, Final, NamedTuple

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from domain.model import Model

FARTHEST_OFFSET: Final = 25.0
"""Maximum offset (s) that is estimated; a tenant may set a larger one."""

FEWEST_PAIRS: Final = 3
"""Pairs below which the offset is unknown."""

UNKNOWN_ERROR: Final = 15.0
"""Error bound (s) of a place while the offset is unknown."""

SCREEN_WEIGHT: Final = 2.0
"""Weight of a change of score on the screen; the peak of a moment without one has 1."""

REACTION: Final = 0.85
"""Seconds from what happens to the peak of what the crowd makes of it.

Measured on scripted matches (median 0.7 s; one in five reacts 2 to 3 s late).
"""

_LATEST_EVENTS: Final = 40
_REACH: Final = 1.5
_PAIRED: Final = 3.0
_APART: Final = 3.0
_RIVAL: Final = 0.85
_LEAST_ERROR: Final = 0.6
_LEAST_SPREAD: Final = 0.7
_BOUND: Final = 3.0
_ITERATIONS: Final = 20
_CONVERGED: Final = 0.001


class ClockSource(StrEnum):
    """Where a feed clock comes from."""

    UNKNOWN = "unknown"
    ESTIMATED = "estimated"
    SET = "set"


class FeedClock(Model):
    """Offset of a feed against the picture.

    Attributes:
        offset: seconds to add to the feed's time to get the time of the picture.
        error: bound of the offset's error, in seconds.
        pairs: events that the estimate rests on.
    """

    source: ClockSource = ClockSource.UNKNOWN
    offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    error: NonNegativeFloat = UNKNOWN_ERROR
    pairs: NonNegativeInt = 0

    @property
    def is_known(self) -> bool:
        """True if events may make moments of their own."""
        return self.source is not ClockSource.UNKNOWN


class MeasuredMoment(NamedTuple):
    """A moment found in the picture: seconds of media time, and how surely it has an event."""

    at: float
    weight: float = 1.0

    @classmethod
    def of(cls, peak: float, *, score_changed: bool) -> MeasuredMoment:
        """Return the moment of a highlight that peaks at `peak` (s of media time)."""
        return cls(peak - REACTION, SCREEN_WEIGHT if score_changed else 1.0)


def estimate_clock(reported: Sequence[float], measured: Sequence[MeasuredMoment]) -> FeedClock:
    """Return the feed clock that events and measured moments agree on.

    It is unknown below `FEWEST_PAIRS` pairs, if less than half of the events meet a moment, and if
    another offset is nearly as good.

    Args:
        reported: times of events that the picture shows, such as goals, mapped to media time (s)
            without any offset, oldest first; the latest ones count.
        measured: moments of the picture.
    """
    events = list(reported)[-_LATEST_EVENTS:]
    moments = sorted(measured)
    times = [moment.at for moment in moments]
    candidates = sorted(
        moment.at - event for event in events for moment in _near(moments, times, event)
    )
    if not candidates:
        return FeedClock()
    supports = [(_support(events, moments, times, each), each) for each in candidates]
    best, center = max(supports, key=lambda each: (each[0], -abs(each[1])))
    rival = max((each for each, at in supports if abs(at - center) > _APART), default=0.0)
    pairs = len(_differences(events, moments, times, center, _REACH))
    if pairs < FEWEST_PAIRS or 2 * pairs < len(events) or rival > _RIVAL * best:
        return FeedClock(pairs=pairs)
    offset, spread = _refined(events, moments, times, center)
    return FeedClock(
        source=ClockSource.ESTIMATED,
        offset=round(offset, 3),
        error=round(max(_LEAST_ERROR, _BOUND * spread / math.sqrt(pairs)), 3),
        pairs=pairs,
    )


def _refined(
    events: Sequence[float],
    moments: Sequence[MeasuredMoment],
    times: Sequence[float],
    center: float,
) -> tuple[float, float]:
    """Return the biweight location of the differences around an offset, and their spread (s)."""
    offset = center
    for _ in range(_ITERATIONS):
        differences = _differences(events, moments, times, offset, _PAIRED)
        weights = [(1.0 - ((each - offset) / _PAIRED) ** 2) ** 2 for each in differences]
        before, offset = offset, fmean(differences, weights)
        if abs(offset - before) < _CONVERGED:
            break
    spread = math.sqrt(fmean([(each - offset) ** 2 for each in differences], weights))
    return offset, max(_LEAST_SPREAD, spread)


def _near(
    moments: Sequence[MeasuredMoment],
    times: Sequence[float],
    event: float,
    reach: float = FARTHEST_OFFSET,
) -> Sequence[MeasuredMoment]:
    first = bisect_left(times, event - reach)
    return moments[first : bisect_left(times, math.nextafter(event + reach, math.inf))]


def _support(
    events: Sequence[float],
    moments: Sequence[MeasuredMoment],
    times: Sequence[float],
    offset: float,
) -> float:
    return sum(
        max(
            (
                moment.weight * (1.0 - abs(moment.at - event - offset) / (2 * _REACH))
                for moment in _near(moments, times, event + offset, _REACH)
            ),
            default=0.0,
        )
        for event in events
    )


def _differences(
    events: Sequence[float],
    moments: Sequence[MeasuredMoment],
    times: Sequence[float],
    offset: float,
    reach: float,
) -> list[float]:
    """Return moment minus event for each event that meets a moment, the nearest one."""
    found = []
    for event in events:
        near = _near(moments, times, event + offset, reach)
        if near:
            nearest = min(near, key=lambda each: abs(each.at - event - offset))
            found.append(nearest.at - event)
    return found
