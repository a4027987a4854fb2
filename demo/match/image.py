"""Pictures in the form in which video is encoded: planar YUV 4:2:0, at half size."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from demo.match.script import Color

Plane = NDArray[np.uint8]

WIDTH: Final = 640
HEIGHT: Final = 360
"""Pixels in which frames are drawn; the encoder doubles them to 1280x720."""


class Picture:
    """A YUV 4:2:0 picture, with a mask where it does not cover what lies under it."""

    def __init__(self, planes: tuple[Plane, Plane, Plane], mask: NDArray[np.bool_] | None) -> None:
        self.planes = planes
        self.mask = mask
        self._masks = None if mask is None else (mask, mask[::2, ::2], mask[::2, ::2])

    @classmethod
    def blank(cls, width: int = WIDTH, height: int = HEIGHT) -> Picture:
        """Return a black picture."""
        chroma = (height // 2, width // 2)
        luma = np.full((height, width), 16, np.uint8)
        return cls((luma, np.full(chroma, 128, np.uint8), np.full(chroma, 128, np.uint8)), None)

    @classmethod
    def of(cls, image: Image.Image) -> Picture:
        """Convert an RGB or RGBA image of even size (ITU-R BT.709, limited range)."""
        rgba = np.asarray(image.convert("RGBA"), np.float32)
        red, green, blue = rgba[..., 0], rgba[..., 1], rgba[..., 2]
        luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        planes = (
            16 + luma * (219 / 255),
            _halve(128 + (blue - luma) / 1.8556 * (224 / 255)),
            _halve(128 + (red - luma) / 1.5748 * (224 / 255)),
        )
        mask = rgba[..., 3] > 127 if image.mode == "RGBA" else None
        y, u, v = (np.clip(plane, 0, 255).astype(np.uint8) for plane in planes)
        return cls((y, u, v), mask)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.planes[0].shape
        return width, height

    def crop_into(self, target: Picture, x: int, y: int) -> None:
        """Fill `target` with the part of this picture whose top left corner is at (x, y)."""
        width, height = target.size
        x = max(0, min(x, self.size[0] - width)) & ~1
        y = max(0, min(y, self.size[1] - height)) & ~1
        for index, (into, plane) in enumerate(zip(target.planes, self.planes, strict=True)):
            step = 1 if index == 0 else 2
            into[:] = plane[y // step : (y + height) // step, x // step : (x + width) // step]

    def paste_into(self, target: Picture, x: int, y: int) -> None:
        """Draw this picture over `target` at (x, y), as far as it lies within."""
        x, y = x & ~1, y & ~1
        width, height = self.size
        left, top = max(0, x), max(0, y)
        right, bottom = min(x + width, target.size[0]), min(y + height, target.size[1])
        if left >= right or top >= bottom:
            return
        for index, (into, plane) in enumerate(zip(target.planes, self.planes, strict=True)):
            step = 1 if index == 0 else 2
            rows = slice((top - y) // step, (bottom - y) // step)
            columns = slice((left - x) // step, (right - x) // step)
            region = into[top // step : bottom // step, left // step : right // step]
            if self._masks is None:
                region[:] = plane[rows, columns]
            else:
                np.copyto(region, plane[rows, columns], where=self._masks[index][rows, columns])

    def tobytes(self) -> bytes:
        """Return the planes in the order of pixel format yuv420p."""
        return b"".join(plane.tobytes() for plane in self.planes)


def _halve(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    quarters = plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]
    return np.asarray(quarters / 4, np.float32)


def label(words: str, *, size: int, ink: Color, paper: Color, pad: int = 6) -> Picture:
    """Return a line of text on a coloured plate of even size."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(words)
    width, height = (int(right - left) + 2 * pad + 1) & ~1, (int(bottom - top) + 2 * pad + 1) & ~1
    image = Image.new("RGB", (width, height), paper)
    ImageDraw.Draw(image).text((pad - left, pad - top), words, font=font, fill=ink)
    return Picture.of(image)
