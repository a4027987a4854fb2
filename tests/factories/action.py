"""Film of a match as a broadcast shows it: where its one player is at each instant is known.

The camera pans over a field of texture. A score bug stands at the top left, with a running clock;
a line of text runs along the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

RATE: Final = 25
WIDTH, HEIGHT = 640, 360
BUG: Final = (16, 14, 150, 34)
"""Left, top, width and height of the score bug, in pixels."""

_PLAYER: Final = 26
Place = Callable[[float], float]


def crossing(at: float) -> float:
    """Run over the field once in eight seconds, and stand still before and after."""
    return 0.12 + 0.76 * min(1.0, max(0.0, (at - 1.0) / 8.0))


def swinging(at: float) -> float:
    """Run up and down, with pauses at both ends."""
    return 0.5 + 0.36 * max(-1.0, min(1.0, 1.4 * math.sin(2 * math.pi * at / 10.0)))


def action_film(
    path: Path,
    where: Place,
    *,
    seconds: float = 10.0,
    cut_at: float | None = None,
    pan: float = 40.0,
    overlays: bool = True,
) -> Path:
    """Write a film whose player's center is at `where(seconds)`, a part of the width.

    Args:
        path: of the MP4.
        where: the player's place.
        seconds: length.
        cut_at: second at which another camera shows the rest.
        pan: pixels a second by which the camera moves.
        overlays: whether there are a score bug and a running line.
    """
    random = np.random.default_rng(7)
    fields = [_field(random), _field(random)]
    line = Image.new("L", (4 * WIDTH, 24), 30)
    ImageDraw.Draw(line).text((0, 4), "BREAKING NEWS FROM ALL GROUNDS + " * 14, fill=235)
    ticker = np.asarray(line)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(round(seconds * RATE)):
            at = number / RATE
            later = cut_at is not None and at >= cut_at
            left = round(60 + pan * at)
            luma = fields[later][:, left : left + WIDTH].copy()
            chroma = np.full((HEIGHT, WIDTH), 128, np.uint8)
            _draw_player(luma, chroma, where(at), at)
            if overlays:
                shift = round(90 * at)
                luma[HEIGHT - 30 : HEIGHT - 6] = ticker[:, shift : shift + WIDTH]
                _draw_bug(luma, at)
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            blue = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
            for plane, values in zip(frame.planes, (luma, blue, chroma[::2, ::2]), strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _field(random: np.random.Generator) -> NDArray[np.uint8]:
    noise = Image.fromarray(random.integers(0, 255, (HEIGHT // 4, 400), dtype=np.uint8))
    wide = noise.resize((1600, HEIGHT)).filter(ImageFilter.GaussianBlur(3))
    return (np.asarray(wide) * 0.5 + random.integers(20, 90)).astype(np.uint8)


def _draw_player(
    luma: NDArray[np.uint8], chroma: NDArray[np.uint8], place: float, at: float
) -> None:
    x = round(place * WIDTH)
    y = round(HEIGHT * (0.55 + 0.05 * math.sin(9 * at)))
    half = _PLAYER // 2
    luma[y - half : y + half, x - half : x + half] = 200
    # Only the player is red, so that a test can find it.
    chroma[y - half : y + half, x - half : x + half] = 235


def _draw_bug(luma: NDArray[np.uint8], at: float) -> None:
    left, top, width, height = BUG
    card = Image.new("L", (width, height), 20)
    text = f"ARS 2-1 CHE {int(at) // 60:02}:{int(at) % 60:02}"
    ImageDraw.Draw(card).text((6, 8), text, fill=240, font=ImageFont.load_default(16))
    luma[top : top + height, left : left + width] = np.asarray(card)


def player_in(frame: av.VideoFrame) -> tuple[float, int] | None:
    """Return the player's center, in pixels from the left, and how many pixels of it there are."""
    red = frame.to_ndarray(format="yuv444p")[2] > 180
    if not red.any():
        return None
    columns = np.nonzero(red.any(axis=0))[0]
    return float(columns.mean()), int(red.sum())
