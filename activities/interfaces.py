"""Interfaces of the activities: names, inputs and outputs, without any I/O.

Workflows import this module only, so that their sandbox never loads media or database libraries.
Each class is implemented by the module of the same name in this package, without repeating the
docstrings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from temporalio import activity

from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.clips.models import ClipSpec, RenderedClip
from domain.exports.batches import BatchRef, NextExports, NextExportsInput
from domain.exports.models import ExportRecord, RenderedExport, RenderExportInput
from domain.feed.messages import LinkFeedInput, LinkFeedResult
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
    StoredStreamState,
    StreamRef,
    SurveyInput,
)
from domain.streams.deletion import DeletionInput, DeletionProof
from domain.streams.messages import (
    ClipRecord,
    FollowInput,
    FollowResult,
    MediaRelease,
    StreamRecord,
)
from domain.streams.reconciliation import ReconcileExecutionsInput, ReconcileExecutionsReport
from domain.tenants.retention import ExpireRecordsInput, ExpireRecordsResult
from domain.webhooks.delivery import (
    AttemptOutcome,
    AttemptRequest,
    OutboxRelayPass,
    PostponedAttempt,
)


class Following(ABC):
    """Follows live streams; queue `io`."""

    @abstractmethod
    @activity.defn(name="follow_stream")
    async def follow_stream(self, request: FollowInput) -> FollowResult:
        """Fetch windows of a live stream and analyze them, heartbeating the progress.

        Returns when a moment settles, the media ends or stalls, a problem comes or goes, a clip or
        a decision that waits can be made, analysis fails, or the time is over. Fetching never
        waits for analysis: an analysis that is not finished continues, and the next call on this
        worker takes it over.

        A retry continues from the last heartbeat and does not download stored segments again. When
        cancelled, or when the worker shuts down, returns what was done so far.
        """


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
        """Decide on candidates, record the decisions, and return what has changed.

        Candidates and decisions are written in one transaction. The decisions depend on the
        request alone, so that a retry after a lost answer decides and records the same again.
        """


class FeedLinking(ABC):
    """Links events of feeds to highlights; queue `io`."""

    @abstractmethod
    @activity.defn(name="link_feed_events")
    async def link_feed_events(self, request: LinkFeedInput) -> LinkFeedResult:
        """Place a stream's waiting events, and link them to highlights. Idempotent."""


class Clips(ABC):
    """Renders clips from stored segments; queue `render`."""

    @abstractmethod
    @activity.defn(name="render_clip")
    async def render_clip(self, spec: ClipSpec) -> RenderedClip:
        """Cut, encode, check and store a clip and its thumbnail. Idempotent.

        Where picture or sound is damaged, the clip is the undamaged part around its peak.

        Raises:
            ApplicationError: `media_gone` (not retryable) when the segments have been deleted,
                `media_damaged` (not retryable) when the peak cannot be shown.
            SpliceError: nothing in the segments can be read.
            FfmpegError: the encoder failed.
            UnplayableClipError: the encoder's file does not play.
        """

    @abstractmethod
    @activity.defn(name="delete_clip")
    async def delete_clip(self, spec: ClipSpec) -> None:
        """Delete a clip's files. Idempotent: a file that does not exist is no error."""


class Exports(ABC):
    """Renders exports, queue `render`, and records them, queue `io`."""

    @abstractmethod
    @activity.defn(name="render_export")
    async def render_export(self, request: RenderExportInput) -> RenderedExport:
        """Make, check and store renditions of an export. Idempotent.

        A rendition that the source cannot give is a result with a message, not an error.

        Raises:
            ApplicationError: `media_missing` or `clip_missing` (not retryable) when the source is
                not stored, `media_damaged` when nothing in it can be read, `bad_watermark` when
                the watermark's picture cannot be used, `bad_card` when that of an intro, outro or
                end card cannot.
            FfmpegError: the encoder failed.
        """

    @abstractmethod
    @activity.defn(name="delete_export")
    async def delete_export(self, request: RenderExportInput) -> None:
        """Delete the files of renditions. Idempotent."""

    @abstractmethod
    @activity.defn(name="record_export")
    async def record_export(self, record: ExportRecord) -> None:
        """Write an export's state. Idempotent."""


class ExportBatches(ABC):
    """Batches of exports in PostgreSQL; queue `io`."""

    @abstractmethod
    @activity.defn(name="start_export_batch")
    async def start_export_batch(self, batch: BatchRef) -> None:
        """Record that a batch is being made. Idempotent."""

    @abstractmethod
    @activity.defn(name="next_exports")
    async def next_exports(self, request: NextExportsInput) -> NextExports:
        """Return the next exports of a batch that are queued, in order."""

    @abstractmethod
    @activity.defn(name="finish_export_batch")
    async def finish_export_batch(self, batch: BatchRef) -> None:
        """Record the outcome of a batch whose exports have all had their turn. Idempotent.

        Raises:
            BatchRunningError: some of them have not ended; retryable.
        """


