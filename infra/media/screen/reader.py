"""Reading of text on the screen, from keyframes, where it has changed.

Regions come from the game's profile or are learned: lines of text that stay where a detector finds
them now and then. Each region is compared with what it was when it was read last; only a
change leads to a reading, and a budget of CPU time bounds all readings of a stream. Cells that
change all the time (a running clock, play behind a transparent graphic) do not count as a change.
Runs in a media child process (`infra.media.pool`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from domain.analysis.screen import (
    ReadWord,
    RegionMemory,
    ScreenMemory,
    ScreenReading,
    has_number,
    read_clock,
    read_score,
    screen_text,
    without_clock,
)
from domain.profiles.model import Hud, HudBox, HudKind
from infra.media.screen.detection import DETECTION_COST, TextDetector, shared_detector
from infra.media.screen.lines import LEAST_HEIGHT, Crop, Grey, Picture, WordPicture, find_words
from infra.media.screen.models import TextRecognitionError
from infra.media.screen.recognition import TextRecognizer, reading_cost, shared_recognizer

BUDGET: Final = 6.0
"""CPU time for readings and detections, in ms per second of media: 0.6 % of a core per stream."""

_SAVED_UP: Final = 400.0
_RETRY: Final = 600.0
_READINGS_AGREE: Final = 2
_MOST_READINGS: Final = 4
_HIDDEN: Final = 0.5
_MOST_HIDDEN: Final = 8
# Seconds between readings of a region in which nothing changes, and in which something always does.
_REFRESH: Final = 30.0
_NAME: Final = 60.0
_RESTLESS: Final = 4
_MOST_RESTLESS: Final = 8
_RESERVE: Final = 60.0
_CLOCK_AGE: Final = 8.0
_LEGIBLE: Final = 0.5
_LEGIBLE_LEARNED: Final = 0.7
_BUSY: Final = 4.0
_CLOCK_WITH_SCORE: Final = 2.0
_FIRST: Final = (HudKind.SCORE, None, HudKind.BANNER, HudKind.FEED, HudKind.CLOCK)

_ROWS: Final = 6
_MOST_COLUMNS: Final = 48
# A change of a cell, in grey levels; less where the text has little contrast.
_CHANGED: Final = 14
_NOISE: Final = 5
# A cell is busy if it changes often; of learned regions, also if it changes now and then, as the
# tens of a clock do.
_BUSY_CELL: Final = 128
_BUSY_RISE: Final = 41
_BUSY_FALL: Final = 26
_BUSY_FALL_LEARNED: Final = 5

_SAME_BOX: Final = 0.5
_LEARNED_REGIONS: Final = 16
_PLACES: Final = 30
_WIDER: Final = 1.15
_LEAST_NO_SCORE: Final = 1000
_ROW: Final = 0.012
_SIZE: Final = 2.0
_LINES: Final = 1.6
_OFF_ROW: Final = 0.2
_LINE: Final = 0.03
_ONE_HEIGHT: Final = 1.35
_STEADY: Final = 0.7
_FORGOTTEN: Final = 600.0
_UNREAD: Final = 60.0
# Seconds between detections: after the first one, at most, and at most while no score is known,
# which is given up after so many.
_DETECTION_FIRST: Final = 4.0
_DETECTION_LONGEST: Final = 60.0
_DETECTION_SEARCH: Final = 24.0
_DETECTION_LOST: Final = 6.0
_SEARCHES: Final = 20
_ABUNDANT: Final = 300.0
_CALM: Final = 0.5
_MOVES_ON: Final = 2
_UNCALM: Final = 10.0
_LONG: Final = 12
_SLOWLY: Final = 4


class _Region(NamedTuple):
    name: str
    holds: HudKind | None
    box: HudBox


class ScreenReader:
    """Reads a stream's screen, keyframe by keyframe, in order.

    Args:
        hud: the profile's regions and words.
        memory: state after the keyframes before.
        recognizer: returns the recognizer; called when text is read for the first time.
        detector: returns the detector; called when regions are learned.
    """

    def __init__(
        self,
        hud: Hud,
        memory: ScreenMemory,
        recognizer: Callable[[], TextRecognizer] = shared_recognizer,
        detector: Callable[[], TextDetector] = shared_detector,
    ) -> None:
        self._hud = hud
        self._recognizer, self._detector = recognizer, detector
        self._position = memory.position
        self._budget = memory.budget
        self._regions = dict(memory.regions)
        self._found_at = dict(memory.found_at)
        self._detections, self._detected_at = memory.detections, memory.detected_at
        self._lost = memory.lost
        self._off, self._retry_at = memory.off, memory.retry_at
        self.readings: list[ScreenReading] = []

    def memory(self) -> ScreenMemory:
        """Return the state to continue with."""
        return ScreenMemory(
            position=self._position,
            budget=round(self._budget, 3),
            regions=self._regions,
            found_at=self._found_at,
            detections=self._detections,
            detected_at=self._detected_at,
            lost=self._lost,
            off=self._off,
            retry_at=self._retry_at,
        )

    def see(self, picture: VideoFrame, at: float) -> None:
        """Read what changed on a keyframe at media time `at` (s)."""
        if at <= self._position or not (self._hud.regions or self._hud.learn):
            return
        if self._off and at < self._retry_at:
            return
        try:
            self._see(picture, at)
        except TextRecognitionError as error:
            self._off = str(error)
        except Exception as error:  # noqa: BLE001 - an optional channel costs no segment
            self._off = f"the picture could not be read ({type(error).__name__}: {error})"[:200]
        if self._off:
            self._retry_at = at + _RETRY

    def _see(self, frame: VideoFrame, at: float) -> None:
        passed = at - self._position if self._position >= 0 else 0.0
        self._budget = min(max(_SAVED_UP, self._budget), self._budget + BUDGET * passed)
        self._position, self._off = at, ""
        picture = Picture(frame)
        if not self._hud.regions:
            self._learn(frame, picture, at)
        regions = self._all_regions()
        if regions:
            self._read(picture, regions, at)

    def _learn(self, frame: VideoFrame, picture: Picture, at: float) -> None:
        self._pair()
        wait = self._detection_interval
        if self._lost:
            wait = min(wait, _DETECTION_LOST * 2 ** (self._lost - 1))
        if at - self._detected_at < wait or self._budget < DETECTION_COST:
            return
        self._detections, self._detected_at = self._detections + 1, at
        self._budget -= DETECTION_COST
        rows = picture.luma.shape[0]
        boxes = [b for b in self._detector().find(frame) if b.height * rows >= LEAST_HEIGHT + 1]
        # An advert or a replay hides a region for a while: one that held text is kept.
        found_at = {name: self._found_at.get(name, at) for name in self._regions}
        kept = {
            name: each
            for name, each in self._regions.items()
            if each.box is not None and at - found_at[name] < (_FORGOTTEN if each.text else _UNREAD)
        }
        again = False
        for box in boxes:
            name = next((n for n, each in kept.items() if each.box and _same(each.box, box)), None)
            if name is None:
                written = sum(each.blank <= _MOST_READINGS for each in kept.values())
                if written >= _LEARNED_REGIONS or len(kept) >= _PLACES:
                    continue
                free = (f"learned-{number}" for number in range(1, _PLACES + 1))
                name = next(each for each in free if each not in kept)
            found_at[name] = at
            again = again or has_number(kept[name].text) if name in kept else again
            kept[name] = _found(kept.get(name, RegionMemory(box=box)), box)
        self._lost = 0 if again or not self._lost else min(_MOST_READINGS, self._lost + 1)
        kept = dict(_distinct(kept))
        self._regions, self._found_at = kept, {name: found_at[name] for name in kept}

    def _pair(self) -> None:
        """Remember which regions hold the two numbers of one score."""
        for first, second in list(_pairs(self._regions)):
            self._regions[first] = _with_partner(self._regions[first], second)
            self._regions[second] = _with_partner(self._regions[second], first)

    @property
    def _detection_interval(self) -> float:
        """Seconds between two detections: more and more, and fewer while no score is known."""
        known = any(
            has_number(e.text) and (_is_whole_score(e) or _is_steady(e))
            for e in self._regions.values()
        )
        if known and self._budget >= _ABUNDANT:
            return _DETECTION_SEARCH
        longest = _DETECTION_LONGEST if known or self._detections > _SEARCHES else _DETECTION_SEARCH
        wait = _DETECTION_FIRST * 2.0 ** min(self._detections, _SEARCHES) / 2
        return float(min(longest, wait))

    def _all_regions(self) -> list[_Region]:
        if self._hud.regions:
            given = self._hud.regions.items()
            return [_Region(name, each.holds, each.box) for name, each in given]
        return [
            _Region(name, None, each.box)
            for name, each in self._regions.items()
            if each.box is not None
        ]

    def _read(self, picture: Picture, regions: list[_Region], at: float) -> None:
        looks = []
        for region in regions:
            crop = picture.crop(region.box)
            rows, columns = picture.luma.shape
            if crop.luma.shape[0] < LEAST_HEIGHT:
                raise TextRecognitionError(
                    f"the region {region.name} is {crop.luma.shape[0]} rows high in a picture of "
                    f"{columns}x{rows}, and text needs {LEAST_HEIGHT}: "
                    "choose a variant of 720 rows"
                )
            before = self._regions.get(region.name, RegionMemory())
            looks.append(_Look(region, crop, before, at))
        scored = False
        for look in sorted(looks, key=lambda each: each.rank):
            due = look.due or (scored and look.holds_clock and look.age >= _CLOCK_WITH_SCORE)
            self._regions[look.region.name] = look.seen()
            if due and self._read_region(look):
                scored = scored or look.region.holds is HudKind.SCORE

    def _read_region(self, look: _Look) -> bool:
        """Read a region; return False if the budget does not allow it yet."""
        words = [(word, look.known(word)) for word in find_words(look.crop)]
        cost = sum(reading_cost(word.picture) for word, known in words if known is None)
        if cost > self._budget - look.reserve and self._budget < _SAVED_UP:
            return False
        self._budget -= cost
        found = [known or self._read_word(look, word) for word, known in words]
        lines = groupby(found, key=lambda each: each.line)
        text = screen_text("\n".join(" ".join(each.text for each in line) for _, line in lines))
        sure = [each for each in found if has_number(each.text)] or found
        confidence = sum(each.confidence for each in sure) / len(sure) if sure else 1.0
        learned = look.region.holds is None
        legible = confidence >= (_LEGIBLE_LEARNED if learned else _LEGIBLE)
        before = self._regions[look.region.name]
        if _is_steady(before) and has_number(before.text) and not (text and legible):
            self._lost = max(1, self._lost)
        self._regions[look.region.name] = look.read(text, found, legible=legible)
        if learned and legible and has_number(text):
            self._lost = 0
        reading = ScreenReading(
            region=look.region.name,
            holds=look.region.holds,
            at=round(look.at, 3),
            since=round(look.since, 3),
            text=text,
            confidence=round(confidence, 3),
        )
        if before.partner in self._regions:
            self._add_pair(look.region.name, before.partner, reading)
        else:
            self.readings.append(reading)
        return True

    def _add_pair(self, name: str, partner: str, reading: ScreenReading) -> None:
        """Add a reading of two regions that form one score, once for each keyframe."""
        first, second = sorted((name, partner), key=lambda each: _order(self._regions[each]))
        region, parts = f"{first}+{second}", (self._regions[first], self._regions[second])
        hidden = any(each.blank or not each.text for each in parts)
        words = [word for each in parts for word in each.words if has_number(word.text)]
        self.readings = [each for each in self.readings if each.region != region]
        self.readings.append(
            ScreenReading(
                region=region,
                at=reading.at,
                since=reading.since,
                text="" if hidden else screen_text(" ".join(each.text for each in parts)),
                confidence=min((word.confidence for word in words), default=1.0),
            )
        )

    def _read_word(self, look: _Look, word: WordPicture) -> ReadWord:
        numbers = look.region.holds in {HudKind.SCORE, HudKind.CLOCK}
        read = self._recognizer().read(word.picture, numbers=numbers)
        before = look.word_before(word)
        return ReadWord(
            line=word.line,
            left=word.left,
            right=word.right,
            text=screen_text(read.text),
            confidence=round(read.confidence, 3),
            agreed=before is not None and before.text == screen_text(read.text),
            read_at=look.at,
        )


class _Look:
    """One region in one keyframe, compared with what is remembered of it."""

    def __init__(self, region: _Region, crop: Crop, before: RegionMemory, at: float) -> None:
        self.region, self.crop, self.at = region, crop, at
        self._before = before
        self._cells = cells = _cells(crop.luma)
        seen, read, busy = (_unpack(each) for each in (before.seen, before.read, before.busy))
        self._new = not len(seen) == len(read) == len(busy) == len(cells)
        self._differs = np.ones(len(cells), bool) if self._new else _changed(read, cells)
        if region.holds is None:
            self._differs &= _within(len(cells))  # a learned box reaches over the text's borders
        self._calm, self._moving = False, before.moving
        if self._new:
            self._busy = np.zeros(len(cells), np.uint8)
        else:
            fall = _BUSY_FALL_LEARNED if region.holds is None else _BUSY_FALL
            moved = _changed(seen, cells)
            most = float(moved[_within(len(cells))].mean()) > _CALM
            self._moving = before.moving + 1 if most else 0
            self._calm = self._moving < _MOVES_ON  # one digit is all of its region
            self._busy = _followed(busy, moved, fall)
        self._changed = bool((self._differs & (self._busy < _BUSY_CELL)).any())
        first = self._changed and not before.waiting
        self._since = at if first else before.since

    @property
    def age(self) -> float:
        """Seconds since the last reading."""
        return self.at - self._before.read_at

    @property
    def since(self) -> float:
        """Media time (s) since which the region has looked as it does."""
        return self._since

    @property
    def reserve(self) -> float:
        """CPU time (ms) to leave for other regions: most numbers that never rest are no score."""
        return _RESERVE if self._never_rests else 0.0

    @property
    def _never_rests(self) -> bool:
        restless = self.region.holds is None and self._before.restless >= _RESTLESS
        return restless and not _is_whole_score(self._before)

    @property
    def holds_clock(self) -> bool:
        return self._kind is HudKind.CLOCK

    @property
    def _kind(self) -> HudKind | None:
        """What the region holds; of a learned region, what its last text looks like."""
        if self.region.holds is not None or not self._before.text:
            return self.region.holds
        if has_number(self._before.text):
            return HudKind.SCORE
        return HudKind.CLOCK if read_clock(self._before.text) else None

    @property
    def rank(self) -> tuple[bool, int, float, str]:
        return self._never_rests, _FIRST.index(self._kind), self._before.read_at, self.region.name

    @property
    def due(self) -> bool:
        """True if the region should be read now."""
        before, holds = self._before, self.region.holds
        if holds is None and not self._calm:  # learned, and is moving text or hidden
            known = before.text or before.found > 1
            return bool(known and self.age >= min(_RETRY, _UNCALM * 2.0**before.restless))
        height, width = self.crop.luma.shape
        if (
            holds is None
            and width > _LONG * height
            and self.age < _SLOWLY * before.restless * width / height
        ):
            return False  # a ticker costs much, and its text is always new
        returns = self._moving == 1 and before.blank <= _MOST_HIDDEN  # an advert may be over
        if holds is None and before.blank > 1 and not returns:  # learned, and shows no text
            return bool(self.age >= min(_RETRY, _HIDDEN * 2.0**before.blank))
        if holds is None and before.text and self._kind is not HudKind.SCORE:
            return self.age >= _NAME  # learned, and holds no number
        if self.holds_clock:
            return self.age >= _REFRESH
        doubtful = not before.agreed and before.readings < _MOST_READINGS
        busy = self._differs.any() and self.age >= _BUSY
        return self._changed or doubtful or busy or self.age >= _REFRESH

    def seen(self) -> RegionMemory:
        """Return what to remember if the region is not read."""
        before = self._before
        return RegionMemory(
            box=before.box,
            seen=_pack(self._cells),
            read=_pack(self._cells) if self._new else before.read,
            busy=_pack(self._busy),
            text=before.text,
            words=before.words,
            readings=0 if self._changed else before.readings,
            agreed=before.agreed and not self._changed,
            read_at=before.read_at,
            since=self._since,
            waiting=before.waiting or self._changed,
            blank=before.blank,
            restless=before.restless,
            found=before.found,
            partner=before.partner,
            moving=self._moving,
        )

    def word_before(self, word: WordPicture) -> ReadWord | None:
        """Return what was read last at a word's place."""
        place = word.line, word.left, word.right
        return next((each for each in self._before.words if each.is_at(*place)), None)

    def known(self, word: WordPicture) -> ReadWord | None:
        """Return what was read before where reading again adds nothing.

        That is a word that was read twice alike and has not changed, and whatever is no number
        beside a score.
        """
        before = self.word_before(word)
        if before is None:
            return None
        age = self.at - before.read_at
        clock = read_clock(before.text) is not None
        if self._kind is HudKind.SCORE and (clock or not any(map(str.isdecimal, before.text))):
            return before if age < (_CLOCK_AGE if clock else _NAME) else None
        if not before.agreed or age >= _REFRESH:
            return None
        by_column: NDArray[np.bool_] = np.logical_or.reduce(
            self._differs.reshape(_ROWS, -1), axis=0
        )
        per_cell = self.crop.luma.shape[1] / len(by_column)
        first, last = int(word.left / per_cell), int(word.right / per_cell) + 1
        return None if by_column[first:last].any() else before

    def read(self, text: str, words: Sequence[ReadWord], *, legible: bool) -> RegionMemory:
        """Return what to remember after a reading; one that is not legible is no text."""
        before, cells = self._before, _pack(self._cells)
        readings = 1 if self._changed else before.readings + 1
        differs = _compact(text) != _compact(before.text)
        return RegionMemory(
            box=before.box,
            seen=cells,
            read=cells,
            busy=_pack(self._busy),
            text=text,
            words=tuple(words),
            readings=readings,
            agreed=readings >= _READINGS_AGREE and not differs,
            read_at=self.at,
            since=self._since,
            waiting=False,
            blank=0 if text and legible else before.blank + 1,
            restless=min(_MOST_RESTLESS, max(0, before.restless + (1 if differs else -1))),
            found=before.found,
            partner=before.partner,
            moving=self._moving,
        )


