"""100ms, as its simulator plays it, drives the whole product: nobody calls anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.hms import EventFault, Simulator, SimulatorOptions, Webhook
from demo.hms.management import Keys
from demo.hms.webhooks import RETRIES
from demo.match import Match
from demo.match.script import Truth
from demo.origin import Faults
from domain.media.segments import GapStatus
from domain.streams.status import StreamStatus
from tests.e2e.conftest import Stack
from tests.e2e.found import (
    assert_clip_plays,
    assert_each_moment_is_found_once,
    clip_files,
    wanted,
)
from tests.e2e.tenant import Tenant
from tests.factories.media import make_video

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PACE = 3.0
LIMIT = 180.0
KEYS = Keys(access_key="access", app_secret="secret of the app, which is long enough")
SIGNED = {"source": False, "secret_header": True, "signature": True}
STARTED, STOPPED = "hls.started.success", "hls.stopped.success"
RECORDED, REPAIRED = "hls.recording.success", "reconcile.start"
FIRST_MOMENT = tuple(range(12, 20))  # segments of 2 s: from 24 s to 40 s


class Workspace:
    """A workspace of 100ms's, and the connection through which it tells us."""

    def __init__(self, hms: Simulator, tenant: Tenant, connection_id: str) -> None:
        self.hms = hms
        self._tenant = tenant
        self._connection_id = connection_id

    async def until_told(self, kind: str) -> dict[str, Any]:
        """Wait until an event has come and something has come of it."""
        async with asyncio.timeout(LIMIT):
            while True:
                for each in await self._tenant.events(self._connection_id):
                    if each["type"] == kind and each["outcome"] is not None:
                        return each
                await asyncio.sleep(0.1)

    async def outcomes(self) -> dict[str, list[str | None]]:
        """Return what came of the events of each type."""
        return await self._tenant.outcomes(self._connection_id)

    async def until_tried(self, kind: str) -> None:
        """Wait until 100ms has tried to deliver an event, and given this attempt up if need be."""
        async with asyncio.timeout(LIMIT):
            while True:
                if self.answers(kind):
                    return
                await asyncio.sleep(0.05)

    def answers(self, kind: str) -> list[int | None]:
        """Return how each attempt at the events of a type was answered; None: not at all."""
        return [each.status for each in self.hms.sender.deliveries if each.type == kind]


Workspaces = Callable[..., AbstractAsyncContextManager[Workspace]]


@pytest.fixture
def workspace(tenant: Tenant, hms_port: int) -> Workspaces:
    @asynccontextmanager
    async def open_workspace(*faults: EventFault, pace: float = PACE) -> AsyncIterator[Workspace]:
        connection = await tenant.connect(
            game="soccer",
            title="Cup, room {room}",
            checks=SIGNED,
            management={"access_key": KEYS.access_key, "secret": KEYS.app_secret},
        )
        secrets = connection["secrets"]
        webhook = Webhook(
            url=connection["webhook_url"],
            headers={secrets["header_name"]: secrets["header_value"]},
            signature_secret=secrets["signing_secret"],
            # Whoever waits for us does not wait less because the match is played faster.
            retries=tuple(pace * each for each in RETRIES),
        )
        options = SimulatorOptions(
            webhook=webhook, event_faults=faults, pace=pace, keys=KEYS, port=hms_port
        )
        try:
            async with Simulator(options) as hms:
                yield Workspace(hms, tenant, connection["id"])
        finally:
            await tenant.disconnect(connection["id"])

    return open_workspace


async def test_a_session_gives_each_moment_once_from_its_stream_and_its_recording(
    stack: Stack, tenant: Tenant, match: Match, workspace: Workspaces, tmp_path: Path
) -> None:
    async with workspace() as told:
        session = told.hms.room("Derby").open()
        session.join()
        beam = await session.start_beam(match.video, faults=Faults(missing=FIRST_MOMENT))
        stream_id = (await told.until_told(STARTED))["stream_id"]
        await beam.finished()
        with stack.api_away():
            await beam.stop()
            await told.until_tried(STOPPED)
        await tenant.until_over(stream_id, seconds=LIMIT)
        live = wanted(await tenant.highlights(stream_id))
        await told.hms.publish_recording(beam)
        session.end()
        await told.hms.sender.settled()
        truth = Truth.model_validate_json(match.truth.read_text("utf-8"))
        stream = await tenant.until(
            stream_id, lambda found: found.clips == len(truth.moments), seconds=LIMIT
        )
        highlights = wanted(await tenant.highlights(stream_id))
        outcomes = await told.outcomes()

    first, *_, last = told.answers(STOPPED)
    assert (first, last) == (None, 200)
    assert (outcomes[STARTED], outcomes[STOPPED]) == (["started"], ["ended"])
    assert outcomes[RECORDED] == ["recording"]
    assert stream.status is StreamStatus.COMPLETED
    assert {gap.status for gap in stream.gaps} == {GapStatus.FILLED}
    assert [each.id for each in live] == [highlights[1].id]
    assert_each_moment_is_found_once(highlights, match)
    for highlight in highlights:
        await assert_clip_plays(highlight, tenant, tmp_path)
    assert clip_files(stack, stream_id) == {str(h.clip.id) for h in highlights if h.clip}


async def test_a_start_that_never_comes_is_made_good_from_100mss_list(
    tenant: Tenant, workspace: Workspaces, tmp_path: Path
) -> None:
    video = make_video(tmp_path / "video.mp4", seconds=60)
    async with workspace(EventFault(type=STARTED, drop=True), pace=1.0) as told:
        beam = await told.hms.room("Derby").open().start_beam(video, recorded=False)
        assert beam.started_at is not None
        beam.started_at -= timedelta(minutes=1)  # a start may be late before it counts as missed
        stream_id = (await told.until_told(REPAIRED))["stream_id"]
        await tenant.until(
            stream_id, lambda found: found.status is StreamStatus.LIVE, seconds=LIMIT
        )
        await beam.stop()
        stream = await tenant.until_over(stream_id, seconds=LIMIT)
        assert (await told.until_told(STOPPED))["stream_id"] == stream_id
        outcomes = await told.outcomes()
    assert (outcomes[REPAIRED], outcomes[STOPPED]) == (["started"], ["ended"])
    assert (stream.url, stream.status) == (beam.url, StreamStatus.COMPLETED)
