"""The films of some splits, and what each method finds in one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.quality.ablation import ABLATIONS, without
from benchmarks.quality.baselines import DENSITIES, UNIFORM, Video, best
from benchmarks.quality.measurements import Measurements, measure
from benchmarks.quality.metrics import (
    Interval,
    boundary_errors,
    detect,
    peak_average_precision,
    peak_recall,
)
from benchmarks.quality.product import follow
from domain.analysis.fusion import Fusion
from domain.analysis.signals import SegmentSignals
from domain.profiles.catalog import ProfileCatalog
from domain.profiles.model import FillMethod, GameProfile
from tools.footage.manifest import Entry, Split
from tools.footage.truth import Truth, read

LOUDNESS = "loudness peaks"
DEFAULT = "default"
FILLED = "best of"


class SealedError(Exception):
    """A sealed film was asked for; the text says what that means."""


class FilmFile(NamedTuple):
    """A film, its truth, and what its game may be used for."""

    video: Path
    truth: Truth
    entry: Entry

    @property
    def group(self) -> str:
        """The game; copies with dressing are a group of their own."""
        return self.truth.film.game + (" dressed" if self.truth.film.dressing else "")


class Scores(BaseModel):
    """One method on one film; all but the counts and the errors are in [0, 1].

    `covered` is the share of the film that the clips take, `cpu_share` the analysis' share of a
    core at real-time pace, for the product only. `start_error` and `end_error` are the median
    distances (s) of the bounds of clips from those of the moments that they hit.
    """

    model_config = ConfigDict(frozen=True)

    clips: int
    covered: float
    peak_recall: float
    peak_ap: float
    ap_50: float
    ap_70: float
    start_error: float | None = None
    end_error: float | None = None
    cpu_share: float | None = None


class FilmResult(BaseModel):
    """All methods on one film, by name."""

    model_config = ConfigDict(frozen=True)

    film: str
    group: str
    split: Split
    duration: float
    moments: int
    methods: dict[str, Scores]


def find_films(
    folder: Path, manifest: Mapping[str, Entry], splits: Collection[Split], *, open_sealed: bool
) -> list[FilmFile]:
    """Return the films in a folder whose games are of these splits, by name.

    A truth file without its film, and one of a game that the manifest does not list, is ignored.

    Raises:
        SealedError: sealed films are asked for without `open_sealed`.
    """
    if "sealed" in splits and not open_sealed:
        raise SealedError(
            "Sealed games are opened once, when the analyzer is final, and what they show is "
            "reported whatever it is. If that is now, add --open-sealed."
        )
    films = []
    for path in sorted(folder.glob("*.json")):
        game = next((name for name in manifest if path.name.startswith(f"{name}-")), None)
        if game is None or manifest[game].split not in splits:
            continue
        video = path.with_suffix(".mp4")
        if video.exists():
            films.append(FilmFile(video, read(path), manifest[game]))
    return films


def try_film(film: FilmFile, catalog: ProfileCatalog, *, home: Path, fusion: Fusion) -> FilmResult:
    """Return what each method finds in a film; the product by a fusion that has not seen its game.

    The baselines have the parameters with which each does best on this film, and as many clips as
    the product with the default profile and `fill: best_of`.

    Raises:
        DemoError: the film cannot be read.
    """
    profiles = {name: catalog.get(name) for name in dict.fromkeys((DEFAULT, film.entry.profile))}
    measured = measure(film.video, home=home, hud=profiles[film.entry.profile].hud)
    methods = {
        f"product, {name}": _product(measured, profile, film.truth, fusion)
        for name, profile in profiles.items()
    }
    filled = {f"product, {name}, {FILLED}": best_of(each) for name, each in profiles.items()}
    methods |= {name: _product(measured, each, film.truth, fusion) for name, each in filled.items()}
    default = filled[f"product, {DEFAULT}, {FILLED}"]
    for name, left in _without(measured).items():
        methods[f"- without {name}"] = _product(measured, default, film.truth, fusion, signals=left)
    count = methods[f"product, {DEFAULT}, {FILLED}"].clips
    for name in (LOUDNESS, *DENSITIES, UNIFORM):
        if name == UNIFORM or name in measured.curves:
            methods[name] = _baseline(name, measured, film.truth, count)
    return FilmResult(
        film=film.video.stem,
        group=film.group,
        split=film.entry.split,
        duration=measured.duration,
        moments=len(film.truth.moments),
        methods=methods,
    )


def best_of(profile: GameProfile) -> GameProfile:
    """Return a profile that fills its windows with weak moments, up to its quota."""
    limits = profile.selection
    filled = {"fill": FillMethod.BEST_OF, "fill_to": limits.per_window}
    return profile.model_copy(update={"selection": limits.model_copy(update=filled)})


def _without(measured: Measurements) -> dict[str, Sequence[SegmentSignals | None]]:
    """Return the film's signals without one channel each, by the channel's name."""
    unread = [each and each.model_copy(update={"readings": ()}) for each in measured.signals]
    kinds = {name: without(name, measured.signals) for name in ABLATIONS}
    return {**kinds, "screen text": unread}


def _product(
    measured: Measurements,
    profile: GameProfile,
    truth: Truth,
    fusion: Fusion,
    *,
    signals: Sequence[SegmentSignals | None] | None = None,
) -> Scores:
    found = follow(measured, profile, signals=signals, fusion=fusion)
    spent = measured.cpu_seconds + found.cpu_seconds
    return score_clips(found.clips, truth, measured.duration, cpu_share=spent / measured.duration)


def _baseline(name: str, measured: Measurements, truth: Truth, count: int) -> Scores:
    curves = {method: np.array(curve) for method, curve in measured.curves.items() if curve}
    (found,) = best(name, [Video(measured.duration, curves, _intervals(truth))], [count])
    return score_clips(found.clips, truth, measured.duration)


def score_clips(
    clips: Sequence[Interval], truth: Truth, duration: float, *, cpu_share: float | None = None
) -> Scores:
    """Compare clips with the truth of a film of `duration` seconds."""
    detected, peaks = detect(clips, _intervals(truth)), [moment.peak for moment in truth.moments]
    errors = boundary_errors([(clips, _intervals(truth))])
    return Scores(
        clips=len(clips),
        covered=_covered(clips) / duration,
        peak_recall=peak_recall(clips, peaks),
        peak_ap=peak_average_precision(clips, peaks),
        ap_50=detected.ap_50,
        ap_70=detected.ap_70,
        start_error=errors.start_median,
        end_error=errors.end_median,
        cpu_share=cpu_share,
    )


def _intervals(truth: Truth) -> tuple[Interval, ...]:
    return tuple(Interval(start=m.start, end=m.end, score=m.weight) for m in truth.moments)


def _covered(clips: Sequence[Interval]) -> float:
    """Return the seconds that lie in at least one clip."""
    seconds, until = 0.0, 0.0
    for clip in sorted(clips, key=lambda each: each.start):
        seconds += max(0.0, clip.end - max(clip.start, until))
        until = max(until, clip.end)
    return seconds
