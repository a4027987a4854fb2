"""Activities that follow a script, so that a test can make any step slow, fail or answer anything.

The real activities have tests of their own and run together in `tests/e2e`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.interfaces import (
    Analysis,
    Clips,
    FeedLinking,
    Following,
    Ingest,
    Maintenance,
    Records,
    Selection,
)
from app.worker import workflow_runner
from domain import task_queues
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.clips.models import ClipSpec, ClipStatus, ClipTiming, RenderedClip
from domain.feed.messages import LinkFeedInput, LinkFeedResult
from domain.highlights.candidate import HighlightCandidate
from domain.highlights.selection import (
    Decision,
    DecisionStatus,
    SelectHighlightsInput,
    SelectHighlightsResult,
    Tier,
)
from domain.ids import highlight_id, stream_workflow_id
from domain.ingest.messages import FetchWindowInput, FetchWindowResult, IngestProgress
from domain.media.segments import Window
from domain.score import DIMENSIONS, HighlightScore
from domain.streams.messages import (
    AnalyzedWindows,
    ClipRecord,
    FollowInput,
    FollowProgress,
    FollowResult,
    MediaRelease,
    StreamInput,
    StreamRecord,
    StreamTiming,
    StreamWorkflowResult,
)
from domain.streams.status import EndReason, StreamEnd, StreamProblem
from domain.tenants.retention import ExpireRecordsInput, ExpireRecordsResult, RecordKind
from tests.factories import clips
from tests.factories.clips import rendered_clip
from workflows.clip import ClipWorkflow
from workflows.maintenance import MaintenanceWorkflow
from workflows.stream import StreamWorkflow

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ENDED = StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="the playlist ended")
QUICK = StreamTiming(
    fetch_timeout=20.0,
    heartbeat_timeout=5.0,
    retry_interval=0.01,
    analysis_timeout=5.0,
    clip_timeout=20.0,
    clip=ClipTiming(render_timeout=10.0, heartbeat_timeout=0.5, retry_interval=0.01),
    clips_wait=10.0,
    release_interval=30.0,
    media_horizon=60.0,
)


def window(index: int, *, lost: bool = False) -> Window:
    """Window `index` of 6 s in three segments; with `lost`, its last segment is a gap."""
    return clips.window(index, lost=(2,) if lost else ())


def candidate(request: AnalyzeWindowInput, peak: float) -> HighlightCandidate:
    """A moment from 2 s before to 2 s after `peak`."""
    return HighlightCandidate(
        id=highlight_id(tenant_id=request.tenant_id, stream_id=request.stream_id, peak=peak),
        start=peak - 2.0,
        peak=peak,
        end=peak + 2.0,
        settled_at=peak + 2.0,
        score=HighlightScore(**dict.fromkeys(DIMENSIONS, 0.8)),
        analyzer="scripted",
    )


def decision(moment: HighlightCandidate, status: DecisionStatus) -> Decision:
    """A decision on `moment` whose clip is the moment itself."""
    return Decision(
        highlight_id=moment.id,
        status=status,
        tier=Tier.STANDARD,
        score=0.8,
        peak=moment.peak,
        clip_start=moment.start,
        clip_end=moment.end,
        decided_at=moment.peak,
    )


class Script:
    """What the activities do and what they were asked; peaks are media seconds of moments.

    `before` maps an activity's name to something awaited before it does its work, where a test
    can fail it or hold it back.
    """

    def __init__(
        self,
        *,
        windows: int = 3,
        end: StreamEnd | None = ENDED,
        peaks: Sequence[float] = (),
        lost: Sequence[int] = (),
    ) -> None:
        self.windows = windows
        self.end = end
        self.peaks = peaks
        self.lost = lost
        self.retract_at: dict[float, float] = {}
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}
        self.problems: dict[int, StreamProblem] = {}
        self.known_problems: list[StreamProblem | None] = []
        self.fetched: list[int] = []
        self.analyzed: list[int] = []
        self.rendered: list[ClipSpec] = []
        self.deleted: list[UUID] = []
        self.released: list[MediaRelease] = []
        self.fetching = 0
        self.dead = False
        self.fetching_at_release: list[int] = []
        self.streams: list[StreamRecord] = []
        self.clips: list[ClipRecord] = []
        self.linked: list[LinkFeedInput] = []
        self.withdraw: list[UUID] = []
        self.expired: list[ExpireRecordsInput] = []
        self.seen: list[HighlightCandidate] = []
        self.waiting_at_edge = asyncio.Event()
        self.clip_discarded = asyncio.Event()
        self.followed_fed: list[bool] = []
        self.following_fed = asyncio.Event()

    async def step(self, name: str) -> None:
        """Do what a test wants done before `name`."""
        if name in self.before:
            await self.before[name]()

    @property
    def clip_states(self) -> list[ClipStatus]:
        """The states of clips, in the order in which they were recorded."""
        return [record.status for record in self.clips]


class ComposedFollowing(Following, Ingest, Analysis):
    """`follow_stream` out of a double's own steps: it fetches and analyzes by turns.

    It returns when the real one does, and after a few windows or at the edge, as the real one does
    after a while.
    """

    def is_dead(self) -> bool:
        """Return True to send no heartbeats, as a worker that was killed."""
        return False

    def is_at_edge(self, request: FetchWindowInput) -> bool:
        """Return True if there is nothing to fetch at the moment."""
        raise NotImplementedError

    @activity.defn(name="follow_stream")
    async def follow_stream(self, request: FollowInput) -> FollowResult:
        """Fetch and analyze; a retry continues from the last heartbeat."""
        details = activity.info().heartbeat_details
        begun = FollowProgress(window=IngestProgress.begin(request.fetch.cursor))
        call = _Call(request, FollowProgress.model_validate(details[0]) if details else begun)

        async def beat() -> None:
            while True:
                if not self.is_dead():
                    activity.heartbeat(call.progress)
                await asyncio.sleep(0.02)

        beating = asyncio.create_task(beat())
        try:
            await self._follow(call)
        except asyncio.CancelledError:
            if not activity.is_cancelled():
                raise
        except BaseException:
            activity.heartbeat(call.progress)
            raise
        finally:
            beating.cancel()
        return call.result()

    async def _follow(self, call: _Call) -> None:
        while not call.is_over:
            waiting = call.waiting()
            if call.request.analyze and waiting.windows:
                try:
                    async with asyncio.timeout(call.request.analysis_timeout):
                        call.add_analysis(waiting, await self.analyze_window(waiting))
                except Exception:  # noqa: BLE001 as the real one
                    call.failed = True
                    return
                continue
            if call.has_result and (call.is_long or self.is_at_edge(call.fetch)):
                return
            call.add_fetched(await self.fetch_window(call.fetch))


class _Call:
    """One call of `follow_stream`."""

    def __init__(self, request: FollowInput, progress: FollowProgress) -> None:
        self.request = request
        self._last = FetchWindowResult(cursor=progress.window.cursor)
        self._windows = list(progress.windows)
        self._analyses = list(progress.analyses)
        self.failed = False

    @property
    def progress(self) -> FollowProgress:
        return FollowProgress(
            window=IngestProgress.begin(self._last.cursor),
            windows=tuple(self._windows),
            analyses=tuple(self._analyses),
        )

    @property
    def fetch(self) -> FetchWindowInput:
        return self.request.fetch.model_copy(update={"cursor": self._last.cursor})

    @property
    def has_result(self) -> bool:
        return bool(self._windows or self._analyses)

    @property
    def is_long(self) -> bool:
        return len(self._windows) >= 4

    @property
    def is_over(self) -> bool:
        known, last, windows = self.request.fetch.problem, self._last, self._windows
        return (
            last.end is not None
            or last.stalled
            or (bool(windows) and last.problem != known)
            or (bool(windows) and self.request.after_window)
            or any(each.result.candidates for each in self._analyses)
        )

    def waiting(self) -> AnalyzeWindowInput:
        request = self.request
        done = sum(each.count for each in self._analyses)
        known = [*request.backlog, *(() if request.behind else self._windows)]
        return AnalyzeWindowInput(
            tenant_id=request.fetch.tenant_id,
            stream_id=request.fetch.stream_id,
            windows=tuple(known[done:]),
            previous_window=known[done - 1].index if done else request.previous_window,
            profile_id=request.profile_id,
            profile_version=request.profile_version,
        )

    def add_analysis(self, request: AnalyzeWindowInput, result: AnalyzeWindowResult) -> None:
        count = len(request.windows)
        self._analyses.append(AnalyzedWindows(count=count, result=result, analyzed_at=WHEN))

    def add_fetched(self, result: FetchWindowResult) -> None:
        self._last = result
        if result.window is not None:
            self._windows.append(result.window)

    def result(self) -> FollowResult:
        return FollowResult(
            cursor=self._last.cursor,
            windows=tuple(self._windows),
            analyses=tuple(self._analyses),
            analysis_failed=self.failed,
            stalled=self._last.stalled,
            problem=self._last.problem,
            end=self._last.end,
        )


class ScriptedActivities(ComposedFollowing, Selection, FeedLinking, Clips, Records, Maintenance):
    """All activities of a stream, by the script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def is_at_edge(self, request: FetchWindowInput) -> bool:
        """Return True after the last window of a stream that does not end."""
        at_end = request.cursor.window_index >= self._script.windows
        return at_end and self._script.end is None

    def is_dead(self) -> bool:
        """Return what the script says."""
        return self._script.dead

    @activity.defn(name="follow_stream")
    async def follow_stream(self, request: FollowInput) -> FollowResult:
        """Follow, and count who does."""
        self._script.fetching += 1
        self._script.followed_fed.append(request.fed)
        if request.fed:
            self._script.following_fed.set()
        try:
            return await super().follow_stream(request)
        finally:
            self._script.fetching -= 1

    @activity.defn(name="fetch_window")
    async def fetch_window(self, request: FetchWindowInput) -> FetchWindowResult:
        """Give the next window; after the last one the end, or wait for what never comes."""
        script = self._script
        await script.step("fetch_window")
        index = request.cursor.window_index
        if index >= script.windows:
            if script.end is None:
                script.waiting_at_edge.set()
                await asyncio.Event().wait()
            return FetchWindowResult(cursor=request.cursor, end=script.end)
        script.fetched.append(index)
        script.known_problems.append(request.problem)
        found = window(index, lost=index in script.lost)
        cursor = request.cursor.model_copy(
            update={"window_index": index + 1, "position": found.end}
        )
        return FetchWindowResult(
            cursor=cursor,
            window=found,
            problem=script.problems.get(index),
        )

    @activity.defn(name="release_media")
    async def release_media(self, request: MediaRelease) -> None:
        """Note what was released."""
        self._script.released.append(request)
        self._script.fetching_at_release.append(self._script.fetching)

    @activity.defn(name="analyze_window")
    async def analyze_window(self, request: AnalyzeWindowInput) -> AnalyzeWindowResult:
        """Find the script's moments whose peak lies in these windows."""
        await self._script.step("analyze_window")
        self._script.analyzed += [item.index for item in request.windows]
        return AnalyzeWindowResult(
            candidates=tuple(
                candidate(request, peak)
                for peak in self._script.peaks
                if any(item.start <= peak < item.end for item in request.windows)
            ),
            watermark=max((item.end for item in request.windows), default=0.0),
        )

    @activity.defn(name="select_highlights")
    async def select_highlights(self, request: SelectHighlightsInput) -> SelectHighlightsResult:
        """Keep every moment, and retract those that the script retracts at the end."""
        await self._script.step("select_highlights")
        self._script.seen += request.candidates
        decisions = [decision(item, DecisionStatus.PENDING) for item in request.candidates]
        if request.ended:
            decisions += [
                decision(item, DecisionStatus.RETRACTED)
                for item in self._script.seen
                if item.peak in self._script.retract_at
            ]
        return SelectHighlightsResult(
            state=request.state,
            decisions=tuple(decisions),
        )

    @activity.defn(name="link_feed_events")
    async def link_feed_events(self, request: LinkFeedInput) -> LinkFeedResult:
        """Link all events, and withdraw the highlights that the script withdraws."""
        await self._script.step("link_feed_events")
        self._script.linked.append(request)
        withdrawn = tuple(self._script.withdraw)
        self._script.withdraw.clear()
        return LinkFeedResult(retracted=withdrawn)

    @activity.defn(name="render_clip")
    async def render_clip(self, spec: ClipSpec) -> RenderedClip:
        """Pretend to render."""
        await self._script.step("render_clip")
        self._script.rendered.append(spec)
        return rendered_clip(spec, key="clip.mp4")

    @activity.defn(name="delete_clip")
    async def delete_clip(self, spec: ClipSpec) -> None:
        """Note what was deleted."""
        self._script.deleted.append(spec.id)

    @activity.defn(name="record_stream")
    async def record_stream(self, record: StreamRecord) -> None:
        """Note what was recorded."""
        await self._script.step("record_stream")
        self._script.streams.append(record)

    @activity.defn(name="record_clip")
    async def record_clip(self, record: ClipRecord) -> None:
        """Note what was recorded."""
        await self._script.step(f"record_clip {record.status}")
        self._script.clips.append(record)
        if record.status is ClipStatus.DELETED:
            self._script.clip_discarded.set()

    @activity.defn(name="expire_records")
    async def expire_records(self, request: ExpireRecordsInput) -> ExpireRecordsResult:
        """Note what was asked for."""
        await self._script.step("expire_records")
        self._script.expired.append(request)
        return ExpireRecordsResult(tenants=1, deleted={RecordKind.USAGE_EVENTS: 2})


