"""Validation of feed events: what is refused, and what the error says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from domain.feed.models import FeedBatch, FeedEvent

GOAL: dict[str, Any] = {"id": "g1", "kind": "score", "at": {"media": 61.0}}


def parsed(**changes: object) -> FeedEvent:
    return FeedEvent.model_validate_json(json.dumps(GOAL | changes), strict=True)


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        parsed(**changes)
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in caught.value.errors()
    )


@pytest.mark.parametrize("odds", [0, -2.0, 1.0, float("nan"), float("inf"), 1e9])
def test_odds_that_no_bookmaker_offers_are_refused_with_the_range(odds: float) -> None:
    message = refusal(kind="odds", odds={"before": odds, "after": 2.0})
    assert "odds.before: " in message
    assert "decimal odds are above 1 and at most 10000" in message


@pytest.mark.parametrize(
    "at", [{}, {"media": 1.0, "now": True}, {"wall_clock": "2026-05-02T19:00:00"}, {"media": -1.0}]
)
def test_a_time_has_exactly_one_form(at: dict[str, Any]) -> None:
    assert refusal(at=at).startswith("at")


def test_a_period_without_a_clock_is_refused() -> None:
    assert "`period` belongs to `clock`" in refusal(at={"media": 1.0, "period": "2nd"})


def test_odds_belong_to_events_of_odds() -> None:
    assert "`odds` belongs" in refusal(odds={"before": 2.0, "after": 3.0})
    assert "`odds` belongs" in refusal(kind="odds")


def test_an_event_cannot_retract_itself() -> None:
    assert "cannot retract itself" in refusal(retracts="g1")


@pytest.mark.parametrize("subject", ["me@example.com", "a b", "", "/etc", "x" * 129])
def test_subjects_are_opaque_references_that_fit_into_a_url(subject: str) -> None:
    assert refusal(subjects=[subject]).startswith("subjects.0")


def test_true_is_not_a_revision() -> None:
    assert refusal(revision=True).startswith("revision")


def test_an_unknown_field_is_refused() -> None:
    assert refusal(weight=1) == "weight: Extra inputs are not permitted"


def test_of_a_batch_the_highest_revision_of_an_id_counts() -> None:
    first, second, other = parsed(), parsed(revision=2, label="goal"), parsed(id="g2")
    assert FeedBatch(events=(second, first, other)).latest() == (second, other)
    assert FeedBatch(events=(first, second, other)).latest() == (second, other)
