"""A worker that dies keeps no activity waiting: each is short, or its heartbeats are missed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from domain.clips.models import ClipTiming
from domain.hms.messages import ReconcileInput, RelayInput, SessionTiming
from domain.streams.backfill.messages import BackfillTiming
from domain.streams.messages import StreamTiming
from domain.streams.reconciliation import ReconcileExecutionsInput
from domain.tenants.retention import MaintenanceInput
from domain.webhooks.delivery import DeliveryTiming
from workflows import relay, steps

WORKFLOWS = Path(steps.__file__).parent
STARTS = {
    "start_activity_method",
    "execute_activity_method",
    "start_activity",
    "execute_activity",
}
LONGEST_WAIT = 15.0
"""Seconds after which a dead worker's activity is tried again, at the latest."""

BRIEF = {"steps.BRIEF", "BRIEF"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every place that starts an activity, named by file and activity."""
    for path in sorted(WORKFLOWS.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in STARTS
            ):
                yield f"{path.stem}:{ast.unparse(node.args[0])}", node


CALLS = dict(calls())


def is_quick(call: ast.Call) -> bool:
    options = {option.arg: ast.unparse(option.value) for option in call.keywords}
    return "heartbeat_timeout" in options or options.get("start_to_close_timeout") in BRIEF


@pytest.mark.parametrize("name", sorted(CALLS))
def test_an_activity_is_brief_or_heartbeats(name: str) -> None:
    quick = is_quick(CALLS[name])
    if name == "steps:Analysis.analyze_window" and not quick:
        pytest.xfail("the analyzer sends no heartbeats yet")
    assert quick


def test_a_long_activity_without_heartbeats_is_caught() -> None:
    call = ast.parse("execute_activity(f, start_to_close_timeout=timedelta(seconds=60))").body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert not is_quick(call.value)


def test_every_workflow_is_looked_at() -> None:
    assert len(CALLS) > 15


def test_brief_means_seconds() -> None:
    waits = (steps.BRIEF, steps.HEARTBEAT, relay.HEARTBEAT)
    assert max(wait.total_seconds() for wait in waits) <= LONGEST_WAIT


@pytest.mark.parametrize(
    "timing",
    [
        StreamTiming(),
        BackfillTiming(),
        ClipTiming(),
        DeliveryTiming(),
        MaintenanceInput(),
        RelayInput(),
        SessionTiming(),
        ReconcileInput(),
        ReconcileExecutionsInput(),
    ],
    ids=lambda timing: type(timing).__name__,
)
def test_heartbeats_are_missed_within_seconds(timing: BaseModel) -> None:
    assert timing.model_dump()["heartbeat_timeout"] <= LONGEST_WAIT
