"""What stands still in a match, drawn once: the field, the stands, players, cards and panels."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from demo.match.image import HEIGHT, WIDTH, Picture
from demo.match.script import Color, Look
from demo.match.sport import Sport

FIELD_WIDTH: Final = 1200
FIELD_HEIGHT: Final = 400
STANDS: Final = 96
"""Size of the field's picture in the wide view and of the stands within it, pixels."""

TIGHT: Final = 1.7
"""How much larger the tight view is."""

Random = np.random.Generator
_PRODUCTS: Final = (
    "VOLTA",
    "Kirsch & Co",
    "NORDAIR",
    "ZUM",
    "Brightly",
    "oat:ly good",
    "PIXO",
    "Hafen Bank",
)


def shade(color: Color, factor: float) -> Color:
    """Return a darker (< 1) or lighter colour."""
    red, green, blue = (max(0, min(255, int(part * factor))) for part in color)
    return red, green, blue


def draw_crowd(rng: Random, look: Look, width: int, height: int, grain: int) -> Image.Image:
    """Return spectators: dots of `grain` pixels in the teams' colours and others."""
    rows, columns = height // grain + 1, width // grain + 1
    palette = np.array(
        [
            look.home_color,
            look.away_color,
            look.accent_color,
            (70, 62, 60),
            (150, 120, 100),
            (30, 30, 40),
        ]
    )
    dots = palette[rng.choice(6, (rows, columns), p=(0.16, 0.1, 0.06, 0.26, 0.22, 0.2))] * 0.75
    dots += rng.normal(0, 12, (rows, columns, 1))
    image = Image.fromarray(np.clip(dots, 0, 255).astype(np.uint8))
    grown = image.resize((columns * grain, rows * grain), Image.Resampling.BICUBIC)
    return grown.crop((0, 0, width, height))


def draw_field(rng: Random, sport: Sport, look: Look, scale: float) -> Image.Image:
    """Return the whole field with the stands behind it, at a scale."""
    width, height = int(FIELD_WIDTH * scale) & ~1, int(FIELD_HEIGHT * scale) & ~1
    top = int(STANDS * scale)
    image = Image.new("RGB", (width, height), look.field_color)
    pen = ImageDraw.Draw(image)
    stripe = int(50 * scale)
    for index, left in enumerate(range(0, width, stripe)):
        factor = 1.08 if index % 2 else 0.96
        pen.rectangle((left, top, left + stripe, height), fill=shade(look.field_color, factor))
    image.paste(draw_crowd(rng, look, width, top, max(3, int(4 * scale))), (0, 0))
    board = int(12 * scale)
    for index, left in enumerate(range(0, width, int(150 * scale))):
        color = (look.accent_color, look.home_color, (20, 20, 40))[index % 3]
        pen.rectangle((left, top - board, left + int(150 * scale), top), fill=color)
    _draw_lines(pen, sport, width=width, height=height, top=top, scale=scale)
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _draw_lines(
    pen: ImageDraw.ImageDraw, sport: Sport, *, width: int, height: int, top: int, scale: float
) -> None:
    line, white = max(2, int(2 * scale)), (232, 236, 228)
    edge, left, right = int(14 * scale), int(50 * scale), width - int(50 * scale)
    middle, centre = width // 2, (top + height) // 2
    pen.rectangle((left, top + edge, right, height - edge), outline=white, width=line)
    if sport.field == "arena":
        for x in range(left, right, int(160 * scale)):
            y = top + edge + (x * 7919) % int(170 * scale)
            pen.rectangle(
                (x, y, x + int(70 * scale), y + int(50 * scale)), fill=(30, 34, 46), outline=white
            )
        return
    pen.line((middle, top + edge, middle, height - edge), fill=white, width=line)
    ring = int(46 * scale)
    pen.ellipse(
        (middle - ring, centre - ring, middle + ring, centre + ring), outline=white, width=line
    )
    deep = int((90 if sport.field == "pitch" else 130) * scale)
    high = int(90 * scale)
    for wall, inner in ((left, left + deep), (right, right - deep)):
        box = (min(wall, inner), centre - high, max(wall, inner), centre + high)
        if sport.field == "pitch":
            pen.rectangle(box, outline=white, width=line)
            net = int(14 * scale) * (1 if inner < wall else -1)
            goal = int(30 * scale)
            pen.rectangle(
                (min(wall, wall + net), centre - goal, max(wall, wall + net), centre + goal),
                fill=(200, 204, 208),
                outline=white,
                width=line,
            )
        else:
            pen.ellipse(box, outline=white, width=line)


