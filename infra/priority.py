"""Which work gets the processor first when it does not suffice for all of it."""

from __future__ import annotations

from enum import IntEnum


class Niceness(IntEnum):
    """What a process adds to its parent's niceness (nice(2)); five more are a third of the CPU.

    A segment that is not fetched in time is lost, so fetching, with its probes, goes first. A late
    analysis catches up, and a late clip only comes later.
    """

    FETCHING = 0
    ANALYSIS = 5
    RENDERING = 10
