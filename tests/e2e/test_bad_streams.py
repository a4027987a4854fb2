"""Bad input through the public API: each ends in its documented state, and the worker goes on."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dev.supervisor import free_ports
from demo.origin import LiveOrigin, OriginOptions
from demo.origin.faults import CorruptSegment, Faults, Redirect, Regression
from domain.media.segments import GapReason
from domain.streams.status import EndReason, StreamStatus
from tests.e2e.conftest import Stack
from tests.e2e.installation import ROOT, START_TIMEOUT, STOP_TIMEOUT, command
from tests.e2e.tenant import Tenant
from tests.factories.media import make_video

pytestmark = [pytest.mark.stack]

PACE = 4.0
START_LIMIT = 10.0  # seconds; the least that the API lets a tenant ask for
LIMIT = 120.0

FATAL = [
    ("no playlist", {"faults": Faults(master="html")}, EndReason.NOT_A_PLAYLIST, ".m3u8"),
    ("recording", {"playlist_type": "vod"}, EndReason.VOD_PLAYLIST, "live playlist"),
    ("encrypted", {"faults": Faults(encrypted=True)}, EndReason.ENCRYPTED, "key cannot be read"),
    ("never starts", {"autostart": False}, EndReason.NEVER_STARTED, "10 s"),
    (
        "goes back in time",
        {"pace": 2.0, "faults": Faults(regression=Regression(at=5, by=100, times=1000))},
        EndReason.PLAYLIST_REGRESSED,
        "back in time",
    ),
    (
        "redirects off the web",
        {"faults": Faults(redirect=Redirect(of="master", location="http://169.254.169.254/"))},
        EndReason.URL_FORBIDDEN,
        "not on the public internet",
    ),
]


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "video.mp4", seconds=24)


@pytest.fixture
def guarded_api(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """A second API of the same installation that keeps strangers off private addresses."""
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "HIGHLIGHTS_STATE_DIR": str(stack.state),
        "HIGHLIGHTS_API_PORT": str(port),
    }
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command("serve"), cwd=ROOT, env=environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            wait_until_answering(f"http://127.0.0.1:{port}/healthz", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT)


def wait_until_answering(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            httpx.get(url).raise_for_status()
        except httpx.HTTPError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize(
    ("options", "reason", "words"),
    [case[1:] for case in FATAL],
    ids=[case[0] for case in FATAL],
)
async def test_a_stream_that_cannot_be_followed_fails_and_says_why(
    tenant: Tenant, video: Path, options: dict[str, Any], reason: EndReason, words: str
) -> None:
    async with LiveOrigin(video, OriginOptions(**{"pace": PACE, **options})) as origin:
        stream_id = await tenant.analyze(origin.master_url, start_timeout=START_LIMIT)
        stream = await tenant.until_over(stream_id, seconds=LIMIT)
    assert stream.end is not None
    assert (stream.status, stream.end.reason) == (StreamStatus.FAILED, reason)
    assert words in stream.end.message
    assert stream.ended_at is not None


async def test_a_corrupt_segment_costs_itself_alone(tenant: Tenant, video: Path) -> None:
    faults = Faults(corrupt=(CorruptSegment(segment=5),))
    async with LiveOrigin(video, OriginOptions(pace=PACE, faults=faults)) as origin:
        stream_id = await tenant.analyze(origin.master_url)
        stream = await tenant.until_over(stream_id, seconds=LIMIT)
        published = origin.published
    assert stream.status is StreamStatus.COMPLETED
    assert [(gap.start, gap.reason) for gap in stream.gaps] == [(10.0, GapReason.CORRUPT)]
    assert (stream.segments, stream.missed) == (published - 1, 1)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://169.254.169.254/master.m3u8"])
async def test_a_forbidden_url_is_refused(tenant: Tenant, url: str) -> None:
    response = await tenant.ask_to_analyze(url)
    assert (response.status_code, json.loads(response.content)["code"]) == (422, "url_forbidden")


async def test_a_private_address_is_refused_unless_that_is_allowed(
    stack: Stack, guarded_api: str
) -> None:
    async with Tenant(guarded_api, stack.running.api_key or "") as tenant:
        response = await tenant.ask_to_analyze("https://127.0.0.1/master.m3u8")
    assert response.status_code == 422
    assert "public internet" in response.json()["detail"]


async def test_after_bad_streams_the_same_worker_follows_a_good_one(
    stack: Stack, tenant: Tenant, video: Path
) -> None:
    worker = stack.running.worker_pid
    async with LiveOrigin(video, OriginOptions(faults=Faults(encrypted=True))) as origin:
        bad = await tenant.analyze(origin.master_url)
        assert (await tenant.until_over(bad, seconds=LIMIT)).status is StreamStatus.FAILED
    async with LiveOrigin(video, OriginOptions(pace=PACE)) as origin:
        good = await tenant.analyze(origin.master_url)
        stream = await tenant.until_over(good, seconds=LIMIT)
        assert (stream.segments, stream.missed) == (origin.published, 0)
    assert stream.status is StreamStatus.COMPLETED
    assert stack.running.worker_pid == worker
