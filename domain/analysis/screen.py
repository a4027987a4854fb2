"""Text on the screen: readings, the facts that follow from them, and the state of the match.

A reading is what the recognizer saw in one region of one keyframe, errors included. The tracker
turns readings into facts: a change of the score counts when two readings agree on it, it is a
plausible step, and it is not a replay. Text on the screen is untrusted: it is cleaned, bounded,
and never used as an id, a URL or an instruction.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from pydantic import Field, NonNegativeFloat
from rapidfuzz import fuzz

from domain.model import Model
from domain.profiles.model import Hud, HudBox, HudKind
from domain.score import Unit

_NEAR: Final = 3


LONGEST_TEXT: Final = 200
"""Characters kept of a reading."""


def screen_text(text: str) -> str:
    """Return text from the screen as plain text of bounded length, its lines apart."""
    lines = (
        "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in line)
        for line in unicodedata.normalize("NFKC", text[: 4 * LONGEST_TEXT]).split("\n")
    )
    kept = [" ".join(line.split()) for line in lines]
    return "\n".join(line for line in kept if line)[:LONGEST_TEXT].rstrip()


class ScreenReading(Model):
    """Text of one region in one keyframe; empty if the region shows none.

    Attributes:
        region: name of the region.
        holds: what the profile says that it holds; None for a region that was learned.
        at: seconds of media time.
        since: media time (s) since which the region has looked like this.
        text: its lines, from top to bottom.
        confidence: mean confidence of the recognizer, 0 to 1.
    """

    region: str
    holds: HudKind | None = None
    at: NonNegativeFloat
    since: NonNegativeFloat | None = None
    text: str = ""
    confidence: float = 0.0

    @property
    def first_at(self) -> float:
        """Media time (s) at which the screen first showed it."""
        return self.at if self.since is None else min(self.at, self.since)


class ReadWord(Model):
    """A word of a region as it was read last.

    Attributes:
        line: number of its line, from the top.
        left: its first column in the region.
        right: the column after it.
        text: what was read.
        confidence: the recognizer's, 0 to 1.
        agreed: True if it was read alike before.
        read_at: media time (s) of the reading.
    """

    line: int
    left: int
    right: int
    text: str
    confidence: float
    agreed: bool = False
    read_at: float = 0.0

    def is_at(self, line: int, left: int, right: int) -> bool:
        """Return True if a word at this place can be the same."""
        near = abs(self.left - left) <= _NEAR and abs(self.right - right) <= _NEAR
        return near and self.line == line


class RegionMemory(Model):
    """What the reader remembers of a region; the cells are Base64 of small grey pictures.

    Attributes:
        box: place of a region that was learned; None if the profile gives it.
        seen: cells in the last keyframe.
        read: cells when it was last read.
        busy: for each cell, how often it changes between keyframes, 0 to 255.
        text: last text.
        words: its words.
        readings: readings since it changed.
        agreed: True if the last two readings since it changed agree.
        read_at: media time (s) of the last reading.
        since: media time (s) since which it has looked as it does.
        waiting: True if it has changed and was not read yet.
        blank: consecutive readings without text.
        restless: how many more readings differed from the one before than did not, at most 8.
        found: detections that found it, if it was learned.
        partner: the learned region that holds the other number of its score.
        moving: consecutive keyframes in which most of it changed.
    """

    box: HudBox | None = None
    seen: str = ""
    read: str = ""
    busy: str = ""
    text: str = ""
    words: tuple[ReadWord, ...] = ()
    readings: int = 0
    agreed: bool = False
    read_at: float = -1e9
    since: float = 0.0
    waiting: bool = False
    blank: int = 0
    restless: int = 0
    found: int = 0
    partner: str = ""
    moving: int = 0


class ScreenMemory(Model):
    """State of the reader between segments.

    Attributes:
        position: media time (s) of the last keyframe.
        budget: CPU time (ms) that may be spent on readings now.
        regions: by name.
        found_at: media time (s) at which the place of each learned region was last found.
        detections: detections of text that regions were learned from.
        detected_at: media time (s) of the last one.
        lost: 0, or how many detections have looked for a score that has disappeared, and 1.
        off: why nothing is read; empty if the channel works.
        retry_at: media time (s) of the next attempt, if it is off.
    """

    position: float = -1.0
    budget: float = 1000.0
    regions: dict[str, RegionMemory] = Field(default_factory=dict)
    found_at: dict[str, float] = Field(default_factory=dict)
    detections: int = 0
    detected_at: float = -1e9
    lost: int = 0
    off: str = ""
    retry_at: float = 0.0


Score = tuple[int, ...]


class MatchState(Model):
    """State of the match at a moment, as it was read on the screen.

    Attributes:
        score_before: the score before the moment, in the order of the screen.
        score_after: the score after it; equal to `score_before` if it did not change.
        clock: the match clock as shown, such as `45:12`.
        period: the period as shown, such as `2nd` or `Q4`.
    """

    score_before: tuple[int, ...] = ()
    score_after: tuple[int, ...] = ()
    clock: str | None = None
    period: str | None = None

    @property
    def words(self) -> str:
        """The state as text; with hyphens, the score is found by a search for `2-0`."""
        changed = self.score_before != self.score_after
        before, after = score_text(self.score_before), score_text(self.score_after)
        now = "-".join(map(str, self.score_after))
        parts = (
            f"score {before} → {after} on screen" if changed else "",
            f"{now or 'on screen'}{f' at {self.clock}' if self.clock else ''}",
            self.period or "",
        )
        return ", ".join(part for part in parts if part)


class ScreenFactKind(StrEnum):
    """What was read on the screen."""

    SCORE = "score"
    CORRECTION = "correction"
    FEED = "feed"
    BANNER = "banner"


class ScreenFact(Model):
    """Something that the screen said.

    Attributes:
        at: media time (s) at which the screen first showed it.
        weight: how much it speaks for a moment, 0 to 1.
        words: the fact in words.
        state: state of the match, if it is known.
    """

    kind: ScreenFactKind
    at: NonNegativeFloat
    weight: Unit
    words: str
    state: MatchState | None = None


def score_text(score: Score) -> str:
    """Return a score as people write it."""
    return "–".join(map(str, score))


_CLOCK: Final = re.compile(
    r"(?<![\d:.])(\d{1,3}\s?:\s?[0-5]\d(?::[0-5]\d)?)(?:\.\d{1,3})?(?![\d:])"
)
_PERIOD: Final = re.compile(
    r"(?<!\w)(1st|2nd|3rd|4th|[QP][1-4]|[12]H|HT|FT|OT|ET|half[- ]?time|full[- ]?time|overtime"
    r"|(?:set|round|map|game|inning|lap)\s?\d{1,2})(?!\w)",
    re.IGNORECASE,
)
_DASHES: Final = "-–\u2014"
_NUMBER: Final = re.compile(r"(?<![\w.,+#])(\d{1,7})(?![\w%]|[.,]\d)")
_TWO_SIDES: Final = re.compile(rf"(?<![\d:.])(\d{{1,3}})\s*[{_DASHES}:]\s*(\d{{1,3}})(?![\d:.])")
# Recognizers take a zero that stands alone, and digits among digits, for letters.
_DIGITS: Final = re.compile(r"(?<![\w])(?:[Oo]|(?=\w*\d)[\dOoDQlI|SBZ]{2,7})(?![\w])")
_MIN_TWO, _MAX_TWO = 10, 99
_AS_DIGITS: Final = str.maketrans("OoDQlI|SBZ", "0000111582")


def read_score(text: str, sides: int | None) -> Score | None:
    """Return the numbers of a score; None if the text holds none.

    Args:
        text: a reading of a region that holds a score.
        sides: how many numbers are expected; None if any number will do.
    """
    plain = _DIGITS.sub(lambda each: each[0].translate(_AS_DIGITS), without_clock(text))
    two = _TWO_SIDES.search(plain)
    if two is None and _NUMBER.search(plain) is None:
        two = _TWO_SIDES.search(text)  # `21:18` alone is a score
    if two and sides in {None, 2}:
        return int(two[1]), int(two[2])
    numbers = tuple(int(each) for each in _NUMBER.findall(plain))
    if numbers and sides in {None, len(numbers)}:
        return numbers
    if sides == len("10") and len(numbers) == 1 and _MIN_TWO <= numbers[0] <= _MAX_TWO:
        return numbers[0] // 10, numbers[0] % 10  # the space between them is narrow
    return None


def has_number(text: str) -> bool:
    """Return True if a text holds a number that is not part of a clock or period."""
    return read_score(without_clock(text), None) is not None


def without_clock(text: str) -> str:
    """Return a text without clocks and periods."""
    return _CLOCK.sub(" ", _PERIOD.sub(" ", text))


def read_clock(text: str) -> str | None:
    """Return the match clock in a text, such as `45:12`; None if there is none."""
    found = _CLOCK.search(text)
    return "".join(found[1].split()) if found else None


def read_period(text: str) -> str | None:
    """Return the period in a text, such as `2nd`; None if there is none."""
    found = _PERIOD.search(text)
    return found[1] if found else None


_LEAST_CONFIDENCE: Final = 0.5
_SURE: Final = 0.8
_LEARNED_SURE: Final = 0.7
_AGREE: Final = 2
_CLIMBS: Final = 3
_REPLAY: Final = 45.0
_STARTED_OVER: Final = 20.0
_LEAST_OVER: Final = 3
_LINE_KEPT: Final = 60.0
_OTHER_LAYOUT: Final = 4
_CLOCK_AGE: Final = 12.0
_TRUSTED_RISES: Final = 3
_MOST_FALLS: Final = 3
_MOST_MISSED: Final = 2
_SAME_LINE: Final = 80.0
_SAME_WORD: Final = 85.0
_LINES_KEPT: Final = 12
_BANNER_AGAIN: Final = 20.0
_FEED_LINE: Final = 0.15
_CORRECTED: Final = 0.5
_RATE_SPAN: Final = 600.0
_RARE: Final = 4
_LONGEST_NAME: Final = 40


class ScoreTrack(Model):
    """A score that is followed in one region.

    Attributes:
        score: the confirmed score; empty before the first.
        seen_at: media time (s) of the last reading that confirmed it.
        other: another score that was read and is not confirmed yet.
        other_since: media time (s) of its first reading.
        other_readings: its consecutive readings.
        apart_since: media time (s) of the first reading since which none has shown the confirmed
            score; None while the screen shows it.
        climbs: consecutive readings that have each risen from the one before.
        misfits: consecutive readings of another number of numbers.
        rises: confirmed rises.
        falls: falls that two readings agreed on.
        changes: media times (s) of the last confirmed rises.
    """

    score: Score = ()
    seen_at: float = 0.0
    other: Score = ()
    other_since: float = 0.0
    other_readings: int = 0
    apart_since: float | None = None
    climbs: int = 0
    misfits: int = 0
    rises: int = 0
    falls: int = 0
    changes: tuple[float, ...] = ()

    def confirmed(self, at: float) -> ScoreTrack:
        """Return the track after a reading of the confirmed score."""
        return self.replace(seen_at=at)

    def doubted(self, score: Score, at: float, *, climbs: int) -> ScoreTrack:
        """Return the track after a reading of another score."""
        known = score == self.other and self.other_readings > 0
        return self.replace(
            other=score,
            other_since=self.other_since if known else at,
            other_readings=self.other_readings + 1 if known else 1,
            apart_since=at if self.apart_since is None else self.apart_since,
            climbs=climbs,
        )

    def misfitted(self) -> ScoreTrack:
        """Return the track after a reading of another number of numbers."""
        return self.replace(
            other=self.other,
            other_since=self.other_since,
            other_readings=self.other_readings,
            apart_since=self.apart_since,
            misfits=self.misfits + 1,
        )

    def fallen(self) -> ScoreTrack:
        """Return the track after readings that agree on a fall, which may be a replay's."""
        return self.replace(
            other=self.other,
            other_since=self.other_since,
            other_readings=self.other_readings,
            apart_since=self.apart_since,
            falls=self.falls + 1,
        )

    def settled(self, at: float, *, rises: int = 0) -> ScoreTrack:
        """Return the track with the other score as the confirmed one."""
        changes = (*self.changes, self.other_since) if rises else self.changes
        return self.replace(
            score=self.other,
            seen_at=at,
            rises=self.rises + rises,
            changes=tuple(each for each in changes if each > at - _RATE_SPAN),
        )

    def replace(
        self,
        *,
        score: Score | None = None,
        seen_at: float | None = None,
        other: Score = (),
        other_since: float = 0.0,
        other_readings: int = 0,
        apart_since: float | None = None,
        climbs: int = 0,
        misfits: int = 0,
        rises: int | None = None,
        falls: int | None = None,
        changes: tuple[float, ...] | None = None,
    ) -> ScoreTrack:
        """Return a copy; what is not given of the unconfirmed score is forgotten."""
        return ScoreTrack(
            score=self.score if score is None else score,
            seen_at=self.seen_at if seen_at is None else seen_at,
            other=other,
            other_since=other_since,
            other_readings=other_readings,
            apart_since=apart_since,
            climbs=climbs,
            misfits=misfits,
            rises=self.rises if rises is None else rises,
            falls=self.falls if falls is None else falls,
            changes=self.changes if changes is None else changes,
        )


