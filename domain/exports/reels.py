"""Reels: which clips of a stream go into so many seconds, and their chapters."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import NonNegativeFloat, PositiveFloat

from domain.model import Model

SHORTEST_REEL: Final = 5.0
LONGEST_REEL: Final = 600.0
"""Seconds that a reel may be asked to fill."""

MOST_CLIPS: Final = 200
"""Clips among which those of a reel are chosen: the best of those that match."""

_STEPS: Final = 10
"""Steps of a second in which lengths are counted."""


class ReelOrder(StrEnum):
    """In which order the clips of a reel follow each other."""

    TIME = "time"
    SCORE = "score"  # the best first


class ReelPart(Model):
    """A clip in a reel: its file, and where it lies in its stream (s of media time)."""

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
    candidates: Iterable[ReelPart], *, seconds: float, order: ReelOrder
) -> tuple[ReelPart, ...]:
    """Return the clips with the highest total score that fit into `seconds`, in order.

    No two of them show the same seconds. This is weighted interval scheduling with a limit: clips
    are taken in the order of their ends, and the best total is known for each length so far.
    """
    parts = sorted(candidates, key=lambda each: (each.end, each.start, each.clip_id))
    ends = [each.end for each in parts]
    limit = math.floor(seconds * _STEPS)
    best: list[list[float]] = [[0.0] * (limit + 1)]
    before = [bisect_right(ends, part.start, hi=place) for place, part in enumerate(parts)]
    for place, part in enumerate(parts):
        length = math.ceil(part.duration * _STEPS)
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
            part = parts[place - 1]
            chosen.append(part)
            room -= math.ceil(part.duration * _STEPS)
            place = before[place - 1]
        else:
            place -= 1
    if order is ReelOrder.SCORE:
        return tuple(sorted(chosen, key=lambda each: (-each.score, each.start)))
    return tuple(sorted(chosen, key=lambda each: each.start))


def chapters_of_reel(parts: Sequence[ReelPart]) -> tuple[ReelChapter, ...]:
    """Return one chapter per clip, in seconds of the reel."""
    chapters, at = [], 0.0
    for part in parts:
        chapters.append(
            ReelChapter(
                start=at,
                end=at + part.duration,
                title=part.title,
                highlight_id=part.highlight_id,
            )
        )
        at += part.duration
    return tuple(chapters)
