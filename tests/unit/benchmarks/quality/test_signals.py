"""What the simple methods hear and see is where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.signals import GRID, counted, cuts, level
from demo.errors import PackagingError
from tests.unit.benchmarks.quality.conftest import CHANGE, SECONDS


def test_the_level_rises_where_the_sound_becomes_loud(short: Path) -> None:
    curve = level(short)
    assert len(curve) * GRID == pytest.approx(SECONDS, abs=2 * GRID)
    change = int(CHANGE / GRID)
    assert curve[change + 2 : -2].min() > curve[2 : change - 2].max() + 20


def test_the_cut_is_found_where_it_is(short: Path) -> None:
    found = np.flatnonzero(cuts(short)) * GRID
    assert found == pytest.approx([CHANGE], abs=GRID)


def test_times_are_counted_by_quarter_of_a_second() -> None:
    curve = counted(np.array([0.0, 0.1, 0.3, 99.0]), duration=1.0)
    assert curve.tolist() == [2, 1, 0, 0, 1]


def test_what_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(PackagingError, match="could not be decoded"):
        level(tmp_path / "no.mp4")
