"""Which films there are, and what each game may be used for."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MANIFEST: Final = Path(__file__).with_name("footage.toml")

Split = Literal["fit", "validate", "sealed"]


class Entry(BaseModel):
    """A game's films.

    Attributes:
        split: what they may be used for.
        profile: the shipped profile that fits the game, or `default`.
        seeds: which films there are.
        minutes: length of a film.
        longer: minutes of films that are longer, by their seed.
        dressed: seeds of the films that also have a dressed copy, GAME-SEED-dressed.mp4.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Split
    profile: str
    seeds: tuple[int, ...] = Field(min_length=1)
    minutes: float = Field(gt=0)
    longer: dict[int, float] = Field(default_factory=dict)
    dressed: tuple[int, ...] = ()

    def minutes_of(self, seed: int) -> float:
        """Return the length of a film."""
        return self.longer.get(seed, self.minutes)


def read_manifest(path: Path = MANIFEST) -> dict[str, Entry]:
    """Return the films by game.

    Raises:
        pydantic.ValidationError: the file says something else.
    """
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Entry]).validate_python(content)


def films_folder() -> Path:
    """Return where films are kept, in `HIGHLIGHTS_HOME`."""
    home = os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")
    return Path(home).expanduser() / "footage"
