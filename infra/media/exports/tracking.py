"""Crops that follow the action, with the score bug in view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import ffmpeg

from domain.exports.camera import STEP, CameraPath, plan_path
from infra.media.exports.motion import Motion, Region

_AHEAD: Final = 0.001
"""Seconds before a picture's time at which it is said where to crop it."""

_BUG_WIDTH: Final = 0.92
_BUG_MARGIN: Final = 0.03
_BLURRED: Final = 6
_LEAST: Final = 8
"""Pixels of a score bug's shorter side, at least."""

_FOREVER: Final = 1e6


class Box(NamedTuple):
    """A box in pixels of the source; all even."""

    x: int
    y: int
    width: int
    height: int


class Track(NamedTuple):
    """A crop that moves.

    Attributes:
        name: of the filter to which the commands are sent.
        commands: file for ffmpeg's sendcmd.
        source: width and height of the source.
        first: the crop at the beginning.
        score_bug: what to move from the source's picture to the top; None if no crop cuts it.
    """

    name: str
    commands: Path
    source: tuple[int, int]
    first: Box
    score_bug: Box | None


def lay_track(
    motion: Motion,
    source: tuple[int, int],
    target: tuple[int, int],
    directory: Path,
    number: int,
) -> Track:
    """Plan a crop, and write its commands into `directory`. Runs in a media child process.

    Args:
        motion: what moves in the source.
        source: width and height (pixels).
        target: width and height of the result.
        directory: for the commands.
        number: of the track, in its directory.
    """
    width, height = source
    crop_width = min(width, _even(height * target[0] / target[1]))
    crop_height = min(height, _even(width * target[1] / target[0]))
    across = width - crop_width >= height - crop_height
    shots = motion.columns if across else motion.rows
    side, part = (width, crop_width) if across else (height, crop_height)
    name = f"crop@track{number}"
    path = plan_path(shots, share=min(part / side, 1 - 2 / side))
    places = _places(path, side=side, part=part)
    option = "x" if across else "y"
    commands = directory / f"track{number}.txt"
    commands.write_text("\n".join(_commands(path, places, name, option)) + "\n", encoding="utf-8")
    first = places[0][0]
    bug = motion.score_bug
    return Track(
        name=name,
        commands=commands,
        source=source,
        first=Box(first, 0, crop_width, crop_height)
        if across
        else Box(0, first, crop_width, crop_height),
        score_bug=_cut_bug(bug, source, places, part, across=across) if bug is not None else None,
    )


def tracked(
    picture: ffmpeg.VideoStream, track: Track, target: tuple[int, int]
) -> ffmpeg.VideoStream:
    """Crop a picture along a track, and scale it to the target's width and height."""
    bug = None
    if track.score_bug is not None:
        split = picture.split(outputs=2)
        picture, bug = split.video(0), split.video(1)
        hole = _hole(track.score_bug, track.source)
        picture = picture.delogo(
            x=str(hole.x), y=str(hole.y), w=str(hole.width), h=str(hole.height)
        )
    first = track.first
    # The commands reach a crop just before the picture that they are for.
    cropped = picture.sendcmd(filename=str(track.commands)).vfilter(
        name=track.name, w=str(first.width), h=str(first.height), x=str(first.x), y=str(first.y)
    )
    scaled = cropped.scale(w=str(target[0]), h=str(target[1])).setsar(sar="1")
    if bug is None or track.score_bug is None:
        return scaled
    x, y, width, height = track.score_bug
    factor = min(target[0] / first.width, _BUG_WIDTH * target[0] / width)
    shown = bug.crop(out_w=str(width), out_h=str(height), x=str(x), y=str(y)).scale(
        w=str(_even(width * factor)), h=str(_even(height * factor))
    )
    return scaled.overlay(
        shown.setsar(sar="1"), x="(W-w)/2", y=str(round(_BUG_MARGIN * min(target)))
    )


def _places(path: CameraPath, *, side: int, part: int) -> list[list[int]]:
    """Return where the crop begins, in pixels, at each knot of each shot."""
    return [
        [min(max(0, 2 * round((center * side - part / 2) / 2)), side - part) for center in knots]
        for knots in path.knots
    ]


def _commands(
    path: CameraPath, places: Sequence[Sequence[int]], name: str, option: str
) -> list[str]:
    """Return sendcmd's lines: one for each move, and one for each rest."""
    lines = []
    ends = [*path.starts[1:], _FOREVER]
    for start, end, knots in zip(path.starts, ends, places, strict=True):
        moves: list[tuple[float, int, int]] = []
        for step, (here, there) in enumerate(zip(knots, [*knots[1:], knots[-1]], strict=True)):
            rests = moves and moves[-1][1] == moves[-1][2] == here == there
            if not rests:
                moves.append((start + step * STEP, here, there))
        for place, (at, here, there) in enumerate(moves):
            until = moves[place + 1][0] if place + 1 < len(moves) else end
            if at >= end:
                break
            span = f"{max(0.0, at - _AHEAD):.4f}-{min(until, end) - _AHEAD:.4f}"
            target = f"'lerp({here},{there},TI)'" if here != there else f"'{here}'"
            lines.append(f"{span} [expr] {name} {option} {target};")
    return lines


def _hole(bug: Box, source: tuple[int, int]) -> Box:
    """Return what to fill in where the score bug was: its blurred edges too.

    It is filled from what is around it, so it must not touch the edges of the picture.
    """
    left, top = max(2, bug.x - _BLURRED), max(2, bug.y - _BLURRED)
    right = min(source[0] - 2, bug.x + bug.width + _BLURRED)
    bottom = min(source[1] - 2, bug.y + bug.height + _BLURRED)
    return Box(left, top, right - left, bottom - top)


def _cut_bug(
    bug: Region,
    source: tuple[int, int],
    places: Sequence[Sequence[int]],
    part: int,
    *,
    across: bool,
) -> Box | None:
    """Return the score bug in pixels if the crop cuts it somewhere; None if it is always whole."""
    width, height = source
    left, top = 2 * round(bug.x * width / 2), 2 * round(bug.y * height / 2)
    right = min(width, 2 * round((bug.x + bug.width) * width / 2))
    bottom = min(height, 2 * round((bug.y + bug.height) * height / 2))
    if right - left < _LEAST or bottom - top < _LEAST:
        return None
    begin, end = (left, right) if across else (top, bottom)
    every = [place for knots in places for place in knots]
    if begin >= max(every) and end <= min(every) + part:
        return None
    return Box(left, top, right - left, bottom - top)


def _even(pixels: float) -> int:
    return max(2, 2 * round(pixels / 2))
