"""Reels: which clips go into so many seconds, how one becomes the next, and their chapters."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, NonNegativeFloat, PositiveFloat

from domain.model import Model

SHORTEST_REEL: Final = 5.0
LONGEST_REEL: Final = 600.0
"""Seconds that a reel may be asked to fill."""

MOST_CLIPS: Final = 200
"""Clips among which those of a reel are chosen: the best of those that match."""

MOST_STREAMS: Final = 20
"""Streams of which a reel may have clips."""

_STEPS: Final = 10
"""Steps of a second in which lengths are counted."""


class ReelOrder(StrEnum):
    """In which order the clips of a reel follow each other."""

    TIME = "time"  # with several streams, one stream after the other
    SCORE = "score"  # the best first


class TransitionKind(StrEnum):
    """How a clip of a reel becomes the next one."""

    CUT = "cut"
    FADE = "fade"  # through black
    DISSOLVE = "dissolve"  # the next clip appears over this one


class Transition(Model):
    """How each clip of a reel becomes the next one; `duration` in seconds, none for a cut."""

    kind: TransitionKind = TransitionKind.CUT
    duration: Annotated[float, Field(ge=0.1, le=2.0)] = 0.5

    @property
    def overlap(self) -> float:
        """Seconds for which two clips are shown and heard together."""
        return 0.0 if self.kind is TransitionKind.CUT else self.duration

    @property
    def shortest_clip(self) -> float:
        """Seconds that a clip must have, so that its two transitions do not meet."""
        return 2 * self.overlap


CUT: Final = Transition()


class ReelPart(Model):
    """A clip in a reel: its file, and where it lies in its stream (s of media time).

    `stream_id` is None in reels from before there were reels of several streams: it is that of the
    reel.
    """

    stream_id: UUID | None = None
    highlight_id: UUID
    clip_id: UUID
    clip_key: str
    title: str
    score: float
    start: NonNegativeFloat
    duration: PositiveFloat

    @property
    def end(self) -> float:
        """Second of media time."""
        return self.start + self.duration


class ReelChapter(Model):
    """A clip as a chapter of the reel's file; `start` and `end` in its seconds."""

    start: float
    end: float
    title: str
    highlight_id: UUID


def choose_parts(
    candidates: Iterable[ReelPart],
    *,
    seconds: float,
    order: ReelOrder,
    transition: Transition = CUT,
    streams: Sequence[UUID] = (),
) -> tuple[ReelPart, ...]:
    """Return the clips with the highest total score that fit into `seconds`, in order.

    No two of them show the same seconds of a stream. This is weighted interval scheduling with a
    limit: clips are taken in the order of their ends, one of the `streams` after the other, and the
    best total is known for each length so far. Each clip but the first is shorter by the overlap.
    """
    overlap = transition.overlap
    places = {stream: place for place, stream in enumerate(streams)}

    def lane(part: ReelPart) -> int:
        return 0 if part.stream_id is None else places.get(part.stream_id, 0)

    parts = sorted(
        (each for each in candidates if each.duration > transition.shortest_clip),
        key=lambda each: (lane(each), each.end, each.start, each.clip_id),
    )
    ends = [(lane(each), each.end) for each in parts]
    limit = max(0, math.floor((seconds - overlap) * _STEPS))
    best: list[list[float]] = [[0.0] * (limit + 1)]
    before = [
        bisect_right(ends, (lane(part), part.start), hi=place) for place, part in enumerate(parts)
    ]
    lengths = [math.ceil((part.duration - overlap) * _STEPS) for part in parts]
    for place, part in enumerate(parts):
        length = lengths[place]
        without, earlier = best[place], best[before[place]]
        best.append(
            [
                max(without[room], part.score + earlier[room - length])
                if room >= length
                else without[room]
                for room in range(limit + 1)
            ]
        )
    chosen: list[ReelPart] = []
    place, room = len(parts), limit
    while place > 0:
        if best[place][room] > best[place - 1][room]:
            chosen.append(parts[place - 1])
            room -= lengths[place - 1]
            place = before[place - 1]
        else:
            place -= 1
    if order is ReelOrder.SCORE:
        return tuple(sorted(chosen, key=lambda each: (-each.score, lane(each), each.start)))
    return tuple(sorted(chosen, key=lambda each: (lane(each), each.start)))


def starts_of(parts: Sequence[ReelPart], transition: Transition) -> tuple[float, ...]:
    """Return when each clip begins to be shown (s of the reel), and when the last one ends."""
    starts = [0.0]
    for part in parts:
        starts.append(starts[-1] + part.duration - transition.overlap)
    starts[-1] += transition.overlap
    return tuple(starts)


def chapters_of_reel(
    parts: Sequence[ReelPart], transition: Transition = CUT, *, lead: float = 0.0
) -> tuple[ReelChapter, ...]:
    """Return one chapter per clip, in seconds of the file; it ends where the next clip appears.

    `lead` is how many seconds of the file come before the first clip.
    """
    if not parts:
        return ()
    return tuple(
        ReelChapter(
            start=lead + start, end=lead + end, title=part.title, highlight_id=part.highlight_id
        )
        for part, (start, end) in zip(parts, pairwise(starts_of(parts, transition)), strict=True)
    )
