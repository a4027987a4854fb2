"""The models that are compared: each gives every second of a film a logit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.analysis.fusion import CHANNELS, FULL_EXCITEMENT, TURNS, Turn
from tools.fit.table import FilmTable

Floats = NDArray[np.float64]
Model = Callable[[FilmTable], Floats]
Fit = Callable[[Sequence[FilmTable]], Model]

SOUNDS: Final = ("loudness", "crowd_level", "voice_level", "tonality")
"""The channels of sound whose turns count, alike: each alone is worth less than their mean."""

PICTURES: Final = ("motion", "jolt", "cut")
"""The channels of a stream without sound."""

LAGS: Final = ((-8, -5), (-4, -3), (-2, -1), (0, 0), (1, 2), (3, 5))
"""Stretches around a point over which the lagged models average a channel, in seconds."""

RIDGE: Final = 10.0
_SURE: Final = 1.5  # seconds from a peak that are a moment
_UNSURE: Final = 4.0  # seconds from a peak up to which nothing is learned
_WARM_UP: Final = 15  # seconds without baselines
_HIGHEST_RISE: Final = 0.995  # of which tanh's inverse is about `FULL_EXCITEMENT`
_ROUNDS, _RATE, _CUTS = 80, 0.1, 7


def turned(film: FilmTable, channel: str) -> Floats:
    """Return the turn of a channel by second, as `domain.analysis.fusion.Turn` defines it."""
    turn: Turn = TURNS[channel]
    values = np.array(film.rises)[:, list(CHANNELS).index(channel)]
    before, after = _stretch(values, turn.before), _stretch(values, turn.after)
    return np.asarray((before.max(axis=0) if turn.highest else before.mean(axis=0)) - after.mean(0))


def _stretch(values: Floats, stretch: tuple[int, int]) -> Floats:
    """Return the values of each second of a stretch around each second; 0 beyond the film."""
    first, last = stretch
    margin = max(abs(first), abs(last))
    padded = np.pad(values, margin)
    count = len(values)
    return np.array([padded[margin + s : margin + s + count] for s in range(first, last + 1)])


def turns(film: FilmTable) -> Floats:
    """Return excitement and the turns of sound, motion and cuts by second: (seconds, 4)."""
    excitement = np.clip(np.array(film.level) / FULL_EXCITEMENT, 0.0, 1.0)
    sound = np.mean([turned(film, name) for name in SOUNDS], axis=0)
    return np.stack([excitement, sound, turned(film, "motion"), turned(film, "cut")], axis=1)


def unheard(film: FilmTable) -> FilmTable:
    """Return a film as it would be without sound: its excitement is that of motion alone."""
    rises = np.array(film.rises) * np.array([name in PICTURES for name in CHANNELS])
    moving = rises[:, list(CHANNELS).index("motion")]
    bounded = np.clip(moving, 0.0, _HIGHEST_RISE)
    level = np.clip(2.0 * np.arctanh(bounded), 0.0, FULL_EXCITEMENT)
    return film.model_copy(update={"rises": tuple(map(tuple, rises)), "level": tuple(level)})


def features(film: FilmTable) -> Floats:
    """Return the lagged means of the channels by second: (seconds, channels x stretches)."""
    rises = np.array(film.rises)
    count = len(rises)
    columns = []
    for channel in range(len(CHANNELS)):
        for first, last in LAGS:
            padded = np.concatenate([np.zeros(8), rises[:, channel], np.zeros(8)])
            columns.append(
                sum(padded[8 + step : 8 + step + count] for step in range(first, last + 1))
                / (last - first + 1)
            )
    return np.array(columns).T


def labels(films: Sequence[FilmTable]) -> tuple[Floats, Floats]:
    """Return truth and weight of every second; each game weighs the same."""
    games = Counter(film.game for film in films)
    truth, weight = [], []
    for film in films:
        at = film.first + np.arange(len(film.rises)) + 0.5
        distance = np.abs(at[:, None] - np.array(film.peaks)[None, :]).min(axis=1)
        near = (distance > _SURE) & (distance <= _UNSURE)
        truth.append((distance <= _SURE).astype(float))
        weight.append(np.where(near | (at < film.first + _WARM_UP), 0.0, 1.0 / games[film.game]))
    return np.concatenate(truth), np.concatenate(weight)


def loudness(films: Sequence[FilmTable]) -> Model:
    """Return how loud each second is for its stream: the simple method; nothing is fitted."""
    del films
    index = list(CHANNELS).index("loudness")
    return lambda film: np.array(film.rises)[:, index]


def hand_set(films: Sequence[FilmTable]) -> Model:
    """Return the excitement by the weights set by hand; nothing is fitted."""
    del films
    return lambda film: np.array(film.level)


def additive(films: Sequence[FilmTable]) -> Model:
    """Return additive logits with bounded monotone shapes and a ridge."""
    weights = additive_weights(films)
    return lambda film: weights[0] + features(film) @ weights[1:]


def additive_weights(films: Sequence[FilmTable], prior: Floats | None = None) -> Floats:
    """Return bias and weights, by Newton's method; `prior` is what the ridge draws them to."""
    design = np.concatenate([features(film) for film in films])
    design = np.hstack([np.ones((len(design), 1)), design])
    truth, weight = labels(films)
    centre = np.zeros(design.shape[1]) if prior is None else prior
    penalty = np.full(design.shape[1], RIDGE)
    penalty[0] = 1e-6 if prior is None else 1.0
    weights = centre.copy()
    for _ in range(25):
        chance = 1.0 / (1.0 + np.exp(-design @ weights))
        slope = design.T @ (weight * (truth - chance)) - penalty * (weights - centre)
        curve = (design * (weight * chance * (1.0 - chance))[:, None]).T @ design
        weights = weights + np.linalg.solve(curve + np.diag(penalty + 1e-9), slope)
    return weights


