"""Where in a film something moves, and where its score bug is. Runs in a media child process.

The whole film is decoded once more for it, and looked at in small gray pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from domain.exports.camera import STEP, Shot
from domain.media.packet_times import TICKS
from domain.model import Model
from infra.media.concat import PictureRun, Spliced
from infra.media.screen.regions import LastingText

_WIDTH: Final = 160
_STRIPS: Final = (27, 48)
_RATE: Final = 8.0
"""Pictures a second that are compared."""

_NOISE: Final = 14.0
"""Levels of gray (of 256) by which a point may differ without having moved."""

_EDGE: Final = 0.7
"""Points by which the movement of the camera may be wrong, which is seen along edges."""

_CUT_LEVELS: Final = 18.0
_CUT_HISTOGRAM: Final = 0.35
_HISTOGRAM_BINS: Final = 16
_SHORTEST_SHOT: Final = 0.4

_STILL_LEVELS: Final = 8
_STILL_SHARE: Final = 0.9
_SAMPLES: Final = 64
_MOVING_CAMERA: Final = 0.75
"""If more of the picture than this stays, what is static may be the scene itself."""

_MARGIN_ROWS: Final = 0.2
"""Part of the picture at its top and bottom in which text may run all the time."""

_LEARN_INTERVAL: Final = 0.5
_LEARN_PICTURES: Final = 28
_BUG_ROWS: Final = 0.25
_BUG_WIDTH: Final = 0.5
_BUG_HEIGHT: Final = 0.15
_NEAR: Final = 0.06
_CARD: Final = 0.4
"""Part of a row or column of the card that stands still; its clock does not."""


Gray = NDArray[np.uint8]
Levels = NDArray[np.float32]


class Region(NamedTuple):
    """A box in parts of the picture, from its top left corner."""

    x: float
    y: float
    width: float
    height: float


class Motion(Model):
    """What moves in a film.

    Attributes:
        columns: by shot, how much moves in strips from left to right.
        rows: the same from top to bottom.
        score_bug: where text stands still at the top or bottom while the picture moves.
    """

    columns: tuple[Shot, ...]
    rows: tuple[Shot, ...]
    score_bug: Region | None = None


class _Compared(NamedTuple):
    """A small picture; `before` is the one to compare it with, None after a cut."""

    at: float
    picture: Gray
    before: Gray | None


def watch(spliced: Spliced, end: float) -> Motion:
    """Return what moves from the start of spliced media to `end` (s after its first source)."""
    duration = end - spliced.start
    text = LastingText()
    interval = min(_LEARN_INTERVAL, duration / _LEARN_PICTURES)
    cuts, compared = [0.0], list[_Compared]()
    before: Gray | None = None
    latest: Gray | None = None
    learned, due = 0.0, 0.0
    for at, frame, run in _frames(spliced, duration):
        picture = _small(frame, run, spliced)
        is_cut = before is not None and _is_cut(before, picture)
        if is_cut and at - cuts[-1] >= _SHORTEST_SHOT:
            cuts.append(at)
            latest, due = None, at
        before = picture
        if at >= due:
            compared.append(_Compared(at, picture, latest))
            latest, due = picture, at + 1 / _RATE - 0.001
        if at >= learned:
            text.see(_luma(frame))
            learned = at + interval
    if not compared:
        silent = (Shot(start=0.0, readings=((1.0,),)),)
        return Motion(columns=silent, rows=silent)
    boxes = [Region(each.x, each.y, each.width, each.height) for each in text.boxes()]
    return _measured(compared, cuts, boxes, duration)


def _frames(spliced: Spliced, duration: float) -> Iterator[tuple[float, av.VideoFrame, PictureRun]]:
    """Yield the pictures of the film with their time on its clock, which begins at 0."""
    for run in sorted(spliced.runs, key=lambda each: each.base):
        with av.open(str(run.path)) as container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                if frame.time is None:
                    continue
                at = float(frame.time) + run.base / TICKS - spliced.start
                if at >= duration:
                    break
                if at >= spliced.first_picture - spliced.start:
                    yield max(0.0, at), frame, run


def _small(frame: av.VideoFrame, run: PictureRun, spliced: Spliced) -> Gray:
    """Return a picture in the film's shape, 160 points wide."""
    width = spliced.width or run.width
    height = spliced.height or run.height
    rows = max(_STRIPS[0], 2 * round(_WIDTH * height / width / 2))
    fit = min(width / run.width, height / run.height)
    across = min(_WIDTH, max(2, round(_WIDTH * run.width * fit / width)))
    down = min(rows, max(2, round(rows * run.height * fit / height)))
    turned = (frame.width < frame.height) != (run.width < run.height)
    size = (down, across) if turned else (across, down)
    inner = frame.reformat(
        width=size[0], height=size[1], format="gray", interpolation="AREA"
    ).to_ndarray()
    if turned:
        inner = np.rot90(inner, k=round(frame.rotation / 90))
    if inner.shape == (rows, _WIDTH):
        return np.ascontiguousarray(inner, dtype=np.uint8)
    whole = np.zeros((rows, _WIDTH), np.uint8)
    top, left = (rows - down) // 2, (_WIDTH - across) // 2
    whole[top : top + down, left : left + across] = inner
    return whole


