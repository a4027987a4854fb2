"""Words in a part of a picture, as dark text on a light ground, whatever their colors are."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from domain.profiles.model import HudBox

Grey = NDArray[np.uint8]

LEAST_HEIGHT: Final = 10
"""Rows that a region needs to hold text."""

_PLANAR: Final = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"})
_LARGEST: Final = 1920

# An edge between text and ground: at least this much, and this share of the clearest edges.
_STROKE: Final = 16
_STROKE_SHARE: Final = 0.3
_ROW_SHARE: Final = 0.12
_LEAST_LINE: Final = 8
# Columns between words, by the height of the line and by the usual gap between letters.
_WORD_GAP: Final = 1.6
_SPACE: Final = 0.35
_DARK: Final = 128
_SPACE_TO_GAP: Final = 2.2
_MOST_WORDS: Final = 16
# Colors differ less than brightness does.
_COLOR_GAIN: Final = 2
_LEAST_CONTRAST: Final = 30.0
# Where more is "text" than this, the ground is not what is most frequent.
_MOST_INK: Final = 0.45


class Crop(NamedTuple):
    """A part of a picture: luma and both chroma planes, all of one size."""

    luma: Grey
    blue: Grey
    red: Grey


class Picture:
    """The planes of a keyframe; of unusual formats, of a copy that is at most 1920 wide."""

    def __init__(self, frame: VideoFrame) -> None:
        if frame.format.name not in _PLANAR:
            scale = min(1.0, _LARGEST / max(frame.width, frame.height))
            frame = frame.reformat(
                width=max(1, round(frame.width * scale)),
                height=max(1, round(frame.height * scale)),
                format="yuv420p",
                interpolation="AREA",
            )
        self._planes = tuple(_plane(frame, number) for number in range(3))

    @property
    def luma(self) -> Grey:
        return self._planes[0]

    def crop(self, box: HudBox) -> Crop:
        """Return the part of the picture in a box, at least two columns wide."""
        height, width = self.luma.shape
        top, left = int(box.y * height), min(int(box.x * width), max(0, width - 2))
        bottom = min(height, round((box.y + box.height) * height))
        right = min(width, max(left + 2, round((box.x + box.width) * width)))
        rows, columns = np.arange(top, bottom), np.arange(left, right)
        luma, *colors = self._planes
        return Crop(
            luma[top:bottom, left:right], *(_sampled(each, luma, rows, columns) for each in colors)
        )


def _plane(frame: VideoFrame, number: int) -> Grey:
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    visible: Grey = rows[:, : plane.width]
    return visible


def _sampled(color: Grey, luma: Grey, rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Grey:
    """Return a chroma plane at the places of luma's rows and columns."""
    down = rows * color.shape[0] // luma.shape[0]
    across = columns * color.shape[1] // luma.shape[1]
    sampled: Grey = color[np.ix_(down, across)]
    return sampled


class WordPicture(NamedTuple):
    """A word or a few: its line, its columns in the crop, and its picture, dark on light."""

    line: int
    left: int
    right: int
    picture: Grey


def find_words(crop: Crop) -> list[WordPicture]:
    """Return the words in a crop, from top to bottom and from left to right.

    Text is separated from its ground by edges in brightness or color. Letters with wide spaces
    between them, as in the fonts of old games, stay together.
    """
    edges = _edges(crop)
    strokes = edges > max(_STROKE, _STROKE_SHARE * float(np.percentile(edges, 99.5)))
    by_row = strokes.sum(axis=1)
    if not strokes.any():
        return []
    lines = _runs(by_row >= max(2.0, _ROW_SHARE * by_row.max()), gap=2)
    lines = [each for each in lines if each[1] - each[0] >= _LEAST_LINE]
    whole = [each for each in lines if each[0] > 0 and each[1] < len(by_row)]
    words: list[WordPicture] = []
    for number, (first, last) in enumerate(
        whole or lines
    ):  # what the border cuts is not part of it
        height = last - first
        margin = max(2, height // 5)
        rows = slice(max(0, first - margin), last + margin)
        for left, right in _runs(
            np.logical_or.reduce(strokes[first:last], axis=0), gap=round(_WORD_GAP * height)
        ):
            start = max(0, left - 2 * margin)
            together = _dark_on_light(crop, rows, slice(start, right + 1 + 2 * margin))
            words += [
                WordPicture(
                    number,
                    start + begin,
                    start + end,
                    together[:, max(0, begin - 2 * margin) : end + 2 * margin],
                )
                for begin, end in _spans(together, height)
            ]
    return words[:_MOST_WORDS]


def _spans(picture: Grey, height: int) -> list[tuple[int, int]]:
    """Return the words of dark text as (first, end) columns."""
    glyphs = _runs(np.logical_or.reduce(picture < _DARK, axis=0), gap=0)
    if not glyphs:
        return [(0, picture.shape[1])]
    gaps = [after[0] - before[1] for before, after in pairwise(glyphs)] or [0]
    space = max(_SPACE * height, _SPACE_TO_GAP * float(np.median(gaps)))
    words = [[*glyphs[0]]]
    for gap, (first, end) in zip(gaps, glyphs[1:], strict=False):
        if gap > space:
            words.append([first, end])
        words[-1][1] = end
    return [(first, end) for first, end in words]


def _edges(crop: Crop) -> NDArray[np.int16]:
    """Return the differences between neighbors in a row, in brightness or color."""
    luma, blue, red = (np.abs(np.diff(each.astype(np.int16), axis=1)) for each in crop)
    edges: NDArray[np.int16] = np.maximum(luma, _COLOR_GAIN * np.maximum(blue, red))
    return edges


def _dark_on_light(crop: Crop, rows: slice, columns: slice) -> Grey:
    """Return text dark on light: how far each pixel is from the color of the ground, inverted."""
    parts = Crop(*(each[rows, columns] for each in crop))
    ink = np.zeros(parts.luma.shape, np.int16)
    for plane, gain in zip(parts, (1, _COLOR_GAIN, _COLOR_GAIN), strict=True):
        ink = np.maximum(ink, gain * np.abs(plane.astype(np.int16) - _ground(plane)))
    most = max(_LEAST_CONTRAST, float(np.percentile(ink, 98)))
    if float((ink > most / 2).mean()) > _MOST_INK:
        return parts.luma
    text: Grey = (255 - np.minimum(255, ink * (255.0 / most))).astype(np.uint8)
    return text


def _ground(plane: Grey) -> int:
    """Return the most frequent value of a plane, give or take noise."""
    frequent = np.bincount((plane >> 3).ravel(), minlength=32).argmax()
    return int(np.median(plane[plane >> 3 == frequent]))


def _runs(flags: NDArray[np.bool_], *, gap: int) -> list[tuple[int, int]]:
    """Return the runs of True as (first, end), with gaps of up to `gap` closed."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, last in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True):
        if runs and first - runs[-1][1] <= gap:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((first, last))
    return runs
