"""A simulated hour in which all streams are live: how work comes together at moments.

Means hide what an evening does: all streams begin within minutes, and those that show the same
match have their moments in the same second. Random, with a fixed seed.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from typing import Final

from benchmarks.scale.figures import ScaleFigures
from benchmarks.scale.fleet import HOUR, Fleet
from deploy.sizes import Sizes

_SEED: Final = 49
_SPREAD: Final = 8.0
"""Seconds over which the streams of one match detect its moment: they are that far behind it."""


@dataclass(frozen=True)
class Evening:
    """The worst of an hour.

    Attributes:
        starts_per_second: while all streams begin.
        peak_actions: of one second.
        renders_elsewhere: share of clips that another worker than the stream's renders.
        wait_p99: seconds from a clip's request until its rendering begins, 99th percentile.
        wait_max: the longest of them.
    """

    starts_per_second: float
    peak_actions: int
    renders_elsewhere: float
    wait_p99: float
    wait_max: float


def simulate(figures: ScaleFigures, sizes: Sizes, streams: int) -> Evening:
    """Play one hour of moments on the tasks that this many streams have."""
    fleet = Fleet(figures, sizes, streams)
    source = random.Random(_SEED)
    moments = _moments(source, figures, streams)
    waits, elsewhere = _render(moments, fleet, figures, sizes)
    seconds = Counter(int(each) for each, _ in moments)
    at_a_moment = (figures["actions"] - figures["heartbeats"]) / figures["clips"]
    busiest = max(seconds.values(), default=0)
    waits.sort()
    return Evening(
        starts_per_second=streams / (figures["start_minutes"] * 60),
        peak_actions=round(fleet.per_second("heartbeats") + busiest * at_a_moment),
        renders_elsewhere=elsewhere / max(1, len(waits)),
        wait_p99=waits[int(0.99 * len(waits))] if waits else 0.0,
        wait_max=waits[-1] if waits else 0.0,
    )


def _moments(source: random.Random, figures: ScaleFigures, streams: int) -> list[tuple[float, int]]:
    """Return the time of each clip's request with the number of its stream, in order of time."""
    shared = int(streams * figures["same_match"])
    rate = figures["clips"] / HOUR
    found = []
    for moment in _poisson(source, rate):
        found += [(moment + source.uniform(0, _SPREAD), stream) for stream in range(shared)]
    for stream in range(shared, streams):
        found += [(moment, stream) for moment in _poisson(source, rate)]
    return sorted(found)


def _poisson(source: random.Random, rate: float) -> list[float]:
    times = []
    now = source.expovariate(rate)
    while now < HOUR:
        times.append(now)
        now += source.expovariate(rate)
    return times


def _render(
    moments: list[tuple[float, int]], fleet: Fleet, figures: ScaleFigures, sizes: Sizes
) -> tuple[list[float], int]:
    """Return the wait of each rendering, and how many another worker did.

    A clip waits for a slot of the worker that follows its stream; after `worker_timeout_seconds` it
    takes the first free slot of worker-render, which has as many tasks as deploy/sizes.yaml allows.
    """
    slots = int(figures["render_slots"])
    took = figures["render_seconds"] / slots  # ffmpeg uses a core for each slot
    own = [[0.0] * slots for _ in range(fleet.follower_tasks)]
    shared = [0.0] * (slots * sizes.services["worker-render"].count["prod"][1])
    patience = figures["worker_timeout_seconds"]
    waits, elsewhere = [], 0
    for moment, stream in moments:
        pool = own[stream % len(own)]
        asked = moment
        if pool[0] > moment + patience:
            pool, asked = shared, moment + patience
            elsewhere += 1
        begun = max(asked, pool[0])
        heapq.heapreplace(pool, begun + took)
        waits.append(begun - moment)
    return waits, elsewhere
