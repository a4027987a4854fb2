"""The activities as workflows see them: names, inputs and outputs, without any I/O behind them.

Workflows import this module only, so that their sandbox never loads media or database libraries.
Each class is implemented by the module of the same name in this package.
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
    ProcessedEvents,
    ReconcileReport,
    RelayInput,
    RelayReport,
    SessionRef,
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
    """HLS to segment store; queue `io`."""

    @abstractmethod
    @activity.defn(name="fetch_window")
    async def fetch_window(self, request: FetchWindowInput) -> FetchWindowResult:
        """Follow the live playlist until one window is stored, heartbeating the cursor."""

    @abstractmethod
    @activity.defn(name="release_media")
    async def release_media(self, request: MediaRelease) -> None:
        """Delete stored segments that end before a point of the timeline, or all of them."""


class Analysis(ABC):
    """Segments to candidates; queue `analysis`."""

    @abstractmethod
    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Analyse consecutive windows and propose the moments they settle."""


class Selection(ABC):
    """Candidates to recorded decisions; queue `io`."""

    @abstractmethod
    @activity.defn(name="select_highlights")
    async def select_highlights(self, request: SelectHighlightsInput) -> SelectHighlightsResult:
        """Decide, record candidates and decisions, and answer what has changed."""


class Clips(ABC):
    """Segments to a clip file; queue `render`."""

    @abstractmethod
    @activity.defn(name="render_clip")
    async def render_clip(self, spec: ClipSpec) -> RenderedClip:
        """Cut, encode and store a clip and its thumbnail, atomically."""

    @abstractmethod
    @activity.defn(name="delete_clip")
    async def delete_clip(self, spec: ClipSpec) -> None:
        """Remove a clip's files; removing what is not there is no error."""


class Records(ABC):
    """What tenants read, written to PostgreSQL; queue `io`."""

    @abstractmethod
    @activity.defn(name="record_stream")
    async def record_stream(self, record: StreamRecord) -> None:
        """Write a stream's state."""

    @abstractmethod
    @activity.defn(name="record_clip")
    async def record_clip(self, record: ClipRecord) -> None:
        """Write a clip's state."""


class Webhooks(ABC):
    """Events to tenants' endpoints; queue `deliver`, and `io` for the relay."""

    @abstractmethod
    @activity.defn(name="deliver")
    async def deliver(self, request: AttemptRequest) -> AttemptOutcome | PostponedAttempt:
        """Send an event to an endpoint once, and record the outcome."""

    @abstractmethod
    @activity.defn(name="relay_events")
    async def relay_events(self) -> OutboxRelayPass:
        """Hand over to workflows what was committed to the outbox and not handed over."""


class Maintenance(ABC):
    """What keeps the database small; queue `io`."""

    @abstractmethod
    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        """Delete the old records of all tenants."""


class ExecutionReconciler(ABC):
    """Rows compared with workflow executions; queue `io`."""

    @abstractmethod
    @activity.defn(name="reconcile_executions")
    async def reconcile_executions(
        self, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        """Compare the rows of all tenants with their executions, and repair the difference."""


class Inbound(ABC):
    """Events of 100ms, once they are stored; queue `io`."""

    @abstractmethod
    @activity.defn(name="process_session_events")
    async def process_session_events(self, ref: SessionRef) -> ProcessedEvents:
        """Process a batch of a session's pending events, oldest first.

        Fails if an event could not be processed; a retry continues with that event.
        """

    @abstractmethod
    @activity.defn(name="relay_inbound")
    async def relay_inbound(self, request: RelayInput) -> RelayReport:
        """Signal the workflows of sessions that have pending events of some age."""

    @abstractmethod
    @activity.defn(name="managed_connections")
    async def managed_connections(self) -> ConnectionList:
        """List the connections whose live streams 100ms can be asked for."""

    @abstractmethod
    @activity.defn(name="reconcile_connection")
    async def reconcile_connection(self, ref: ConnectionRef) -> ReconcileReport:
        """Compare one connection's streams with 100ms's list, and repair the difference."""


class Recordings(ABC):
    """A stream's recording to segment store; queue `io`."""

    @abstractmethod
    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        """Read the recording's playlist and plan what to fetch of it."""

    @abstractmethod
    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        """Store one piece of the recording as a window, heartbeating the cursor."""

    @abstractmethod
    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        """Delete stored media of the recording that ends before a point, or all of it."""


class BackfillRecords(ABC):
    """What is recorded of a stream and of its gaps; queue `io`."""

    @abstractmethod
    @activity.defn(name="recall_stream")
    async def recall_stream(self, request: StreamRef) -> StreamSoFar | None:
        """Read a stream's state, its gaps not yet filled and its highlights; None: it is gone."""

    @abstractmethod
    @activity.defn(name="record_backfill")
    async def record_backfill(self, record: BackfillRecord) -> None:
        """Write what came of gaps, and the stream's state."""
