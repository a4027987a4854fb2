"""How long stored media is kept while its stream is live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.media.segments import Gap, SegmentRef, Window

KEPT_GAPS = 500
"""Gaps remembered for the timeline query; the database has them all."""


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


def keep_from(
    *, analyzed: float, horizon: float, backlog: Iterable[Window], clip_starts: Iterable[float]
) -> float:
    """Return the media time (s) before which stored media may be deleted.

    Media stays until analysis is `horizon` seconds past it, since a moment that is found now may
    begin, or be shown after a better one fell, that far back; and longer while a window waits for
    analysis or a clip for its renderer.
    """
    return max(
        0.0,
        min(
            [analyzed - horizon, *(window.start for window in backlog), *clip_starts],
        ),
    )


def segments_from(segments: Sequence[SegmentRef], start: float) -> list[SegmentRef]:
    """Return the segments that reach beyond `start` seconds."""
    return [segment for segment in segments if segment.end > start]


def latest_gaps(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Return the gaps worth remembering."""
    return tuple(gaps[-KEPT_GAPS:])
