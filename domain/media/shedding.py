"""Stored media that a full segment store deletes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

ABANDONED_AFTER = 1800.0
"""Seconds without a new object after which a stream's media is taken for left behind: longer than
the clips of a stream that has ended need it."""

SHED_AFTER = 60.0
"""Seconds for which media is kept even in a full store: analysis is about to read it."""


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object of the segment store; `age` in seconds since it was written, `size` in bytes."""

    tenant: str
    stream: str
    key: str
    size: int
    age: float


def media_to_shed(objects: Iterable[StoredObject], *, target: int) -> list[StoredObject]:
    """Return what a full store deletes to free `target` bytes, the least needed first.

    Media of streams that were left behind goes first, oldest first. Then the tenant that holds
    most gives up its oldest media, again and again, so that no tenant pays for another.
    """
    by_stream: dict[tuple[str, str], list[StoredObject]] = defaultdict(list)
    for each in objects:
        by_stream[each.tenant, each.stream].append(each)
    shed: list[StoredObject] = []
    freed = 0
    live: dict[str, list[StoredObject]] = defaultdict(list)
    abandoned: list[StoredObject] = []
    for (tenant, _), found in by_stream.items():
        left_behind = min(each.age for each in found) > ABANDONED_AFTER
        (abandoned if left_behind else live[tenant]).extend(found)
    for each in sorted(abandoned, key=_oldest_first):
        if freed >= target:
            return shed
        shed.append(each)
        freed += each.size
    held = {tenant: sum(each.size for each in found) for tenant, found in live.items()}
    for tenant, found in live.items():
        live[tenant] = sorted(
            (each for each in found if each.age > SHED_AFTER), key=_oldest_first, reverse=True
        )
    while freed < target:
        tenant = max((name for name in live if live[name]), key=lambda name: held[name], default="")
        if not tenant:
            break
        each = live[tenant].pop()
        shed.append(each)
        freed += each.size
        held[tenant] -= each.size
    return shed


def _oldest_first(each: StoredObject) -> tuple[float, str]:
    return (-each.age, each.key)
