"""`highlights replay`: replays a workflow's history against this checkout."""

from __future__ import annotations

import asyncio
import json
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import (
    Replayer,
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.workflow import NondeterminismError

from app.worker import WORKFLOWS
from infra.errors import NotConfiguredError, SetupError
from infra.settings import Settings
from infra.temporal.client import SDK_SETTLES, connect, data_converter
from infra.temporal.codec import ENCODING, PayloadDecryptionError

_ROOT: Final = Path(__file__).parents[1]
_OURS: Final = str(_ROOT / "workflows")

# Events that commands cause, by the name of the command in the SDK's core.
_CAUSED: Final = {
    "schedule_activity": "activity_task_scheduled",
    "schedule_local_activity": "marker_recorded",
    "set_patch_marker": "marker_recorded",
    "start_timer": "timer_started",
    "cancel_timer": "timer_canceled",
    "request_cancel_activity": "activity_task_cancel_requested",
    "start_child_workflow_execution": "start_child_workflow_execution_initiated",
    "signal_external_workflow_execution": "signal_external_workflow_execution_initiated",
    "request_cancel_external_workflow_execution": (
        "request_cancel_external_workflow_execution_initiated"
    ),
    "upsert_workflow_search_attributes": "upsert_workflow_search_attributes",
    "modify_workflow_properties": "workflow_properties_modified",
    "complete_workflow_execution": "workflow_execution_completed",
    "fail_workflow_execution": "workflow_execution_failed",
    "cancel_workflow_execution": "workflow_execution_canceled",
    "continue_as_new_workflow_execution": "workflow_execution_continued_as_new",
}
_CHANGE_VERSIONS: Final = "TemporalChangeVersion"
_ATTRIBUTES: Final = "_event_attributes"
_EVENT_OF_MESSAGE: Final = re.compile(r"HistoryEvent\(id: (\d+),")
_MESSAGE: Final = re.compile(r'message: "((?:[^"\\]|\\.)*)"')
_FRAME: Final = re.compile(r'File \\*"([^"\\]+)\\*", line (\d+), in (\w+)')


class HistoryMissingError(SetupError):
    """There is no history to replay, or it cannot be read."""

    code = "history_missing"


@dataclass(frozen=True)
class Divergence:
    """Where the code and a history part.

    Attributes:
        reason: in the SDK's words.
        event: what the history has there, as `event 5 ActivityTaskScheduled (follow_stream)`; empty
            if the code failed by itself.
        command: what the code does there; empty if it does nothing, or failed by itself.
        lines: of workflow code, the innermost first, as `workflows/stream.py:123 in _record`.
    """

    reason: str
    event: str = ""
    command: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplayReport:
    """The outcome of a replay."""

    workflow_type: str
    workflow_id: str
    events: int
    divergence: Divergence | None = None

    def text(self) -> str:
        """The report for a terminal."""
        head = f"{self.workflow_type} {self.workflow_id}, {self.events} events:"
        found = self.divergence
        if found is None:
            return f"{head} replays"
        if not found.event:
            parts = [f"{head} fails", f"  {found.reason}"]
        else:
            parts = [
                f"{head} diverges",
                f"  the history has  {found.event}",
                f"  this code does   {found.command or 'nothing there'}",
            ]
        parts += [
            f"  {'at' if not index else '  '} {each}" for index, each in enumerate(found.lines)
        ]
        return "\n".join([*parts, f"  Temporal: {found.reason}"] if found.event else parts)


@dataclass
class _Issued:
    command: WorkflowCommand
    lines: tuple[str, ...]


@dataclass
class _Recording:
    """Commands of the workflow task that was replayed last."""

    history_length: int = 0
    issued: list[_Issued] = field(default_factory=list)

    def begin(self, history_length: int) -> None:
        if history_length != self.history_length:
            self.history_length = history_length
            self.issued = []


class _RecordingRunner(WorkflowRunner):
    """Runs workflows, and records the line of workflow code that issued each command.

    Without the sandbox, so that a debugger stops in the files of this checkout.
    """

    def __init__(self, recording: _Recording) -> None:
        self._recording = recording
        self._runner = UnsandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:  # noqa: ANN401 - a class of the SDK that is private
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance: Any = self._runner.create_instance(det)
        recording = self._recording
        activate, add_command = instance.activate, instance._add_command  # noqa: SLF001 - no other way to the line

        def recorded_activate(activation: WorkflowActivation) -> WorkflowActivationCompletion:
            # After a divergence the workflow is evicted, with nothing in its history.
            if not any(each.HasField("remove_from_cache") for each in activation.jobs):
                recording.begin(activation.history_length)
            completion: WorkflowActivationCompletion = activate(activation)
            return completion

        def recorded_add_command() -> WorkflowCommand:
            command: WorkflowCommand = add_command()
            recording.issued.append(_Issued(command, _current_lines()))
            return command

        instance.activate = recorded_activate
        instance._add_command = recorded_add_command  # noqa: SLF001
        result: WorkflowInstance = instance
        return result


async def replay(settings: Settings, history: WorkflowHistory) -> ReplayReport:
    """Replay a history against the workflow code of this checkout.

    Args:
        settings: hold the keys of an encrypted history.
        history: of `read_history` or `fetch_history`.

    Raises:
        NotConfiguredError: the key of an encrypted history is not configured.
    """
    converter = data_converter(settings)
    await _require_readable(history, converter)
    recording = _Recording()
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=_RecordingRunner(recording),
        data_converter=converter,
        debug_mode=True,  # a workflow that stands at a breakpoint is no deadlock
        runtime=Runtime(telemetry=TelemetryConfig(logging=None)),
    )
    started = history.events[0].workflow_execution_started_event_attributes
    name = started.workflow_type.name
    report = ReplayReport(name, history.workflow_id, len(history.events))
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    await asyncio.sleep(SDK_SETTLES)
    if result.replay_failure is None:
        return report
    return ReplayReport(
        name,
        history.workflow_id,
        len(history.events),
        _divergence(result.replay_failure, history, recording),
    )


