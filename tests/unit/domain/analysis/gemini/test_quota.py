"""A tenant with a hundred streams cannot starve one with a single stream."""

from __future__ import annotations

from collections import Counter
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.gemini.budget import MINUTE, FairQueue, QuotaLimits

BIG, SMALL, THIRD = uuid4(), uuid4(), uuid4()
# The share of a tenant is no limit here: what is fair comes from the queue alone.
LIMITS = QuotaLimits(requests_per_minute=120, tokens_per_minute=1_000_000, tenant_share=1.0)
STEP = 0.1
BEGIN = 1_000 * MINUTE


def run(streams: list[UUID], seconds: float, *, queue: FairQueue, at: float) -> FairQueue:
    """Let streams ask whenever they may, in this order at each step."""
    return served(streams, seconds, queue=queue, at=at)[0]


def served(
    streams: list[UUID], seconds: float, *, queue: FairQueue, at: float
) -> tuple[FairQueue, Counter[UUID]]:
    """Do the same, and count the calls of each tenant."""
    got: Counter[UUID] = Counter()
    for step in range(round(seconds / STEP)):
        for stream in streams:
            queue, delay = queue.take(stream, 1000, LIMITS, at=at + step * STEP)
            got[stream] += delay is None
    return queue, got


def test_each_tenant_that_waits_gets_the_same_however_many_its_streams() -> None:
    crowd = [BIG] * 100 + [SMALL]
    queue = run(crowd, 60, queue=FairQueue(), at=BEGIN)
    _, got = served(crowd, 60, queue=queue, at=BEGIN + MINUTE)
    assert abs(got[BIG] - got[SMALL]) <= 3
    assert got.total() >= LIMITS.requests_per_minute * 0.8


def test_one_that_comes_late_is_served_before_the_next_of_the_crowd() -> None:
    queue = run([BIG] * 100, 80, queue=FairQueue(), at=BEGIN)
    _, got = served([BIG] * 100 + [SMALL], 5, queue=queue, at=BEGIN + 80)
    assert got[SMALL] >= 3


def test_an_idle_tenant_accumulates_no_quota() -> None:
    queue = run([BIG, SMALL], 1, queue=FairQueue(), at=BEGIN)
    queue = run([BIG], 119, queue=queue, at=BEGIN + 1)
    _, got = served([SMALL, BIG], 20, queue=queue, at=BEGIN + 120)
    assert abs(got[BIG] - got[SMALL]) <= 3


def test_a_turn_is_not_kept_for_one_that_does_not_come() -> None:
    queue = run([BIG], 80, queue=FairQueue(), at=BEGIN)
    queue, delay = queue.take(SMALL, 1000, LIMITS, at=BEGIN + 80)
    assert delay is not None
    _, got = served([BIG], 10, queue=queue, at=BEGIN + 80)
    assert got[BIG] > 0


@given(
    st.lists(
        st.tuples(st.sampled_from([BIG, SMALL, THIRD]), st.integers(1, 400_000), st.floats(0, 5)),
        max_size=80,
    )
)
def test_no_more_is_taken_in_a_minute_than_the_quota(
    calls: list[tuple[UUID, int, float]],
) -> None:
    queue, at, taken = FairQueue(), BEGIN, Counter[int]()
    for tenant, tokens, pause in calls:
        at += pause
        queue, delay = queue.take(tenant, tokens, LIMITS, at=at)
        if delay is None:
            taken[int(at // MINUTE)] += tokens
    assert all(total <= LIMITS.tokens_per_minute for total in taken.values())


def test_a_clock_that_is_set_back_does_not_block_the_quota() -> None:
    queue = run([BIG], 80, queue=FairQueue(), at=BEGIN + 60 * MINUTE)
    _, got = served([BIG], 60, queue=queue, at=BEGIN)
    assert got[BIG] >= LIMITS.requests_per_minute * 0.8


def test_a_worker_whose_clock_is_seconds_behind_gets_no_second_quota() -> None:
    queue = run([BIG], 59, queue=FairQueue(), at=BEGIN + MINUTE)
    _, got = served([BIG], 5, queue=queue, at=BEGIN + MINUTE - 5)
    assert got[BIG] == 0
