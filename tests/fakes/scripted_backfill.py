"""The steps of a backfill by a script, beside those of `scripted`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.interfaces import BackfillRecords, Recordings
from app.worker import workflow_runner
from domain import task_queues
from domain.highlights.selection import (
    DecisionStatus,
    SelectHighlightsInput,
    SelectHighlightsResult,
)
from domain.ids import backfill_workflow_id
from domain.media.segments import Gap, GapReason
from domain.streams.backfill.messages import (
    BackfillInput,
    BackfillRecord,
    BackfillResult,
    BackfillTiming,
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    StoredStreamState,
    StreamRef,
    SurveyInput,
)
from domain.streams.backfill.planning import BackfillPlan, JoinedBy, RecordingChunk, RecordingRange
from domain.streams.messages import RecordingReady
from domain.streams.status import StreamEnd, StreamProgress, StreamStatus
from tests.fakes.scripted_stream import QUICK, Script, ScriptedActivities, decision, window
from workflows.backfill import BackfillWorkflow
from workflows.clip import ClipWorkflow
from workflows.stream import StreamWorkflow

RECORDING = RecordingReady(url="https://cdn.example/vod.m3u8")
GAP = Gap(start=6.0, duration=6.0, first_sequence=3, last_sequence=5, reason=GapReason.ROLLED_OFF)
OVER = StoredStreamState(
    game="soccer",
    profile_id="soccer",
    profile_version="1",
    progress=StreamProgress(status=StreamStatus.COMPLETED, position=24.0, segments=9, missed=3),
    gaps=(GAP,),
)
MISSED = OVER.model_copy(update={"progress": StreamProgress(), "gaps": ()})


def one_range(pieces: int = 3, *, gaps: tuple[Gap, ...] = (GAP,)) -> BackfillPlan:
    """A plan of one range, in pieces of one window of 6 s each."""
    found = tuple(
        RecordingChunk(window=100_000 + n, first=3 * n, last=3 * n + 2, start=6.0 * n)
        for n in range(pieces)
    )
    return BackfillPlan(
        ranges=(RecordingRange(joined_by=JoinedBy.WALL_CLOCK, gaps=gaps, pieces=found),)
    )


class BackfillScript(Script):
    """What the steps of a backfill do and what they were asked, beside those of a stream."""

    def __init__(self, *, peaks: tuple[float, ...] = ()) -> None:
        super().__init__(peaks=peaks)
        self.stream: StoredStreamState | None = OVER
        self.plan = one_range()
        self.problem: StreamEnd | None = None
        self.surveyed: list[SurveyInput] = []
        self.pieces: list[int] = []
        self.backfills: list[BackfillRecord] = []
        self.recording_released: list[float | None] = []


class ConfirmingActivities(ScriptedActivities):
    """A stream's activities by the script, whose selection is certain of everything at once."""

    def __init__(self, script: BackfillScript) -> None:
        super().__init__(script)
        self._seen = script.seen

    @activity.defn(name="select_highlights")
    async def select_highlights(self, request: SelectHighlightsInput) -> SelectHighlightsResult:
        """Confirm every moment."""
        self._seen += request.candidates
        decisions = [decision(item, DecisionStatus.CONFIRMED) for item in request.candidates]
        return SelectHighlightsResult(state=request.state, decisions=tuple(decisions))


class ScriptedBackfill(Recordings, BackfillRecords):
    """All activities of a backfill, by the script."""

    def __init__(self, script: BackfillScript) -> None:
        self._script = script

    @activity.defn(name="recall_stream")
    async def recall_stream(self, _request: StreamRef) -> StoredStreamState | None:
        """Recall what the script says."""
        return self._script.stream

    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        """Answer with the script's plan or problem."""
        await self._script.step("survey_recording")
        self._script.surveyed.append(request)
        if self._script.problem is not None:
            return RecordingSurvey(problem=self._script.problem)
        return RecordingSurvey(playlist_url=RECORDING.url, plan=self._script.plan)

    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        """Give the piece as a window."""
        await self._script.step("fetch_recording")
        self._script.pieces.append(request.piece.window)
        found = window(request.piece.window - 100_000)
        found = found.model_copy(update={"index": request.piece.window})
        cursor = request.cursor.model_copy(update={"position": found.end})
        return FetchRecordingResult(cursor=cursor, window=found)

    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        """Note what was released."""
        self._script.recording_released.append(request.before)

    @activity.defn(name="record_backfill")
    async def record_backfill(self, record: BackfillRecord) -> None:
        """Note what was recorded."""
        self._script.backfills.append(record)


@asynccontextmanager
async def filling(client: Client, script: BackfillScript) -> AsyncIterator[None]:
    """Workers for all queues, until the block ends."""
    steps, backfill = ConfirmingActivities(script), ScriptedBackfill(script)
    io: list[Callable[..., object]] = [
        steps.follow_stream,
        steps.fetch_window,
        steps.release_media,
        steps.select_highlights,
        steps.record_stream,
        steps.record_clip,
        backfill.recall_stream,
        backfill.survey_recording,
        backfill.fetch_recording,
        backfill.release_recording,
        backfill.record_backfill,
    ]
    async with (
        Worker(
            client,
            task_queue=task_queues.ORCHESTRATION,
            workflows=[StreamWorkflow, ClipWorkflow, BackfillWorkflow],
            workflow_runner=workflow_runner(),
        ),
        Worker(client, task_queue=task_queues.IO, activities=io),
        Worker(client, task_queue=task_queues.ANALYSIS, activities=[steps.analyze_window]),
        Worker(
            client, task_queue=task_queues.RENDER, activities=[steps.render_clip, steps.delete_clip]
        ),
    ):
        yield


async def start_backfill(
    client: Client, *, patience: float = 60.0, heartbeat_timeout: float = 5.0
) -> WorkflowHandle[BackfillWorkflow, BackfillResult]:
    """Start a backfill of a new tenant's stream; times in seconds."""
    own = {"recording_patience": patience, "heartbeat_timeout": heartbeat_timeout}
    timing = BackfillTiming.model_validate({**QUICK.model_dump(), **own})
    request = BackfillInput(
        tenant_id=uuid4(), stream_id=uuid4(), recording=RECORDING, timing=timing
    )
    return await client.start_workflow(
        BackfillWorkflow.run,
        request,
        id=backfill_workflow_id(tenant_id=request.tenant_id, stream_id=request.stream_id),
        task_queue=task_queues.ORCHESTRATION,
    )
