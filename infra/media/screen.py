"""Reading of text on the screen, from keyframes, where it has changed.

Regions come from the game's profile or are learned: cells whose edges stay in their place while the
rest of the picture moves. Each region is compared with what it was when it was read last; only a
change leads to a reading, and a budget of CPU time bounds all readings of a stream. Cells that
change all the time (a running clock, play behind a transparent graphic) do not count as a change.
Runs in a media child process (`infra.media.pool`).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from domain.analysis.screen import (
    RegionMemory,
    ScreenMemory,
    ScreenReading,
    screen_text,
    without_clock,
)
from domain.profiles.model import Hud, HudBox, HudKind
from infra.media.text_recognition import (
    Grey,
    TextRecognitionError,
    TextRecognizer,
    reading_cost,
    shared_recognizer,
)

BUDGET: Final = 7.0
"""CPU time for readings, in ms per second of media: at most 0.7 % of a core for each stream."""

_SAVED_UP: Final = 250.0
_RETRY: Final = 600.0
_READINGS_AGREE: Final = 2
_MOST_READINGS: Final = 4
# Seconds between readings of a region in which nothing changes, and in which something always does.
_REFRESH: Final = 20.0
_BUSY: Final = 4.0
_CLOCK_WITH_SCORE: Final = 2.0
_FIRST: Final = (HudKind.SCORE, None, HudKind.BANNER, HudKind.FEED, HudKind.CLOCK)

_ROWS: Final = 6
_MOST_COLUMNS: Final = 48
_CHANGED: Final = 14
# A cell is busy if it changes often; of learned regions, also if it changes now and then, as the
# tens of a clock do.
_BUSY_CELL: Final = 128
_BUSY_RISE: Final = 41
_BUSY_FALL: Final = 26
_BUSY_FALL_LEARNED: Final = 5
_BUSY_REGION: Final = 0.5

_LEAST_HEIGHT: Final = 10
_STROKE: Final = 40
_LEAST_STROKES: Final = 0.01
_LINE_SHARE: Final = 0.25
_LEAST_LINE: Final = 8
_MOST_LINES: Final = 6

# Formats whose first plane is 8-bit luma in full size.
_LUMA_FIRST: Final = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}
)
_LARGEST: Final = 1920


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
    """

    def __init__(
        self,
        hud: Hud,
        memory: ScreenMemory,
        recognizer: Callable[[], TextRecognizer] = shared_recognizer,
    ) -> None:
        self._hud = hud
        self._recognizer = recognizer
        self._position = memory.position
        self._budget = memory.budget
        self._regions = dict(memory.regions)
        self._learner = RegionLearner(memory.edges, memory.still, memory.compared)
        self._off, self._retry_at = memory.off, memory.retry_at
        self.readings: list[ScreenReading] = []

    def memory(self) -> ScreenMemory:
        """Return the state to continue with."""
        edges, still, compared = self._learner.memory()
        return ScreenMemory(
            position=self._position,
            budget=round(self._budget, 3),
            regions=self._regions,
            edges=edges,
            still=still,
            compared=compared,
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

    def _see(self, picture: VideoFrame, at: float) -> None:
        passed = at - self._position if self._position >= 0 else 0.0
        self._budget = min(_SAVED_UP, self._budget + BUDGET * passed)
        self._position, self._off = at, ""
        if not self._hud.regions:
            self._learn(picture)
        regions = self._all_regions()
        if regions:
            self._read(_luma(picture), regions, at)

    def _learn(self, picture: VideoFrame) -> None:
        self._learner.see(picture)
        boxes = self._learner.boxes()
        if boxes is None:
            return
        known = {name: each for name, each in self._regions.items() if each.box is not None}
        regions: dict[str, RegionMemory] = {}
        for box in boxes:
            name = next(
                (name for name, each in known.items() if each.box and _same(each.box, box)), None
            )
            if name is None:
                free = (f"learned-{number}" for number in range(1, 100))
                name = next(each for each in free if each not in known and each not in regions)
                regions[name] = RegionMemory(box=box)
            else:
                regions[name] = known.pop(name)
        self._regions = regions

    def _all_regions(self) -> list[_Region]:
        if self._hud.regions:
            given = self._hud.regions.items()
            return [_Region(name, each.holds, each.box) for name, each in given]
        return [
            _Region(name, None, each.box)
            for name, each in self._regions.items()
            if each.box is not None
        ]

    def _read(self, luma: Grey, regions: list[_Region], at: float) -> None:
        looks = []
        for region in regions:
            crop = _crop(luma, region.box)
            if crop.shape[0] < _LEAST_HEIGHT:
                raise TextRecognitionError(
                    f"the region {region.name} is {crop.shape[0]} rows high in a picture of "
                    f"{luma.shape[1]}x{luma.shape[0]}, and text needs {_LEAST_HEIGHT}: "
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
        lines = list(text_lines(look.crop))
        cost = sum(reading_cost(line) for line in lines)
        if cost > self._budget and self._budget < _SAVED_UP:
            return False
        self._budget -= cost
        found = [self._recognizer().read(line) for line in lines]
        text = screen_text("\n".join(each.text for each in found))
        confidence = sum(each.confidence for each in found) / len(found) if found else 1.0
        self._regions[look.region.name] = look.read(text)
        self.readings.append(
            ScreenReading(
                region=look.region.name,
                holds=look.region.holds,
                at=round(look.at, 3),
                since=round(look.since, 3),
                text=text,
                confidence=round(confidence, 3),
            )
        )
        return True


class _Look:
    """One region in one keyframe, compared with what is remembered of it."""

    def __init__(self, region: _Region, crop: Grey, before: RegionMemory, at: float) -> None:
        self.region, self.crop, self.at = region, crop, at
        self._before = before
        self._cells = cells = _cells(crop)
        seen, read, busy = (_unpack(each) for each in (before.seen, before.read, before.busy))
        self._new = not len(seen) == len(read) == len(busy) == len(cells)
        if self._new:
            self._busy = np.zeros(len(cells), np.uint8)
            self._changed = self._stirred = True
        else:
            fall = _BUSY_FALL_LEARNED if region.holds is None else _BUSY_FALL
            self._busy = _followed(busy, _changed(seen, cells), fall)
            quiet = self._busy < _BUSY_CELL
            since = _changed(read, cells)
            self._changed = bool((since & quiet).any())
            self._stirred = bool(since.any()) and float(quiet.mean()) < 1.0 - _BUSY_REGION
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
    def holds_clock(self) -> bool:
        return self.region.holds is HudKind.CLOCK

    @property
    def rank(self) -> tuple[int, str]:
        return _FIRST.index(self.region.holds), self.region.name

    @property
    def due(self) -> bool:
        """True if the region should be read now."""
        before, holds = self._before, self.region.holds
        if before.blank > _MOST_READINGS and holds is None:
            return self.age >= _RETRY  # learned, and holds no text
        if self.holds_clock:
            return self.age >= _REFRESH
        if self._changed:
            return True
        if not before.agreed and before.readings < _MOST_READINGS:
            return True
        if holds is not None and self._stirred and self.age >= _BUSY:
            return True
        return self.age >= _REFRESH

    def seen(self) -> RegionMemory:
        """Return what to remember if the region is not read."""
        before = self._before
        return RegionMemory(
            box=before.box,
            seen=_pack(self._cells),
            read=_pack(self._cells) if self._new else before.read,
            busy=_pack(self._busy),
            text=before.text,
            readings=0 if self._changed else before.readings,
            agreed=before.agreed and not self._changed,
            read_at=before.read_at,
            since=self._since,
            waiting=before.waiting or self._changed,
            blank=before.blank,
        )

    def read(self, text: str) -> RegionMemory:
        """Return what to remember after a reading."""
        before, cells = self._before, _pack(self._cells)
        readings = 1 if self._changed else before.readings + 1
        return RegionMemory(
            box=before.box,
            seen=cells,
            read=cells,
            busy=_pack(self._busy),
            text=text,
            readings=readings,
            agreed=readings >= _READINGS_AGREE and _compact(text) == _compact(before.text),
            read_at=self.at,
            since=self._since,
            waiting=False,
            blank=0 if text else before.blank + 1,
        )


def _compact(text: str) -> str:
    """Return a text without spaces and without the clock, to compare two readings."""
    return "".join(without_clock(text).split())


def text_lines(crop: Grey) -> Iterator[Grey]:
    """Yield the lines of text in a crop, from top to bottom, without the margins around them."""
    strokes = np.abs(np.diff(crop.astype(np.int16), axis=1)) > _STROKE
    if strokes.mean() < _LEAST_STROKES:
        return
    rows = strokes.mean(axis=1)
    written = rows > _LINE_SHARE * rows.max()
    for first, last in _runs(written)[:_MOST_LINES]:
        height = last - first
        if height < _LEAST_LINE:
            continue
        margin = max(2, height // 5)
        columns = np.flatnonzero(strokes[first:last].any(axis=0))
        left = max(0, int(columns[0]) - 2 * margin)
        right = min(crop.shape[1], int(columns[-1]) + 2 + 2 * margin)
        yield crop[max(0, first - margin) : last + margin, left:right]


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the runs of True as (first, end), with gaps of one or two rows closed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and first - runs[-1][1] <= 2:  # noqa: PLR2004 - the dot of an i
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    return runs


def _luma(picture: VideoFrame) -> Grey:
    """Return the picture's luma; in other formats than usual and large, of a smaller picture."""
    if picture.format.name in _LUMA_FIRST:
        plane = picture.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        luma: Grey = rows[:, : plane.width]
        return luma
    scale = min(1.0, _LARGEST / max(picture.width, picture.height))
    smaller = picture.reformat(
        width=max(1, round(picture.width * scale)),
        height=max(1, round(picture.height * scale)),
        format="gray",
        interpolation="AREA",
    )
    return smaller.to_ndarray().astype(np.uint8, copy=False)


def _crop(luma: Grey, box: HudBox) -> Grey:
    height, width = luma.shape
    top, left = int(box.y * height), int(box.x * width)
    bottom = min(height, round((box.y + box.height) * height))
    right = min(width, max(left + 2, round((box.x + box.width) * width)))
    return luma[top:bottom, left:right]


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


def _changed(before: Grey, cells: Grey) -> NDArray[np.bool_]:
    changed: NDArray[np.bool_] = np.abs(before.astype(np.int16) - cells) > _CHANGED
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
    common = one.overlap(other)
    return common >= _SAME_BOX * (one.area + other.area - common)


_SAME_BOX: Final = 0.4
_GRID: Final = (90, 160)
_EDGE: Final = 20
_MOVES: Final = 0.3
_STAYS: Final = 12
_STILL: Final = 120
_LEARNED_AFTER: Final = 15
_LEARN_EVERY: Final = 15
_LEARNED_REGIONS: Final = 4
_CELL_HEIGHTS: Final = (2, 12)
_CELL_WIDTHS: Final = (3, 90)


class RegionLearner:
    """Learns where text stands: where edges stay while the rest of the picture moves.

    Args:
        edges: edges of the last keyframe, as `memory` returned them; empty at the start.
        still: how long each cell's edge has stayed, as `memory` returned it.
        compared: keyframes that were compared.
    """

    def __init__(self, edges: str, still: str, compared: int) -> None:
        rows, columns = _GRID
        size = rows * columns
        bits = _decompressed(edges, size // 8)
        self._edges = None if bits is None else np.unpackbits(bits).reshape(_GRID).astype(bool)
        levels = _decompressed(still, size)
        self._still = np.zeros(_GRID, np.uint8) if levels is None else levels.reshape(_GRID)
        self._compared = compared
        self._learned = False

    def memory(self) -> tuple[str, str, int]:
        """Return the state: edges, levels, and the number of comparisons."""
        if self._edges is None:
            return "", "", self._compared
        return (
            _compressed(np.packbits(self._edges)),
            _compressed(self._still),
            self._compared,
        )

    def see(self, picture: VideoFrame) -> None:
        """Compare a keyframe with the one before."""
        rows, columns = _GRID
        small = picture.reformat(
            width=columns, height=rows, format="gray", interpolation="AREA"
        ).to_ndarray()
        slopes = np.abs(np.diff(small.astype(np.int16), axis=1, append=small[:, -1:]))
        edges = slopes > _EDGE
        before, self._edges, self._learned = self._edges, edges, False
        if before is None:
            return
        both, either = int((edges & before).sum()), int((edges | before).sum())
        if not either or 1.0 - both / either < _MOVES:
            return  # a still picture says nothing about what stays
        level = self._still.astype(np.int16)
        stayed = edges & before
        level = np.where(stayed, level + _STAYS, level - level // 4)
        self._still = np.clip(level, 0, 255).astype(np.uint8)
        self._compared += 1
        self._learned = self._compared >= _LEARNED_AFTER and self._compared % _LEARN_EVERY == 0

    def boxes(self) -> list[HudBox] | None:
        """Return the boxes in which edges stay, the clearest first; None until the next look."""
        if not self._learned:
            return None
        marked = self._still >= _STILL
        found = []
        for top, left, bottom, right in _components(_closed(marked)):
            height, width = bottom - top, right - left
            inside = int(marked[top:bottom, left:right].sum())
            if (
                _CELL_HEIGHTS[0] <= height <= _CELL_HEIGHTS[1]
                and _CELL_WIDTHS[0] <= width <= _CELL_WIDTHS[1]
                and inside >= max(3, height * width // 10)
            ):
                found.append((inside, _box(top, left, bottom, right)))
        found.sort(key=lambda each: -each[0])
        return [box for _, box in found[:_LEARNED_REGIONS]]


def _box(top: int, left: int, bottom: int, right: int) -> HudBox:
    """Return the box of cells with a margin of one cell."""
    rows, columns = _GRID
    y, x = max(0, top - 1) / rows, max(0, left - 1) / columns
    return HudBox(
        x=x,
        y=y,
        width=min(1.0, (right + 1) / columns) - x,
        height=min(1.0, (bottom + 1) / rows) - y,
    )


def _closed(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells with gaps of up to four columns within a line closed."""
    closed = marked.copy()
    for shift in range(1, 3):
        closed[:, shift:] |= marked[:, :-shift]
        closed[:, :-shift] |= marked[:, shift:]
    return closed


def _components(marked: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Return the bounds (top, left, bottom, right) of connected cells, row by row."""
    open_boxes: list[list[int]] = []
    done: list[list[int]] = []
    for row in range(marked.shape[0]):
        for first, last in _exact_runs(marked[row]):
            touching = [b for b in open_boxes if b[2] >= row and b[1] < last and first < b[3]]
            merged = [row, first, row + 1, last]
            for box in touching:
                merged = [
                    min(merged[0], box[0]),
                    min(merged[1], box[1]),
                    row + 1,
                    max(merged[3], box[3]),
                ]
                open_boxes.remove(box)
            open_boxes.append(merged)
        done += [box for box in open_boxes if box[2] <= row]
        open_boxes = [box for box in open_boxes if box[2] > row]
    return [(b[0], b[1], b[2], b[3]) for b in (*done, *open_boxes)]


def _exact_runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _compressed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()


def _decompressed(text: str, size: int) -> NDArray[np.uint8] | None:
    """Return stored values; None if there are none of this size."""
    if not text:
        return None
    try:
        data = zlib.decompress(base64.b64decode(text))
    except (ValueError, zlib.error):
        return None
    return np.frombuffer(data, np.uint8) if len(data) == size else None