def _luma(frame: av.VideoFrame) -> Gray:
    return np.asarray(frame.reformat(format="gray").to_ndarray(), dtype=np.uint8)


def _is_cut(before: Gray, after: Gray) -> bool:
    """Return True if two successive pictures show different scenes."""
    moved = np.abs(before.astype(np.int16) - after.astype(np.int16)).mean()
    if moved < _CUT_LEVELS:
        return False
    counts = [np.bincount(each.ravel() >> 4, minlength=_HISTOGRAM_BINS) for each in (before, after)]
    return float(np.abs(counts[0] - counts[1]).sum()) / before.size > _CUT_HISTOGRAM


def _measured(
    compared: Sequence[_Compared], cuts: Sequence[float], text: Sequence[Region], duration: float
) -> Motion:
    still, share = _still(compared)
    boxes = _merged(text) if share < _MOVING_CAMERA else []
    shape = compared[0].picture.shape
    hidden = np.zeros(shape, bool)
    for box in boxes:
        hidden[_part(box, shape)] = True
    moving = np.zeros((len(compared), *shape), np.float32)
    for place, each in enumerate(compared):
        if each.before is not None:
            moving[place] = _moving(each.before, each.picture, still)
            moving[place][hidden] = 0.0
    _drop_tickers(moving)
    columns, rows = [], []
    edges = [*cuts, max(duration, cuts[-1])]
    times = np.array([each.at for each in compared])
    for first, last in pairwise(edges):
        across, down = [], []
        for step in range(max(1, int(np.ceil((last - first) / STEP)) + 1)):
            begin = first + (step - 0.5) * STEP
            inside = (times >= max(first, begin)) & (times < min(last, begin + STEP))
            seen = moving[inside].sum(axis=0) if inside.any() else np.zeros(shape, np.float32)
            across.append(_strips(seen.sum(axis=0), _STRIPS[1]))
            down.append(_strips(seen.sum(axis=1), _STRIPS[0]))
        columns.append(Shot(start=first, readings=tuple(across)))
        rows.append(Shot(start=first, readings=tuple(down)))
    return Motion(columns=tuple(columns), rows=tuple(rows), score_bug=_score_bug(boxes, still))


