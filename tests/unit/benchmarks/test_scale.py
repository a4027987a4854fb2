"""docs/scale.md says what the script calculates, and the script what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale.__main__ import PAGE, STREAMS, replaced
from benchmarks.scale.evening import simulate
from benchmarks.scale.figures import Figure, ScaleFigures
from benchmarks.scale.fleet import Fleet
from deploy.sizes import Sizes

ROOT = Path(__file__).parents[3]
FIGURES = ScaleFigures.read()
SIZES = Sizes.read()
OURS = {**FIGURES.measured, **FIGURES.settings}
THEIRS = {**FIGURES.prices, **FIGURES.limits}


def test_the_page_has_the_tables_that_the_script_prints() -> None:
    page = PAGE.read_text("utf-8")
    assert page == replaced(page), "run `python -m benchmarks.scale --write`"


@pytest.mark.parametrize("figure", OURS.values(), ids=OURS)
def test_a_figure_of_ours_is_quoted_from_its_source(figure: Figure) -> None:
    assert figure.quote
    assert figure.quote in (ROOT / figure.source).read_text("utf-8")


@pytest.mark.parametrize("figure", THEIRS.values(), ids=THEIRS)
def test_a_price_or_limit_has_an_address(figure: Figure) -> None:
    assert figure.source.startswith("https://")


def test_actions_are_billed_by_tier() -> None:
    assert FIGURES.actions_price(1e6) == pytest.approx(50)
    assert FIGURES.actions_price(6e6) == pytest.approx(5 * 50 + 45)
    assert FIGURES.actions_price(300e6) - FIGURES.actions_price(200e6) == pytest.approx(100 * 25)


def test_ten_times_the_streams_cost_less_each() -> None:
    costs = [sum(Fleet(FIGURES, SIZES, each).dollars().values()) for each in STREAMS]
    assert costs == sorted(costs, reverse=True)


def test_a_full_task_stays_below_its_memory_and_its_interpreter_below_half_a_core() -> None:
    fleet = Fleet(FIGURES, SIZES, max(STREAMS))
    assert fleet.follower_mib < SIZES.services["worker-io"].memory / 2
    assert fleet.streams_per_task * FIGURES["worker_core"] < 0.5


def test_the_same_match_on_many_streams_makes_clips_wait() -> None:
    few, many = (simulate(FIGURES, SIZES, each) for each in (10, 1000))
    assert few.renders_elsewhere < many.renders_elsewhere
    assert few.wait_max <= many.wait_max


def test_the_simulation_repeats_itself() -> None:
    assert simulate(FIGURES, SIZES, 100) == simulate(FIGURES, SIZES, 100)
