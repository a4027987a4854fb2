"""`highlights replay` says whether a history replays, and where it does not."""

from __future__ import annotations

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from app import replay as command
from app.cli import main
from app.replay import HistoryMissingError, ReplayReport, read_history, replay
from domain.clips.models import ClipInput, ClipOutcome
from infra.errors import NotConfiguredError
from infra.settings import Settings
from infra.temporal.codec import PayloadEncryption
from tests.unit.workflows.changed_stream import ChangedStreamWorkflow
from tests.unit.workflows.test_replay import HISTORIES
from workflows.clip import ClipWorkflow

ROOT = Path(__file__).parents[3]
KEY = {"k1": "k" * 32}
LINE = re.compile(r"workflows/(\w+)\.py:(\d+) in (\w+)")


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(HISTORIES[name].read_text())
    return found


def write(path: Path, history: dict[str, Any]) -> Path:
    path.write_text(json.dumps(history))
    return path


async def replayed(path: Path, **settings: Any) -> ReplayReport:  # noqa: ANN401 -- any setting
    return await replay(Settings(**settings), read_history(path))


@pytest.mark.parametrize("name", ["clip", "follow-completed"])
async def test_a_history_that_replays_is_said_to(name: str) -> None:
    report = await replayed(HISTORIES[name])
    assert report.divergence is None
    assert report.text().endswith(f"{len(document(name)['events'])} events: replays")


def renamed(history: dict[str, Any], index: int) -> int:
    """Rename the activity scheduled `index`th; return the id of that event."""
    scheduled = [e for e in history["events"] if "activityTaskScheduledEventAttributes" in e]
    scheduled[index]["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "renamed"
    return int(scheduled[index]["eventId"])


@pytest.mark.parametrize("index", [0, 1, -1])
@pytest.mark.parametrize("name", ["clip", "delivered", "exported", "session", "follow-completed"])
async def test_the_event_and_the_line_of_an_activity_that_changed_are_named(
    name: str, index: int, tmp_path: Path
) -> None:
    history = document(name)
    event_id = renamed(history, index)
    found = (await replayed(write(tmp_path / "history.json", history))).divergence
    assert found is not None
    assert found.event == f"event {event_id} ActivityTaskScheduled (renamed)"
    assert found.command.startswith("schedule activity (")
    assert found.lines
    for each in found.lines:
        file, number, function = LINE.fullmatch(each).groups()  # type: ignore[union-attr]
        lines = (ROOT / "workflows" / f"{file}.py").read_text().splitlines()
        assert int(number) <= len(lines)
        assert any(f"def {function}(" in line for line in lines)


async def test_a_step_before_its_time_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "WORKFLOWS", [ChangedStreamWorkflow])
    found = (await replayed(HISTORIES["completed"])).divergence
    assert found is not None
    assert found.event == "event 5 ActivityTaskScheduled (fetch_window)"
    assert found.command == "upsert workflow search attributes"
    assert LINE.fullmatch(found.lines[0])


async def test_a_step_that_the_code_no_longer_takes_is_named(tmp_path: Path) -> None:
    history = document("maintenance")
    completed = next(
        e for e in history["events"] if "workflowExecutionCompletedEventAttributes" in e
    )
    attributes = completed.pop("workflowExecutionCompletedEventAttributes")
    completed["eventType"] = "EVENT_TYPE_TIMER_STARTED"
    completed["timerStartedEventAttributes"] = {
        "timerId": "9",
        "startToFireTimeout": "5s",
        "workflowTaskCompletedEventId": attributes["workflowTaskCompletedEventId"],
    }
    found = (await replayed(write(tmp_path / "history.json", history))).divergence
    assert found is not None
    assert found.event == f"event {completed['eventId']} TimerStarted"
    assert found.command == "complete workflow execution"


async def test_code_that_cannot_read_its_input_fails_and_says_why(tmp_path: Path) -> None:
    history = document("clip")
    started = history["events"][0]["workflowExecutionStartedEventAttributes"]
    started["input"]["payloads"][0]["data"] = "e30="
    report = await replayed(write(tmp_path / "history.json", history))
    assert report.divergence is not None
    assert "fails\n  Failed decoding arguments" in report.text()


@workflow.defn(name="ClipWorkflow")
class StoppingClipWorkflow(ClipWorkflow):
    """A workflow with a breakpoint."""

    @workflow.init
    def __init__(self, request: ClipInput) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: ClipInput) -> ClipOutcome:
        """Stop, and go on."""
        breakpoint()  # noqa: T100 -- what is tested
        return await super().run(request)


async def test_a_breakpoint_in_workflow_code_stops_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "WORKFLOWS", [StoppingClipWorkflow])
    monkeypatch.setattr("sys.stdin", io.StringIO("p request.spec.id\nc\n"))
    assert (await replayed(HISTORIES["clip"])).divergence is None
    assert "(Pdb) UUID('ccc73144" in capsys.readouterr().out


def encrypted(name: str) -> dict[str, Any]:
    """Return a history as a server has it when its payloads are encrypted."""
    history = document(name)
    workflow_id = history.pop("workflow_id")

    def walk(value: Any) -> Any:  # noqa: ANN401 -- JSON
        if isinstance(value, list):
            return [walk(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "metadata" in value and "encoding" in value["metadata"]:
            plain = ParseDict(value, Payload())
            (payload,) = asyncio.run(PayloadEncryption(KEY).encode([plain]))
            return MessageToDict(payload)
        return {
            key: each if key == "searchAttributes" else walk(each) for key, each in value.items()
        }

    whole = json.loads(WorkflowHistory.from_json(workflow_id, history).to_json())
    return {"events": walk(whole["events"])}


def test_an_encrypted_history_replays_with_its_keys(tmp_path: Path) -> None:
    path = write(tmp_path / "history.json", encrypted("clip"))
    report = asyncio.run(replayed(path, temporal_keys="k1:" + KEY["k1"]))
    assert report.divergence is None
    assert report.workflow_id == document("clip")["workflow_id"]


@pytest.mark.parametrize("keys", [None, f"k2:{'l' * 32}"])
def test_without_its_keys_the_setting_is_named(keys: str | None, tmp_path: Path) -> None:
    path = write(tmp_path / "history.json", encrypted("clip"))
    with pytest.raises(NotConfiguredError, match="HIGHLIGHTS_TEMPORAL_KEYS"):
        asyncio.run(replayed(path, temporal_keys=keys))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"events": 1}', '{"events": []}', "no JSON"])
def test_a_file_without_a_history_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(HistoryMissingError, match="temporal workflow show"):
        read_history(path)


@pytest.mark.parametrize(("change", "code"), [(False, 0), (True, 3)])
def test_the_exit_code_tells_whether_it_replays(
    change: bool,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    history = document("clip")
    if change:
        renamed(history, 0)
    monkeypatch.setattr(
        "sys.argv", ["highlights", "replay", str(write(tmp_path / "h.json", history))]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert ("diverges" in capsys.readouterr().out) is change
