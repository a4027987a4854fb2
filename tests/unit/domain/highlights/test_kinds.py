"""Criteria decide what is selected, as far as it is known what a moment is."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.analysis.screen import MatchState
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.kinds import known_kinds
from domain.highlights.selection import DecisionStatus
from domain.profiles.criteria import Criteria, UnderstoodCriteria
from domain.profiles.model import GameProfile
from infra.profiles.store import load_shipped_catalog
from tests.factories.selection import Stream, candidate

SOCCER = load_shipped_catalog().get("soccer")


def wanting(*include: str, exclude: tuple[str, ...] = ()) -> GameProfile:
    understood = UnderstoodCriteria(include=include, exclude=exclude)
    return SOCCER.with_wishes(languages=None, criteria=Criteria(text="", understood=understood))


def scored(before: tuple[int, ...], after: tuple[int, ...], *tags: str) -> HighlightCandidate:
    plain = candidate(1, 100.0, 0.9, tags=tags)
    state = MatchState(score_before=before, score_after=after)
    return HighlightCandidate.model_validate(plain.model_dump() | {"state": state})


@pytest.mark.parametrize(
    ("tags", "include", "exclude", "status"),
    [
        (("goal",), (), (), DecisionStatus.CONFIRMED),
        (("loud_crowd", "goal"), ("goal",), (), DecisionStatus.CONFIRMED),
        (("header",), ("goal",), (), DecisionStatus.CONFIRMED),
        (("save",), ("goal",), (), DecisionStatus.REJECTED),
        (("loud_crowd",), ("goal",), (), DecisionStatus.REJECTED),
        (("loud_crowd",), (), ("goal",), DecisionStatus.CONFIRMED),
        (("goal", "penalty_goal"), ("goal",), ("penalty",), DecisionStatus.REJECTED),
    ],
)
def test_selection_obeys_the_criteria(
    tags: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    status: DecisionStatus,
) -> None:
    stream = Stream(wanting(*include, exclude=exclude))
    stream.call(candidate(1, 100.0, 0.9, tags=tags), watermark=1000.0, ended=True)
    assert stream.status(1) is status


def test_a_rejection_says_which_criteria_it_does_not_meet() -> None:
    stream = Stream(wanting("goal", "red_card"))
    told = stream.call(candidate(1, 100.0, 0.9, tags=("save",)), watermark=1000.0)
    reason = told[UUID(int=1)].reasons[-1]
    assert reason.code == "criteria_not_met"
    assert reason.words == ("The stream's criteria ask for goal, red card, and it is tagged save.")


def test_a_published_moment_that_turns_out_to_be_excluded_is_retracted() -> None:
    stream = Stream(wanting(exclude=("foul",)))
    stream.call(candidate(1, 100.0, 0.8), watermark=104.0)
    assert stream.status(1) is DecisionStatus.PENDING
    told = stream.call(candidate(1, 100.0, 0.9, tags=("foul",)), watermark=108.0)
    assert told[UUID(int=1)].status is DecisionStatus.RETRACTED
    assert told[UUID(int=1)].reasons[-1].code == "criteria_excluded"
    stream.call(watermark=1000.0, ended=True)
    assert stream.status(1) is DecisionStatus.RETRACTED


def test_a_score_that_rises_by_one_is_a_goal() -> None:
    assert known_kinds(scored((1, 1), (2, 1), "loud_crowd"), SOCCER) == ("goal",)
    stream = Stream(wanting("goal"))
    stream.call(scored((1, 1), (2, 1)), watermark=1000.0, ended=True)
    assert stream.status(1) is DecisionStatus.CONFIRMED


@pytest.mark.parametrize(
    ("before", "after"), [((1, 1), (1, 1)), ((), (1, 0)), ((1, 0), (3, 0)), ((2, 0), (1, 0))]
)
def test_other_scores_say_nothing(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    assert known_kinds(scored(before, after), SOCCER) == ()


def test_what_is_known_more_precisely_stays() -> None:
    assert known_kinds(scored((0, 0), (1, 0), "own_goal"), SOCCER) == ("own_goal",)
