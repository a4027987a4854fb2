"""A service that keeps failing is left alone for a while, then tried by one."""

from __future__ import annotations

from domain.analysis.gemini.budget import COOL_OFF, FAILURES_TO_OPEN, CircuitBreaker


def failed(times: int, *, now: float = 100.0) -> CircuitBreaker:
    circuit = CircuitBreaker()
    for _ in range(times):
        circuit = circuit.failed(now)
    return circuit


def test_a_few_failures_do_not_open_it() -> None:
    assert failed(FAILURES_TO_OPEN - 1).allows(100.0)


def test_many_in_a_row_do() -> None:
    assert not failed(FAILURES_TO_OPEN).allows(100.0)


def test_a_success_resets_the_count() -> None:
    assert failed(FAILURES_TO_OPEN - 1).succeeded().failed(100.0).allows(100.0)


def test_after_the_cool_off_one_may_try() -> None:
    later = 100.0 + COOL_OFF
    circuit = failed(FAILURES_TO_OPEN)
    assert circuit.allows(later)
    assert not circuit.with_attempt(later).allows(later)


def test_a_try_that_fails_opens_it_again() -> None:
    later = 100.0 + COOL_OFF
    circuit = failed(FAILURES_TO_OPEN).with_attempt(later).failed(later)
    assert not circuit.allows(later + COOL_OFF / 2)
    assert circuit.allows(later + COOL_OFF)


def test_a_try_that_succeeds_closes_it() -> None:
    later = 100.0 + COOL_OFF
    assert failed(FAILURES_TO_OPEN).with_attempt(later).succeeded().allows(later)
