"""The table of signals that the weights are fitted on: what the live analyzer knew, by second."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from benchmarks.footage.films import FilmFile
from benchmarks.quality.measurements import Measurements, measure
from domain.analysis.baseline import FRAME_HISTORY, Baselines, NormalizedFrame, normalize
from domain.analysis.fusion import CHANNELS, rises_of
from domain.profiles.model import Hud

TABLE: Final = Path(__file__).with_name("table.json.gz")


class FilmTable(BaseModel):
    """One film.

    Attributes:
        film: name of its file.
        game: key of its recipe.
        kind: kind of game.
        dressed: True for a copy with broadcast dressing.
        first: the second (of media time) of the first row.
        rises: by second, the rises of the fusion's channels.
        level: by second, the highest excitement by the hand-set weights, in spreads.
        peaks: peaks of the film's moments (s).
    """

    model_config = ConfigDict(frozen=True)

    film: str
    game: str
    kind: str
    dressed: bool
    first: int
    rises: tuple[tuple[float, ...], ...]
    level: tuple[float, ...]
    peaks: tuple[float, ...]

    @property
    def heard(self) -> bool:
        """True if the film has sound."""
        loudness = list(CHANNELS).index("loudness")
        return any(each[loudness] for each in self.rises)


class SignalTable(BaseModel):
    """The films."""

    model_config = ConfigDict(frozen=True)

    films: tuple[FilmTable, ...]


def extract(film: FilmFile, *, home: Path) -> FilmTable:
    """Return the rows of a film, measured by the product's media child if that is not kept."""
    measured = measure(film.video, home=home, hud=Hud())
    rises, level, seconds = [], [], []
    for second, baselines in _seconds(measured):
        seconds.append(int(second[0].at))
        rises.append(rises_of(second, baselines).rises)
        level.append(max(each.level for each in second))
    return FilmTable(
        film=film.video.stem,
        game=film.truth.film.game,
        kind=film.truth.film.kind,
        dressed=bool(film.truth.film.dressing),
        first=seconds[0],
        rises=tuple(rises),
        level=tuple(level),
        peaks=tuple(moment.peak for moment in film.truth.moments),
    )


def _seconds(measured: Measurements) -> Iterator[tuple[list[NormalizedFrame], Baselines]]:
    """Yield the frames of each second with the baselines before it, as the detector sees them."""
    baselines, history, second = Baselines(), list[NormalizedFrame](), list[NormalizedFrame]()
    for signals in measured.signals:
        for frame in signals.frames if signals else ():
            if second and int(second[0].at) != int(frame.middle):
                yield second, baselines
                baselines, second = baselines.learn(second), []
            normalized, baselines = normalize(frame, baselines, history)
            history = [each for each in history if each.at >= normalized.at - FRAME_HISTORY]
            history.append(normalized)
            second.append(normalized)


def write_table(table: SignalTable, path: Path = TABLE) -> None:
    """Write a table; the same content gives the same file."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(table.model_dump_json().encode())


def read_table(path: Path = TABLE) -> SignalTable:
    """Read a table.

    Raises:
        FileNotFoundError: there is none.
        pydantic.ValidationError: it is another file.
    """
    return SignalTable.model_validate_json(gzip.decompress(path.read_bytes()))


def state_home() -> Path:
    """Return where measurements are kept."""
    return Path(os.environ.get("HIGHLIGHTS_HOME", "~/.cache/highlights")).expanduser()
