"""What the tools of others find is put on our grid; a tool that is missing is no error."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from benchmarks.quality import tools
from benchmarks.quality.signals import GRID
from tests.unit.benchmarks.quality.conftest import SECONDS


def _module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: object) -> None:
    """Stand in for a package that only `make bench` installs."""
    module = ModuleType(name)
    for key, value in contents.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_the_cuts_of_scenedetect_are_where_its_scenes_begin(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenes(*bounds: float) -> list[tuple[SimpleNamespace, SimpleNamespace]]:
        times = [SimpleNamespace(seconds=bound) for bound in bounds]
        return list(zip(times, times[1:], strict=False))  # noqa: RUF007 -- a list of pairs

    _module(
        monkeypatch,
        "scenedetect",
        AdaptiveDetector=object,
        detect=lambda *_, **__: scenes(0.0, 2.0, 6.1, 12.0),
    )
    curve = tools.scenedetect_cuts(short)
    assert (np.flatnonzero(curve) * GRID).tolist() == [2.0, 6.0]
    assert len(curve) * GRID == pytest.approx(SECONDS + GRID)


def test_a_video_of_one_scene_has_no_cuts(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _module(monkeypatch, "scenedetect", AdaptiveDetector=object, detect=lambda *_, **__: [])
    assert not tools.scenedetect_cuts(short).any()


def test_the_onsets_of_librosa_are_the_highest_of_each_step(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strength(*, y: np.ndarray, sr: int, hop_length: int) -> np.ndarray:
        envelope = np.zeros(len(y) // hop_length + 1)
        envelope[int(6.1 * sr / hop_length)] = 3.0
        return envelope

    _module(monkeypatch, "librosa", onset=SimpleNamespace(onset_strength=strength))
    curve = tools.librosa_onsets(short)
    assert (np.flatnonzero(curve) * GRID).tolist() == [6.0]
    assert curve.max() == 3.0
    assert len(curve) * GRID == pytest.approx(SECONDS, abs=2 * GRID)


def test_tools_that_are_not_installed_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tools,
        "TOOLS",
        {"x": ("no-such-package", tools.librosa_onsets), "y": ("numpy", lambda _: 0)},
    )
    assert tools.installed() == {"numpy": np.__version__}
