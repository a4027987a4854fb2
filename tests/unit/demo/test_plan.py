"""What the demo says before it begins."""

from __future__ import annotations

from demo.plan import DemoPlan

PROMISE = "A clip appears seconds after its moment"
PLAN = DemoPlan(
    source="a scripted match (soccer)",
    seconds=300.0,
    pace=4.0,
    missing="make a scripted match (soccer)",
    starts_stack=True,
    has_truth=True,
    keep=False,
)


def changed(**values: object) -> str:
    plan = DemoPlan.model_validate(PLAN.model_dump() | values)
    return "\n".join(plan.lines())


def test_it_names_every_step_and_how_long_playing_takes() -> None:
    assert PLAN.lines() == [
        "  1. start PostgreSQL, Temporal, the worker and the API",
        "  2. make a scripted match (soccer), once; the next run uses it again",
        f"  3. play a scripted match (soccer), 00:05:00 at 4x: 75 s. {PROMISE}",
        "  4. compare what was found with the truth, and play every clip once to check it",
        "  5. stop everything",
    ]


def test_what_was_made_before_is_not_a_step() -> None:
    assert "next run" not in changed(missing=None)


def test_an_api_that_runs_is_neither_started_nor_stopped() -> None:
    plan = changed(starts_stack=False)
    assert "start PostgreSQL" not in plan
    assert "stop everything" not in plan


def test_it_says_that_everything_stays() -> None:
    assert "leave everything running until Ctrl-C" in changed(keep=True)


def test_nothing_is_compared_without_a_truth() -> None:
    assert "compare" not in changed(has_truth=False)
