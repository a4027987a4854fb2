"""Interfaces of all activities: names, inputs, results and their documentation, without I/O.

Workflows import only this module, so that their sandbox never loads media or database libraries.
Each class is implemented in the module or package of the same name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from temporalio import activity

from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.clips.models import ClipSpec, RenderedClip
from domain.highlights.selection import SelectHighlightsInput, SelectHighlightsResult
from domain.hms.messages import (
    ConnectionList,
    ConnectionRef,
    ReconcileReport,
    RelayInput,
    RelayReport,
)
from domain.ingest.messages import FetchWindowInput, FetchWindowResult
from domain.streams.backfill.messages import (
    BackfillRecord,
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    StreamRef,
    StreamSoFar,
    SurveyInput,
)
from domain.streams.reconciliation import ReconcileExecutionsInput, ReconcileExecutionsReport
from domain.streams.records import ClipRecord, MediaRelease, StreamRecord
from domain.tenants.retention import ExpireRecordsInput, ExpireRecordsResult
from domain.webhooks.delivery import (
    AttemptOutcome,
    AttemptRequest,
    OutboxRelayPass,
    PostponedAttempt,
)


class Ingest(ABC):
    """Downloads live HLS media to the segment store; queue `io`."""

    @abstractmethod
    @activity.defn(name="fetch_window")
    async def fetch_window(self, request: FetchWindowInput) -> FetchWindowResult:
        """Follow the live playlist until one window is stored, heartbeating the progress.

        A retry continues from the last heartbeat and does not download stored segments again. When
        cancelled, returns the part of the window that was ingested so far.

        Raises:
            CancelledError: cancelled while the window was empty.
            ApplicationError: `worker_shutdown` (retryable) if the worker stops while the window is
                empty.
        """

    @abstractmethod
    @activity.defn(name="release_media")
    async def release_media(self, request: MediaRelease) -> None:
        """Delete stored segments that end before a media time, or all of them.

        Deleting all of them also deletes the analyzer states: the stream is over.
        """


class Analysis(ABC):
    """Analyzes stored segments; queue `analysis`."""

    @abstractmethod
    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Analyze consecutive windows in order, and return the candidates settled by them.

        Idempotent: a retry starts from the same stored state and gives the same result. Segments
        that cannot be decoded, or are no longer stored, are reported as gaps.

        Raises:
            ApplicationError: `GeminiUnavailable` (retryable) if Gemini is temporarily unavailable.
        """


class Selection(ABC):
    """Selects highlights among candidates; queue `io`."""

    @abstractmethod
    @activity.defn(name="select_highlights")
    async def select_highlights(self, request: SelectHighlightsInput) -> SelectHighlightsResult:
        """Decide on candidates, record candidates and decisions, and return the changes."""


class Clips(ABC):
    """Renders clips from stored segments; queue `render`."""

    @abstractmethod
    @activity.defn(name="render_clip")
    async def render_clip(self, spec: ClipSpec) -> RenderedClip:
        """Render a clip and its thumbnail, and store both atomically."""

    @abstractmethod
    @activity.defn(name="delete_clip")
    async def delete_clip(self, spec: ClipSpec) -> None:
        """Delete a clip's files. Idempotent."""


class Records(ABC):
    """Writes the records that tenants read to PostgreSQL; queue `io`."""

    @abstractmethod
    @activity.defn(name="record_stream")
    async def record_stream(self, record: StreamRecord) -> None:
        """Write a stream's state."""

    @abstractmethod
    @activity.defn(name="record_clip")
    async def record_clip(self, record: ClipRecord) -> None:
        """Write a clip's state."""


class Webhooks(ABC):
    """Delivers events to tenants' endpoints; queue `deliver`, and `io` for the relay."""

    @abstractmethod
    @activity.defn(name="deliver")
    async def deliver(self, request: AttemptRequest) -> AttemptOutcome | PostponedAttempt:
        """Make one attempt to deliver an event to an endpoint, and record the outcome."""

    @abstractmethod
    @activity.defn(name="relay_events")
    async def relay_events(self) -> OutboxRelayPass:
        """Dispatch outbox rows that were committed and not dispatched to their workflows."""


class Maintenance(ABC):
    """Deletes expired records; queue `io`."""

    @abstractmethod
    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        """Delete the expired records of all tenants."""


class ExecutionReconciler(ABC):
    """Compares database rows with workflow executions; queue `io`."""

    @abstractmethod
    @activity.defn(name="reconcile_executions")
    async def reconcile_executions(
        self, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        """Compare the rows of all tenants with their executions, and repair differences."""


class Inbound(ABC):
    """Processes stored inbound events; queue `io`."""

    @abstractmethod
    @activity.defn(name="relay_inbound")
    async def relay_inbound(self, request: RelayInput) -> RelayReport:
        """Process stored events that could not be processed when they arrived."""

    @abstractmethod
    @activity.defn(name="managed_connections")
    async def managed_connections(self) -> ConnectionList:
        """Return the connections with credentials to list live streams from 100ms."""

    @abstractmethod
    @activity.defn(name="reconcile_connection")
    async def reconcile_connection(self, ref: ConnectionRef) -> ReconcileReport:
        """Compare a connection's streams with 100ms's list, and repair differences."""


class Recordings(ABC):
    """Downloads a stream's recording to the segment store; queue `io`."""

    @abstractmethod
    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        """Read the recording's playlist and plan which parts to download."""

    @abstractmethod
    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        """Store one part of the recording as a window, heartbeating the cursor."""

    @abstractmethod
    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        """Delete stored media of the recording that ends before a media time, or all of it."""


class BackfillRecords(ABC):
    """Reads and writes the records of a stream and its gaps; queue `io`."""

    @abstractmethod
    @activity.defn(name="recall_stream")
    async def recall_stream(self, request: StreamRef) -> StreamSoFar | None:
        """Return a stream's state, open gaps and highlights; None if the stream was deleted."""

    @abstractmethod
    @activity.defn(name="record_backfill")
    async def record_backfill(self, record: BackfillRecord) -> None:
        """Write the results of filled gaps, and the stream's state."""
