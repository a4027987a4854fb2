"""The same broadcast for every stream, whose moments are known, beside steps that are real.

Media, its analysis and rendering follow the script; selection, records and workflows are the
product's own, over real PostgreSQL and real Temporal.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from activities.hms import InboundActivities
from activities.interfaces import Clips, Recordings
from activities.records import BackfillRecordActivities, RecordActivities
from activities.selection import SelectionActivities
from app.worker import workflow_runner
from domain import task_queues
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.clips.models import ClipSpec, RenderedClip
from domain.ingest.messages import FetchWindowInput, FetchWindowResult
from domain.ingest.playlist import ListedSegment, MediaPlaylist, Resource
from domain.media.segments import Gap, GapReason, Window
from domain.streams.backfill.messages import (
    FetchRecordingInput,
    FetchRecordingResult,
    RecordingRelease,
    RecordingSurvey,
    SurveyInput,
)
from domain.streams.backfill.planning import plan_backfill, plan_whole
from domain.streams.messages import MediaRelease
from infra.db.engine import Database
from infra.profiles.store import ProfileStore
from tests.factories.clips import rendered_clip, segment
from tests.fakes.scripted_stream import ENDED, ComposedFollowing, candidate
from workflows.backfill import BackfillWorkflow
from workflows.clip import ClipWorkflow
from workflows.session import SessionWorkflow
from workflows.stream import StreamWorkflow

SEGMENTS, SEGMENT, WINDOW = 16, 10.0, 4
DURATION: Final = SEGMENTS * SEGMENT
PEAKS: Final = (25.0, 65.0, 105.0, 145.0)
LOST: Final = (5, 6, 7)  # segments that no live stream gives: from 50 s to 80 s
KICK_OFF: Final = datetime(2026, 5, 2, 19, tzinfo=UTC)

_RECORDING: Final = MediaPlaylist(
    target_duration=SEGMENT,
    segments=tuple(
        ListedSegment(
            sequence=number,
            resource=Resource(url=f"https://storage.example.com/{number}.ts"),
            duration=SEGMENT,
            program_date_time=KICK_OFF + timedelta(seconds=number * SEGMENT),
        )
        for number in range(SEGMENTS)
    ),
    ended=True,
    vod=True,
)


def _window(index: int, first: int, last: int, *, lost: tuple[int, ...] = ()) -> Window:
    missing = [number for number in range(first, last + 1) if number in lost]
    gap = Gap(
        start=(missing or [first])[0] * SEGMENT,
        duration=len(missing) * SEGMENT,
        first_sequence=(missing or [first])[0],
        last_sequence=(missing or [first])[-1],
        reason=GapReason.ROLLED_OFF,
        anchor_at=first * SEGMENT,
        anchor_wall=KICK_OFF + timedelta(seconds=first * SEGMENT),
    )
    return Window(
        index=index,
        variant="720p",
        segments=tuple(
            segment(number, number * SEGMENT, SEGMENT, published_at=KICK_OFF)
            for number in range(first, last + 1)
            if number not in lost
        ),
        gaps=(gap,) if missing else (),
        start=first * SEGMENT,
        end=(last + 1) * SEGMENT,
    )


class Broadcast(ComposedFollowing, Clips, Recordings):
    """Gives every stream the whole broadcast at once, then waits at its edge.

    Attributes:
        at_edge: set once a stream has been given all there is, by the stream.
        over: streams whose playlist has ended.
    """

    def __init__(self) -> None:
        self.at_edge: defaultdict[UUID, asyncio.Event] = defaultdict(asyncio.Event)
        self.over: set[UUID] = set()

    def is_at_edge(self, request: FetchWindowInput) -> bool:
        """Return True once the stream has been given the whole broadcast."""
        given = request.cursor.window_index * WINDOW >= SEGMENTS
        return given and request.stream_id not in self.over

    @activity.defn(name="fetch_window")
    async def fetch_window(self, request: FetchWindowInput) -> FetchWindowResult:
        """Give the next window, after the last one the end, if it has come."""
        index = request.cursor.window_index
        first = index * WINDOW
        if first < SEGMENTS:
            found = _window(index, first, first + WINDOW - 1, lost=LOST)
            cursor = request.cursor.model_copy(
                update={"window_index": index + 1, "position": found.end}
            )
            return FetchWindowResult(cursor=cursor, window=found)
        self.at_edge[request.stream_id].set()
        while request.stream_id not in self.over:  # noqa: ASYNC110 a set has no events
            await asyncio.sleep(0.02)
        return FetchWindowResult(cursor=request.cursor, end=ENDED)

    @activity.defn(name="release_media")
    async def release_media(self, request: MediaRelease) -> None:
        """Nothing is stored."""

    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Find each moment whose peak lies in media that is there."""
        there = [segment for each in request.windows for segment in each.segments]
        return AnalyzeWindowResult(
            candidates=tuple(
                candidate(request, peak)
                for peak in PEAKS
                if any(each.start <= peak < each.start + each.duration for each in there)
            ),
            watermark=max((each.end for each in request.windows), default=0.0),
        )

    @activity.defn(name="render_clip")
    async def render_clip(self, spec: ClipSpec) -> RenderedClip:
        """Pretend to render."""
        return rendered_clip(spec, key=f"{spec.id}.mp4", at=KICK_OFF)

    @activity.defn(name="delete_clip")
    async def delete_clip(self, spec: ClipSpec) -> None:
        """Nothing was rendered."""

    @activity.defn(name="survey_recording")
    async def survey_recording(self, request: SurveyInput) -> RecordingSurvey:
        """Plan by the rules over the whole broadcast."""
        plan = (
            plan_whole(_RECORDING)
            if request.gaps is None
            else plan_backfill(request.gaps, _RECORDING, stream_end=request.stream_end)
        )
        return RecordingSurvey(playlist_url=request.recording.url, plan=plan)

    @activity.defn(name="fetch_recording")
    async def fetch_recording(self, request: FetchRecordingInput) -> FetchRecordingResult:
        """Give the piece, of which nothing is lost."""
        piece = request.piece
        found = _window(piece.window, piece.first, piece.last)
        cursor = request.cursor.model_copy(update={"position": found.end})
        return FetchRecordingResult(cursor=cursor, window=found)

    @activity.defn(name="release_recording")
    async def release_recording(self, request: RecordingRelease) -> None:
        """Nothing is stored."""


@asynccontextmanager
async def on_air(
    client: Client, database: Database, inbound: InboundActivities
) -> AsyncIterator[Broadcast]:
    """Workers for all queues of a stream, until the block ends."""
    broadcast = Broadcast()
    records, backfills = RecordActivities(database), BackfillRecordActivities(database)
    selection = SelectionActivities(database=database, profiles=ProfileStore())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=task_queues.ORCHESTRATION,
                workflows=[StreamWorkflow, BackfillWorkflow, ClipWorkflow, SessionWorkflow],
                workflow_runner=workflow_runner(),
            )
        )
        steps: dict[str, list[Callable[..., object]]] = {
            task_queues.IO: [
                *(broadcast.follow_stream, broadcast.release_media),
                *(records.record_stream, records.record_clip, selection.select_highlights),
                *(backfills.recall_stream, backfills.record_backfill),
                *(broadcast.survey_recording, broadcast.fetch_recording),
                *(broadcast.release_recording, inbound.process_session_events),
            ],
            task_queues.ANALYSIS: [broadcast.analyze_window],
            task_queues.RENDER: [broadcast.render_clip, broadcast.delete_clip],
        }
        for queue, methods in steps.items():
            await stack.enter_async_context(Worker(client, task_queue=queue, activities=methods))
        yield broadcast
