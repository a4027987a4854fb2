"""The media timeline: maps container timestamps of segments to media time.

MPEG-TS timestamps are 33 bits of a 90 kHz clock (ISO/IEC 13818-1, 2.4.3.7): they wrap every 26.5
hours, start anywhere, and restart with the encoder. Media time starts at 0, follows the container's
clock while that is continuous, and is continuous across everything else. EXTINF is used only if the
container has no usable timestamps, because packagers write constants, rounded values and zeros
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from domain.model import Model

TIMESTAMP_PERIOD: Final = 2**33 / 90_000
"""Seconds after which MPEG-TS timestamps repeat."""

_SHORTEST: Final = 0.001
LONGEST_BELIEVED_LOSS: Final = 6 * 3600.0
"""Seconds that may lie between two segments by their dates and still count as lost media."""
_LONGEST_LISTED: Final = 3600.0
_LONGEST_MEASURED: Final = 60.0
_ONE_PICTURE: Final = 0.1
_LONGEST_USUAL: Final = 30.0


class TimelinePoint(Model):
    """Where the next segment is expected.

    Attributes:
        position: seconds of media time.
        expected: container timestamp (s, unwrapped); None if unknown.
        discontinuity: number of preceding discontinuities.
    """

    position: NonNegativeFloat = 0.0
    expected: float | None = None
    discontinuity: NonNegativeInt = 0


class Placement(Model):
    """Position of a segment (s); `first_timestamp` is the container's timestamp at `start`."""

    start: NonNegativeFloat
    duration: PositiveFloat
    first_timestamp: float
    discontinuity: NonNegativeInt

    @property
    def end(self) -> float:
        """Seconds of media time just after the segment."""
        return self.start + self.duration


def place(
    point: TimelinePoint,
    *,
    timestamp: float,
    listed_duration: float,
    measured_duration: float | None,
    declared_discontinuity: bool = False,
    lost: float = 0.0,
    timed: bool = True,
) -> tuple[Placement, TimelinePoint]:
    """Place the next segment; return its placement and where the following one is expected.

    Args:
        point: where the segment is expected.
        timestamp: its first container timestamp (s), as read.
        listed_duration: its EXTINF (s).
        measured_duration: duration of its packets (s); None if unknown.
        declared_discontinuity: True if the playlist declares a new clock.
        lost: length (s) of the gap that ends at `point`. It was an estimate, so the segment may
            start up to that much before `point`, which shortens the gap.
        timed: False if the segment has no timestamps (packed audio without an ID3 timestamp), so
            that it follows the previous one without a discontinuity.

    Returns:
        Placements never overlap or go back. A timestamp that continues the previous media takes
        precedence over the playlist, so that nothing drifts.
    """
    duration = _duration(listed_duration, measured_duration)
    if not timed:
        return _untimed(point, timestamp, duration, declared=declared_discontinuity)
    if point.expected is None:
        return _anchor(point, timestamp, duration, point.discontinuity)
    unwrapped = unwrap(timestamp, near=point.expected)
    late = unwrapped - point.expected
    if declared_discontinuity or not _plausible(late, duration, listed_duration, lost):
        return _anchor(point, timestamp, duration, point.discontinuity + 1)
    true_start = point.position + late
    start = max(true_start, point.position - lost, 0.0)
    end = max(true_start + duration, start + _SHORTEST)
    placement = Placement(
        start=start,
        duration=end - start,
        first_timestamp=timestamp + (start - true_start),
        discontinuity=point.discontinuity,
    )
    following = TimelinePoint(
        position=end,
        expected=unwrapped + (end - true_start),
        discontinuity=point.discontinuity,
    )
    return placement, following


def skip(point: TimelinePoint, duration: float) -> TimelinePoint:
    """Return where the next segment is expected after `duration` seconds of lost media."""
    expected = None if point.expected is None else point.expected + duration
    return TimelinePoint(
        position=point.position + duration, expected=expected, discontinuity=point.discontinuity
    )


def unwrap(timestamp: float, *, near: float) -> float:
    """Return the value of a wrapping timestamp that is nearest to `near`; all in seconds."""
    return timestamp + round((near - timestamp) / TIMESTAMP_PERIOD) * TIMESTAMP_PERIOD


def lost_duration(
    *,
    listed: Sequence[float],
    unlisted: int,
    typical: float,
    last_end: datetime | None,
    next_start: datetime | None,
) -> float:
    """Estimate how many seconds of media were lost.

    The estimate is the sum of the listed durations, and the typical one for unlisted segments. The
    wall clock on both sides takes precedence if it says that more was lost, or slightly less. (A
    recording played faster than real time would say that much less was lost.)

    Args:
        listed: EXTINF (s) of the lost segments that were listed.
        unlisted: number of lost segments that were never listed.
        typical: duration (s) of a typical segment.
        last_end: program date time at which the last segment before ended.
        next_start: program date time of the next segment.
    """
    estimate = sum(listed) + unlisted * typical
    if last_end is not None and next_start is not None:
        elapsed = (next_start - last_end).total_seconds()
        if estimate * 0.75 <= elapsed <= LONGEST_BELIEVED_LOSS:
            return elapsed
    return estimate


def _anchor(
    point: TimelinePoint, timestamp: float, duration: float, discontinuity: int
) -> tuple[Placement, TimelinePoint]:
    placement = Placement(
        start=point.position,
        duration=duration,
        first_timestamp=timestamp,
        discontinuity=discontinuity,
    )
    following = TimelinePoint(
        position=placement.end, expected=timestamp + duration, discontinuity=discontinuity
    )
    return placement, following


def _untimed(
    point: TimelinePoint, timestamp: float, duration: float, *, declared: bool
) -> tuple[Placement, TimelinePoint]:
    new_clock = declared or point.expected is not None
    placement, following = _anchor(point, timestamp, duration, point.discontinuity + new_clock)
    unknown = TimelinePoint(position=following.position, discontinuity=following.discontinuity)
    return placement, unknown


def _duration(listed: float, measured: float | None) -> float:
    """Return the duration of the packets; EXTINF if that is unknown or implausible.

    A single picture has no duration, and a span of minutes comes from bad timestamps, not from
    media.
    """
    believed = max(2 * listed + 0.5, _LONGEST_MEASURED)
    if measured is not None and _ONE_PICTURE <= measured <= believed:
        return measured
    if measured is not None and 0 < measured < _ONE_PICTURE and listed < 2 * _ONE_PICTURE:
        return max(measured, _SHORTEST)
    return max(min(listed, _LONGEST_LISTED), _SHORTEST)


def _plausible(late: float, duration: float, listed: float, lost: float) -> bool:
    """Return True if a timestamp `late` seconds after the expected one continues the same clock.

    A truncated segment or a dropped frame moves the next one by about a segment at most; a new
    clock moves it by any amount. After a gap, whose length is an estimate, half of it more is
    accepted, or any part of it less.
    """
    latest = max(1.0, 1.5 * max(duration, min(listed, _LONGEST_USUAL))) + lost / 2
    return -max(0.5, duration / 2) - lost <= late <= latest
