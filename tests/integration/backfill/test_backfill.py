"""What a live stream left out is found in its recording, and what was found is not doubled."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from starlette.responses import Response
from temporalio.client import Client

from app.container import Container
from demo.hms.recording import Recording
from demo.origin import Faults, LiveOrigin, Mark, OriginOptions
from domain import task_queues
from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from domain.ids import backfill_workflow_id, stream_workflow_id
from domain.ingest.messages import IngestLimits
from domain.media.segments import Gap, GapReason, GapStatus
from domain.streams.backfill.messages import (
    BackfillInput,
    BackfillOutcome,
    BackfillResult,
    BackfillTiming,
)
from domain.streams.messages import RecordingReady, StreamInput, StreamRecord
from domain.streams.status import EndReason, StreamEnd, StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import clips, streams
from infra.db.tables import Highlight
from tests.factories.rows import PROFILE, new_stream, shown_highlights
from tests.integration.backfill.conftest import PEAK, SECONDS
from tests.integration.ingest.harness import static_origin
from workflows.backfill import BackfillWorkflow
from workflows.stream import StreamWorkflow

pytestmark = pytest.mark.timeout(240)

PACE = 8.0
LIMITS = IngestLimits(window_duration=6.0, start_timeout=60.0, stall_timeout=60.0)
MARKED = 60.5
MARKS = (Mark(at=MARKED, payload=json.dumps({"highlight": {"label": "celebration"}})),)
OVER_THE_MOMENT = tuple(range(10, 16))  # 20 s to 32 s
ACROSS_THE_MOMENT = (12, 13, 14)  # 24 s to 30 s
BESIDE_THE_MARK = (31, 32)  # 62 s to 66 s


class Match:
    """One stream of a tenant: followed live, and filled from its recording."""

    def __init__(self, client: Client, database: Database, tenant: UUID, stream: UUID) -> None:
        self._client = client
        self._database = database
        self.tenant, self.stream = tenant, stream

    async def follow(self, origin: LiveOrigin) -> None:
        """Follow the stream to its end."""
        await self._client.execute_workflow(
            StreamWorkflow.run,
            StreamInput(
                tenant_id=self.tenant,
                stream_id=self.stream,
                playlist_url=origin.master_url,
                game="default",
                profile_id=PROFILE.id,
                profile_version=PROFILE.version,
                limits=LIMITS,
            ),
            id=stream_workflow_id(tenant_id=self.tenant, stream_id=self.stream),
            task_queue=task_queues.ORCHESTRATION,
        )

    async def fill(self, url: str, *alternatives: str) -> BackfillResult:
        """Fill what is missing from the recording."""
        return await self._client.execute_workflow(
            BackfillWorkflow.run,
            BackfillInput(
                tenant_id=self.tenant,
                stream_id=self.stream,
                recording=RecordingReady(url=url, alternatives=alternatives),
                limits=LIMITS,
                timing=BackfillTiming(recording_patience=20.0),
            ),
            id=backfill_workflow_id(tenant_id=self.tenant, stream_id=self.stream),
            task_queue=task_queues.ORCHESTRATION,
        )

    async def ended_with_gaps(self, *gaps: Gap) -> None:
        """Record that the stream has ended after 70 s, all of which was had but for these gaps."""
        progress = StreamProgress(
            status=StreamStatus.COMPLETED,
            position=SECONDS,
            analyzed=SECONDS,
            segments=30,
            missed=sum(gap.segments for gap in gaps),
            end=StreamEnd(reason=EndReason.PLAYLIST_ENDED, message="ended"),
        )
        record = StreamRecord(
            tenant_id=self.tenant, stream_id=self.stream, progress=progress, gaps=gaps
        )
        async with self._database.session(self.tenant) as session:
            await streams.record_stream(session, record)

    async def shown(self) -> list[Highlight]:
        """The stream's highlights, in order of media time."""
        return await shown_highlights(self._database, self.tenant, self.stream)

    async def gaps(self) -> dict[GapStatus, int]:
        """How many seconds of gaps there are, by what came of them."""
        async with self._database.session(self.tenant) as session:
            rows = await streams.gaps(session, tenant_id=self.tenant, stream_id=self.stream)
        lengths = Counter[GapStatus]()
        for row in rows:
            lengths[GapStatus(row.status)] += round(row.duration)
        return dict(lengths)

    async def status(self) -> tuple[str, int, int]:
        """The stream's state and how many highlights and clips it counts."""
        async with self._database.session(self.tenant) as session:
            row = await streams.get(session, tenant_id=self.tenant, stream_id=self.stream)
        assert row is not None
        return row.status, row.highlights, row.clips

    async def clips(self) -> list[str]:
        """The states of the clips of the stream's highlights."""
        shown = [each.id for each in await self.shown()]
        async with self._database.session(self.tenant) as session:
            found = await clips.latest_by_highlight(
                session, tenant_id=self.tenant, highlight_ids=shown
            )
        return [clip.status for clip in found.values()]


