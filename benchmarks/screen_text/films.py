"""The score changes that the screen channel finds in one film."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import av
from av.video.frame import VideoFrame
from pydantic import BaseModel, ConfigDict

from domain.analysis.screen import (
    MatchState,
    ScreenFact,
    ScreenFactKind,
    ScreenMemory,
    ScreenReading,
    ScreenState,
    follow_screen,
    read_clock,
)
from domain.profiles.model import Hud, HudKind
from infra.media.screen.reader import ScreenReader
from tools.footage.truth import Event, Truth

LATE: Final = 6.0
"""Seconds after a change in which the screen may show it and a fact may report it."""

_HOUR: Final = 3600.0

Score = tuple[int, int]


class Change(NamedTuple):
    """A change of the score between two keyframes, in seconds of the film."""

    since: float
    until: float


class Reading(BaseModel):
    """What was read in one film.

    Attributes:
        changes: score changes that a keyframe could show.
        found: those that a fact reports within `LATE`.
        false: facts about the score that report none.
        exact: facts whose new score is the game's.
        clocks: readings of clock regions, and how many of them were clocks.
        cpu_share: CPU seconds of reading per second of film, decoding not included.
        off: why the channel was off at the end; empty if it was not.
    """

    model_config = ConfigDict(frozen=True)

    film: str
    seconds: float
    changes: int
    found: int
    false: int
    facts: int
    exact: int
    readings: int
    clocks: tuple[int, int]
    cpu_share: float
    off: str

    @property
    def recall(self) -> float:
        """Share of the changes that were found; 1 without any."""
        return self.found / self.changes if self.changes else 1.0

    @property
    def false_per_hour(self) -> float:
        """False facts per hour of film."""
        return self.false * _HOUR / self.seconds


def read_film(video: Path, truth: Truth, hud: Hud) -> Reading:
    """Read a film keyframe by keyframe, as the media child does, and compare with its truth."""
    memory, state = ScreenMemory(), ScreenState()
    facts: list[ScreenFact] = []
    readings: list[ScreenReading] = []
    times: list[float] = []
    spent = 0.0
    for at, picture in keyframes(video):
        began = time.process_time()
        reader = ScreenReader(hud, memory)
        reader.see(picture, at)
        memory = ScreenMemory.model_validate_json(reader.memory().model_dump_json())
        state, new = follow_screen(state, reader.readings, hud)
        spent += time.process_time() - began
        facts += new
        readings += reader.readings
        times.append(at)
    clocks = [each for each in readings if each.holds is HudKind.CLOCK]
    changes = find_changes(truth.events, times)
    scored = [each for each in facts if each.kind is not ScreenFactKind.FEED and _scores(each)]
    return Reading(
        film=video.stem,
        seconds=truth.film.duration,
        changes=len(changes),
        found=sum(any(_reports(fact, change) for fact in scored) for change in changes),
        false=sum(not any(_reports(fact, change) for change in changes) for fact in scored),
        facts=len(scored),
        exact=sum(is_exact(fact, truth.events) for fact in scored),
        readings=len(readings),
        clocks=(len(clocks), sum(read_clock(each.text) is not None for each in clocks)),
        cpu_share=spent / truth.film.duration,
        off=memory.off,
    )


def keyframes(video: Path) -> Iterator[tuple[float, VideoFrame]]:
    """Yield the keyframes of a video with their times, in seconds."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONKEY"
        for frame in container.decode(stream):
            if frame.time is not None:
                yield float(frame.time), frame


def find_changes(events: Sequence[Event], times: Sequence[float]) -> list[Change]:
    """Return where the score differs between two keyframes; a new match is no change."""
    changes = []
    for since, until in pairwise(times):
        between = [each for each in events if since < each.at <= until]
        if any(each.points > 0 for each in between):
            changes.append(Change(since, until))
    return changes


def is_exact(fact: ScreenFact, events: Sequence[Event]) -> bool:
    """Return True if the game had the score that a fact reports, within `LATE` of it."""
    if fact.state is None:
        return False
    shown = fact.state.score_after
    scores = [score_at(events, fact.at - LATE)]
    scores += [score_at(events, e.at) for e in events if abs(e.at - fact.at) <= LATE]
    return any(shown in {score, score[:1], score[1:]} for score in scores)


def score_at(events: Sequence[Event], at: float) -> Score:
    """Return the score at an instant of the film; it starts over with each match."""
    score = [0, 0]
    for event in events:
        if event.at > at:
            break
        if event.kind == "match over":
            score = [0, 0]
        score[event.side] += event.points
    return score[0], score[1]


def _scores(fact: ScreenFact) -> bool:
    return fact.kind in {ScreenFactKind.SCORE, ScreenFactKind.CORRECTION} and isinstance(
        fact.state, MatchState
    )


def _reports(fact: ScreenFact, change: Change) -> bool:
    return change.since <= fact.at <= change.until + LATE
