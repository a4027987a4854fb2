"""What a demo is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, PositiveFloat

from demo.model import Model

MATCH_PACE: Final = 4.0
INPUT_PACE: Final = 1.0
DEFAULT_SEED: Final = 1


class DemoOptions(Model):
    """One run of the demo.

    Attributes:
        input: a video file to play; None plays a film or the scripted match.
        film: a real game to film and play, by its name in `tools/footage/footage.toml`.
        game: name of the game profile; None leaves it to the product.
        truth: ground truth to compare with; films and the scripted match bring their own.
        pace: seconds of input per second; None is 4 for the scripted match (five minutes of it
            take 75 s) and real time for films and files of the user's.
        seed: which scripted match, or which film of a game.
        feed: seconds by which a feed of the moments is late, negative for early; None sends none.
            It is played in real time, since its clock is that of the picture.
        keep: leave everything running at the end, until Ctrl-C.
        report: where to write what was found, as JSON.
        home: directory of all state and caches.
        against: URL of the API to play to; None starts a stack for the demo.
        key: API key for `against`.
    """

    input: Path | None = None
    film: str | None = None
    game: str | None = None
    truth: Path | None = None
    pace: PositiveFloat | None = Field(default=None, le=64)
    seed: int | None = None
    feed: float | None = Field(default=None, ge=-20, le=20)
    keep: bool = False
    report: Path | None = None
    home: Path = Path("~/.cache/highlights")
    against: str | None = None
    key: str | None = None

    @property
    def effective_pace(self) -> float:
        """The pace asked for, or the default of what is played."""
        is_scripted = not (self.input or self.film or self.feed is not None)
        return self.pace or (MATCH_PACE if is_scripted else INPUT_PACE)