def lost_media(
    start: float, duration: float, *, anchor: tuple[float, datetime] | None = None
) -> Gap:
    """A gap of 2 s segments; `anchor` is a segment beside it on both clocks."""
    return Gap(
        start=start,
        duration=duration,
        first_sequence=int(start / 2),
        last_sequence=int((start + duration) / 2) - 1,
        reason=GapReason.ROLLED_OFF,
        anchor_at=anchor[0] if anchor else None,
        anchor_wall=anchor[1] if anchor else None,
    )


@pytest.fixture
async def stream(temporal_client: Client, database: Database, tenant: UUID) -> Match:
    return Match(temporal_client, database, tenant, await new_stream(database, tenant))


@asynccontextmanager
async def recording_of(live: LiveOrigin) -> AsyncIterator[str]:
    """The recording of a stream that was live, which tells the same dates."""
    options = OriginOptions(
        playlist_type="vod",
        pace=live.options.pace,
        marks=live.options.marks,
        dates=tuple(segment.program_date_time for segment in live.segments),
    )
    async with LiveOrigin(live.path, options) as origin:
        await origin.finished.wait()
        yield origin.master_url


async def test_a_moment_in_a_gap_is_found_once_and_nothing_is_doubled(
    stream: Match, match: Path, worker: Container
) -> None:
    faults = Faults(missing=(*OVER_THE_MOMENT, *BESIDE_THE_MARK))
    options = OriginOptions(pace=PACE, marks=MARKS, faults=faults)
    async with LiveOrigin(match, options) as live:
        await stream.follow(live)
        assert [each.peak for each in await stream.shown()] == [pytest.approx(MARKED, abs=0.5)]
        before = (await stream.shown())[0]
        assert await stream.gaps() == {GapStatus.OPEN: 16}
        async with recording_of(live) as url:
            result = await stream.fill(url)
            again = await stream.fill(url)
    assert (result.outcome, result.lost, result.highlights) == (BackfillOutcome.FILLED, 0, 1)
    assert again.outcome is BackfillOutcome.NOTHING_MISSING
    assert await stream.gaps() == {GapStatus.FILLED: 16}

    found, marked = await stream.shown()
    assert found.peak == pytest.approx(PEAK, abs=1.0)
    assert found.status == DecisionStatus.CONFIRMED
    assert "recording" in [each["signal"] for each in found.evidence]
    assert (marked.id, marked.revision) == (before.id, before.revision)
    assert await stream.status() == (StreamStatus.COMPLETED, 2, 2)
    assert await stream.clips() == [ClipStatus.READY] * 2
    assert await worker.segments.list(f"{stream.tenant}/{stream.stream}/recording/") == []


