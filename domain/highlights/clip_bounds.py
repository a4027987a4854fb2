"""Where a clip begins and ends: around its moment, at points where a cut does not hurt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from domain.profiles.model import ClipShape

SEARCH: Final = 1.5
"""Seconds by which a bound may move to reach a safe point: more would change what is shown."""

PEAK_MARGIN: Final = 0.5
"""Seconds that a cut at a safe point keeps from the peak, so that it is seen, not glimpsed."""

LEAD_SHARE: Final = 2 / 3
"""Share of added or kept length that lies before the peak: what leads up explains the moment, and
what follows must be waited for."""


class ClipBounds(NamedTuple):
    """`start`..`end` in seconds of media time, and how safe points moved them (s; 0: not)."""

    start: float
    end: float
    start_moved: float = 0.0
    end_moved: float = 0.0


def clip_bounds(
    *,
    start: float,
    peak: float,
    end: float,
    shape: ClipShape,
    safe_starts: Sequence[float] = (),
    safe_ends: Sequence[float] = (),
    available: tuple[float, float] = (0.0, float("inf")),
) -> ClipBounds:
    """Return the bounds of the clip of the moment `start` <= `peak` <= `end` (seconds).

    Pre- and post-roll are added; a moment that is too long is cut around its peak, a clip that is
    too short grows; then each bound moves to the nearest safe point within `SEARCH`, if that
    keeps the length within the shape's limits. The result lies within `available`, holds the
    peak exactly, is at most `max_length` long, and at least `min_length` where so much is available
    (both up to the rounding of floats).

    Raises:
        ValueError: the peak lies outside `available`.
    """
    earliest, latest = available
    if not earliest <= peak <= latest:
        raise ValueError(f"the peak at {peak:.3f} s lies outside {earliest:.3f}..{latest:.3f} s")
    first = max(earliest, start - shape.pre_roll)
    last = min(latest, end + shape.post_roll)
    first, last = _shorten(first, peak, last, shape.max_length)
    first, last = _lengthen(first, last, shape.min_length, available)
    least = min(shape.min_length, last - first)

    begin = _nearest(
        safe_starts,
        first,
        low=max(earliest, last - shape.max_length),
        high=min(max(start, first), peak - PEAK_MARGIN, last - least),
    )
    finish = _nearest(
        safe_ends,
        last,
        low=max(min(end, last), peak + PEAK_MARGIN, begin + least),
        high=min(latest, begin + shape.max_length),
    )
    return ClipBounds(begin, finish, begin - first, finish - last)


def _shorten(first: float, peak: float, last: float, longest: float) -> tuple[float, float]:
    if last - first <= longest:
        return first, last
    first = max(first, min(peak - longest * LEAD_SHARE, last - longest))
    # A sum of floats may round to just before a peak that is the last instant there is.
    return first, max(peak, min(last, first + longest))


def _lengthen(
    first: float, last: float, shortest: float, available: tuple[float, float]
) -> tuple[float, float]:
    missing = shortest - (last - first)
    if missing <= 0:
        return first, last
    last = min(available[1], last + missing * (1 - LEAD_SHARE))
    first = max(available[0], min(first, last - shortest))
    return first, min(available[1], max(last, first + shortest))


def _nearest(points: Sequence[float], target: float, *, low: float, high: float) -> float:
    """Return the point nearest to `target` within `SEARCH` and `low`..`high`, else `target`."""
    reachable = [
        point for point in points if low <= point <= high and abs(point - target) <= SEARCH
    ]
    return min(reachable, key=lambda point: (abs(point - target), point), default=target)
