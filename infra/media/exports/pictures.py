"""The best of some pictures, and its blurhash. Runs in a media child process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

_SMALL_WIDTH: Final = 160
_BLACK: Final = 24.0
"""Mean brightness (0 to 255) below which a picture counts as black."""

_BASE83: Final = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
)
_COMPONENTS: Final = (4, 3)


class BestPicture(NamedTuple):
    """A picture, its size (pixels) and its blurhash."""

    path: Path
    width: int
    height: int
    blurhash: str


class WebpAnimation(NamedTuple):
    """An animated WebP: duration in seconds, size in pixels."""

    duration: float
    width: int
    height: int


def read_webp(data: bytes) -> WebpAnimation:
    """Return the properties of an animated WebP, which FFmpeg's libraries cannot decode.

    Raises:
        ValueError: it is not one, or is cut off.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < _little_endian(data[4:8]) + 8:
        raise ValueError("not a whole WebP file")
    place, milliseconds, width, height = 12, 0, 0, 0
    while place + 8 <= len(data):
        kind, size = data[place : place + 4], _little_endian(data[place + 4 : place + 8])
        body = data[place + 8 : place + 8 + size]
        if kind == b"VP8X":
            width, height = _little_endian(body[4:7]) + 1, _little_endian(body[7:10]) + 1
        elif kind == b"ANMF":
            milliseconds += _little_endian(body[12:15])
        place += 8 + size + size % 2
    if not milliseconds:
        raise ValueError("the WebP has no animation")
    return WebpAnimation(milliseconds / 1000, width, height)


def _little_endian(data: bytes) -> int:
    return int.from_bytes(data, "little")


def best_picture(candidates: Sequence[Path]) -> BestPicture | None:
    """Return the sharpest of some pictures that is not black; None if there is none at all.

    Of equally black pictures it is the sharpest too.
    """
    best: tuple[tuple[bool, float], Path] | None = None
    for path in candidates:
        grey = _pixels(path, "gray").astype(np.float32)
        # The variance of the Laplacian is a usual measure of focus.
        edges = (
            4 * grey[1:-1, 1:-1]
            - grey[:-2, 1:-1]
            - grey[2:, 1:-1]
            - grey[1:-1, :-2]
            - grey[1:-1, 2:]
        )
        score = (float(grey.mean()) >= _BLACK, float(edges.var()))
        if best is None or score > best[0]:
            best = score, path
    if best is None:
        return None
    with av.open(str(best[1])) as container:
        context = container.streams.video[0].codec_context
        width, height = context.width, context.height
    return BestPicture(best[1], width, height, _blurhash(_pixels(best[1], "rgb24")))


def _pixels(path: Path, form: str) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        height = max(3, round(frame.height * _SMALL_WIDTH / frame.width))
        small = frame.reformat(width=_SMALL_WIDTH, height=height, format=form)
        return np.asarray(small.to_ndarray(), dtype=np.uint8)


def _blurhash(pixels: NDArray[np.uint8]) -> str:
    """Return the blurhash of an RGB picture (github.com/woltapp/blurhash, Algorithm.md)."""
    across, down = _COMPONENTS
    value = pixels.astype(np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
    height, width = linear.shape[:2]
    columns = np.cos(np.pi * np.outer(np.arange(across), np.arange(width)) / width)
    rows = np.cos(np.pi * np.outer(np.arange(down), np.arange(height)) / height)
    factors = np.einsum("jy,ix,yxc->jic", rows, columns, linear) / (width * height)
    factors *= 2
    factors[0, 0] /= 2
    flat = factors.reshape(-1, 3)
    largest = float(np.abs(flat[1:]).max())
    steps = min(82, max(0, math.floor(largest * 166 - 0.5)))
    scale = (steps + 1) / 166
    average = [_to_srgb(float(each)) for each in flat[0]]
    hashed = _base83(across - 1 + (down - 1) * 9, 1) + _base83(steps, 1)
    hashed += _base83((average[0] << 16) + (average[1] << 8) + average[2], 4)
    for factor in flat[1:]:
        parts = [
            min(18, max(0, math.floor(math.copysign(abs(each / scale) ** 0.5, each) * 9 + 9.5)))
            for each in map(float, factor)
        ]
        hashed += _base83(parts[0] * 361 + parts[1] * 19 + parts[2], 2)
    return hashed


def _to_srgb(value: float) -> int:
    bounded = min(1.0, max(0.0, value))
    if bounded <= 0.0031308:  # noqa: PLR2004 - IEC 61966-2-1
        return round(bounded * 12.92 * 255)
    return round((1.055 * float(bounded ** (1 / 2.4)) - 0.055) * 255)


def _base83(value: int, length: int) -> str:
    return "".join(_BASE83[value // 83 ** (length - place - 1) % 83] for place in range(length))
