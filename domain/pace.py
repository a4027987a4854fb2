"""How often to ask for a live playlist."""

from __future__ import annotations

from typing import Final

FASTEST: Final = 0.05
"""Seconds between two requests at the least, whatever the pace."""

UNKNOWN_PACE_DELAY: Final = 0.2
"""Seconds before the second request, when the pace is not known yet."""

_LEARNING_RATE: Final = 0.3


def observe_interval(known: float | None, *, elapsed: float, segments: int) -> float:
    """Return the wall-clock seconds between new segments, given the latest observation.

    A faster pace is believed at once, since being late loses media; a slower one gradually and
    never more than twice as slow, so that a stall does not pass for a pace.

    Args:
        known: the interval believed so far.
        elapsed: seconds in which the new segments appeared.
        segments: how many appeared, at least one.
    """
    sample = elapsed / segments
    if known is None or sample < known:
        return sample
    return known + _LEARNING_RATE * (min(sample, 2 * known) - known)


def poll_delay(
    interval: float | None, *, target_duration: float, listed: int, idle: float
) -> float:
    """Return the seconds to wait before the next request.

    While the pace is unknown, ever more from `UNKNOWN_PACE_DELAY` on. Then half the interval
    between segments; while the playlist stands still, gradually more, but at most a quarter of the
    time for which a segment stays listed. Never above half the target duration, the least that
    RFC 8216, 6.3.4 asks of a client whose playlist has not changed.

    Args:
        interval: wall-clock seconds between new segments; None while unknown.
        target_duration: EXT-X-TARGETDURATION, in seconds.
        listed: how many segments the playlist holds.
        idle: seconds since the playlist last changed, or was first read.
    """
    slowest = max(FASTEST, target_duration / 2)
    if interval is None:
        return min(max(UNKNOWN_PACE_DELAY, idle), slowest)
    patient = min(idle / 8, interval * listed / 4)
    return min(max(interval / 2, patient, FASTEST), slowest)
