"""Where text stands for most of a film: cells with strokes that stay while others change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.profiles.model import HudBox
from infra.media.screen.lines import Grey

_GRID: Final = (90, 160)
_SAMPLED: Final = (180, 1280)
# A cell with text: strokes of this contrast in this share of it.
_CONTRAST: Final = 40
_STROKES: Final = 0.045
# Of 16 levels of grey; one more or less is noise.
_LEVEL_CHANGED: Final = 2
# If less of the picture changes, nothing is known of what stays.
_MOVES: Final = 0.003
_LEARNED_AFTER: Final = 12
_LASTING: Final = 0.5
"""Part of the compared pictures in which text stands where it stood before."""

_CELL_HEIGHTS: Final = (2, 12)
_CELL_WIDTHS: Final = (2, 90)
_LEAST_CELLS: Final = 3
_CLOSED: Final = 3
_GROWN: Final = 6
_CANDIDATES: Final = 24

Cells = NDArray[np.bool_]


class LastingText:
    """Finds where text stands for most of a film, whose pictures are seen in order.

    Text may change or flash in between.
    """

    def __init__(self) -> None:
        self._before: Grey | None = None
        self._kept = np.zeros(_GRID, np.int32)
        self._written = np.zeros(_GRID, np.int32)
        self._compared = 0

    def see(self, luma: Grey) -> None:
        """Compare a picture with the one before."""
        levels, written = _grid(luma)
        before, self._before = self._before, levels
        if before is None:
            return
        changed = np.abs(levels.astype(np.int8) - before.astype(np.int8)) >= _LEVEL_CHANGED
        if float(changed.mean()) < _MOVES:
            return
        self._compared += 1
        self._kept += written & ~changed
        self._written += written

    def boxes(self) -> list[HudBox]:
        """Return where text stands, the densest first."""
        if self._compared < _LEARNED_AFTER:
            return []
        least = self._compared * _LASTING
        return _boxes(self._kept >= least, self._written >= least)


def _boxes(marked: Cells, written: Cells) -> list[HudBox]:
    """Return the boxes around marked cells that have the shape of text, the densest first."""
    found = []
    for top, left, bottom, right in components(_closed(marked)):
        height, width = bottom - top, right - left
        inside = int(marked[top:bottom, left:right].sum())
        if (
            _CELL_HEIGHTS[0] <= height <= _CELL_HEIGHTS[1]
            and _CELL_WIDTHS[0] <= width <= _CELL_WIDTHS[1]
            and inside >= _LEAST_CELLS
        ):
            sides = _grown(np.logical_or.reduce(written[top:bottom], axis=0), left, right)
            found.append((inside / (height * width), _box(top, sides[0], bottom, sides[1])))
    found.sort(key=lambda each: -each[0])
    return [box for _, box in found[:_CANDIDATES]]


def _grid(luma: Grey) -> tuple[Grey, Cells]:
    """Return each cell's grey level (0 to 15), and whether it holds strokes."""
    down, across = (max(1, side // most) for side, most in zip(luma.shape, _SAMPLED, strict=True))
    sampled = luma[::down, ::across]
    slopes = np.abs(np.diff(sampled.astype(np.int16), axis=1, append=sampled[:, -1:]))
    return (
        (_means(sampled) / 16.0).astype(np.uint8),
        _means((slopes > _CONTRAST).view(np.uint8)) > _STROKES,
    )


def _means(values: Grey) -> NDArray[np.float64]:
    """Return the mean of each cell; a picture smaller than the grid repeats its pixels."""
    bounds = [
        np.linspace(0, length, count, endpoint=False).astype(np.intp)
        for length, count in zip(values.shape, _GRID, strict=True)
    ]
    sums = np.add.reduceat(values, bounds[1], axis=1, dtype=np.int32)
    sums = np.add.reduceat(sums, bounds[0], axis=0)
    sizes = [
        np.maximum(1, np.diff([*starts, length]))
        for starts, length in zip(bounds, values.shape, strict=True)
    ]
    means: NDArray[np.float64] = sums / np.outer(*sizes)
    return means


def _grown(written: Cells, left: int, right: int) -> tuple[int, int]:
    """Return columns extended over neighbors with strokes: the seconds of a clock do not stay."""
    first = next((at for at in range(left, max(0, left - _GROWN), -1) if not written[at - 1]), left)
    last = next(
        (at for at in range(right, min(len(written), right + _GROWN)) if not written[at]), right
    )
    return first, last


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


def _closed(marked: Cells) -> Cells:
    """Return the cells with gaps within a line closed."""
    closed = marked.copy()
    for shift in range(1, _CLOSED):
        closed[:, shift:] |= marked[:, :-shift]
        closed[:, :-shift] |= marked[:, shift:]
    return closed


def components(marked: Cells) -> list[tuple[int, int, int, int]]:
    """Return the bounds (top, left, bottom, right) of connected cells, row by row."""
    open_boxes: list[list[int]] = []
    done: list[list[int]] = []
    for row in range(marked.shape[0]):
        for first, last in _runs(marked[row]):
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


def _runs(flags: Cells) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
