"""What the timestamps of a segment's packets say, and which of them say nothing."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Any, Final, NamedTuple

from av.packet import Packet

from domain.timeline import unwrap

_HOLE: Final = 1.0
_STEPS: Final = 10.0
_FAR: Final = 10.0
_FEW: Final = 0.05
"""Share of a track's packets that may be wrong: more of them are another clock."""


class Span(NamedTuple):
    """Where a track's media lies: `first` on the container's clock, `duration`; both in seconds."""

    first: float
    duration: float

    @property
    def end(self) -> float:
        """The container's clock just after the last frame."""
        return self.first + self.duration


class _Run(NamedTuple):
    """Packets whose presentation times follow on: indexes in the order of decoding, and times."""

    indexes: tuple[int, ...]
    first: float
    last: float


class PacketTimes:
    """Presentation times (s) of one track's packets, in the order of decoding."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._lengths: list[float] = []

    def add(self, packet: Packet[Any]) -> None:
        """Take in a packet; one without a timestamp tells nothing."""
        timestamp = packet.pts if packet.pts is not None else packet.dts
        if timestamp is None or packet.time_base is None:
            return
        self._times.append(float(timestamp * packet.time_base))
        self._lengths.append(float((packet.duration or 0) * packet.time_base))

    def span(self, *, beside: Span | None = None) -> Span | None:
        """Return where the media lies; None without a timestamp.

        Single frames stamped away from all others do not count, and a clock that starts anew
        within the segment is followed: what comes after lies behind what was before. `beside` is
        another track's span: a last frame far after both tracks' other frames does not count.
        """
        if not self._times:
            return None
        middle = median(self._times)
        times = [unwrap(each, near=middle) for each in self._times]
        step = _usual_step(times)
        runs = [run for run in _runs(times, step) if not _stray(run, times, step, beside)]
        runs.sort(key=lambda run: run.indexes[0])
        duration = 0.0
        end = runs[0].first
        for run in runs:
            follows = end <= run.first <= end + _FAR
            duration += (run.last - end) if follows else (run.last - run.first + step)
            end = run.last
        last = runs[-1].indexes
        length = next((self._lengths[i] for i in last if times[i] == runs[-1].last), 0.0)
        usual = 0 < length <= max(_HOLE, 2 * step)
        return Span(runs[0].first, duration + (length if usual else step))


def _usual_step(times: list[float]) -> float:
    ordered = sorted(times)
    steps = [after - before for before, after in pairwise(ordered)]
    positive = [step for step in steps if step > 0]
    return median(positive) if positive else 0.0


def _runs(times: list[float], step: float) -> list[_Run]:
    """Divide packets where their times leave a hole that no usual distance explains."""
    hole = max(_HOLE, _STEPS * step)
    order = sorted(range(len(times)), key=times.__getitem__)
    groups = [[order[0]]]
    for before, index in pairwise(order):
        if times[index] - times[before] > hole:
            groups.append([])
        groups[-1].append(index)
    return [_Run(tuple(sorted(each)), times[each[0]], times[each[-1]]) for each in groups]


def _stray(run: _Run, times: list[float], step: float, beside: Span | None) -> bool:
    """Return True if a run is a few packets with wrong timestamps.

    They are far from all others, or not where the order of decoding puts them.
    """
    total = len(times)
    if len(run.indexes) > max(1, _FEW * total) or len(run.indexes) == total:
        return False
    others = [index for index in range(total) if index not in run.indexes]
    first, last = run.indexes[0], run.indexes[-1]
    reach = max(_HOLE, 2 * step)
    before = [times[index] for index in others if index < first][-1:]
    after = [times[index] for index in others if index > last][:1]
    if before and after:
        return not before[0] - reach <= run.first <= run.last <= after[0] + reach
    distance = min(
        abs(run.first - before[0]) if before else _FAR + 1,
        abs(after[0] - run.last) if after else _FAR + 1,
    )
    outside = beside is not None and (
        run.first > beside.end + reach or run.last < beside.first - reach
    )
    return distance > _FAR or outside
