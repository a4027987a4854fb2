"""Films of a match with a score bug, drawn from a seed: keyframes only, with their truth.

    python -m benchmarks.screen_text.broadcast FOLDER --seeds 1 2 3

A camera pans over a pitch with players in front of a crowd. The bug differs in kind, place, size,
font, colors and language. It appears late, is missing in replays, and may move. A ticker with odds,
boards beside the pitch and adverts show other numbers.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tools.footage.truth import Event, Film, Truth

GAME: Final = "broadcast"
KEYFRAMES: Final = 2.0
"""Seconds between keyframes; there are no other frames."""

_SIZES: Final = ((640, 360), (854, 480), (1280, 720), (1280, 720), (1920, 1080))
_DELAY: Final = (0.5, 3.0)
_FOLDER: Final = Path("/usr/share/fonts/truetype")
_FONTS: Final = (
    *("dejavu/DejaVuSans-Bold", "dejavu/DejaVuSansCondensed-Bold", "dejavu/DejaVuSerif-Bold"),
    *("dejavu/DejaVuSans", "dejavu/DejaVuSansMono-Bold", "noto/NotoSans-Bold"),
    "noto/NotoSerif-Bold",
)
_TEAMS: Final = (
    *(("ARS", "CHE"), ("Heim", "Gast"), ("MÜN", "KÖL"), ("REAL MADRID", "BARÇA"), ("RED", "BLU")),
    *(("ДИН", "СПА"), ("GAL", "FEN"), ("LIVERPOOL", "EVERTON"), ("A1", "B2"), ("ŁKS", "ŚLĄ")),
)
_COLORS: Final = (
    *(
        ((250, 250, 250), (16, 32, 72)),
        ((20, 20, 20), (240, 240, 240)),
        ((255, 230, 60), (30, 30, 30)),
    ),
    *(
        ((255, 255, 255), (150, 20, 30)),
        ((10, 30, 10), (255, 210, 60)),
        ((235, 255, 240), (20, 80, 50)),
    ),
)
_KINDS: Final = ("dash", "colon", "spaced", "boxes", "stacked", "ends")

Color = tuple[int, int, int]


class Goal(NamedTuple):
    """A change of the score, at seconds of the film."""

    at: float
    side: int


class BroadcastFilm:
    """One film.

    Args:
        seed: decides on everything.
        duration: in seconds.
    """

    def __init__(self, seed: int, duration: float = 360.0) -> None:
        chance = self._chance = random.Random(f"broadcast {seed}")
        self.seed, self.duration = seed, duration
        self.width, self.height = chance.choice(_SIZES)
        self.kind = chance.choice(_KINDS)
        self._teams = chance.choice(_TEAMS)
        self._font = _FOLDER / f"{chance.choice(_FONTS)}.ttf"
        self._ink, self._paper = chance.choice(_COLORS)
        self._size = round(self.height * chance.uniform(0.036, 0.06))
        self._places = [
            (chance.choice((0.03, 0.36, 0.6)), chance.choice((0.03, 0.07, 0.86))) for _ in range(2)
        ]
        self._moves_at = chance.choice((duration * 2, duration * chance.uniform(0.4, 0.7)))
        self._shown_from = chance.choice((0.0, 0.0, 20.0))
        self._clock, self._ticker = chance.random() < 0.8, chance.random() < 0.5
        self._starts = chance.choice((0, 0, chance.randrange(45 * 60)))
        self._delay = chance.uniform(*_DELAY)
        self.goals = tuple(self._draw_goals())
        self._adverts = [self._span(12, 25)]
        self._replays = [
            (goal.at + 5, goal.at + 11) for goal in self.goals if chance.random() < 0.6
        ]
        self._pitch = self._draw_pitch()

    def _draw_goals(self) -> list[Goal]:
        goals, at = [], self._shown_from + 12.0
        while (at := at + self._chance.uniform(14, 60)) < self.duration - 15:
            goals.append(Goal(at, self._chance.randrange(2)))
        return goals

    def _span(self, shortest: float, longest: float) -> tuple[float, float]:
        start = self._chance.uniform(0.2, 0.8) * self.duration
        while any(goal.at - 5 < start + longest and start < goal.at + 5 for goal in self.goals):
            start += 1.0
        return start, start + self._chance.uniform(shortest, longest)

    @property
    def truth(self) -> Truth:
        """What happens in it: a goal, when the bug shows it."""
        return Truth(
            film=Film(
                game=GAME,
                kind="team sport",
                seed=self.seed,
                duration=self.duration,
                pictures="drawn",
                players="none",
                dressing=("score bug", self.kind),
                clock="exact",
            ),
            moments=(),
            distractors=(),
            events=tuple(
                Event(at=self._shown_at(goal), kind="goal", side=goal.side, points=1)
                for goal in self.goals
            ),
        )

    def _shown_at(self, goal: Goal) -> float:
        at = goal.at + self._delay
        hidden = sorted((*self._adverts, *self._replays))
        for start, end in hidden:
            first = -(-at // KEYFRAMES) * KEYFRAMES
            at = end if start <= first < end else at
        return at

    def write(self, path: Path) -> None:
        """Write the film, and its truth beside it."""
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(1) / Fraction(KEYFRAMES))
            stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
            stream.codec_context.gop_size = 1
            stream.options = {"preset": "veryfast", "crf": "27"}
            for number in range(int(self.duration / KEYFRAMES)):
                frame = av.VideoFrame.from_ndarray(self.picture(number * KEYFRAMES), "rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        self.truth.write(path.with_suffix(".json"))

    def picture(self, at: float) -> NDArray[np.uint8]:
        """Return the picture at a time (s)."""
        if any(start <= at < end for start, end in self._adverts):
            return self._advert(at)
        replay = next((start for start, end in self._replays if start <= at < end), None)
        image = self._scene(at if replay is None else replay - 8 + (at - replay) / 2)
        pen = ImageDraw.Draw(image)
        if replay is not None:
            self._text(pen, "REPLAY", 0.05, 0.8, 1.2)
        elif at >= self._shown_from:
            self._draw_bug(pen, at)
        if self._ticker:
            x = 1.0 - (at * 0.07) % 2.2
            odds = "   ".join(
                f"{team} {2.1 + n / 7:.2f} 1X {n + 1}" for n, team in enumerate(self._teams * 3)
            )
            self._text(pen, odds, x, 0.945, 0.8)
        return np.asarray(image)

    def _score(self, at: float) -> tuple[int, int]:
        shown = [goal.side for goal in self.goals if goal.at + self._delay <= at]
        return shown.count(0), shown.count(1)

    def _draw_bug(self, pen: ImageDraw.ImageDraw, at: float) -> None:
        x, y = self._places[int(at >= self._moves_at)]
        (home, away), (first, second) = self._teams, self._score(at)
        seconds = self._starts + int(at)
        clock = f"{seconds // 60:02}:{seconds % 60:02}"
        row = 1.7 * self._size / self.height
        if self.kind in {"dash", "colon", "spaced"}:
            between = {"dash": " - ", "colon": ":", "spaced": "  "}[self.kind]
            right = self._text(pen, f"{home} {first}{between}{second} {away}", x, y, 1.0)
        elif self.kind == "boxes":
            right = self._text(pen, home, x, y, 1.0)
            right = self._text(pen, f" {first} ", right, y, 1.0, inverted=True)
            right = self._text(pen, f" {second} ", right + 0.004, y, 1.0, inverted=True)
            right = self._text(pen, away, right, y, 1.0)
        elif self.kind == "stacked":
            y = min(y, 0.93 - 2 * row)
            for line, (team, goals) in enumerate(((home, first), (away, second))):
                self._text(pen, team, x, y + line * row, 1.0)
                right = self._text(pen, f" {goals} ", x + 0.17, y + line * row, 1.0, inverted=True)
        else:
            self._text(pen, f"{home}  {first}", 0.03, y, 1.0)
            self._text(pen, f"{second}  {away}", 0.68, y, 1.0)
            x, right = 0.46, 0.44
        if self._clock:
            below = self.kind != "ends" and self.seed % 2
            self._text(pen, clock, *((x, y + row) if below else (right + 0.02, y)), 0.8)

    def _text(
        self,
        pen: ImageDraw.ImageDraw,
        text: str,
        x: float,
        y: float,
        size: float,
        *,
        inverted: bool = False,
    ) -> float:
        """Write text on its ground; return where it ends, as a share of the width."""
        font = ImageFont.truetype(str(self._font), max(9, round(self._size * size)))
        ink, paper = (self._paper, self._ink) if inverted else (self._ink, self._paper)
        left, top, right, bottom = pen.textbbox((x * self.width, y * self.height), text, font=font)
        margin = self._size / 4
        _, high, _, low = pen.textbbox((x * self.width, y * self.height), "H0", font=font)
        pen.rectangle(
            (left - margin, min(high, top) - margin, right + margin, max(low, bottom) + margin),
            fill=paper,
        )
        pen.text((x * self.width, y * self.height), text, font=font, fill=ink)
        return float((right + 2 * margin) / self.width)

    def _draw_pitch(self) -> Image.Image:
        """Return the ground that the camera pans over: a crowd, boards and grass with lines."""
        width, height = 2 * self.width, self.height
        noise = np.random.default_rng(self.seed)
        crowd = noise.integers(30, 200, (height // 8, width // 4, 3), dtype=np.uint8)
        image = Image.new("RGB", (width, height), (60, 130, 50))
        image.paste(Image.fromarray(crowd).resize((width, height // 3)), (0, 0))
        pen = ImageDraw.Draw(image)
        for stripe in range(0, width, width // 16):
            pen.rectangle((stripe, height // 3, stripe + width // 32, height), fill=(70, 145, 60))
        font = ImageFont.truetype(str(self._font), self._size)
        for number, x in enumerate(range(0, width, width // 6)):
            pen.rectangle(
                (x, height // 3, x + width // 6 - 6, height // 3 + 2 * self._size),
                fill=(20, 20, 90),
            )
            pen.text(
                (x + 10, height // 3 + 4), f"BET {10 + number} 365", font=font, fill=(255, 255, 255)
            )
        for share in (0.2, 0.5, 0.8):
            pen.line(
                (share * width, height * 0.45, share * width + 60, height), fill="white", width=4
            )
        return image

    def _scene(self, at: float) -> Image.Image:
        pan = 0.5 + 0.5 * np.sin(at / 7.0 + self.seed)
        left = int(pan * (self._pitch.width - self.width))
        image = self._pitch.crop((left, 0, left + self.width, self.height))
        pen = ImageDraw.Draw(image)
        unit = self.height / 20
        for player in range(10):
            x = self.width * float(0.5 + 0.5 * np.sin(at / (3 + player) + player))
            y = self.height * (0.65 + 0.22 * np.sin(at / 5 + 2 * player))
            color = ((200, 30, 30), (240, 240, 240))[player % 2]
            pen.rectangle((x, y, x + unit / 2, y + 1.4 * unit), fill=color)
            pen.ellipse((x, y - unit / 2, x + unit / 2, y), fill=(220, 180, 150))
        return image

    def _advert(self, at: float) -> NDArray[np.uint8]:
        image = Image.new("RGB", (self.width, self.height), (30, 60, int(80 + at % 2 * 60)))
        pen = ImageDraw.Draw(image)
        self._text(pen, "ONLY 9.99! SAVE 50 %", 0.2, 0.4, 2.0)
        self._text(pen, f"CALL 555 {int(at) % 90 + 10} 3 - 2", 0.05, 0.05, 1.0)
        return np.asarray(image)


def write_films(folder: Path, seeds: Sequence[int], said: Callable[[str], None] = print) -> None:
    """Write the films of some seeds, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{GAME}-{seed}.mp4"
        if not path.with_suffix(".json").exists():
            film = BroadcastFilm(seed)
            film.write(path)
            said(f"{path}: {film.kind}, {film.width}x{film.height}, {len(film.goals)} goals")


def main() -> None:
    """Write films."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.screen_text.broadcast", description=main.__doc__
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    options = parser.parse_args()
    write_films(options.folder, options.seeds)


if __name__ == "__main__":
    main()
