"""A delivery is attempted over one day, each wait a little longer by chance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.webhooks.delivery import OFFSETS, attempt_at

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHANCE = st.floats(min_value=0, max_value=1)


def due(number: int, chance: float = 0.0) -> timedelta:
    at = attempt_at(number, began=NOON, chance=chance)
    assert at is not None
    return at - NOON


def test_the_attempts_are_those_of_standard_webhooks_and_some_early_ones() -> None:
    assert [due(number) for number in range(len(OFFSETS))] == [
        timedelta(0),
        timedelta(seconds=5),
        timedelta(seconds=15),
        timedelta(seconds=30),
        timedelta(minutes=1),
        timedelta(minutes=2),
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=14),
        timedelta(hours=20),
        timedelta(hours=24),
    ]


def test_after_the_last_attempt_there_is_none() -> None:
    assert attempt_at(len(OFFSETS), began=NOON) is None


@given(chances=st.lists(CHANCE, min_size=len(OFFSETS), max_size=len(OFFSETS)))
def test_attempts_never_overtake_each_other(chances: list[float]) -> None:
    times = [due(number, chance) for number, chance in enumerate(chances)]
    assert times == sorted(times)


@given(chance=CHANCE, number=st.integers(1, len(OFFSETS) - 1))
def test_a_wait_grows_by_a_tenth_at_most(chance: float, number: int) -> None:
    wait = OFFSETS[number] - OFFSETS[number - 1]
    assert 0 <= due(number, chance).total_seconds() - OFFSETS[number] <= 0.1 * wait + 1e-5


def test_the_first_attempt_is_made_at_once_whatever_the_chance() -> None:
    assert due(0, chance=1.0) == timedelta(0)


def test_tests_may_live_faster() -> None:
    at = attempt_at(2, began=NOON, offsets=(0.0, 0.01, 0.02), jitter=0.0)
    assert at == NOON + timedelta(milliseconds=20)