class ShownLine(Model):
    """A line that a feed or banner shows; `at` is the media time (s) of its last reading."""

    text: str
    first: float
    at: float
    readings: int = 1


class ScreenState(Model):
    """State of the tracker. Immutable.

    Attributes:
        scores: by region.
        score: the latest confirmed score; over all regions that hold parts of it.
        lines: lines of feeds and banners, by region.
        banners: media time (s) at which each word was last reported.
        clock: the latest clock.
        clock_at: media time (s) of its reading.
        period: the latest period.
    """

    scores: dict[str, ScoreTrack] = Field(default_factory=dict)
    score: Score = ()
    lines: dict[str, tuple[ShownLine, ...]] = Field(default_factory=dict)
    banners: dict[str, float] = Field(default_factory=dict)
    clock: str | None = None
    clock_at: float = 0.0
    period: str | None = None

    def match_at(self, at: float) -> MatchState | None:
        """Return the state of the match at a media time (s); None if nothing is known."""
        clock = self.clock if abs(at - self.clock_at) <= _CLOCK_AGE else None
        if not self.score and clock is None and self.period is None:
            return None
        return MatchState(
            score_before=self.score, score_after=self.score, clock=clock, period=self.period
        )


def follow_screen(
    state: ScreenState, readings: Iterable[ScreenReading], hud: Hud
) -> tuple[ScreenState, tuple[ScreenFact, ...]]:
    """Return the state after readings, in order of time, and the facts that they confirm."""
    tracker = _Tracker(state, hud)
    # The clock of a keyframe belongs to the score of the same keyframe.
    for reading in sorted(readings, key=lambda each: (each.at, each.holds is not HudKind.CLOCK)):
        tracker.take(reading)
    return tracker.state(), tuple(tracker.facts)