def _compact(text: str) -> str:
    """Return a text without spaces and without the clock, to compare two readings."""
    return "".join(without_clock(text).split())


def _cells(crop: Grey) -> Grey:
    """Return the mean grey of a region's cells, row by row."""
    height, width = crop.shape
    columns = max(_ROWS, min(_MOST_COLUMNS, width // 2, round(_ROWS * width / height)))
    columns = min(columns, width)
    rows = np.linspace(0, height, _ROWS, endpoint=False).astype(np.intp)
    starts = np.linspace(0, width, columns, endpoint=False).astype(np.intp)
    sums = np.add.reduceat(np.add.reduceat(crop, rows, axis=0, dtype=np.int64), starts, axis=1)
    sizes = np.outer(np.diff([*rows, height]), np.diff([*starts, width]))
    cells: Grey = (sums // sizes).astype(np.uint8).ravel()
    return cells


def _within(count: int) -> NDArray[np.bool_]:
    """Return which of a region's cells are not at its border."""
    within = np.zeros((_ROWS, count // _ROWS), bool)
    within[1:-1, 1:-1] = True
    return within.ravel()


def _changed(before: Grey, cells: Grey) -> NDArray[np.bool_]:
    contrast = int(cells.max()) - int(cells.min())
    least = min(_CHANGED, max(_NOISE, contrast // 8))
    changed: NDArray[np.bool_] = np.abs(before.astype(np.int16) - cells) > least
    return changed


def _followed(busy: Grey, moved: NDArray[np.bool_], fall: int) -> Grey:
    """Return how busy cells are after one more keyframe, as a moving average."""
    level = busy.astype(np.int32)
    step = np.where(moved, (255 - level) * _BUSY_RISE // 255, -(level * fall // 255) - 1)
    followed: Grey = np.clip(level + step, 0, 255).astype(np.uint8)
    return followed


def _pack(values: Grey) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _unpack(text: str) -> Grey:
    return np.frombuffer(base64.b64decode(text), np.uint8)


def _same(one: HudBox, other: HudBox) -> bool:
    """Return True if boxes are alike; what an advert shows in place of a score is another one."""
    return one.overlap(other) >= _SAME_BOX * max(one.area, other.area)


def _distinct(regions: Mapping[str, RegionMemory]) -> Iterator[tuple[str, RegionMemory]]:
    """Yield learned regions without those that have grown onto one found before."""
    boxes: list[HudBox] = []
    for name, region in sorted(regions.items(), key=lambda each: not each[1].partner):
        if region.box is None:
            continue
        if region.partner or not any(_same(region.box, each) for each in boxes):
            boxes.append(region.box)
            yield name, region


def _is_steady(region: RegionMemory) -> bool:
    """Return True if a region shows text that does not change all the time."""
    legible = all(each.confidence >= _STEADY for each in region.words)
    return legible and not region.blank and region.restless < _RESTLESS


def _is_whole_score(region: RegionMemory) -> bool:
    """Return True if a region shows a score, alone or with its partner, however often it rises."""
    if region.blank >= _MOST_READINGS:
        return False
    score = read_score(region.text, None)
    return score is not None and (len(score) > 1 or bool(region.partner))


def _order(region: RegionMemory) -> tuple[float, float]:
    """Return where a learned region comes in its score: by row, then by column."""
    box = region.box
    return (0.0, 0.0) if box is None else (round(box.y / _LINE, 0), box.x)


def _found(region: RegionMemory, box: HudBox) -> RegionMemory:
    """Return a learned region after a detection that found it at a box."""
    widened = _widened(region, box)
    return RegionMemory(**{**dict(widened), "found": region.found + 1, "blank": 0})


def _widened(region: RegionMemory, box: HudBox | None) -> RegionMemory:
    """Return a learned region that includes a box; its text is kept, its cells are not."""
    if region.box is None or box is None:
        return region
    union = region.box.union(box)
    if union.area <= _WIDER * region.box.area or union.height > region.box.height + _ROW:
        return region
    return RegionMemory(box=union, text=region.text, partner=region.partner)


def _with_partner(region: RegionMemory, partner: str) -> RegionMemory:
    """Return a region that forms a score with another one, to be read again."""
    return RegionMemory(**{**dict(region), "partner": partner, "agreed": False, "readings": 0})


def _pairs(regions: Mapping[str, RegionMemory]) -> Iterator[tuple[str, str]]:
    """Yield pairs of regions that hold the two numbers of one score.

    They are alike, and beside or below each other.
    """
    numbers = [
        (name, each.box)
        for name, each in regions.items()
        if each.box is not None
        and not each.partner
        and _is_steady(each)
        and _is_one_number(each.text)
    ]
    paired: set[str] = set()
    for name, box in numbers:
        for alike in (_in_one_row, _in_one_column):
            group = [other for other, each in numbers if alike(box, each)]
            if len(group) == len("12") and group[0] == name and paired.isdisjoint(group):
                paired.update(group)
                yield group[0], group[1]


def _is_one_number(text: str) -> bool:
    score = read_score(text, None)
    return score is not None and len(score) == 1 and score[0] < _LEAST_NO_SCORE


def _in_one_row(one: HudBox, other: HudBox) -> bool:
    """Return True if boxes are in one row and of about one size."""
    apart = abs(one.y + one.height / 2 - other.y - other.height / 2)
    near = apart <= _OFF_ROW * min(one.height, other.height)
    wider = max(one.width, other.width) > _SIZE * min(one.width, other.width)
    return near and _are_alike(one, other) and not wider


def _in_one_column(one: HudBox, other: HudBox) -> bool:
    """Return True if boxes are lines of one table: aligned, of one height, and close."""
    aligned = min(abs(one.x - other.x), abs(one.x + one.width - other.x - other.width)) <= _ROW
    close = abs(one.y - other.y) <= _LINES * one.height
    return aligned and close and _are_alike(one, other)


def _are_alike(one: HudBox, other: HudBox) -> bool:
    return max(one.height, other.height) <= _ONE_HEIGHT * min(one.height, other.height)
