"""Programs that others use for this, as baselines: PySceneDetect and librosa.

They are not among the product's dependencies: `make bench` installs them
(`requirements-bench.lock`). If they are not installed, they are omitted, and the report notes
it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.quality.signals import GRID, Curve, counted, sound_of

_RATE: Final = 22_050
_HOP: Final = 512
"""librosa's own defaults: samples a second, and samples between two points of its envelope."""


def scenedetect_cuts(video: Path) -> Curve:
    """Return the number of cuts that PySceneDetect's adaptive detector finds, by point of the grid.

    Raises:
        ImportError: it is not installed.
    """
    import scenedetect  # noqa: PLC0415 -- not among the product's dependencies

    scenes = scenedetect.detect(str(video), scenedetect.AdaptiveDetector(), start_in_scene=True)
    starts = np.array([start.seconds for start, _ in scenes[1:]])
    return counted(starts, duration=scenes[-1][1].seconds if scenes else 0.0)


def librosa_onsets(video: Path) -> Curve:
    """Return librosa's onset strength (mean spectral flux of the mel bands), by point of the grid.

    Raises:
        ImportError: it is not installed.
    """
    import librosa  # noqa: PLC0415 -- not among the product's dependencies

    envelopes = [
        librosa.onset.onset_strength(y=sound, sr=_RATE, hop_length=_HOP)
        for sound in sound_of(video, rate=_RATE)
    ]
    return _on_grid(np.concatenate(envelopes)) if envelopes else np.zeros(0)


def _on_grid(envelope: Curve) -> Curve:
    """Return the highest value of an envelope, of `_RATE / _HOP` points a second, in each step."""
    steps = (np.arange(len(envelope)) * _HOP / _RATE / GRID).astype(int)
    curve = np.zeros(int(steps[-1]) + 1)
    np.maximum.at(curve, steps, envelope)
    return curve


TOOLS: Final[dict[str, tuple[str, Callable[[Path], Curve]]]] = {
    "scenedetect": ("scenedetect", scenedetect_cuts),
    "librosa onsets": ("librosa", librosa_onsets),
}
"""By method: the package it needs, and what it measures."""


def installed() -> dict[str, str]:
    """Return the installed packages among those that the methods need, with their versions."""
    found = {}
    for package, _ in TOOLS.values():
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
