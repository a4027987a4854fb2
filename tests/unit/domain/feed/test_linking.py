"""What becomes of a feed event, and which tags events give a highlight."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain.feed.evidence import FeedPlace
from domain.feed.linking import FeedEventRecord, LinkTarget, bet_tags, is_sole_base, rule_on
from domain.feed.models import FeedEvent, FeedOutcome

MOMENT = LinkTarget(id=UUID(int=60), start=56.0, peak=60.0, end=64.0)
HIDDEN = LinkTarget(id=UUID(int=61), start=56.0, peak=60.0, end=64.0, is_shown=False)


def stored(number: int = 1, *, at: float = 60.0, **fields: Any) -> FeedEventRecord:  # noqa: ANN401
    state = {
        name: fields.pop(name)
        for name in ("highlight", "is_base", "taken_back_by")
        if name in fields
    }
    content = {"id": f"e{number}", "kind": "score", "at": {"media": at}} | fields
    return FeedEventRecord(
        id=UUID(int=number),
        event=FeedEvent.model_validate(content),
        place=FeedPlace(at, 0.5),
        **state,
    )


def outcome(event: FeedEventRecord, *targets: LinkTarget, analyzed: float = 500.0) -> FeedOutcome:
    assert event.place is not None
    return rule_on(event, event.place, targets, analyzed=analyzed, ended=False).outcome


def test_an_event_that_made_its_highlight_marked_it_and_another_raised_it() -> None:
    assert outcome(stored(highlight=MOMENT.id, is_base=True), MOMENT) is FeedOutcome.MARKED
    assert outcome(stored(highlight=MOMENT.id), MOMENT) is FeedOutcome.RAISED


def test_a_goal_waits_until_its_moment_is_decided() -> None:
    assert outcome(stored(), MOMENT, analyzed=70.0) is FeedOutcome.WAITING
    assert outcome(stored(), MOMENT, analyzed=95.0) is FeedOutcome.LINKED


def test_a_goal_whose_candidate_was_rejected_is_unused() -> None:
    assert outcome(stored(highlight=HIDDEN.id), HIDDEN) is FeedOutcome.UNUSED


def test_a_settlement_is_linked_at_once_to_the_moment_before_it() -> None:
    settled = stored(at=170.0, kind="settled", result="won")
    assert outcome(settled, MOMENT, analyzed=170.0) is FeedOutcome.LINKED


def test_a_settlement_prefers_the_moment_of_its_market() -> None:
    later = LinkTarget(id=UUID(int=99), start=140.0, peak=150.0, end=155.0)
    settled = stored(at=170.0, kind="settled", market="next goal")
    place = FeedPlace(170.0, 0.5)
    ruling = rule_on(
        settled, place, (MOMENT, later), analyzed=500.0, ended=False, prefer={MOMENT.id}
    )
    assert ruling.highlight == MOMENT.id
    assert rule_on(settled, place, (MOMENT, later), analyzed=500.0, ended=False).highlight == (
        later.id
    )


def test_a_highlight_rests_on_an_event_unless_another_speaks_for_it() -> None:
    goal = stored(highlight=MOMENT.id, is_base=True)
    settled = stored(2, kind="settled", highlight=MOMENT.id)
    assert is_sole_base(goal, [goal, settled])
    assert not is_sole_base(goal, [goal, stored(3, highlight=MOMENT.id)])


def move(number: int, at: float, before: float, after: float) -> FeedEventRecord:
    odds = {"before": before, "after": after}
    return stored(number, at=at, kind="odds", odds=odds, market="next goal", selection="home")


@pytest.mark.parametrize(
    ("events", "tags"),
    [
        ([move(1, 58.0, 4.0, 1.2), move(2, 70.0, 1.2, 4.2)], ("near_miss",)),
        ([move(1, 58.0, 4.0, 1.2), move(2, 70.0, 1.2, 4.2), stored(3, at=60.0)], ()),
        ([stored(1, at=90.0, kind="cash_out", subjects=("bet:1",))], ("before_cash_out",)),
        ([stored(1, at=30.0, kind="cash_out", subjects=("bet:1",))], ()),
        (
            [
                move(1, 40.0, 1.5, 1.05),
                stored(
                    2, at=62.0, kind="settled", result="lost", market="next goal", selection="home"
                ),
            ],
            ("bad_beat",),
        ),
    ],
)
def test_tags_of_bets_are_rules_over_events(
    events: list[FeedEventRecord], tags: tuple[str, ...]
) -> None:
    assert bet_tags(60.0, events) == tags
