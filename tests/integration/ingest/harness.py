"""Running the ingest activities as a worker would, and origins that the demo's cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.testing import ActivityEnvironment

from activities.follow import AnalysisPool, FollowActivities, WindowAnalyzer
from activities.ingest import IngestActivities
from demo.origin.server import bind, serving
from domain.ingest.messages import FetchWindowInput, FetchWindowResult, IngestLimits, IngestProgress
from domain.media.segments import Gap, SegmentRef, TimedMetadata, VariantPolicy
from domain.streams.messages import MediaRelease
from domain.streams.status import EndReason
from infra.media.hls_client import HlsClient
from infra.media.pool import MediaPool
from infra.ssrf import UrlGuard
from infra.storage.segment_index import IndexedMinute
from infra.storage.segments import LocalSegmentStore, SegmentStore

QUICK = IngestLimits(
    window_duration=3.0,
    start_timeout=20.0,
    stall_notice=15.0,
    stall_timeout=30.0,
    max_segment_bytes=4 << 20,
)
"""Short windows, but patience enough for a busy machine."""

IMPATIENT = QUICK.model_copy(
    update={
        "start_timeout": 2.0,
        "stall_notice": 1.0,
        "stall_timeout": 2.0,
        "request_timeout": 2.0,
    }
)
"""Limits that let a test see the end of its patience."""


def work_in_process(root: str, work: Callable[[IngestHarness], Awaitable[object]]) -> None:
    """Run `work` on the store in `root`, in a process that a test kills."""

    async def run() -> None:
        store = LocalSegmentStore(Path(root))
        async with (
            MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=10, timeout=20.0) as pool,
            HlsClient(UrlGuard(allow_private=True)) as client,
        ):
            await work(IngestHarness(store, Path(root), client, pool))

    asyncio.run(run())


class IngestHarness:
    """The ingest activities of one worker, and one stream of one tenant."""

    def __init__(self, store: SegmentStore, root: Path, client: HlsClient, pool: MediaPool) -> None:
        self.store = store
        self.tenant_id: UUID = uuid4()
        self.stream_id: UUID = uuid4()
        self._root = root
        self._client = client
        self._pool = pool
        self._workers: list[IngestActivities] = []
        self.activities = self.worker()

    def worker(
        self,
        client: HlsClient | None = None,
        *,
        linger: float = 15.0,
        report_after: float = 2.5,
        name: str | None = None,
    ) -> IngestActivities:
        """Another worker on the same store."""
        worker = IngestActivities(
            store=self.store,
            client=client or self._client,
            pool=self._pool,
            linger=linger,
            heartbeat_interval=0.05,
            caption_interval=0.05,
            report_after=report_after,
            worker=name,
        )
        self._workers.append(worker)
        return worker

    @staticmethod
    def attempt(number: int) -> ActivityEnvironment:
        """The environment of a later attempt that has no heartbeat to go on from."""
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, attempt=number)
        return environment

    async def close(self) -> None:
        """Close all workers."""
        for worker in self._workers:
            await worker.close()

    def request(
        self, url: str, limits: IngestLimits = QUICK, *, max_height: int = 720
    ) -> FetchWindowInput:
        """Ask for the first window of a stream."""
        return FetchWindowInput(
            tenant_id=self.tenant_id,
            stream_id=self.stream_id,
            playlist_url=url,
            limits=limits,
            variant=VariantPolicy(max_height=max_height),
        )

    async def window(
        self,
        request: FetchWindowInput,
        *,
        environment: ActivityEnvironment | None = None,
        worker: IngestActivities | None = None,
    ) -> FetchWindowResult:
        """Run `fetch_window` once."""
        environment = environment or ActivityEnvironment()
        return await environment.run((worker or self.activities).fetch_window, request)

    def follower(
        self, analyzer: WindowAnalyzer, worker: IngestActivities | None = None
    ) -> FollowActivities:
        """The activity `follow_stream` of a worker."""
        return FollowActivities(
            followers=(worker or self.activities).followers,
            analyses=AnalysisPool(analyzer),
            store=self.store,
            guard=self._client.guard,
        )

    async def follow(
        self, url: str, limits: IngestLimits = QUICK, *, max_height: int = 720, pause: float = 0.0
    ) -> Story:
        """Fetch window after window until the stream ends, as its workflow does.

        `pause` is what the workflow takes between two of them, in seconds.
        """
        request = self.request(url, limits, max_height=max_height)
        story = Story()
        while not story.results or story.results[-1].end is None:
            result = await self.window(request)
            story.results.append(result)
            request = request.model_copy(update={"cursor": result.cursor})
            await asyncio.sleep(pause)
        return story

    async def release(self, before: float | None) -> None:
        """Run `release_media`."""
        release = MediaRelease(tenant_id=self.tenant_id, stream_id=self.stream_id, before=before)
        await ActivityEnvironment().run(self.activities.release_media, release)

    def scratch_files(self) -> list[Path]:
        """What ingest has left in the store's scratch space."""
        return list((self._root / ".scratch").glob("*"))

    async def media_keys(self) -> list[str]:
        """The keys of stored media."""
        keys = await self.store.list(f"{self.tenant_id}/{self.stream_id}/media/")
        return [key for key in keys if not key.endswith(".json")]

    async def recorded(self) -> int:
        """How many stored segments are in the index, which is written after the media."""
        return sum(len(minute.segments) for minute in (await self.index()).values())

    async def index(self) -> dict[str, IndexedMinute]:
        """The index of the stream's segments, by key."""
        keys = await self.store.list(f"{self.tenant_id}/{self.stream_id}/media/index/")
        return {key: IndexedMinute.model_validate_json(await self.store.read(key)) for key in keys}