def failing(times: int, error: Exception | None = None) -> Callable[[], Awaitable[None]]:
    """Something that fails the first `times` times."""
    left = times

    async def fail() -> None:
        nonlocal left
        if left > 0:
            left -= 1
            raise error or ApplicationError("scripted failure")

    return fail


async def result_of(
    stream: WorkflowHandle[StreamWorkflow, StreamWorkflowResult],
) -> StreamWorkflowResult:
    """How a stream ended, also where its workflow failed with it."""
    try:
        return await stream.result()
    except WorkflowFailureError as error:
        cause = error.cause
        assert isinstance(cause, ApplicationError)
        return StreamWorkflowResult.model_validate(cause.details[0])


@asynccontextmanager
async def running(
    client: Client, script: Script, *, stream: type[StreamWorkflow] = StreamWorkflow
) -> AsyncIterator[None]:
    """Workers for all queues, until the block ends."""
    steps = ScriptedActivities(script)
    methods: dict[str, list[Callable[..., object]]] = {
        task_queues.IO: [
            steps.follow_stream,
            steps.fetch_window,
            steps.release_media,
            steps.select_highlights,
            steps.link_feed_events,
            steps.record_stream,
            steps.record_clip,
            steps.expire_records,
        ],
        task_queues.ANALYSIS: [steps.analyze_window],
        task_queues.RENDER: [steps.render_clip, steps.delete_clip],
    }
    orchestration = Worker(
        client,
        task_queue=task_queues.ORCHESTRATION,
        workflows=[stream, ClipWorkflow, MaintenanceWorkflow],
        workflow_runner=workflow_runner(),
    )
    workers = [orchestration] + [
        Worker(client, task_queue=queue, activities=activities)
        for queue, activities in methods.items()
    ]
    async with workers[0], workers[1], workers[2], workers[3]:
        yield


async def start(
    client: Client, *, timing: StreamTiming = QUICK, history_limit: int | None = None
) -> WorkflowHandle[StreamWorkflow, StreamWorkflowResult]:
    """Start a stream of a new tenant."""
    request = StreamInput(
        tenant_id=uuid4(),
        stream_id=uuid4(),
        playlist_url="https://cdn.example/master.m3u8",
        game="soccer",
        profile_id="soccer",
        profile_version="1",
        timing=timing,
        history_limit=history_limit,
    )
    return await client.start_workflow(
        StreamWorkflow.run,
        request,
        id=stream_workflow_id(tenant_id=request.tenant_id, stream_id=request.stream_id),
        task_queue=task_queues.ORCHESTRATION,
    )