class Deletions(ABC):
    """Deletes streams; queue `io`."""

    @abstractmethod
    @activity.defn(name="delete_stream")
    async def delete_stream(self, request: DeletionInput) -> DeletionProof:
        """Delete a stream with everything that was made of it, and verify that nothing is left.

        Raises:
            DeletionUnfinishedError: its workflow is running, or something is left; retryable.
        """


class Records(ABC):
    """Streams and clips in PostgreSQL; queue `io`."""

    @abstractmethod
    @activity.defn(name="record_stream")
    async def record_stream(self, record: StreamRecord) -> None:
        """Write a stream's state and its gaps. Idempotent.

        Raises:
            UnstorableValueError: the record can never be written; the stream is marked as failed.
        """

    @abstractmethod
    @activity.defn(name="record_clip")
    async def record_clip(self, record: ClipRecord) -> None:
        """Write a clip's state. Idempotent."""


class Webhooks(ABC):
    """Delivers events to tenants' endpoints; queue `deliver`, and `io` for the relay."""

    @abstractmethod
    @activity.defn(name="deliver")
    async def deliver(self, request: AttemptRequest) -> AttemptOutcome | PostponedAttempt:
        """Send an event to an endpoint once, and record the outcome.

        A failed request is an outcome, not an error. A retry after a lost record sends the event
        again; receivers recognize it by its `webhook-id`.

        Raises:
            ApplicationError: `endpoint_busy` when the endpoint has too many requests in progress.
        """

    @abstractmethod
    @activity.defn(name="relay_events")
    async def relay_events(self) -> OutboxRelayPass:
        """Send committed outbox events that no delivery workflow has received yet."""


class Maintenance(ABC):
    """Deletion of expired records; queue `io`."""

    @abstractmethod
    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        """Delete expired records of all tenants.

        A retry starts over and finds fewer records; the result does not count what a failed
        attempt deleted.
        """


class ExecutionReconciler(ABC):
    """Comparison of rows with workflow executions; queue `io`."""

    @abstractmethod
    @activity.defn(name="reconcile_executions")
    async def reconcile_executions(
        self, request: ReconcileExecutionsInput
    ) -> ReconcileExecutionsReport:
        """Compare the rows of all tenants with their executions, and repair differences.

        Raises:
            TemporalUnavailableError: Temporal cannot be reached.
            DatabaseUnavailableError: PostgreSQL cannot be reached.
        """


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
        """Return the connections with credentials to list live streams from 100ms."""

    @abstractmethod
    @activity.defn(name="reconcile_connection")
    async def reconcile_connection(self, ref: ConnectionRef) -> ReconcileReport:
        """Compare a connection's streams with 100ms's list, and repair differences.

        Raises:
            ApplicationError: 100ms returned no list; the error states whether and when to retry.
        """


class Recordings(ABC):
    """Recording of a stream to segment store; queue `io`."""

    @abstractmethod
    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        """Read the recording's playlist and plan what to fetch from it.

        The URLs are tried in order; if none works, the definite problem of the first one is the
        result. URLs are never logged, because a presigned one is a credential. Sends heartbeats,
        since an archive must be downloaded first.

        Raises:
            FetchError: an origin does not answer; retryable.
            ApplicationError: `recording_unfinished` when the playlist has no end yet.
        """

    @abstractmethod
    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        """Store one chunk of the recording as a window, heartbeating the cursor.

        A retry resumes at the last heartbeat. Segments that cannot be fetched become gaps.

        Raises:
            FetchError: the playlist cannot be read (any more).
            NotAPlaylistError: the URL now returns something else.
            UrlForbiddenError: the SSRF guard rejects the URL.
            StoreError: the segment store cannot write the media.
        """

    @abstractmethod
    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        """Delete stored media of the recording that ends before a media time, or all of it."""


class BackfillRecords(ABC):
    """Stored state of a stream and its gaps, for backfills; queue `io`."""

    @abstractmethod
    @activity.defn(name="recall_stream")
    async def recall_stream(self, request: StreamRef) -> StoredStreamState | None:
        """Return a stream's state, open gaps and highlights; None if the stream was deleted."""

    @abstractmethod
    @activity.defn(name="record_backfill")
    async def record_backfill(self, record: BackfillRecord) -> None:
        """Write the outcomes of gaps and the stream's state. Idempotent."""
