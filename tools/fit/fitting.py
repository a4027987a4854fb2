"""The weights of the fusion, fitted and calibrated on films."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from statistics import quantiles
from typing import Final

from domain.analysis.fusion import CHANNELS, Fusion, FusionWeights
from tools.fit.comparison import calibrate, proposals, search
from tools.fit.models import SOUNDS, turns, unheard
from tools.fit.table import FilmTable

UNUSABLE: Final = frozenset({"river-raid"})
"""Games that nothing is fitted on: moments cover nine tenths of the films of river-raid."""


def fitted(films: Sequence[FilmTable]) -> Fusion:
    """Return the weights that are fitted on the usable ones of some films."""
    usable = [film for film in films if film.game not in UNUSABLE]
    kinds = {
        "heard": _fitted([film for film in usable if film.heard], SOUNDS),
        "unheard": _fitted([unheard(film) for film in usable], ()),
    }
    content = {name: each.model_dump() for name, each in kinds.items()}
    version = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
    return Fusion.model_validate({"version": version, **content})


def _fitted(films: Sequence[FilmTable], sounds: Sequence[str]) -> FusionWeights:
    """Return weights that are searched on all games, and calibrated.

    Args:
        films: the films.
        sounds: the channels of sound that they have.
    """
    best = search(films)
    made = [each for film in films for each in proposals(film, turns(film) @ best)]
    scale, shift = calibrate(made)
    excitement, sound, motion, cut = (scale * best).tolist()
    weights = dict.fromkeys(CHANNELS, 0.0)
    weights |= dict.fromkeys(sounds, round(sound / len(SOUNDS), 4))
    weights |= {"motion": round(motion, 4), "cut": round(cut, 4)}
    return FusionWeights(
        bias=round(shift, 4),
        floor=round(quantiles((scale * each.logit + shift for each in made), n=4)[0], 4),
        excitement=round(excitement, 4),
        weights=weights,
    )
