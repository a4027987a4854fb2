"""What is done about a row whose execution is not running."""

from __future__ import annotations

import pytest

from domain.streams.reconciliation import (
    BatchAction,
    ClipAction,
    ExecutionState,
    ExportAction,
    ReconcileExecutionsReport,
    StreamAction,
    batch_action,
    clip_action,
    export_action,
    lost_clip_message,
    lost_export_message,
    lost_stream_end,
    stream_action,
)
from domain.streams.status import StreamStatus

STOPPED = [state for state in ExecutionState if state is not ExecutionState.RUNNING]


def action_of(state: ExecutionState, *, has_begun: bool = True, age: float = 60.0) -> StreamAction:
    return stream_action(state, has_begun=has_begun, age=age, start_within=900.0)


def clip_action_of(
    state: ExecutionState, *, has_media: bool = True, age: float = 60.0
) -> ClipAction:
    return clip_action(state, age=age, has_media=has_media, render_within=3600.0)


def test_what_runs_is_left_alone() -> None:
    assert action_of(ExecutionState.RUNNING) is StreamAction.NONE
    assert clip_action_of(ExecutionState.RUNNING, has_media=False) is ClipAction.NONE


@pytest.mark.parametrize("state", STOPPED)
def test_a_stream_that_had_begun_ends_whatever_stopped_its_execution(
    state: ExecutionState,
) -> None:
    assert action_of(state) is StreamAction.END


def test_only_a_young_stream_that_never_began_is_started() -> None:
    assert action_of(ExecutionState.MISSING, has_begun=False) is StreamAction.START
    assert action_of(ExecutionState.MISSING, has_begun=False, age=901.0) is StreamAction.END
    assert action_of(ExecutionState.TERMINATED, has_begun=False) is StreamAction.END


@pytest.mark.parametrize("state", STOPPED)
@pytest.mark.parametrize("has_begun", [True, False])
def test_every_loss_ends_with_a_sentence(state: ExecutionState, *, has_begun: bool) -> None:
    end = lost_stream_end(state, has_begun=has_begun)
    canceled = state is ExecutionState.CANCELED
    assert end.status is (StreamStatus.CANCELLED if canceled else StreamStatus.FAILED)
    assert "workflow" not in end.message.lower()


@pytest.mark.parametrize("state", STOPPED)
@pytest.mark.parametrize("has_media", [True, False])
def test_every_clip_that_fails_says_why(state: ExecutionState, *, has_media: bool) -> None:
    assert lost_clip_message(state, has_media=has_media).endswith(".")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ExecutionState.MISSING, ClipAction.RENDER),
        (ExecutionState.TERMINATED, ClipAction.RENDER),
        (ExecutionState.COMPLETED, ClipAction.RENDER),
        (ExecutionState.TIMED_OUT, ClipAction.FAIL),
        (ExecutionState.FAILED, ClipAction.FAIL),
        (ExecutionState.CANCELED, ClipAction.FAIL),
    ],
)
def test_a_clip_that_was_interrupted_is_rendered_again_and_one_that_failed_is_not(
    state: ExecutionState, expected: ClipAction
) -> None:
    assert clip_action_of(state) is expected
    assert clip_action_of(state, has_media=False) is ClipAction.FAIL
    assert clip_action_of(state, age=3601.0) is ClipAction.FAIL


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ExecutionState.RUNNING, ExportAction.NONE),
        (ExecutionState.MISSING, ExportAction.START),
        (ExecutionState.TERMINATED, ExportAction.START),
        (ExecutionState.CANCELED, ExportAction.CANCEL),
        (ExecutionState.COMPLETED, ExportAction.FAIL),
        (ExecutionState.TIMED_OUT, ExportAction.FAIL),
        (ExecutionState.FAILED, ExportAction.FAIL),
    ],
)
def test_an_export_that_was_interrupted_is_rendered_again_and_one_that_failed_is_not(
    state: ExecutionState, expected: ExportAction
) -> None:
    assert export_action(state, age=30.0, render_within=3600.0) is expected
    assert export_action(state, age=3601.0, render_within=3600.0) is not ExportAction.START


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ExecutionState.RUNNING, BatchAction.NONE),
        (ExecutionState.MISSING, BatchAction.START),
        (ExecutionState.TERMINATED, BatchAction.START),
        (ExecutionState.COMPLETED, BatchAction.START),
        (ExecutionState.CANCELED, BatchAction.CANCEL),
        (ExecutionState.FAILED, BatchAction.CANCEL),
    ],
)
def test_a_batch_that_was_interrupted_goes_on_and_one_that_failed_waits_to_be_resumed(
    state: ExecutionState, expected: BatchAction
) -> None:
    assert batch_action(state) is expected


@pytest.mark.parametrize("state", STOPPED)
def test_every_export_that_ends_says_why(state: ExecutionState) -> None:
    assert lost_export_message(state).endswith(".")


def test_a_report_says_what_was_repaired() -> None:
    one = ReconcileExecutionsReport(streams_ended=1)
    both = one.plus(ReconcileExecutionsReport(streams_ended=1, failed=2))
    assert both.summary() == "2 streams ended, 2 failed"
    assert ReconcileExecutionsReport().summary() == "nothing to repair"
