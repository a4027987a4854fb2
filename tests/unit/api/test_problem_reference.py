"""The tree of problems is whole, and its documentation says what it says."""

from __future__ import annotations

from pathlib import Path

from api.errors.problems import all_problems
from api.errors.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"


def test_the_page_agrees_with_the_code() -> None:
    assert PAGE.read_text() == reference()


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in all_problems()]
    assert len(codes) == len(set(codes))


def test_every_problem_says_what_to_do() -> None:
    for kind in all_problems():
        assert kind.advice.endswith(".")
        assert 400 <= kind.status < 600
