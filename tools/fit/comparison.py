"""How well a model finds the moments of games that it was not fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from benchmarks.quality.metrics import Interval, calibration, peak_average_precision
from domain.analysis.fusion import APART
from tools.fit.models import Fit, Floats, Model, turns
from tools.fit.table import FilmTable

LEAD, TAIL = 5.0, 3.0
"""Seconds that a clip shows before and after the second that the model proposes."""

CLIP_EVERY: Final = 30.0
"""Seconds of film for each clip, as in the profile `default`."""

_SPACING: Final = 15
_WARM_UP: Final = 15
_EXCITEMENT: Final = (0.25, 0.5, 1.0, 2.0)
_MOTION: Final = (0.25, 0.5, 1.0)
_CUT: Final = (0.0, -0.25, -0.5, -1.0)  # cuts follow a moment
_RESAMPLED: Final = 1000


class Proposal(NamedTuple):
    """A peak of a model: its clip, its logit, and whether a moment peaks in the clip."""

    clip: Interval
    logit: float
    hit: bool


class Result(NamedTuple):
    """One model on games that it was not fitted on; by game, mean of the films."""

    peak_ap: dict[str, float]
    low: float
    high: float
    ece: float

    @property
    def mean(self) -> float:
        """Return the mean of the games."""
        return sum(self.peak_ap.values()) / len(self.peak_ap)


def leave_one_game_out(fit: Fit, films: Sequence[FilmTable]) -> list[tuple[FilmTable, Floats]]:
    """Return the logits of each film, by the model that was fitted on the other games."""
    scored = []
    for game in dict.fromkeys(film.game for film in films):
        model = fit([film for film in films if film.game != game])
        scored += [(film, model(film)) for film in films if film.game == game]
    return scored


def search(films: Sequence[FilmTable]) -> Floats:
    """Return weights of `turns` with a high mean peak AP of the games.

    Sound weighs 1. The others are searched on a coarse grid. Since there are few moments, the
    best point is so by chance: the result is the mean of the best quarter of the grid.
    """
    columns = {film.film: turns(film) for film in films}

    def merit(weights: Floats) -> float:
        scored = [(film, np.asarray(columns[film.film] @ weights)) for film in films]
        return float(np.mean([*_by_game(_values(scored)).values()]))

    grid = [np.array(each) for each in product(_EXCITEMENT, (1.0,), _MOTION, _CUT)]
    best = sorted(grid, key=merit, reverse=True)[: len(grid) // 4]
    return np.asarray(np.mean(best, axis=0))


def searched(films: Sequence[FilmTable]) -> Model:
    """Return the sum of the turns with the weights of `search`."""
    weights = search(films)
    return lambda film: np.asarray(turns(film) @ weights)


def judge(fit: Fit, films: Sequence[FilmTable]) -> Result:
    """Return a model's figures on games left out; the interval is a bootstrap over the films."""
    values = _values(leave_one_game_out(fit, films))
    random = np.random.default_rng(7)
    drawn = random.choice([value for _, value in values], (_RESAMPLED, len(values)))
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    parts = list(calibrations(fit, films))
    return Result(
        peak_ap=_by_game(values),
        low=float(low),
        high=float(high),
        ece=calibration([chance for chance, _ in parts], [hit for _, hit in parts]).ece,
    )


def _values(scored: Sequence[tuple[FilmTable, Floats]]) -> list[tuple[FilmTable, float]]:
    return [(film, _ap(film, proposals(film, logits))) for film, logits in scored]


def calibrations(fit: Fit, films: Sequence[FilmTable]) -> Iterator[tuple[float, bool]]:
    """Yield probability and truth of all proposals, calibrated on the other games."""
    for game in dict.fromkeys(film.game for film in films):
        others = [film for film in films if film.game != game]
        model = fit(others)
        scale, shift = calibrate([each for film in others for each in proposals(film, model(film))])
        for film in films:
            for each in proposals(film, model(film)) if film.game == game else ():
                yield float(_logistic(np.array(scale * each.logit + shift))), each.hit


def calibrate(made: Sequence[Proposal]) -> tuple[float, float]:
    """Return scale and shift that turn logits into those of a clip's probability (Platt 1999)."""
    design = np.array([(each.logit, 1.0) for each in made])
    truth, weights = np.array([float(each.hit) for each in made]), np.array([1.0, 0.0])
    for _ in range(50):
        chance = _logistic(design @ weights)
        curve = (design * (chance * (1.0 - chance))[:, None]).T @ design + np.eye(2)
        step = np.linalg.solve(curve, design.T @ (truth - chance) - weights)
        weights = weights + step / max(1.0, float(np.abs(step).max()))  # Newton's may overshoot
    return float(weights[0]), float(weights[1])


def _logistic(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0))))


def proposals(film: FilmTable, logits: Floats) -> list[Proposal]:
    """Return the peaks that the live detector would propose, in order of time."""
    made = []
    for at in range(_WARM_UP, len(logits) - APART):
        around = logits[max(0, at - APART) : at + APART + 1]
        if logits[at] < around.max():
            continue
        middle = film.first + at + 0.5
        start, end = max(0.0, middle - LEAD), middle + TAIL
        hit = any(start <= peak <= end for peak in film.peaks)
        clip = Interval(start=start, end=end, score=float(logits[at]))
        made.append(Proposal(clip, float(logits[at]), hit))
    return made


def _ap(film: FilmTable, made: Sequence[Proposal]) -> float:
    """Return the peak AP of the best proposals that keep their distance."""
    chosen: list[Interval] = []
    for each in sorted(made, key=lambda one: -one.clip.score):
        if all(abs(each.clip.start - other.start) >= _SPACING for other in chosen):
            chosen.append(each.clip)
    count = round(len(film.rises) / CLIP_EVERY)
    return peak_average_precision(tuple(chosen[:count]), film.peaks)


def _by_game(values: Sequence[tuple[FilmTable, float]]) -> dict[str, float]:
    games = dict.fromkeys(film.game for film, _ in values)
    return {
        game: float(np.mean([value for film, value in values if film.game == game]))
        for game in games
    }
