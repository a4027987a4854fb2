"""Chapters of a stream: its highlights, and what lies between them, from the start to the end."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.model import Model

_SHORTEST: Final = 0.5
"""Seconds that are left of a moment which overlaps the one before it, at least."""

_SHORTEST_BETWEEN: Final = 1.0
"""Seconds between two moments that are a chapter; fewer belong to the moment before them."""


class ChapterMoment(Model):
    """A highlight as a chapter shows it: the bounds of its clip, in seconds of media time."""

    highlight_id: UUID
    title: str
    start: float
    end: float
    score: float
    tags: tuple[str, ...] = ()


class ChapterKind(StrEnum):
    """What a chapter shows."""

    HIGHLIGHT = "highlight"
    BETWEEN = "between"


class Chapter(Model):
    """A part of a stream; `start` and `end` in seconds of media time."""

    start: float
    end: float
    kind: ChapterKind
    moment: ChapterMoment | None = None

    @property
    def title(self) -> str:
        """The highlight's title; empty between highlights."""
        return "" if self.moment is None else self.moment.title

    def until(self, end: float) -> Chapter:
        """Return this with another end (s)."""
        return Chapter(start=self.start, end=end, kind=self.kind, moment=self.moment)


def chapters_of(moments: Iterable[ChapterMoment], *, end: float) -> tuple[Chapter, ...]:
    """Return the chapters of a stream, which cover it from 0 to `end` (s) without overlap.

    A moment that overlaps the one before it begins where that one ends; one of which nothing is
    left is left out.
    """
    chapters: list[Chapter] = []
    at = 0.0
    for moment in sorted(moments, key=lambda each: (each.start, each.end)):
        start, stop = max(moment.start, at), min(moment.end, end)
        if stop - start < _SHORTEST:
            continue
        if start - at >= _SHORTEST_BETWEEN:
            chapters.append(Chapter(start=at, end=start, kind=ChapterKind.BETWEEN))
        elif chapters:
            chapters[-1] = chapters[-1].until(start)
        else:
            start = at
        chapters.append(Chapter(start=start, end=stop, kind=ChapterKind.HIGHLIGHT, moment=moment))
        at = stop
    if end - at >= _SHORTEST_BETWEEN or (not chapters and end > 0):
        chapters.append(Chapter(start=at, end=end, kind=ChapterKind.BETWEEN))
    elif chapters:
        chapters[-1] = chapters[-1].until(max(at, end))
    return tuple(chapters)
