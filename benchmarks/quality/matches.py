"""Scripted matches as subjects of the benchmark: made, measured and with their truth."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.quality.comparison import Subject
from benchmarks.quality.measurements import measure
from benchmarks.quality.product import PROFILES
from benchmarks.quality.truth import Wanted, read_ground_truth
from demo.match import ensure_match
from demo.model import Model
from infra.profiles.store import load_shipped_catalog


class MatchWanted(Model):
    """A match and the directory of its measurements; `fresh` repeats them."""

    kind: str
    seed: int
    duration: float
    home: Path
    fresh: bool = False


def measured(
    wanted: Sequence[MatchWanted], *, done: Callable[[str], None]
) -> dict[str, list[Subject]]:
    """Return the matches by kind, as many made and measured at once as there are cores.

    Args:
        wanted: the matches.
        done: called with each finished match.

    Raises:
        MatchError: one could not be made.
        PackagingError: one could not be read.
    """
    told: dict[str, list[Subject]] = {}
    spawn = multiprocessing.get_context("spawn")  # libav and OpenCV break after a fork
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=spawn) as pool:
        for match, subject in zip(wanted, pool.map(_subject, wanted), strict=True):
            told.setdefault(match.kind, []).append(subject)
            done(subject.name)
    return told


def _subject(wanted: MatchWanted) -> Subject:
    made = ensure_match(wanted.home, seed=wanted.seed, duration=wanted.duration, kind=wanted.kind)
    return Subject(
        f"{wanted.kind}-{wanted.seed}",
        read_ground_truth(made.truth, Wanted()),
        measure(made.video, home=wanted.home, fresh=wanted.fresh),
        load_shipped_catalog().get(PROFILES[wanted.kind]),
    )