def draw_player(color: Color, height: int, step: int) -> Picture:
    """Return a small player in one of four steps of a run."""
    width = (height // 2 + 3) & ~1
    image = Image.new("RGBA", (width, height & ~1), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    middle, stride = width / 2, (0, 1, 0, -1)[step] * height * 0.14
    hip, neck = height * 0.6, height * 0.24
    limb = max(2, height // 9)
    dark = shade(color, 0.45)
    pen.line((middle, hip, middle - stride, height - 2), fill=dark, width=limb)
    pen.line((middle, hip, middle + stride, height - 2), fill=dark, width=limb)
    pen.rectangle((middle - height * 0.13, neck, middle + height * 0.13, hip), fill=color)
    head = height * 0.1
    pen.ellipse((middle - head, neck - 2 * head, middle + head, neck), fill=(196, 150, 120))
    return Picture.of(image)


def draw_close_up(rng: Random, look: Look, *, home: bool) -> tuple[Picture, Picture]:
    """Return the blurred background (wider than the view) and a player from the waist up."""
    background = draw_crowd(rng, look, WIDTH + 160, HEIGHT + 40, 26)
    ImageDraw.Draw(background).rectangle(
        (0, int(HEIGHT * 0.72), WIDTH + 160, HEIGHT + 40), fill=look.field_color
    )
    color = look.home_color if home else look.away_color
    image = Image.new("RGBA", (240, 320), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    tan = int(rng.integers(90, 200))
    skin = (tan + 40, tan, int(tan * 0.8))
    pen.rounded_rectangle((40, 140, 200, 340), 40, fill=color)
    pen.line((48, 170, 14, 300), fill=shade(color, 0.8), width=36)
    pen.line((192, 170, 226, 300), fill=shade(color, 0.8), width=36)
    pen.ellipse((80, 30, 160, 144), fill=skin)
    pen.pieslice((78, 22, 162, 110), 180, 360, fill=(40, 30, 24))
    pen.ellipse((100, 84, 108, 92), fill=(20, 20, 20))
    pen.ellipse((132, 84, 140, 92), fill=(20, 20, 20))
    number = ImageFont.load_default(52)
    pen.text((90, 200), str(int(rng.integers(1, 24))), font=number, fill=shade(color, 0.3))
    return Picture.of(background.filter(ImageFilter.GaussianBlur(4))), Picture.of(image)


def draw_card(rng: Random) -> Picture:
    """Return an advert's picture, larger than the view so that the camera can move over it."""
    width, height = WIDTH + 120, HEIGHT + 80
    first, second = rng.integers(10, 245, 3), rng.integers(10, 245, 3)
    slope = np.linspace(0, 1, width)[None, :, None] * rng.uniform(0.3, 1)
    slope = slope + np.linspace(0, 0.5, height)[:, None, None]
    shades = np.clip(first + (second - first) * np.clip(slope, 0, 1), 0, 255).astype(np.uint8)
    image = Image.fromarray(shades)
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 7))):
        x, y, size = rng.integers(0, width), rng.integers(0, height), int(rng.integers(40, 170))
        fill = tuple(int(c) for c in rng.integers(0, 255, 3))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((int(x), int(y), int(x) + size, int(y) + size), fill=fill)
    words = _PRODUCTS[int(rng.integers(len(_PRODUCTS)))]
    at = (int(rng.integers(60, 260)), int(rng.integers(80, 280)))
    pen.text(
        at,
        words,
        font=ImageFont.load_default(int(rng.integers(44, 84))),
        fill="white",
        stroke_width=2,
        stroke_fill="black",
    )
    return Picture.of(image)


def draw_panel(rng: Random, look: Look) -> Picture:
    """Return a full-screen graphic: a line-up or statistics."""
    image = Image.new("RGB", (WIDTH, HEIGHT), shade(look.accent_color, 0.35))
    pen = ImageDraw.Draw(image)
    team = look.home_name if rng.random() < 0.5 else look.away_name
    color = look.home_color if team == look.home_name else look.away_color
    pen.rectangle((60, 30, WIDTH - 60, 76), fill=color)
    pen.text((76, 38), f"{team}  LINE-UP", font=ImageFont.load_default(28), fill=shade(color, 0.3))
    font = ImageFont.load_default(18)
    letters = "aeioulnrstmkbdgv"
    for row in range(9):
        y = 92 + row * 27
        pen.rectangle(
            (60, y, WIDTH - 60, y + 22), fill=shade(look.accent_color, 0.55 if row % 2 else 0.45)
        )
        name = "".join(
            letters[int(i)] for i in rng.integers(0, len(letters), int(rng.integers(4, 9)))
        )
        pen.text(
            (76, y), f"{int(rng.integers(1, 30)):>2}  {name.capitalize()}", font=font, fill="white"
        )
    return Picture.of(image)