class Story:
    """All that came out of following one stream."""

    def __init__(self) -> None:
        self.results: list[FetchWindowResult] = []

    @property
    def segments(self) -> list[SegmentRef]:
        return [each for r in self.results if r.window for each in r.window.segments]

    @property
    def gaps(self) -> list[Gap]:
        return [each for r in self.results if r.window for each in r.window.gaps]

    @property
    def metadata(self) -> list[TimedMetadata]:
        return [each for r in self.results if r.window for each in r.window.metadata]

    @property
    def reason(self) -> EndReason:
        end = self.results[-1].end
        assert end is not None
        assert end.message
        return end.reason

    @property
    def message(self) -> str:
        end = self.results[-1].end
        assert end is not None
        return end.message

    @property
    def starts(self) -> list[float]:
        return [round(segment.start, 2) for segment in self.segments]

    @property
    def sequences(self) -> list[int]:
        return [segment.media_sequence for segment in self.segments]

    def assert_timeline_whole(self) -> None:
        """Segments and gaps follow on one another without hole or overlap, window by window."""
        spans = [(segment.start, segment.end) for segment in self.segments]
        spans += [(gap.start, gap.end) for gap in self.gaps]
        position = 0.0
        for start, end in sorted(spans):
            assert abs(start - position) < 0.05
            position = end
        windows = [result.window for result in self.results if result.window]
        for before, after in pairwise(windows):
            assert after.index == before.index + 1
            assert after.start == before.end


Answer = Callable[[Request], Response | Awaitable[Response]]