async def test_a_moment_cut_by_the_edge_of_a_gap_is_shown_once(
    stream: Match, match: Path, worker: Container
) -> None:
    faults = Faults(missing=ACROSS_THE_MOMENT)
    async with LiveOrigin(match, OriginOptions(pace=PACE, faults=faults)) as live:
        await stream.follow(live)
        before = await stream.shown()
        async with recording_of(live) as url:
            await stream.fill(url)
    assert [each.id for each in before] == [each.id for each in await stream.shown()]
    assert [each.peak for each in before] == [pytest.approx(PEAK, abs=2.5)]
    assert await stream.gaps() == {GapStatus.FILLED: 6}


async def test_a_stream_missed_altogether_is_analysed_from_its_recording(
    stream: Match, match: Path, worker: Container
) -> None:
    options = OriginOptions(playlist_type="vod", pace=PACE, marks=MARKS)
    async with LiveOrigin(match, options) as recording:
        await recording.finished.wait()
        result = await stream.fill(recording.master_url)
    assert (result.outcome, result.highlights, result.clips) == (BackfillOutcome.FILLED, 2, 2)
    assert [round(each.peak) for each in await stream.shown()] == pytest.approx(
        [PEAK, MARKED], abs=1.0
    )
    assert await stream.status() == (StreamStatus.COMPLETED, 2, 2)
    assert await worker.segments.list(f"{stream.tenant}/{stream.stream}/recording/") == []


async def test_a_recording_may_come_as_an_archive(
    stream: Match, match: Path, worker: Container
) -> None:
    options = OriginOptions(pace=PACE, keep_all=True)
    async with LiveOrigin(match, options) as live:
        await live.finished.wait()
        archive = await asyncio.to_thread(Recording(live, "zip").read, "recording.zip")
    assert archive is not None
    async with static_origin({"recording.zip": archive[0]}) as (base, _):
        result = await stream.fill(f"{base}/recording.zip?X-Amz-Signature=1")
    assert (result.outcome, result.highlights) == (BackfillOutcome.FILLED, 1)
    assert [each.peak for each in await stream.shown()] == [pytest.approx(PEAK, abs=1.0)]


async def test_a_short_recording_fills_what_it_reaches_and_says_so_of_the_rest(
    stream: Match, match: Path, worker: Container
) -> None:
    options = OriginOptions(playlist_type="vod", pace=PACE, faults=Faults(stop_after=20))
    async with LiveOrigin(match, options) as recording:
        await recording.finished.wait()
        dates = [segment.program_date_time for segment in recording.segments]
        await stream.ended_with_gaps(
            lost_media(20.0, 12.0, anchor=(18.0, dates[9])),
            lost_media(62.0, 4.0, anchor=(38.0, dates[19])),
        )
        result = await stream.fill(recording.master_url)
    assert (result.outcome, result.filled, result.lost) == (BackfillOutcome.PARTLY, 1, 1)
    assert await stream.gaps() == {GapStatus.FILLED: 12, GapStatus.LOST: 4}
    assert [each.peak for each in await stream.shown()] == [pytest.approx(PEAK, abs=1.0)]
    assert await stream.status() == (StreamStatus.COMPLETED, 1, 1)


async def test_a_recording_that_may_not_be_read_leaves_the_stream_as_it_was(
    stream: Match, worker: Container
) -> None:
    await stream.ended_with_gaps(lost_media(20.0, 12.0))
    async with static_origin({"vod.m3u8": lambda _: Response(status_code=403)}) as (base, _):
        result = await stream.fill(f"{base}/vod.m3u8?signature=expired")
    assert result.outcome is BackfillOutcome.NO_RECORDING
    assert "a presigned address may have expired" in result.message
    assert await stream.gaps() == {GapStatus.LOST: 12}
    assert await stream.status() == (StreamStatus.COMPLETED, 0, 0)


async def test_a_missed_stream_without_a_recording_has_failed_and_says_why(
    stream: Match, worker: Container
) -> None:
    async with static_origin({}) as (base, _):
        result = await stream.fill(f"{base}/vod.m3u8")
    assert result.outcome is BackfillOutcome.NO_RECORDING
    assert await stream.status() == (StreamStatus.FAILED, 0, 0)
