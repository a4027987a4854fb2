"""What the benchmark of the cost gate says of a run."""

from __future__ import annotations

import pytest

from benchmarks.cost_gate.bill import Bill
from benchmarks.cost_gate.report import Count, Result
from domain.analysis.gemini.pricing import ModelPrice, TokenUsage
from domain.analysis.gemini.query import Excerpt, GeminiQuery, QueryStep
from domain.profiles.model import MediaResolution

PRICE = ModelPrice(text=0.3, audio=1.0, output=2.5)


def ask(seconds: float, step: QueryStep = QueryStep.DETECT) -> GeminiQuery:
    return GeminiQuery(
        step=step,
        version="detect-1",
        model="gemini-2.5-flash",
        system="",
        prompt="",
        answer_schema={},
        max_output=100,
        excerpt=Excerpt(start=0.0, end=seconds, fps=1.0, resolution=MediaResolution.LOW),
    )


def bill(seconds: float, *, text: int = 1_000) -> Bill:
    made = Bill()
    made.record(ask(seconds), TokenUsage(text=text))
    made.record(ask(8.0, QueryStep.SCORE), TokenUsage(text=text))
    return made


def result(*, gated: Count, seconds: float = 3600.0, shown: float = 1000.0) -> Result:
    everything = Count(found=12, clips=10, seen=20)
    return Result("soccer", seconds, 20, everything, gated, everything, bill(shown), bill(seconds))


def test_only_what_is_looked_through_counts_as_shown() -> None:
    assert result(gated=Count(10, 10, 20)).share == pytest.approx(1000 / 3600)


def test_dollars_are_those_of_an_hour() -> None:
    half = result(gated=Count(10, 10, 20), seconds=1800.0)
    assert half.dollars(PRICE) == pytest.approx(2 * 2 * 1_000 * 0.3 / 1e6)


def test_within_all_targets_nothing_is_missed() -> None:
    assert result(gated=Count(10, 10, 19)).misses(PRICE) == []


@pytest.mark.parametrize("gated", [Count(10, 9, 20), Count(10, 10, 18)])
def test_both_recalls_are_held_to_the_target(gated: Count) -> None:
    assert result(gated=gated).misses(PRICE) == ["recall"]


def test_too_much_video_and_too_many_dollars_are_said() -> None:
    dear = result(gated=Count(10, 10, 20), shown=1500.0)._replace(bill=bill(1500.0, text=10**6))
    assert dear.misses(PRICE) == ["share", "dollars"]


def test_kinds_together_are_their_sums() -> None:
    one = result(gated=Count(10, 10, 19))
    both = one.plus(one, name="all kinds")
    assert (both.seconds, both.moments, both.gated) == (7200.0, 40, Count(20, 20, 38))
    assert both.share == pytest.approx(one.share)
    assert both.dollars(PRICE) == pytest.approx(one.dollars(PRICE))
