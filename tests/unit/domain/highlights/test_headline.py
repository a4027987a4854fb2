"""Titles of highlights that nobody has titled: plain words for what is known for certain."""

from __future__ import annotations

import pytest

from domain.analysis.scoring import SIGNAL_TAGS
from domain.highlights.explanation import headline


@pytest.mark.parametrize(
    ("title", "game", "tags", "peak", "shown"),
    [
        ("Late winner", "soccer", ["goal"], 754.0, "Late winner"),
        ("", "soccer", ["loud_crowd", "goal"], 754.9, "Goal at 12:34"),
        ("", "soccer", ["red_card"], 3661.0, "Red card at 1:01:01"),
        (
            "",
            "soccer",
            ["loud_crowd", "excited_commentary", "fast_play"],
            754.0,
            "Soccer highlight at 12:34: loud crowd, excited commentary",
        ),
        ("", "rocket_league", [], 5.0, "Rocket league highlight at 0:05"),
        ("", "default", ["quick_cuts"], 5.0, "Highlight at 0:05: quick cuts"),
        ("", "", [], 0.0, "Highlight at 0:00"),
    ],
)
def test_a_title_is_always_there(
    title: str, game: str, tags: list[str], peak: float, shown: str
) -> None:
    assert headline(title, game=game, tags=tags, peak=peak) == shown


@pytest.mark.parametrize("tag", sorted(SIGNAL_TAGS))
def test_no_signal_is_taken_for_a_kind_of_moment(tag: str) -> None:
    assert headline("", game="soccer", tags=[tag], peak=61.0).startswith("Soccer highlight at 1:01")
