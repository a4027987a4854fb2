"""The queue of a delivery workflow: oldest first, and no order is ever lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.webhooks.delivery import AttemptOutcome, DeliveryOrder, DeliveryQueue

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=5)
SUCCEEDED, FAILED, DROPPED = (
    AttemptOutcome.SUCCEEDED,
    AttemptOutcome.FAILED,
    AttemptOutcome.DROPPED,
)


def order(number: int, *, at_once: bool = False) -> DeliveryOrder:
    return DeliveryOrder(delivery_id=UUID(int=number), position=number, at_once=at_once)


def queue(*numbers: int) -> DeliveryQueue:
    filled = DeliveryQueue()
    for number in numbers:
        filled.add(order(number))
    return filled


def attempt(
    of: DeliveryQueue, outcome: AttemptOutcome, next_attempt_at: datetime | None = LATER
) -> int:
    position = of.begin().position
    of.conclude(outcome, began=NOON, next_attempt_at=next_attempt_at)
    return position


@given(numbers=st.lists(st.integers(0, 50), max_size=20))
def test_what_happened_first_is_delivered_first_and_once(numbers: list[int]) -> None:
    filled = queue(*numbers)
    delivered = []
    while filled:
        delivered.append(attempt(filled, SUCCEEDED))
    assert delivered == sorted(set(numbers))
    assert filled.result.succeeded == len(delivered)


def test_a_failed_attempt_keeps_its_place_until_the_next_is_due() -> None:
    filled = queue(1, 2)
    attempt(filled, FAILED)
    first = filled.first
    assert (first.position, first.attempt, first.began, first.due) == (1, 1, NOON, LATER)


def test_a_delivery_is_given_up_when_no_further_attempt_is_due() -> None:
    filled = queue(1, 2)
    attempt(filled, FAILED, next_attempt_at=None)
    assert filled.first.position == 2
    assert filled.result.failed == 1


def test_a_delivery_with_nothing_to_send_blocks_no_other() -> None:
    filled = queue(1, 2)
    attempt(filled, DROPPED)
    assert filled.first.position == 2


def test_an_older_delivery_goes_before_one_that_waits_for_its_next_attempt() -> None:
    filled = queue(2)
    attempt(filled, FAILED)
    filled.add(order(1))
    assert filled.first.position == 1
    attempt(filled, SUCCEEDED)
    assert (filled.first.position, filled.first.attempt) == (2, 1)


def test_a_wait_can_be_cut_short() -> None:
    filled = queue(1)
    attempt(filled, FAILED)
    filled.add(order(1))
    waiting = filled.first
    filled.add(order(1, at_once=True))
    assert (waiting.due, filled.first.due, filled.first.scheduled) == (LATER, None, LATER)


def test_an_extra_attempt_that_fails_takes_none_from_the_schedule() -> None:
    filled = queue(1)
    attempt(filled, FAILED)
    filled.add(order(1, at_once=True))
    filled.begin()
    filled.conclude(FAILED, began=NOON, next_attempt_at=LATER, extra=True)
    first = filled.first
    assert (first.attempt, first.due, first.scheduled) == (1, LATER, None)


def test_an_order_for_what_is_under_way_is_not_lost() -> None:
    filled = queue(1)
    filled.begin()
    filled.add(order(1))
    filled.conclude(SUCCEEDED, began=NOON, next_attempt_at=LATER)
    assert (filled.first.position, filled.first.attempt) == (1, 0)


def test_a_report_says_what_is_done_and_what_is_waited_for() -> None:
    filled = queue(1, 2, 3)
    attempt(filled, SUCCEEDED)
    attempt(filled, FAILED)
    assert filled.report() == (
        "**2 waiting**, 1 succeeded\n\nattempt 2 of the first is due 2026-11-24 12:00:05 UTC"
    )


def test_a_run_hands_all_to_the_next() -> None:
    filled = queue(1, 2)
    attempt(filled, SUCCEEDED)
    attempt(filled, FAILED)
    following = DeliveryQueue(filled.entries(), filled.result)
    assert following.first == filled.first
    assert following.result.succeeded == 1