def read_history(path: Path) -> WorkflowHistory:
    """Return the history in a JSON file: of `temporal workflow show`, or downloaded from the UI.

    Raises:
        HistoryMissingError: the file holds no history.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        if isinstance(document, list):
            document = {"events": document}
        workflow_id = document.pop("workflow_id", None)
        history = WorkflowHistory.from_json(workflow_id or path.stem, document)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise HistoryMissingError(
            f"{path} holds no history: {type(error).__name__}.", remedy=_FILE_REMEDY
        ) from error
    if not history.events:
        raise HistoryMissingError(f"{path} holds no events.", remedy=_FILE_REMEDY)
    started = history.events[0].workflow_execution_started_event_attributes
    return WorkflowHistory(workflow_id or started.workflow_id or path.stem, history.events)


_FILE_REMEDY: Final = "Write it with `temporal workflow show --workflow-id ID --output json`."


async def fetch_history(
    settings: Settings, workflow_id: str, *, run_id: str | None = None
) -> WorkflowHistory:
    """Return the history of a run of a workflow, by default of its latest, from the server.

    Raises:
        HistoryMissingError: there is no such workflow.
        StartFailedError: Temporal does not answer.
    """
    client = await connect(settings)
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
    except RPCError as error:
        if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
            raise HistoryMissingError(
                f"There is no file and no workflow {workflow_id} in {client.namespace}.",
                remedy="Copy the id from the Temporal UI. Histories end with the namespace's "
                "retention.",
            ) from error
        raise SetupError(
            f"Temporal does not give the history: {error.message}.",
            remedy="See `highlights doctor`.",
        ) from error


async def _require_readable(history: WorkflowHistory, converter: DataConverter) -> None:
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    if not any(each.metadata.get("encoding") == ENCODING for each in payloads):
        return
    if converter.payload_codec is None:
        raise NotConfiguredError(
            "The history is encrypted.", remedy="Set HIGHLIGHTS_TEMPORAL_KEYS to the workers' keys."
        )
    try:
        await converter.payload_codec.decode(payloads)
    except PayloadDecryptionError as error:
        raise NotConfiguredError(
            str(error), remedy="Set HIGHLIGHTS_TEMPORAL_KEYS to the workers' keys."
        ) from error


def _divergence(failure: Exception, history: WorkflowHistory, recording: _Recording) -> Divergence:
    text = str(failure)
    found = _MESSAGE.search(text)
    reason = found[1].replace('\\"', '"') if found else text
    if not isinstance(failure, NondeterminismError):
        frames = [
            f"{_relative(path)}:{line} in {name}"
            for path, line, name in _FRAME.findall(text)
            if path.startswith(_OURS)
        ]
        return Divergence(reason, lines=tuple(reversed(frames)))
    expected = _caused_events(history, after=recording.history_length)
    issued = _lasting(recording.issued)
    named = _EVENT_OF_MESSAGE.search(reason)
    at = next(
        (
            index
            for index in range(max(len(expected), len(issued)))
            if index >= len(expected)
            or index >= len(issued)
            or not _matches(issued[index].command, expected[index])
        ),
        None,
    )
    command = issued[at] if at is not None and at < len(issued) else None
    event = expected[at] if at is not None and at < len(expected) else None
    if event is None and named is not None:
        event = next((each for each in history.events if each.event_id == int(named[1])), None)
    return Divergence(
        reason,
        event=_describe_event(event)
        if event
        else f"nothing after event {recording.history_length}",
        command=_describe_command(command.command) if command else "",
        lines=command.lines if command else (),
    )


def _lasting(issued: Sequence[_Issued]) -> list[_Issued]:
    """Return the commands that cause events: not timers that the same task starts and cancels."""
    commands = [each.command for each in issued]
    started = {each.start_timer.seq for each in commands if each.HasField("start_timer")}
    canceled = {each.cancel_timer.seq for each in commands if each.HasField("cancel_timer")}
    brief = started & canceled
    return [
        each
        for each in issued
        if _kind(each.command) in _CAUSED
        and not (each.command.HasField("start_timer") and each.command.start_timer.seq in brief)
        and not (each.command.HasField("cancel_timer") and each.command.cancel_timer.seq in brief)
    ]


def _caused_events(history: WorkflowHistory, *, after: int) -> list[HistoryEvent]:
    """Return the events that the commands of one workflow task caused."""
    completed = next(
        (
            each.event_id
            for each in history.events
            if each.event_id > after and each.HasField("workflow_task_completed_event_attributes")
        ),
        None,
    )
    return [
        each
        for each in history.events
        if completed is not None
        and getattr(_attributes(each), "workflow_task_completed_event_id", None) == completed
        and _name_of_event(each) in _CAUSED.values()
        and not _records_patch(each)
    ]


def _records_patch(event: HistoryEvent) -> bool:
    """Return True if the SDK added the event to a patch marker."""
    attributes = event.upsert_workflow_search_attributes_event_attributes
    return _CHANGE_VERSIONS in attributes.search_attributes.indexed_fields


def _attributes(event: HistoryEvent) -> Any:  # noqa: ANN401 - one of 60 messages
    return getattr(event, event.WhichOneof("attributes") or "")


def _name_of_event(event: HistoryEvent) -> str:
    return (event.WhichOneof("attributes") or "").removesuffix(_ATTRIBUTES)


def _kind(command: WorkflowCommand) -> str:
    return command.WhichOneof("variant") or ""


def _detail(attributes: Any) -> str:  # noqa: ANN401 - of an event or of a command
    """Return the type of the activity or workflow, or the name of the marker or signal."""
    for name in ("activity_type", "workflow_type", "signal_name", "patch_id", "marker_name"):
        value = getattr(attributes, name, None)
        if value is not None:
            return str(getattr(value, "name", value))
    return ""


def _matches(command: WorkflowCommand, event: HistoryEvent) -> bool:
    if _CAUSED[_kind(command)] != _name_of_event(event):
        return False
    if _kind(command) not in {"schedule_activity", "start_child_workflow_execution"}:
        return True
    return _detail(getattr(command, _kind(command))) == _detail(_attributes(event))


def _describe_event(event: HistoryEvent) -> str:
    detail = _detail(_attributes(event))
    title = _name_of_event(event).title().replace("_", "")
    return f"event {event.event_id} {title}{f' ({detail})' if detail else ''}"


def _describe_command(command: WorkflowCommand) -> str:
    detail = _detail(getattr(command, _kind(command)))
    return f"{_kind(command).replace('_', ' ')}{f' ({detail})' if detail else ''}"


def _current_lines() -> tuple[str, ...]:
    return tuple(
        f"{_relative(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_stack(None)
        if frame.f_code.co_filename.startswith(_OURS)
    )


def _relative(path: str) -> str:
    return str(Path(path).relative_to(_ROOT))