@contextlib.asynccontextmanager
async def static_origin(
    answers: Mapping[str, Answer | str | bytes],
) -> AsyncIterator[tuple[str, Counter[str]]]:
    """Serve fixed or computed answers by path; yields the base URL and the requests by path."""
    hits: Counter[str] = Counter()

    async def answer(request: Request) -> Response:
        path = request.path_params["path"]
        hits[path] += 1
        found = answers.get(path)
        if found is None:
            return Response(status_code=404)
        if not callable(found):
            return _with_ranges(request, found)
        response = found(request)
        return response if isinstance(response, Response) else await response

    listener = bind("127.0.0.1", 0)
    app = Starlette(routes=[Route("/{path:path}", answer)])
    async with serving(app, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", hits


def _with_ranges(request: Request, content: str | bytes) -> Response:
    data = content.encode() if isinstance(content, str) else content
    asked = request.headers.get("range")
    if asked is None:
        return Response(data)
    first, last = (int(each) for each in asked.removeprefix("bytes=").split("-"))
    return Response(data[first : last + 1], status_code=206)


_POLL_INTERVAL = 0.01

IN_PARTS = pytest.mark.parametrize("in_parts", [False, True], ids=["plain", "low latency"])
"""Runs a test on a plain origin, and on one of low-latency HLS."""


class PartsOrigin:
    """Publishes a finished playlist as low-latency HLS: each segment in two parts.

    The next part appears with a request that waits for it, and the first segment is there from the
    beginning. The halves of a segment have its name with `.0` and `.1` before the suffix.

    Args:
        answers: by path, with the playlist and its segments.
        path: of the playlist, which names segments of the same folder.
        read_first: wait with a part until the last one was read; the first segment excepted. A
            client that asks for either after the other is complete would then wait for ever.
        written: how the playlist writes a name.
    """

    def __init__(
        self,
        answers: Mapping[str, Answer | str | bytes],
        path: str,
        *,
        read_first: bool = False,
        written: Callable[[str], str] = str,
    ) -> None:
        folder = path[: path.rfind("/") + 1]
        found = answers[path]
        assert not callable(found)
        text = found if isinstance(found, str) else found.decode()
        self._read_first = read_first
        self._written = written
        self._published = 2
        self._read: set[str] = set()
        (first,) = re.findall(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)
        self._first = int(first)
        self._header, self._entries = _entries(text)
        self._halves: dict[str, bytes] = {}
        for _, name in self._entries:
            data = answers[f"{folder}{name}"]
            assert isinstance(data, bytes)
            middle = len(data) // 2
            self._halves |= zip(
                _half_names(folder + name), (data[:middle], data[middle:]), strict=True
            )
        self.answers: dict[str, Answer | str | bytes] = {**answers, path: self._playlist}
        self.answers |= dict.fromkeys(self._halves, self._half)

    def _half(self, request: Request) -> Response:
        name = request.url.path[1:]
        if list(self._halves).index(name) >= self._published:
            return Response(status_code=404)
        self._read.add(name)
        return Response(self._halves[name])

    async def _playlist(self, request: Request) -> Response:
        query = request.query_params
        if "_HLS_msn" in query:
            place = int(query["_HLS_msn"]) - self._first
            wanted = 2 * place + int(query.get("_HLS_part", 1)) + 1
            unread = set(list(self._halves)[2 : self._published]) - self._read
            if self._published < wanted <= self._published + 2 and not (
                self._read_first and unread
            ):
                self._published = wanted
        return Response(self._listing())

    def _listing(self) -> str:
        target = "#EXT-X-TARGETDURATION"
        control = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXT-X-PART-INF:PART-TARGET=0.9\n"
        lines = [self._header.replace(target, control + target)]
        for number, (tags, name) in enumerate(self._entries):
            shown = self._published - 2 * number
            if shown <= 0:
                break
            before, extinf, after = tags.partition("#EXTINF:")
            duration = float(after.split(",")[0])
            lines.append(before)
            lines += [
                f'#EXT-X-PART:DURATION={duration / 2:.3f},URI="{self._written(half)}"\n'
                for half in _half_names(name)[:shown]
            ]
            if shown > 1:
                lines.append(f"{extinf}{after}{self._written(name)}\n")
        if self._published >= len(self._halves):
            lines.append("#EXT-X-ENDLIST\n")
        return "".join(lines)


def _entries(playlist: str) -> tuple[str, list[tuple[str, str]]]:
    """Split a playlist into its header and its segments: the tags before a name, and the name."""
    header, entries, tags = "", [], ""
    for line in playlist.splitlines():
        if line.startswith("#EXT-X-ENDLIST"):
            continue
        if line and not line.startswith("#"):
            entries.append((tags, line))
            tags = ""
        elif not entries and re.match(r"#EXTM3U|#EXT-X-(VERSION|TARGET|MEDIA-|PLAYLIST|DEF)", line):
            header += f"{line}\n"
        else:
            tags += f"{line}\n"
    return header, entries


def _half_names(name: str) -> tuple[str, str]:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.0.{suffix}", f"{stem}.1.{suffix}"


def heartbeats(environment: ActivityEnvironment) -> list[IngestProgress]:
    """Collect what an activity heartbeats."""
    collected: list[IngestProgress] = []
    environment.on_heartbeat = lambda *details: collected.append(details[0])
    return collected
