"""The list of live streams, by which missed events are found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from demo.hms import Simulator, SimulatorOptions, management_token

PATH = "/v2/live-streams"


class Workspace:
    """A client with a management token."""

    def __init__(self, simulator: Simulator, http: httpx.AsyncClient) -> None:
        self.simulator = simulator
        self.http = http

    async def page(self, **query: object) -> dict[str, Any]:
        token = management_token(self.simulator.keys)
        response = await self.http.get(
            PATH,
            params={name: str(value) for name, value in query.items()},
            headers={"Authorization": f"Bearer {token}"},
        )
        page: dict[str, Any] = response.raise_for_status().json()
        return page

    async def post(self, path: str, **body: object) -> httpx.Response:
        token = management_token(self.simulator.keys)
        return await self.http.post(path, json=body, headers={"Authorization": f"Bearer {token}"})

    async def ids(self, **query: object) -> list[str]:
        return [stream["id"] for stream in (await self.page(**query))["data"]]


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with (
        Simulator(SimulatorOptions(pace=40.0)) as simulator,
        httpx.AsyncClient(base_url=simulator.base_url) as http,
    ):
        yield Workspace(simulator, http)


async def test_a_stream_goes_from_running_to_completed(workspace: Workspace, video: Path) -> None:
    async def status() -> str:
        (stream,) = (await workspace.page())["data"]
        return str(stream["status"])

    beam = await workspace.simulator.room().open().start_beam(video)
    assert await status() == "running"
    await beam.stop()
    assert await status() == "post_processing"
    await workspace.simulator.publish_recording(beam)
    assert await status() == "completed"


async def test_a_stream_is_starting_until_its_first_segment_is_out(
    workspace: Workspace, video: Path
) -> None:
    opening = asyncio.create_task(workspace.simulator.room().open().start_beam(video))
    await asyncio.sleep(0)
    (beam,) = workspace.simulator.beams
    listed = beam.as_live_stream(beam.job_id)
    assert (listed["status"], listed["started_at"]) == ("starting", None)
    assert listed["playback"] == {"url": ""}
    await opening


async def test_a_stream_without_a_recording_is_completed_at_once(
    workspace: Workspace, video: Path
) -> None:
    beam = await workspace.simulator.room().open().start_beam(video, recorded=False)
    await beam.stop()
    (stream,) = (await workspace.page())["data"]
    assert stream["status"] == "completed"


async def test_a_stream_says_where_it_can_be_watched(workspace: Workspace, video: Path) -> None:
    beam = await workspace.simulator.room().open().start_beam(video)
    (stream,) = (await workspace.page())["data"]
    assert stream["playback"] == {"url": beam.url}
    assert (stream["room_id"], stream["session_id"]) == (beam.room_id, beam.session_id)
    assert stream["started_at"] is not None
    assert stream["stopped_at"] is None


async def test_the_list_is_given_page_by_page_newest_first(workspace: Workspace) -> None:
    session = workspace.simulator.room().open()
    expected = [(await session.fail_beam()).job_id for _ in range(5)][::-1]
    first = await workspace.page(limit=2)
    assert [stream["id"] for stream in first["data"]] == expected[:2]
    assert first["last"] == expected[1]
    assert await workspace.ids(limit=2, start=expected[1]) == expected[2:4]
    assert await workspace.ids(limit=2, start=expected[3]) == expected[4:]
    assert await workspace.ids(limit=2, start=expected[4]) == []


async def test_a_page_holds_ten_unless_asked_otherwise(workspace: Workspace) -> None:
    session = workspace.simulator.room().open()
    for _ in range(11):
        await session.fail_beam()
    assert len(await workspace.ids()) == 10


async def test_the_list_can_be_filtered(workspace: Workspace) -> None:
    one, two = (workspace.simulator.room().open() for _ in range(2))
    first, second = await one.fail_beam(), await two.fail_beam()
    assert await workspace.ids(room_id=first.room_id) == [first.job_id]
    assert await workspace.ids(session_id=second.session_id) == [second.job_id]
    assert await workspace.ids(status="failed") == [second.job_id, first.job_id]
    assert await workspace.ids(status="running") == []


@pytest.mark.parametrize("query", [{"status": "dreaming"}, {"start": "?"}, {"limit": "many"}])
async def test_an_unreadable_query_is_refused(workspace: Workspace, query: dict[str, str]) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await workspace.page(**query)


async def test_a_listed_stream_has_the_jobs_id_or_the_beams() -> None:
    for listed, attribute in (("job", "job_id"), ("beam", "id")):
        options = SimulatorOptions.model_validate({"listed_id": listed})
        async with (
            Simulator(options) as simulator,
            httpx.AsyncClient(base_url=simulator.base_url) as http,
        ):
            beam = await simulator.room().open().fail_beam()
            assert await Workspace(simulator, http).ids() == [getattr(beam, attribute)]


async def test_a_stream_can_be_stopped_by_its_id(workspace: Workspace, video: Path) -> None:
    beam = await workspace.simulator.room().open().start_beam(video)
    stopped = await workspace.post(f"{PATH}/{beam.job_id}/stop")
    assert stopped.json()["status"] == "post_processing"
    kinds = [event.type for event in workspace.simulator.sender.events]
    assert kinds.count("hls.stopped.success") == 1


async def test_all_streams_of_a_room_can_be_stopped(workspace: Workspace, video: Path) -> None:
    beam = await workspace.simulator.room().open().start_beam(video)
    for expected in ([beam.job_id], []):
        stopped = await workspace.post(f"{PATH}/room/{beam.room_id}/stop")
        assert [stream["id"] for stream in stopped.json()["data"]] == expected


async def test_timed_metadata_can_be_sent_over_the_api(workspace: Workspace, video: Path) -> None:
    beam = await workspace.simulator.room().open().start_beam(video)
    path = f"{PATH}/{beam.job_id}/timed-metadata"
    assert (await workspace.post(path, payload="goal", duration=2)).status_code == 200
    variant = (await workspace.http.get(beam.url)).text.splitlines()[-1]
    playlist = await workspace.http.get(beam.url.replace("master.m3u8", variant))
    assert "X-100MSLIVE-PAYLOAD" in playlist.text
    assert (await workspace.post(path, payload="x" * 101, duration=2)).status_code == 400


async def test_a_stream_that_there_is_not_is_said_not_to_be(workspace: Workspace) -> None:
    assert (await workspace.post(f"{PATH}/none/stop")).status_code == 404


def claims(simulator: Simulator, **changes: object) -> dict[str, object]:
    now = datetime.now(UTC)
    return {
        "access_key": simulator.keys.access_key,
        "type": "management",
        "version": 2,
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(hours=1),
        "jti": "1",
    } | changes


async def answer(workspace: Workspace, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return (await workspace.http.get(PATH, headers=headers)).status_code


async def test_there_is_no_list_without_a_token(workspace: Workspace) -> None:
    assert await answer(workspace, None) == 401
    assert await answer(workspace, "nonsense") == 401


async def test_the_token_must_be_signed_with_the_app_secret(workspace: Workspace) -> None:
    token = jwt.encode(claims(workspace.simulator), "another secret" * 4, algorithm="HS256")
    assert await answer(workspace, token) == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"access_key": "another"},
        {"type": "app"},
        {"version": 1},
        {"exp": datetime.now(UTC) - timedelta(minutes=1)},
        {"nbf": datetime.now(UTC) + timedelta(days=1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_a_token_of_the_wrong_kind_is_refused(
    workspace: Workspace, changes: dict[str, object]
) -> None:
    simulator = workspace.simulator
    token = jwt.encode(claims(simulator, **changes), simulator.keys.app_secret, algorithm="HS256")
    assert await answer(workspace, token) == 401


@pytest.mark.parametrize("missing", ["access_key", "type", "version", "iat", "nbf", "exp", "jti"])
async def test_every_claim_must_be_there(workspace: Workspace, missing: str) -> None:
    incomplete = claims(workspace.simulator)
    del incomplete[missing]
    token = jwt.encode(incomplete, workspace.simulator.keys.app_secret, algorithm="HS256")
    assert await answer(workspace, token) == 401