def _still(compared: Sequence[_Compared]) -> tuple[NDArray[np.bool_], float]:
    """Return which points stay nearly all the time, and how much of the picture that is."""
    every = max(1, len(compared) // _SAMPLES)
    some = np.stack([each.picture for each in compared[::every]]).astype(np.int16)
    near = np.abs(some - np.median(some, axis=0)) <= _STILL_LEVELS
    still: NDArray[np.bool_] = near.mean(axis=0) >= _STILL_SHARE
    return still, float(still.mean())


def _moving(before: Gray, after: Gray, still: NDArray[np.bool_]) -> Levels:
    """Return how much each point has changed apart from the movement of the camera."""
    old, new = before.astype(np.float32), after.astype(np.float32)
    plain = np.abs(new - old)
    follow, valid = _follow_camera(old, new)
    slopes = np.abs(np.gradient(new, axis=0)) + np.abs(np.gradient(new, axis=1))
    rest = np.maximum(0.0, np.abs(new - follow) - _EDGE * slopes - _NOISE)
    rest[~valid] = 0.0
    # Overlays stay while the camera moves, and so seem to move against it.
    rest[still & (plain < _NOISE)] = 0.0
    levels: Levels = rest.astype(np.float32)
    return levels


def _follow_camera(old: Levels, new: Levels) -> tuple[Levels, NDArray[np.bool_]]:
    """Return the older picture as the camera would see it now, and where that is known."""
    spectrum = np.fft.rfft2(new) * np.conj(np.fft.rfft2(old))
    peaks = np.fft.irfft2(spectrum / (np.abs(spectrum) + 1e-6), s=old.shape)
    height, width = old.shape
    top, left = divmod(int(peaks.argmax()), width)
    down = top - height if top > height // 2 else top
    across = left - width if left > width // 2 else left
    valid = np.ones(old.shape, bool)
    if abs(down) > height // 4 or abs(across) > width // 4:
        return old, valid
    shifted = np.roll(old, (down, across), axis=(0, 1))
    if np.abs(new - shifted).mean() >= np.abs(new - old).mean():
        return old, valid
    valid[: max(0, down)] = False
    valid[height + min(0, down) :] = False
    valid[:, : max(0, across)] = False
    valid[:, width + min(0, across) :] = False
    return shifted.astype(np.float32), valid


def _drop_tickers(moving: Levels) -> None:
    """Take out what moves all the time at the top and bottom, which is running text."""
    margin = round(moving.shape[1] * _MARGIN_ROWS)
    for rows in (slice(0, margin), slice(moving.shape[1] - margin, None)):
        band = moving[:, rows]
        # Text runs along a whole row: the row counts, not the point.
        level = band.mean(axis=2, keepdims=True)
        usual = np.median(level, axis=0, keepdims=True)
        running = (usual > 0) & ((band > 0).mean(axis=2).mean(axis=0) > 0.1)[None, :, None]  # noqa: PLR2004
        band *= ~running


def _strips(values: Levels, count: int) -> tuple[float, ...]:
    """Return the sums of strips of equal width; values are points in a row."""
    edges = np.linspace(0, len(values), count + 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.interp(edges, np.arange(len(sums)), sums)
    return tuple(round(float(each), 2) for each in np.diff(at))


def _part(box: Region, shape: tuple[int, ...]) -> tuple[slice, slice]:
    rows, columns = shape
    return (
        slice(int(box.y * rows), int(np.ceil((box.y + box.height) * rows))),
        slice(int(box.x * columns), int(np.ceil((box.x + box.width) * columns))),
    )


def _merged(boxes: Sequence[Region]) -> list[Region]:
    """Return boxes of text with those joined that stand beside each other."""
    merged: list[Region] = []
    for box in sorted(boxes, key=lambda each: each.x):
        for place, other in enumerate(merged):
            beside = box.x - (other.x + other.width) <= _NEAR
            level = box.y < other.y + other.height and other.y < box.y + box.height
            if beside and level:
                merged[place] = _around(other, box)
                break
        else:
            merged.append(box)
    return merged


def _around(one: Region, other: Region) -> Region:
    x, y = min(one.x, other.x), min(one.y, other.y)
    right = max(one.x + one.width, other.x + other.width)
    bottom = max(one.y + one.height, other.y + other.height)
    return Region(x=x, y=y, width=right - x, height=bottom - y)


def _score_bug(boxes: Sequence[Region], still: NDArray[np.bool_]) -> Region | None:
    """Return the largest text near the top, else near the bottom, with the card it stands on."""
    fitting = [each for each in boxes if each.width <= _BUG_WIDTH and each.height <= _BUG_HEIGHT]
    top = [each for each in fitting if each.y + each.height <= _BUG_ROWS]
    bottom = [each for each in fitting if each.y >= 1 - _BUG_ROWS]
    found = max(top or bottom, key=lambda each: each.width * each.height, default=None)
    if found is None:
        return None
    rows, columns = _part(found, still.shape)
    inside = still[rows, columns]
    down = np.nonzero(inside.mean(axis=1) >= _CARD)[0]
    across = np.nonzero(inside.mean(axis=0) >= _CARD)[0]
    if down.size < _CARD * inside.shape[0] or across.size < _CARD * inside.shape[1]:
        return found
    height, width = still.shape
    return Region(
        x=(columns.start + int(across[0])) / width,
        y=(rows.start + int(down[0])) / height,
        width=(int(across[-1]) + 1 - int(across[0])) / width,
        height=(int(down[-1]) + 1 - int(down[0])) / height,
    )
