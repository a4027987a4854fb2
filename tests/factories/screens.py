"""Pictures with text, in fonts and colors as games and broadcasters use them."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]

# Digits and a colon of three by five blocks, row by row.
_BLOCKS = {
    "0": "757 505 505 505 757",
    "1": "010 010 010 010 010",
    "2": "777 007 777 700 777",
    "3": "777 007 077 007 777",
    "4": "707 707 777 007 007",
    "8": "777 707 777 707 777",
    ":": "000 010 000 010 000",
}


class Screen:
    """A picture that text is written on."""

    def __init__(self, width: int = 1280, height: int = 720, ground: Color = (60, 90, 60)) -> None:
        self._image = Image.new("RGB", (width, height), ground)
        self._pen = ImageDraw.Draw(self._image)

    def write(
        self, text: str, x: int, y: int, *, size: int = 28, color: Color, paper: Color | None = None
    ) -> None:
        """Write in a smooth font; `paper` is the color of a box behind it."""
        font = ImageFont.load_default(size)
        left, top, right, bottom = self._pen.textbbox((x, y), text, font=font)
        if paper is not None:
            self._pen.rectangle((left - 10, top - 8, right + 10, bottom + 8), fill=paper)
        self._pen.text((x, y), text, fill=color, font=font)

    def write_blocks(
        self, text: str, x: int, y: int, *, color: Color, block: tuple[int, int] = (10, 5)
    ) -> None:
        """Write digits as old consoles do: of wide blocks, with a block between them."""
        wide, high = block
        for number, letter in enumerate(text):
            for row, cells in enumerate(_BLOCKS[letter].split()):
                for column, cell in enumerate(cells):
                    if cell != "0" or (letter == "0" and (column != 1 or row in {0, 4})):
                        left, top = x + (number * 4 + column) * wide, y + row * high
                        self._pen.rectangle(
                            (left, top, left + wide - 1, top + high - 1), fill=color
                        )

    def box(self, x: int, y: int, width: int, height: int, color: Color) -> None:
        """Draw a box, such as a player."""
        self._pen.rectangle((x, y, x + width, y + height), fill=color)

    def frame(self, pixel_format: str = "yuv420p") -> VideoFrame:
        """Return the picture as a decoder would."""
        picture = VideoFrame.from_ndarray(np.asarray(self._image), "rgb24")
        return picture.reformat(format=pixel_format)