class _Tracker:
    def __init__(self, state: ScreenState, hud: Hud) -> None:
        self._hud = hud
        self._scores = dict(state.scores)
        self._score = state.score
        self._lines = dict(state.lines)
        self._banners = dict(state.banners)
        self._clock, self._clock_at, self._period = state.clock, state.clock_at, state.period
        self.facts: list[ScreenFact] = []

    def state(self) -> ScreenState:
        return ScreenState(
            scores=self._scores,
            score=self._score,
            lines=self._lines,
            banners=self._banners,
            clock=self._clock,
            clock_at=self._clock_at,
            period=self._period,
        )

    def take(self, reading: ScreenReading) -> None:
        text = screen_text(reading.text)
        if reading.text and reading.confidence < _LEAST_CONFIDENCE:
            return
        if reading.holds in {HudKind.FEED, HudKind.BANNER}:
            self._take_lines(reading, text)
            return
        if reading.holds is not HudKind.SCORE or _NUMBER.search(without_clock(text)):
            self._take_clock(text, reading.at)
        if reading.holds is HudKind.SCORE:
            self._take_score(reading, text)
        elif reading.holds is None:
            if self._is_score(reading, text):
                self._take_score(reading, text)
            self._take_words(reading, text)

    def _take_clock(self, text: str, at: float) -> None:
        clock, period = read_clock(text), read_period(text)
        if clock is not None:
            self._clock, self._clock_at = clock, at
        if period is not None:
            self._period = period

    def _is_score(self, reading: ScreenReading, text: str) -> bool:
        """Return True if a learned region holds a score, by what it looks like."""
        if reading.confidence < _LEARNED_SURE:
            return False
        if reading.region in self._scores:
            return True
        plain = without_clock(text)
        return _TWO_SIDES.search(plain) is not None or 1 <= len(_NUMBER.findall(plain)) <= _AGREE

    def _take_score(self, reading: ScreenReading, text: str) -> None:
        track = self._scores.get(reading.region, ScoreTrack())
        score = read_score(text, len(track.score) or None)
        moved = reading.holds is None and reading.region not in self._scores
        if score and moved and self._follows(score):
            track = ScoreTrack(score=self._score, seen_at=reading.at)
        if score is None:
            if read_score(text, None) is not None:
                track = track.misfitted()
                if track.misfits >= _OTHER_LAYOUT:  # another graphic has taken its place
                    track = ScoreTrack()
                self._scores[reading.region] = track
            return
        track = self._with_score(track, score, reading)
        self._scores[reading.region] = track
        if track.score and (reading.holds is not None or _is_counter(track)):
            self._score = self._joined(reading, track.score)

    def _with_score(self, track: ScoreTrack, score: Score, reading: ScreenReading) -> ScoreTrack:
        if score == track.score:
            return track.confirmed(reading.at)
        climbs = track.climbs + 1 if self._rose(track.other or track.score, score) else 0
        if track.other and climbs >= _CLIMBS:
            # A score that goes on rising had risen to what was read before.
            if self._rose(track.score, track.other):
                self._report_score(track, reading)
                track = track.settled(reading.at, rises=1)
            elif not track.score or self._has_stayed(track, reading.at):
                track = track.settled(reading.at)
        track = track.doubted(score, reading.first_at, climbs=climbs)
        return self._decide(track, reading) if track.other_readings >= _AGREE else track

    def _decide(self, track: ScoreTrack, reading: ScreenReading) -> ScoreTrack:
        """Decide on another score that readings agree on."""
        at, before, after = reading.at, track.score, track.other
        if not before:
            return track.settled(at)
        if self._rose(before, after):
            self._report_score(track, reading)
            return track.settled(at, rises=1)
        steps = [new - old for old, new in zip(before, after, strict=True) if new != old]
        fell = len(steps) == 1 and -self._hud.score_step <= steps[0] < 0
        over = _is_over(before, after)
        if min(steps) < 0 and not over and track.other_readings == _AGREE:
            track = track.fallen()
        if not self._has_stayed(track, at):
            return track
        if fell and not over:
            self._report_correction(track, reading)
        return track.settled(at)  # if it was no event, this is another match or round

    def _follows(self, score: Score) -> bool:
        """Return True if a score in another place continues the last one."""
        if len(score) == 1 or len(score) != len(self._score):
            return False
        steps = [new - old for old, new in zip(self._score, score, strict=True)]
        return min(steps) >= 0 and sum(steps) <= _MOST_MISSED

    def _has_stayed(self, track: ScoreTrack, at: float) -> bool:
        """Return True if the confirmed score has not been seen for long.

        Replays and adverts show other scores for a while; a score that stays is true.
        """
        since = track.other_since if track.apart_since is None else track.apart_since
        return at - since >= (_STARTED_OVER if _is_over(track.score, track.other) else _REPLAY)

    def _rose(self, before: Score, after: Score) -> bool:
        """Return True if a score may have risen from one reading to the next."""
        if len(before) != len(after):
            return False
        steps = [new - old for old, new in zip(before, after, strict=True)]
        return min(steps) >= 0 < max(steps) <= self._hud.score_step

    def _report_score(self, track: ScoreTrack, reading: ScreenReading) -> None:
        at = track.other_since
        if reading.holds is None and not _is_counter(track):
            return
        before, after = self._joined(reading, track.score), self._joined(reading, track.other)
        if reading.holds is None and after == self._score:
            return  # two learned regions that overlap hold it
        recent = sum(each > at - _RATE_SPAN for each in track.changes)
        rarity = min(1.0, _RARE / (recent + 1))
        self._report(
            ScreenFactKind.SCORE,
            at,
            self._hud.score * rarity,
            f"score {score_text(before)} → {score_text(after)} on screen",
            (before, after),
        )

    def _report_correction(self, track: ScoreTrack, reading: ScreenReading) -> None:
        if reading.holds is None and len(track.score) == 1:
            return
        before, after = self._joined(reading, track.score), self._joined(reading, track.other)
        self._report(
            ScreenFactKind.CORRECTION,
            track.other_since,
            self._hud.score * _CORRECTED,
            f"score corrected {score_text(before)} → {score_text(after)} on screen",
            (before, after),
        )

    def _joined(self, reading: ScreenReading, score: Score) -> Score:
        """Return the score of all regions in the order of the profile, which form one score."""
        if reading.holds is None:
            return score
        return self._score_with({reading.region: score})

    def _score_with(self, read: Mapping[str, Score]) -> Score:
        known = {name: track.score for name, track in self._scores.items()} | dict(read)
        names = [name for name, each in self._hud.regions.items() if each.holds is HudKind.SCORE]
        if not set(read) <= set(names):  # readings from before the profile was changed
            names = list(read)
        return tuple(number for name in names for number in known.get(name, ()))

    def _report(
        self,
        kind: ScreenFactKind,
        at: float,
        weight: float,
        words: str,
        change: tuple[Score, Score],
    ) -> None:
        clock = self._clock if abs(at - self._clock_at) <= _CLOCK_AGE else None
        self.facts.append(
            ScreenFact(
                kind=kind,
                at=at,
                weight=round(weight, 3),
                words=words,
                state=MatchState(
                    score_before=change[0],
                    score_after=change[1],
                    clock=clock,
                    period=self._period,
                ),
            )
        )

    def _take_lines(self, reading: ScreenReading, text: str) -> None:
        """Follow the lines of a feed or banner; a line counts when it was read twice."""
        shown = list(self._lines.get(reading.region, ()))
        for line in text.split("\n") if text else ():
            index = next((i for i, each in enumerate(shown) if _alike(each.text, line)), None)
            if index is None:
                shown.append(ShownLine(text=line, first=reading.first_at, at=reading.at))
                continue
            known = shown[index]
            shown[index] = ShownLine(
                text=known.text, first=known.first, at=reading.at, readings=known.readings + 1
            )
            if known.readings + 1 == _AGREE:
                self._report_line(reading, shown[index])
        kept = [each for each in shown if each.at >= reading.at - _LINE_KEPT]
        self._lines[reading.region] = tuple(kept[-_LINES_KEPT:])

    def _report_line(self, reading: ScreenReading, line: ShownLine) -> None:
        word = self._report_word(line.text, line.first)
        if word is None and reading.holds is HudKind.FEED:
            self.facts.append(
                ScreenFact(
                    kind=ScreenFactKind.FEED,
                    at=line.first,
                    weight=_FEED_LINE,
                    words=f"new line “{line.text[:_LONGEST_NAME]}” in the feed",
                    state=self.state().match_at(line.first),
                )
            )

    def _take_words(self, reading: ScreenReading, text: str) -> None:
        """Look for words of the profile in a learned region."""
        if reading.confidence >= _SURE:
            self._take_lines(reading, text)

    def _report_word(self, text: str, at: float) -> str | None:
        """Report the weightiest word of the profile in a line; return it, or None without one."""
        spoken = _spaced(text)
        named = [each for each in self._hud.words if _says(spoken, _spaced(each))]
        if not named:
            return None
        word = max(named, key=lambda each: (self._hud.words[each], len(each)))
        if at - self._banners.get(word, -_RATE_SPAN) >= _BANNER_AGAIN:
            who = _who(text, word)
            by = f" by “{who}”" if who else ""
            self.facts.append(
                ScreenFact(
                    kind=ScreenFactKind.BANNER,
                    at=at,
                    weight=self._hud.words[word],
                    words=f"“{word}”{by} on screen",
                    state=self.state().match_at(at),
                )
            )
        self._banners[word] = at
        return word


