"""Models are judged on games that they were not fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from domain.analysis.fusion import CHANNELS
from tools.fit.comparison import Proposal, calibrate, judge, leave_one_game_out, proposals
from tools.fit.fitting import fitted
from tools.fit.models import SOUNDS, Model, additive, unheard
from tools.fit.table import FilmTable, SignalTable, read_table, write_table

SECONDS = 240


def film(game: str, *peaks: int) -> FilmTable:
    """Return a film in which each moment is one loud second."""
    quiet = (0.0,) * len(CHANNELS)
    loud = (1.0, *quiet[1:])
    return FilmTable(
        film=f"{game}-1",
        game=game,
        kind="any",
        dressed=False,
        first=0,
        rises=tuple(loud if at in peaks else quiet for at in range(SECONDS)),
        level=(0.0,) * SECONDS,
        peaks=tuple(at + 0.5 for at in peaks),
    )


FILMS = (film("a", 40, 100, 160), film("b", 60, 120, 200), film("c", 50, 90, 170))


def test_a_model_never_sees_the_game_that_it_is_judged_on() -> None:
    seen: list[set[str]] = []

    def fit(films: Sequence[FilmTable]) -> Model:
        seen.append({each.game for each in films})
        return lambda each: np.zeros(len(each.rises))

    scored = leave_one_game_out(fit, FILMS)
    assert seen == [{"b", "c"}, {"a", "c"}, {"a", "b"}]
    assert [each.game for each, _ in scored] == ["a", "b", "c"]


def test_what_holds_in_every_game_is_learned() -> None:
    result = judge(additive, FILMS)
    assert result.mean == pytest.approx(1.0)
    assert set(result.peak_ap) == {"a", "b", "c"}


def test_a_proposal_is_a_hit_if_a_moment_peaks_in_its_clip() -> None:
    logits = np.zeros(SECONDS)
    logits[[40, 140]] = 1.0
    made = [each for each in proposals(FILMS[0], logits) if each.clip.score > 0]
    assert {each.hit for each in made if 30 < each.clip.start < 40} == {True}
    assert {each.hit for each in made if 130 < each.clip.start < 140} == {False}


def test_calibration_gives_the_share_of_hits() -> None:
    clip = proposals(FILMS[0], np.zeros(SECONDS))[0].clip
    made = [Proposal(clip, 0.0, hit) for hit in [True] * 300 + [False] * 700]
    _, shift = calibrate(made)
    assert 1.0 / (1.0 + np.exp(-shift)) == pytest.approx(0.3, abs=0.01)


def test_a_film_without_sound_keeps_its_pictures_only() -> None:
    loud_and_moving = FILMS[0].model_copy(update={"rises": ((0.5,) * len(CHANNELS),) * SECONDS})
    silent = unheard(loud_and_moving)
    assert loud_and_moving.heard
    assert not silent.heard
    assert dict(zip(CHANNELS, silent.rises[0], strict=True))["motion"] == pytest.approx(0.5)
    assert silent.level[0] == pytest.approx(1.1, abs=0.01)  # spreads: twice tanh's inverse of 0.5


def test_weights_of_a_stream_without_sound_have_none_for_sound() -> None:
    fusion = fitted(FILMS)
    assert {fusion.unheard.weights[name] for name in SOUNDS} == {0.0}
    assert all(fusion.heard.weights[name] > 0.0 for name in SOUNDS)


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = SignalTable(films=FILMS)
    write_table(table, tmp_path / "table.gz")
    write_table(table, tmp_path / "again.gz")
    assert read_table(tmp_path / "table.gz") == table
    assert (tmp_path / "table.gz").read_bytes() == (tmp_path / "again.gz").read_bytes()
