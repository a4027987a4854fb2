"""What a look at a stream's chunks cost, added up, and what its owner is told."""

from __future__ import annotations

import pytest

from domain.analysis.gemini.budget import GateReason
from domain.analysis.gemini.pricing import TokenUsage
from domain.analysis.messages import GeminiReport


def test_reports_add_up() -> None:
    one = GeminiReport(
        pieces={GateReason.MOMENT: 1},
        calls=3,
        usage=TokenUsage(text=10, audio=5, output=2),
        dollars=0.001,
        watched=30.0,
        counted={"outside": 1},
    )
    other = GeminiReport(pieces={GateReason.MOMENT: 1, GateReason.QUIET: 2}, counted={"unsure": 2})
    assert one.plus(other) == GeminiReport(
        pieces={GateReason.MOMENT: 2, GateReason.QUIET: 2},
        calls=3,
        usage=TokenUsage(text=10, audio=5, output=2),
        dollars=0.001,
        watched=30.0,
        counted={"outside": 1, "unsure": 2},
    )


@pytest.mark.parametrize(
    ("pieces", "notice"),
    [
        ({}, None),
        ({GateReason.QUIET: 3}, None),
        ({GateReason.MOMENT: 1, GateReason.QUIET: 3}, ""),
        (
            {GateReason.MOMENT: 1, GateReason.TENANT_BUDGET: 1, GateReason.DOWN: 1},
            "Only the local analyzer is at work: the tenant's budget was used up.",
        ),
        ({GateReason.DOWN: 1}, "Only the local analyzer is at work: Gemini was not reachable."),
    ],
)
def test_only_limits_are_reported_to_the_tenant(
    pieces: dict[GateReason, int], notice: str | None
) -> None:
    assert GeminiReport(pieces=pieces).status_message == notice


def test_another_model_and_a_guessed_price_are_reported_to_the_tenant() -> None:
    report = GeminiReport(
        pieces={GateReason.MOMENT: 1}, rerouted={"a": "b"}, models={"b": 2, "c": 1}, unpriced=("b",)
    )
    assert report.status_message == (
        "The Gemini model a is no longer served: b answers in its place, at its own price. "
        "The price of the Gemini model b is not known; a high one is assumed."
    )
    assert report.main_model == "b"
    assert report.plus(report).unpriced == ("b",)


def test_a_report_of_an_older_release_is_read() -> None:
    assert GeminiReport.model_validate_json('{"calls": 1}').models == {}


def test_a_report_goes_through_json() -> None:
    report = GeminiReport(pieces={GateReason.SHARE_USED: 1}, counted={"outside": 1})
    assert GeminiReport.model_validate_json(report.model_dump_json()) == report
