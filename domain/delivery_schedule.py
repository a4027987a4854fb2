"""When a delivery is attempted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0

OFFSETS: Final = (
    *(0.0, 5.0, 15.0, 30.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds from a delivery's first attempt to each of its attempts: the schedule that Standard
Webhooks recommends, over one day, with more steps in the first half hour, since most outages of
endpoints are restarts that take a minute."""

LONGEST_RETRY_AFTER: Final = 24 * _HOUR
"""Seconds for which an endpoint can put off its next attempt by `Retry-After`, at most."""

JITTER: Final = 0.1
"""By what share of itself a wait is lengthened at most, so that what failed together does not
come back together."""


def attempt_at(
    number: int,
    *,
    began: datetime,
    offsets: Sequence[float] = OFFSETS,
    jitter: float = JITTER,
    chance: float = 0.0,
) -> datetime | None:
    """Return when attempt `number` (from 0) is due, or None when there is no such attempt.

    Args:
        number: which attempt.
        began: when the first one was made.
        offsets: seconds from the first attempt to each, ascending.
        jitter: the greatest share by which a wait is lengthened.
        chance: from 0 to 1, drawn for this attempt.
    """
    if number >= len(offsets):
        return None
    wait = offsets[number] - (offsets[number - 1] if number else 0.0)
    return began + timedelta(seconds=offsets[number] + wait * jitter * chance)