def by_kind(films: Sequence[FilmTable]) -> Model:
    """Return additive logits for each kind of game, drawn to those of all games."""
    common = additive_weights(films)
    kinds = {
        kind: additive_weights([film for film in films if film.kind == kind], common)
        for kind in {film.kind for film in films}
    }

    def model(film: FilmTable) -> Floats:
        weights = kinds.get(film.kind, common)
        return np.asarray(weights[0] + features(film) @ weights[1:])

    return model


def boosted(films: Sequence[FilmTable]) -> Model:
    """Return boosted stumps: additive too, with shapes of any form."""
    design = np.concatenate([features(film) for film in films])
    truth, weight = labels(films)
    cuts = np.quantile(design, np.linspace(0, 1, _CUTS + 2)[1:-1], axis=0).T
    above = np.concatenate([design[:, [i]] > cuts[i] for i in range(design.shape[1])], axis=1)
    base = float(np.log(weight @ truth / (weight @ (1.0 - truth))))
    logit, stumps = np.full(len(truth), base), list[tuple[int, float, float]]()
    for _ in range(_ROUNDS):
        chance = 1.0 / (1.0 + np.exp(-logit))
        slope, curve = weight * (truth - chance), weight * chance * (1.0 - chance)
        up, up_curve = slope @ above, curve @ above
        down, down_curve = slope.sum() - up, curve.sum() - up_curve
        gain = up**2 / (up_curve + RIDGE) + down**2 / (down_curve + RIDGE)
        best = int(gain.argmax())
        high = _RATE * up[best] / (up_curve[best] + RIDGE)
        low = _RATE * down[best] / (down_curve[best] + RIDGE)
        stumps.append((best, float(high), float(low)))
        logit = logit + np.where(above[:, best], high, low)

    def model(film: FilmTable) -> Floats:
        own = features(film)
        total = np.full(len(own), base)
        for best, high, low in stumps:
            feature, cut = divmod(best, _CUTS)
            total += np.where(own[:, feature] > cuts[feature, cut], high, low)
        return total

    return model


MODELS: Final[dict[str, Fit]] = {
    "loudness peaks": loudness,
    "hand-set": hand_set,
    "additive": additive,
    "additive by kind": by_kind,
    "boosted stumps": boosted,
}