def _is_over(before: Score, after: Score) -> bool:
    """Return True if a score looks like that of another match or round."""
    fell = len(before) == len(after) and all(a <= b for a, b in zip(after, before, strict=True))
    return fell and sum(after) <= sum(before) / 2 and sum(before) >= _LEAST_OVER


def _is_counter(track: ScoreTrack) -> bool:
    """Return True if numbers in a learned region behave as a score, not as ammunition.

    Two numbers that rise are a score from the first rise, a single one from the third.
    """
    needed = _TRUSTED_RISES if len(track.score) == 1 else 1
    return track.rises + 1 >= needed and track.falls * _MOST_FALLS <= track.rises


def _alike(one: str, other: str) -> bool:
    return fuzz.ratio(one, other) >= _SAME_LINE


def _spaced(text: str) -> str:
    words = "".join(each if each.isalnum() else " " for each in text.casefold())
    return f" {' '.join(words.split())} "


def _says(spoken: str, word: str) -> bool:
    """Return True if a text says a word; one reading error in six letters is forgiven."""
    if word in spoken:
        return True
    bare = word.strip()
    if len(bare) < len("goal") + 1:
        return False
    count = bare.count(" ") + 1
    words = spoken.split()
    return any(
        fuzz.ratio(" ".join(words[first : first + count]), bare) >= _SAME_WORD
        for first in range(max(1, len(words) - count + 1))
    )


def _who(text: str, word: str) -> str:
    """Return what a line says before the word, which is usually who did it."""
    at = text.casefold().find(word.casefold())
    before = text[:at] if at > 0 else ""
    return before.strip(f" :{_DASHES}!|\n")[:_LONGEST_NAME]


def attached_state(facts: Sequence[ScreenFact]) -> MatchState | None:
    """Return the state of the match over several facts: the first score to the last one."""
    states = [each.state for each in facts if each.state is not None]
    if not states:
        return None
    before = next((each.score_before for each in states if each.score_before), ())
    after = next((each.score_after for each in reversed(states) if each.score_after), ())
    return MatchState(
        score_before=before,
        score_after=after,
        clock=next((each.clock for each in states if each.clock), None),
        period=next((each.period for each in states if each.period), None),
    )
