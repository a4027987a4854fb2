"""The script while it is being written."""

from __future__ import annotations

import numpy as np

from demo.match.script import (
    Banner,
    Cue,
    Distractor,
    Envelope,
    Moment,
    Score,
    Shot,
    ShotView,
    Sound,
)
from demo.match.sport import Range, Sport


class Stage:
    """Collects what happens; times in seconds, drawn from the match's own random generator."""

    def __init__(self, *, sport: Sport, rng: np.random.Generator, duration: float) -> None:
        self.sport = sport
        self.rng = rng
        self.duration = duration
        self.moments: list[Moment] = []
        self.distractors: list[Distractor] = []
        self.shots: list[Shot] = []
        self.cues: list[Cue] = []
        self.banners: list[Banner] = []
        self.scores: list[Score] = [Score(at=0, home=0, away=0)]
        self.crowd: list[Envelope] = []
        self.voice: list[Envelope] = []
        self.activity: list[Envelope] = []
        self.match_level: list[Envelope] = []
        self.ball: list[tuple[float, float, float]] = []
        self.busy: list[tuple[float, float]] = []
        self.gain_step: tuple[float, float] | None = None

    def between(self, bounds: Range) -> float:
        """Draw from a range."""
        return float(self.rng.uniform(*bounds))

    def chance(self, probability: float) -> bool:
        """Toss a coin."""
        return bool(self.rng.random() < probability)

    def cue(self, sound: Sound, start: float, end: float, level: float) -> None:
        """Add a sound, with a timbre of its own."""
        variant = int(self.rng.integers(1 << 30))
        self.cues.append(Cue(sound=sound, start=start, end=end, level=level, variant=variant))

    def shot(
        self, start: float, view: ShotView, *, source: float | None = None, speed: float = 1.0
    ) -> None:
        """Cut to another camera."""
        variant = int(self.rng.integers(1 << 30))
        self.shots.append(Shot(start=start, view=view, variant=variant, source=source, speed=speed))

    def cuts(self, start: float, views: tuple[ShotView, ...], length: Range) -> float:
        """Show each view in turn for a length drawn from the range; return the time after."""
        for view in views:
            self.shot(start, view)
            start += self.between(length)
        return start

    def replay(self, start: float, source: float, *, cuts: int) -> float:
        """Show a replay of the play around `source` from some angles; return the time after."""
        self.shot(start, "wipe")
        start += 0.48
        for _ in range(cuts):
            speed = self.between((0.35, 0.6))
            length = self.between((1.6, 2.7))
            self.shot(start, "replay", source=source - 0.7 * length * speed, speed=speed)
            start += length
        self.shot(start, "wipe")
        return start + 0.48

    def swell(self, into: list[Envelope], points: tuple[tuple[float, float], ...]) -> None:
        """Add a curve."""
        into.append(Envelope(points=points))

    def dip(self, start: float, end: float, level: float, *, fade: float = 0.08) -> None:
        """Lower the stadium's sound to `level` dB for a while."""
        self.swell(
            self.match_level, ((start, 0), (start + fade, level), (end - fade, level), (end, 0))
        )

    def score(self, at: float, *, home: bool, points: int) -> None:
        """Change the score, never below 0."""
        last = self.scores[-1]
        self.scores.append(
            Score(
                at=at,
                home=max(0, last.home + (points if home else 0)),
                away=max(0, last.away + (0 if home else points)),
            )
        )

    def caption(self, start: float, end: float, words: str, *, flash: bool = False) -> None:
        """Show a caption."""
        self.banners.append(Banner(start=start, end=end, words=words, flash=flash))
