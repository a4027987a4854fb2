"""Repair of packet timestamps: wraps are undone, bad timestamps derived from their neighbors.

All times are integer ticks of `TICKS` per second, relative to the start of the segment. Packets are
in decode order. No packet is dropped: a bad timestamp costs no more than its own frame.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

TICKS: Final = 90_000
"""Ticks per second, the clock of MPEG-TS (ISO/IEC 13818-1, 2.4.2.1)."""

WRAP: Final = 1 << 33
"""Ticks after which timestamps of MPEG-TS start again at zero (ISO/IEC 13818-1, 2.4.3.7)."""

_DEFAULT_INTERVAL: Final = TICKS // 25
_NEIGHBORS: Final = 8
"""Packets on each side that a timestamp is compared with; H.264 reorders over at most 16."""

_LEAST_DEVIATION: Final = TICKS // 5
_EDGE_DEVIATION: Final = 10 * TICKS
_SPAN_SLACK: Final = 2 * TICKS
_MOST_SLOTS: Final = 10_000


def unwrap(ticks: int, origin: int) -> int:
    """Return `ticks - origin`, the shorter way around the clock of 33 bits."""
    return (ticks - origin + WRAP // 2) % WRAP - WRAP // 2


def presentation_times(
    pts: Sequence[int | None],
    dts: Sequence[int | None] = (),
    *,
    span: int | None = None,
) -> list[int]:
    """Return a distinct presentation time for each packet.

    Missing timestamps, repeated ones, and those that disagree with the packets around them or lie
    far outside `span` (the segment's duration) are replaced: by a place that the others leave
    free, else by the instant after the packet before. Good timestamps stay as they are.

    Args:
        pts: presentation timestamps.
        dts: decode timestamps, used only where hardly any presentation timestamp is usable.
        span: duration of the segment.
    """
    times = list(pts)
    if _distinct(times) * 3 < len(times) <= _distinct(dts) * 3:
        times = list(dts)
    if _distinct(times) * 3 < len(times):
        return _evenly(times, span)
    interval = _interval(times)
    _discard_repeated(times, interval)
    _discard_deviating(times, interval)
    if span is not None:
        _discard_outside(times, span)
    return _filled(times, interval, span)


def sequential_times(
    pts: Sequence[int | None], durations: Sequence[int], *, span: int | None = None
) -> list[int]:
    """Return a time for each packet of a track without reordering, such as sound.

    A bad timestamp becomes the end of the packet before.
    """
    times = list(pts)
    interval = _interval(times)
    _discard_repeated(times, interval)
    _discard_deviating(times, interval)
    if span is not None:
        _discard_outside(times, span)
    return _run_on(times, durations)


def decode_times(times: Sequence[int]) -> list[int]:
    """Return increasing decode times for distinct presentation times, none after its own."""
    ordered = sorted(times)
    delay = max((place - time for place, time in zip(ordered, times, strict=True)), default=0)
    return [place - delay for place in ordered]


def typical_interval(times: Sequence[int]) -> int:
    """Return the median distance between neighboring times."""
    return _interval(list(times))


def _run_on(times: Sequence[int | None], durations: Sequence[int]) -> list[int]:
    first = next((index for index, time in enumerate(times) if time is not None), len(times))
    known = times[first] if first < len(times) else 0
    at = (known or 0) - sum(durations[:first])
    result = []
    for time, duration in zip(times, durations, strict=True):
        at = at if time is None else time
        result.append(at)
        at += duration
    return result


def _distinct(times: Sequence[int | None]) -> int:
    return len({time for time in times if time is not None})


def _interval(times: Sequence[int | None]) -> int:
    ordered = sorted({time for time in times if time is not None})
    steps = [after - before for before, after in pairwise(ordered)]
    return max(1, round(median(steps))) if steps else _DEFAULT_INTERVAL


def _evenly(times: Sequence[int | None], span: int | None) -> list[int]:
    """Spread the packets over the segment, since next to nothing is known of their times."""
    known = [time for time in times if time is not None]
    first = min(known) if known and span is None else 0
    step = span // len(times) if span is not None else _DEFAULT_INTERVAL
    return [first + index * max(1, step) for index in range(len(times))]


def _discard_repeated(times: list[int | None], interval: int) -> None:
    """Discard all but one of equal times.

    Where pictures are reordered, one that is decoded first is shown last: it is the one that
    belongs into the free place after the time that it shares.
    """
    known = [time for time in times if time is not None]
    taken = set(known)
    reordered = any(after < before for before, after in pairwise(known))
    first: dict[int, int] = {}
    for index, time in enumerate(times):
        if time is None:
            continue
        if time not in first:
            first[time] = index
        elif reordered and time + interval not in taken:
            times[first[time]] = None
            first[time] = index
        else:
            times[index] = None


def _discard_deviating(times: list[int | None], interval: int) -> None:
    """Discard what differs from the median of the packets around it.

    A median over a symmetric window keeps steps: after a true hole all packets are late, and none
    is discarded. At the edges, where no symmetric window fits, only hours are implausible.
    """
    known = [(index, time) for index, time in enumerate(times) if time is not None]
    allowed = max(_LEAST_DEVIATION, 10 * interval)
    for place, (index, time) in enumerate(known):
        reach = min(place, len(known) - 1 - place, _NEIGHBORS)
        if reach:
            around = known[place - reach : place + reach + 1]
            limit = allowed
        else:
            around = known[: 2 * _NEIGHBORS + 1] if place == 0 else known[-2 * _NEIGHBORS - 1 :]
            limit = _EDGE_DEVIATION + 2 * _NEIGHBORS * interval
        if abs(time - median(each for _, each in around)) > limit:
            times[index] = None


def _discard_outside(times: list[int | None], span: int) -> None:
    """Discard what lies outside the segment, unless most of it does: then the span is wrong."""
    low, high = -span - _SPAN_SLACK, 2 * span + _SPAN_SLACK
    outside = [
        index for index, time in enumerate(times) if time is not None and not low <= time <= high
    ]
    if 2 * len(outside) < len(times):
        for index in outside:
            times[index] = None


def _filled(times: Sequence[int | None], interval: int, span: int | None) -> list[int]:
    missing = [index for index, time in enumerate(times) if time is None]
    known = sorted(time for time in times if time is not None)
    if not missing:
        return [time for time in times if time is not None]
    if not known:
        return _evenly(times, None)
    slots = _free_slots(known, interval, len(missing))
    if span is not None:
        slots = [slot for slot in slots if 0 <= slot <= span - interval // 2]
    used = set(known)
    result = list(times)
    for index in missing:
        expected, before = _expected(times, index, interval)
        place = _nearest(slots, expected)
        if place is not None and abs(slots[place] - expected) <= 4 * interval:
            time = slots.pop(place)
        else:
            time = before + 1
        while time in used:
            time += 1
        used.add(time)
        result[index] = time
    return [time for time in result if time is not None]


def _free_slots(known: Sequence[int], interval: int, missing: int) -> list[int]:
    """Return, in order, the times at which a packet could be missing."""
    slots: list[int] = []
    for before, after in pairwise(known):
        steps = min(round((after - before) / interval), _MOST_SLOTS)
        slots += [before + (after - before) * step // steps for step in range(1, steps)]
        if len(slots) > _MOST_SLOTS:
            break
    first, last = known[0], known[-1]
    slots += [first - step * interval for step in range(1, missing + 1)]
    slots += [last + step * interval for step in range(1, missing + 1)]
    return sorted(slots)


def _expected(times: Sequence[int | None], index: int, interval: int) -> tuple[int, int]:
    """Return about when a packet should be shown, and when the one before it is."""
    before = next((place for place in range(index - 1, -1, -1) if times[place] is not None), None)
    after = next(
        (place for place in range(index + 1, len(times)) if times[place] is not None), None
    )
    if before is None and after is None:
        return 0, 0
    if before is None:
        later = times[after or 0] or 0
        expected = later - interval * ((after or 0) - index)
        return expected, expected - 1
    earlier = times[before] or 0
    if after is None:
        return earlier + interval * (index - before), earlier
    later = times[after] or 0
    return earlier + (later - earlier) * (index - before) // (after - before), earlier


def _nearest(slots: Sequence[int], time: int) -> int | None:
    place = bisect_left(slots, time)
    candidates = [each for each in (place - 1, place) if 0 <= each < len(slots)]
    return min(candidates, key=lambda each: abs(slots[each] - time), default=None)
