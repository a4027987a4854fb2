"""Reconciliation of rows with the workflow executions that should advance them.

A row whose execution is lost gets a repair.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from domain.model import Model
from domain.streams.status import EndReason, StreamEnd


class ExecutionState(StrEnum):
    """State of a workflow execution; MISSING if Temporal does not know its id (any more)."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    MISSING = "missing"

    @property
    def is_running(self) -> bool:
        """True if the execution is running."""
        return self is ExecutionState.RUNNING


class StreamAction(StrEnum):
    """Repair of a stream whose row is not final."""

    NONE = "none"
    START = "start"
    END = "end"


class ClipAction(StrEnum):
    """Repair of a clip whose row says that it is being rendered."""

    NONE = "none"
    RENDER = "render"
    FAIL = "fail"


class ExportAction(StrEnum):
    """Repair of an export whose row says that it is unfinished."""

    NONE = "none"
    START = "start"
    CANCEL = "cancel"
    FAIL = "fail"


class BatchAction(StrEnum):
    """Repair of a batch of exports whose row says that it is unfinished."""

    NONE = "none"
    START = "start"
    CANCEL = "cancel"


class ReconcileExecutionsInput(Model):
    """Compare rows with their executions, `passes` times; times in seconds.

    Attributes:
        interval: between two passes.
        passes: in one execution of the workflow; its schedule starts the next execution.
        grace: age below which a row is left alone, since its start may be in flight.
        start_within: age up to which a stream that never began is started.
        render_within: age up to which a lost clip or export is rendered again.
        delivery_grace: time after which a delivery that was due is taken for lost.
        backfill_within: time since its recording came for which a lost backfill is started again.
        batch: rows read at a time.
        timeout: longest attempt of one pass.
        heartbeat_timeout: after this long without a heartbeat another worker takes over.
        retry_interval: wait before the first retry.
        attempts: of one pass; the next pass follows anyway.
    """

    interval: PositiveFloat = 15.0
    passes: PositiveInt = 1
    grace: NonNegativeFloat = 20.0
    start_within: PositiveFloat = 900.0
    render_within: PositiveFloat = 3600.0
    delivery_grace: NonNegativeFloat = 120.0
    backfill_within: PositiveFloat = 6 * 3600.0
    batch: PositiveInt = 100
    timeout: PositiveFloat = 600.0
    heartbeat_timeout: PositiveFloat = 10.0
    retry_interval: PositiveFloat = 1.0
    attempts: PositiveInt = 3


class ReconcileExecutionsReport(Model):
    """Number of repairs by kind; `failed` ones are retried by the next pass."""

    streams_started: NonNegativeInt = 0
    streams_ended: NonNegativeInt = 0
    clips_restarted: NonNegativeInt = 0
    clips_failed: NonNegativeInt = 0
    exports_started: NonNegativeInt = 0
    exports_ended: NonNegativeInt = 0
    batches_started: NonNegativeInt = 0
    batches_canceled: NonNegativeInt = 0
    deliveries_resumed: NonNegativeInt = 0
    backfills_started: NonNegativeInt = 0
    media_deleted: NonNegativeInt = 0
    failed: NonNegativeInt = 0

    @property
    def has_events(self) -> bool:
        """True if a repair recorded an end, of which endpoints are sent an event."""
        return bool(self.streams_ended or self.clips_failed or self.exports_ended)

    def plus(self, other: ReconcileExecutionsReport) -> ReconcileExecutionsReport:
        """Return the sum of both reports."""
        mine, theirs = self.model_dump(), other.model_dump()
        return ReconcileExecutionsReport(**{name: mine[name] + theirs[name] for name in mine})

    def summary(self) -> str:
        """Return the repairs as text."""
        done = ", ".join(
            f"{count} {name.replace('_', ' ')}"
            for name, count in self.model_dump().items()
            if count
        )
        return done or "nothing to repair"


_LOSSES: Final = {
    ExecutionState.TERMINATED: "An operator stopped its analysis before the stream had ended.",
    ExecutionState.TIMED_OUT: "Its analysis ran longer than allowed.",
    ExecutionState.FAILED: "Its analysis failed on an internal error.",
    ExecutionState.COMPLETED: "Its analysis ended without a recorded result.",
    ExecutionState.MISSING: "Its analysis was lost in an outage of ours.",
}
_ANALYZE_AGAIN: Final = "Analyze the stream again if it is still live."


