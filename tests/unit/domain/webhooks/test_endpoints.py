"""Who gets what, and when an endpoint is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.webhooks.events import SUBSCRIBABLE, EventType, should_disable_endpoint, wants

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_an_endpoint_gets_what_it_asked_for() -> None:
    asked = ["clip.ready", "clip.failed"]
    assert [kind for kind in EventType if wants(asked, kind)] == ["clip.ready", "clip.failed"]


def test_an_endpoint_that_asked_for_nothing_in_particular_gets_all() -> None:
    assert {kind for kind in EventType if wants([], kind)} == SUBSCRIBABLE


def test_a_test_goes_to_no_subscriber() -> None:
    assert not wants([EventType.ENDPOINT_TEST], EventType.ENDPOINT_TEST)


def test_an_endpoint_is_given_up_when_nothing_succeeded_while_a_delivery_failed() -> None:
    assert should_disable_endpoint(failing_since=NOON - HOUR, first_attempt_at=NOON)
    assert should_disable_endpoint(failing_since=NOON, first_attempt_at=NOON)


def test_an_endpoint_that_took_something_meanwhile_is_not_given_up() -> None:
    assert not should_disable_endpoint(failing_since=NOON + HOUR, first_attempt_at=NOON)
    assert not should_disable_endpoint(failing_since=None, first_attempt_at=NOON)
