"""Simulated tenants: feedback moves what they like up, and spite what they would like down."""

from __future__ import annotations

from uuid import UUID

from benchmarks.taste import Example, Likes, worth
from domain.highlights.candidate import Evidence, HighlightCandidate
from domain.score import DIMENSIONS, HighlightScore

SIGNALS = ("crowd", "motion")


def example(film: str, number: int) -> Example:
    """A candidate with one of two signals, whose scores say nothing about the signal."""
    level = 0.7 + 0.01 * (number // 2)
    about = HighlightCandidate(
        id=UUID(int=number),
        start=10.0 * number,
        peak=10.0 * number + 5.0,
        end=10.0 * number + 8.0,
        settled_at=10.0 * number + 9.0,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, level)),
        analyzer="local-1",
        evidence=(Evidence(signal=SIGNALS[number % 2], strength=2.0, words="it rose"),),
    )
    return Example(film, about, frozenset())


EXAMPLES = [example(film, number) for film in ("one-11", "one-12") for number in range(20)]


def having(signal: str) -> Likes:
    return lambda each: each.candidate.evidence[0].signal == signal


def test_opposite_tenants_each_find_their_own_moments_first() -> None:
    for signal in SIGNALS:
        wanted = having(signal)
        shared, *after = worth(EXAMPLES, wanted, wanted, draws=1, mistaken=0.0)
        assert shared == 0.5
        assert after == sorted(after)
        assert after[-1] == 1.0


def test_spite_puts_a_tenants_own_moments_last() -> None:
    wanted = having("crowd")
    assert worth(EXAMPLES, wanted, wanted, draws=1, mistaken=1.0)[-1] == 0.0
