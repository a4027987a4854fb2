"""Draws each frame of a match as the chosen camera sees it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np

from demo.match.image import HEIGHT, WIDTH, Picture, label
from demo.match.play import FRAMES_PER_SECOND, Play
from demo.match.scenery import (
    FIELD_HEIGHT,
    FIELD_WIDTH,
    STANDS,
    TIGHT,
    draw_card,
    draw_close_up,
    draw_crowd,
    draw_field,
    draw_panel,
    draw_player,
    shade,
)
from demo.match.script import Script, Shot
from demo.match.sport import SPORTS

_PLAYER: Final = {"pitch": 22, "court": 34, "arena": 26}
_STAND_LOOKS: Final = 5
_CLOSE_UPS: Final = 8
_CARDS: Final = 16
_PANELS: Final = 4


class Camera:
    """Everything that can be filmed, and the frames that come of it."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._sport = SPORTS[script.truth.kind]
        self._play = Play(script)
        self._starts = [shot.start for shot in script.shots]
        look, seed = script.look, script.truth.seed
        rng = np.random.default_rng([seed, 5])
        self._fields = {
            scale: Picture.of(draw_field(rng, self._sport, look, scale)) for scale in (1.0, TIGHT)
        }
        self._stands = {
            scale: [
                Picture.of(
                    draw_crowd(
                        rng, look, int(FIELD_WIDTH * scale) & ~1, int((STANDS - 14) * scale) & ~1,
                        max(3, int(4 * scale)),
                    )
                )
                for _ in range(_STAND_LOOKS)
            ]
            for scale in (1.0, TIGHT)
        }  # fmt: skip
        size = _PLAYER[self._sport.field]
        self._bodies = {
            (scale, team): [draw_player(color, int(size * scale), step) for step in range(4)]
            for scale in (1.0, TIGHT)
            for team, color in enumerate((look.home_color, look.away_color))
        }
        self._ball = {
            scale: label(
                " ", size=4, ink=(0, 0, 0), paper=(250, 250, 250), pad=max(2, int(2 * scale))
            )
            for scale in (1.0, TIGHT)
        }
        self._close_ups = [
            draw_close_up(rng, look, home=index % 2 == 0) for index in range(_CLOSE_UPS)
        ]
        self._fans = Picture.of(draw_crowd(rng, look, WIDTH + 80, HEIGHT + 80, 22))
        self._cards = [draw_card(rng) for _ in range(_CARDS)]
        self._panels = [draw_panel(rng, look) for _ in range(_PANELS)]
        self._replay_mark = label(
            "R  REPLAY", size=18, ink=(255, 255, 255), paper=look.accent_color
        )
        self._frame = Picture.blank()

    def frames(self) -> Iterator[bytes]:
        """Yield each frame as yuv420p bytes of `WIDTH` x `HEIGHT`."""
        total = int(self._script.truth.duration * FRAMES_PER_SECOND)
        for number in range(total):
            now = number / FRAMES_PER_SECOND
            shot = self._script.shots[bisect_right(self._starts, now) - 1]
            self._film(shot, now, number)
            yield self._frame.tobytes()

    def _film(self, shot: Shot, now: float, number: int) -> None:
        since = now - shot.start
        match shot.view:
            case "advert":
                self._pan_over(self._cards[shot.variant % _CARDS], shot.variant, since)
                return
            case "panel":
                self._panels[shot.variant % _PANELS].crop_into(self._frame, 0, 0)
                return
            case "wipe":
                self._wipe(since)
                return
            case "close":
                self._close_up(shot, since, number)
            case "crowd":
                lively = 2 + float(self._play.crowd[number])
                sway = lively * np.sin(since * (5 + shot.variant % 3))
                self._fans.crop_into(self._frame, 40 + int(sway), 40 + int(abs(1.6 * sway)))
            case "replay":
                frame = int(((shot.source or now) + since * shot.speed) * FRAMES_PER_SECOND)
                self._field_view(frame, TIGHT, shot.variant)
                self._replay_mark.paste_into(self._frame, WIDTH - 130, 20)
                return
            case "tight":
                self._field_view(number, TIGHT, 0)
            case "wide":
                self._field_view(number, 1.0, 0)
        self._graphics(now)

    def _field_view(self, number: int, scale: float, angle: int) -> None:
        play = self._play
        number = max(0, min(number, len(play.camera) - 1))
        centre = play.camera[number] if scale == 1.0 else play.ball[number, 0]
        width, height = FIELD_WIDTH * scale, FIELD_HEIGHT * scale
        x = int(np.clip(centre * width - WIDTH / 2, 0, width - WIDTH)) & ~1
        tall = STANDS * scale + play.ball[number, 1] * (height - STANDS * scale) - HEIGHT * 0.6
        y = int(np.clip(tall, 0, height - HEIGHT)) & ~1 if scale > 1 else int(height - HEIGHT) & ~1
        self._fields[scale].crop_into(self._frame, x, y)
        lively = play.crowd[number]
        if lively > 6:
            # Spectators on their feet: the stands change with every other frame.
            look = (number // (2 if lively > 11 else 4)) % _STAND_LOOKS
            self._stands[scale][look].paste_into(self._frame, -x, -y)
        self._place_players(number, scale, x, y, angle)

    def _place_players(self, number: int, scale: float, x: int, y: int, angle: int) -> None:
        play, top = self._play, STANDS * scale
        field_height = FIELD_HEIGHT * scale - top - 30 * scale
        places = play.players[number]
        mirrored = 1 - places[:, 1] if angle % 2 else places[:, 1]
        half = len(places) // 2
        for index in np.argsort(mirrored):
            left = int(places[index, 0] * FIELD_WIDTH * scale) - x
            if not -60 < left < WIDTH + 20:
                continue
            bodies = self._bodies[scale, int(index >= half)]
            step = int(play.strides[number] + index * 0.7) % 4
            bodies[step].paste_into(
                self._frame, left, int(top + mirrored[index] * field_height) - y
            )
        ball_x, ball_y = play.ball[number]
        ball_y = 1 - ball_y if angle % 2 else ball_y
        self._ball[scale].paste_into(
            self._frame,
            int(ball_x * FIELD_WIDTH * scale) - x,
            int(top + ball_y * field_height + 18 * scale) - y,
        )

    def _close_up(self, shot: Shot, since: float, number: int) -> None:
        background, body = self._close_ups[shot.variant % _CLOSE_UPS]
        joy = min(3.0, 0.5 + float(self._play.crowd[number]) / 5)
        background.crop_into(self._frame, 80 + int(since * 14 * joy), 20)
        bob = int(9 * joy * abs(np.sin(since * (3 + joy))))
        body.paste_into(self._frame, 200 + int(10 * joy * np.sin(since * 1.7)), 70 - bob)

    def _pan_over(self, card: Picture, variant: int, since: float) -> None:
        speed = 10 + variant % 45
        card.crop_into(self._frame, int(since * speed), int(since * speed * 0.5))

    def _wipe(self, since: float) -> None:
        look = self._script.look
        edge = int(np.clip(since / 0.4, 0, 1) * WIDTH)
        for plane, value, dark in zip(
            self._frame.planes, (90, 128, 128), (40, 120, 136), strict=True
        ):
            cut = edge * plane.shape[1] // WIDTH
            plane[:, :cut] = value
            plane[:, max(0, cut - plane.shape[1] // 8) : cut] = dark
        name = _plate(look.home_name + "  TV", 40, (255, 255, 255), look.accent_color)
        name.paste_into(self._frame, edge // 2 - name.size[0] // 2, HEIGHT // 2 - 20)

    def _graphics(self, now: float) -> None:
        look = self._script.look
        score = [entry for entry in self._script.scores if entry.at <= now][-1]
        fresh = score.at > 0 and now - score.at < 4
        seconds = look.clock_start + int(now)
        if self._sport.clock_down:
            seconds = max(0, look.clock_start + 600 - int(now))
        lit = fresh and int(now * 4) % 2 == 0
        paper = (236, 220, 60) if lit else (18, 20, 34)
        ink = (20, 20, 20) if lit else (240, 240, 240)
        words = f"{look.home_name} {score.home} - {score.away} {look.away_name}"
        _plate(words, 18, ink, paper).paste_into(self._frame, 24, 20)
        clock = f"{seconds // 60:02d}:{seconds % 60:02d}"
        _plate(clock, 18, (20, 20, 20), shade(look.accent_color, 1.3)).paste_into(
            self._frame, 182, 20
        )
        for banner in self._script.banners:
            if banner.start <= now < banner.end:
                lit = banner.flash and int(now * 3) % 2 == 0
                color = (230, 200, 40) if lit else look.accent_color
                plate = _plate(banner.words, 30, (255, 255, 255), shade(color, 0.8))
                plate.paste_into(self._frame, (WIDTH - plate.size[0]) // 2, HEIGHT - 70)


@lru_cache(maxsize=1024)
def _plate(
    words: str, size: int, ink: tuple[int, int, int], paper: tuple[int, int, int]
) -> Picture:
    return label(words, size=size, ink=ink, paper=paper)