def is_lost(state: ExecutionState) -> bool:
    """Return True if the execution stopped without finishing its work."""
    return state in {
        ExecutionState.MISSING,
        ExecutionState.TERMINATED,
        ExecutionState.TIMED_OUT,
    }


def stream_action(
    state: ExecutionState, *, has_begun: bool, age: float, start_within: float
) -> StreamAction:
    """Return the repair of a stream whose row is not final.

    A stream that never began is started, as its caller requested. One that lost its execution later
    is ended: its unrecorded decisions are lost, and a new run would select the same moments again.

    Args:
        state: state of its execution.
        has_begun: True if anything about it was ever recorded.
        age: seconds since its row was created.
        start_within: age (s) up to which it is started.
    """
    if state.is_running:
        return StreamAction.NONE
    if state is ExecutionState.MISSING and not has_begun and age <= start_within:
        return StreamAction.START
    return StreamAction.END


def lost_stream_end(state: ExecutionState, *, has_begun: bool) -> StreamEnd:
    """Return the end of a stream whose execution stopped without recording one."""
    if state is ExecutionState.CANCELED:
        return StreamEnd(reason=EndReason.CANCELLED, message="cancelled")
    if state is ExecutionState.MISSING and not has_begun:
        message = "Its analysis could not be started in time."
    else:
        message = _LOSSES.get(state, "Its analysis stopped.")
    return StreamEnd(reason=EndReason.INTERNAL, message=f"{message} {_ANALYZE_AGAIN}")


def clip_action(
    state: ExecutionState, *, age: float, has_media: bool, render_within: float
) -> ClipAction:
    """Return the repair of a clip whose row says it is being rendered.

    Args:
        state: of its execution.
        age: seconds since its row was created.
        has_media: whether its segments are still stored.
        render_within: age up to which it is rendered again.
    """
    if state.is_running:
        return ClipAction.NONE
    gave_up = state in {
        ExecutionState.TIMED_OUT,
        ExecutionState.FAILED,
        ExecutionState.CANCELED,
    }
    if gave_up or not has_media or age > render_within:
        return ClipAction.FAIL
    return ClipAction.RENDER


def lost_clip_message(state: ExecutionState, *, has_media: bool) -> str:
    """Return why a clip whose execution stopped is not rendered again."""
    if state is ExecutionState.TIMED_OUT:
        return "Rendering took longer than allowed."
    if state is ExecutionState.FAILED:
        return "Rendering failed on an internal error."
    if state is ExecutionState.CANCELED:
        return "Rendering was cancelled."
    if not has_media:
        return "Rendering was interrupted, and the media of the clip is no longer stored."
    return "Rendering was interrupted."


def export_action(state: ExecutionState, *, age: float, render_within: float) -> ExportAction:
    """Return the repair of an export whose row says that it is unfinished.

    Args:
        state: of its execution.
        age: seconds since its row was created.
        render_within: age up to which it is rendered again.
    """
    if state.is_running:
        return ExportAction.NONE
    if state is ExecutionState.CANCELED:
        return ExportAction.CANCEL
    is_interrupted = state in {ExecutionState.MISSING, ExecutionState.TERMINATED}
    return ExportAction.START if is_interrupted and age <= render_within else ExportAction.FAIL


def batch_action(state: ExecutionState) -> BatchAction:
    """Return the repair of a batch that is unfinished; one that is canceled can be resumed.

    Args:
        state: of its execution.
    """
    if state.is_running:
        return BatchAction.NONE
    gave_up = state in {ExecutionState.CANCELED, ExecutionState.FAILED}
    return BatchAction.CANCEL if gave_up else BatchAction.START


def lost_export_message(state: ExecutionState) -> str:
    """Return why an export whose execution stopped is not rendered again."""
    if state is ExecutionState.CANCELED:
        return "The export was canceled."
    reason = {
        ExecutionState.TIMED_OUT: "Rendering took longer than allowed.",
        ExecutionState.FAILED: "Rendering failed on an internal error.",
    }.get(state, "Rendering was interrupted.")
    return f"{reason} Create the export again."
