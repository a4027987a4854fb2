"""A clip as the viewer sees it: in a real browser, over HTTP, by its signed URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest
import uvicorn
from playwright.async_api import Page, Response, async_playwright

from app.dev.postgres import DatabaseUrls
from app.dev.supervisor import free_ports
from app.doctor import chromium_path
from app.serve import build_app
from app.services.api_keys import create_key
from demo.origin.server import bind, serving
from domain.clips.models import ClipStatus
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import clips
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import Cut, render
from infra.settings import Settings
from infra.storage.clips import ClipStore, LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.signed_urls import read_rsa_key
from tests.factories.film import FRAME, RATE, film, number_in, segments, sources
from tests.factories.rows import clip_record, new_highlight, new_stream
from tests.fakes.cloudfront import CloudFront
from tests.fakes.s3_server import S3Server, cdn_private_key

SECRET = "s" * 32
OFFSET, DURATION = 2.0, 4.0
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # A page that the test itself answers counts as public, which may not lead to this machine.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
)


@dataclass(frozen=True)
class Player:
    """A page that shows the clip in a video element, `v`, and the answers it got from the API."""

    page: Page
    answers: Sequence[Response]

    async def open(self, url: str, body: str) -> None:
        # A tenant's page, yet on the API's origin, so that a script may look at the pictures.
        page = urlsplit(url)._replace(path="/player", query="").geturl()
        await self.page.route(
            page, lambda route: route.fulfill(content_type="text/html", body=body)
        )
        await self.page.goto(page)

    async def load(self, url: str) -> None:
        await self.open(url, f"<video muted preload=auto src='{escape(url)}'></video>")
        await self.wait_until("v.error || v.readyState === HTMLMediaElement.HAVE_ENOUGH_DATA")
        assert await self.value("v.error && v.error.message") is None

    async def value(self, expression: str) -> Any:  # noqa: ANN401 -- whatever the script says
        return await self.page.evaluate(
            f"async () => {{ const v = document.querySelector('video'); return {expression}; }}"
        )

    async def wait_until(self, expression: str) -> None:
        await self.page.wait_for_function(
            f"() => {{ const v = document.querySelector('video'); return {expression}; }}"
        )

    async def seek(self, seconds: float) -> None:
        await self.value(
            "new Promise(done => {"
            f" v.addEventListener('seeked', done, {{once: true}}); v.currentTime = {seconds}; }})"
            ".then(() => null)"
        )

    async def shown_number(self) -> int:
        """The number of the picture that is shown, as the film's bars say."""
        middle = await self.page.evaluate(
            "() => { const v = document.querySelector('video');"
            " const c = document.createElement('canvas');"
            " c.width = v.videoWidth; c.height = v.videoHeight;"
            " const d = c.getContext('2d'); d.drawImage(v, 0, 0);"
            " const row = d.getImageData(0, c.height / 2, c.width, 1).data;"
            " return Array.from(row).filter((_, place) => place % 4 === 1); }"
        )
        return number_in(np.array(middle, np.uint8))


@pytest.fixture
async def player() -> AsyncIterator[Player]:
    chromium = chromium_path()
    if chromium is None:
        pytest.skip("no Chromium on this machine: run bin/system-packages, or install one")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=[*FLAGS])
        try:
            page = await browser.new_page()
            answers: list[Response] = []
            page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 -- it takes no builtin
            yield Player(page=page, answers=answers)
        finally:
            await browser.close()


@pytest.fixture
async def url(postgres: DatabaseUrls, tmp_path: Path) -> AsyncIterator[str]:
    """The signed URL of a clip that was rendered, stored and recorded, as the API gives it."""
    store = LocalClipStore(tmp_path / "clips")
    async with clip_url(postgres, store, clip_store=str(store.root)) as url:
        yield url


@pytest.fixture(params=["s3", "cdn"])
async def remote_url(
    request: pytest.FixtureRequest, postgres: DatabaseUrls, s3_server: S3Server, s3_bucket: str
) -> AsyncIterator[str]:
    """The same of a clip in S3, to which the API redirects: there, or to the CDN before it."""
    client = s3_server.client()
    connection = S3Connection()
    store = S3ClipStore(S3Bucket(connection, S3Location(s3_bucket, "clips")))
    listener = bind("127.0.0.1", 0)
    settings = {"clip_store": f"s3://{s3_bucket}/clips"}
    if request.param == "cdn":
        settings |= {
            "clip_cdn_url": f"http://127.0.0.1:{listener.getsockname()[1]}/clips",
            "clip_cdn_key_id": "K1",
            "clip_cdn_private_key": cdn_private_key(),
        }
    key = read_rsa_key(cdn_private_key()).public_key()
    cdn = CloudFront(client, s3_bucket, key_id="K1", key=key)
    async with serving(cdn.app, listener), clip_url(postgres, store, **settings) as url:
        yield url
    await connection.close()


@asynccontextmanager
async def clip_url(postgres: DatabaseUrls, store: ClipStore, **places: str) -> AsyncIterator[str]:
    """Store a clip, and serve the API that links to it."""
    port, no_temporal = free_ports(2)
    settings = Settings.model_validate(
        {
            "temporal_address": f"127.0.0.1:{no_temporal}",
            "database_url": postgres.application,
            "database_pool_size": 2,
            "signing_secret": SECRET,
            "public_base_url": f"http://127.0.0.1:{port}",
            **places,
        }
    )
    database = Database(postgres.application, pool_size=1)
    try:
        made = await create_key(
            database,
            secret=SECRET.encode(),
            slug=f"tenant-{uuid4().hex}",
            name="test",
            scopes=(Scope.ADMIN,),
        )
        clip = await _stored_clip(database, made.tenant_id, store)
    finally:
        await database.close()
    async with (
        _serving(settings, port),
        httpx.AsyncClient(headers={"Authorization": f"Bearer {made.key.value}"}) as client,
    ):
        found = await client.get(f"http://127.0.0.1:{port}/v1/clips/{clip}")
        yield str(found.raise_for_status().json()["url"])


async def _stored_clip(database: Database, tenant: UUID, store: ClipStore) -> UUID:
    stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    record = clip_record(tenant, stream, highlight, status=ClipStatus.READY)
    assert record.rendered is not None
    with TemporaryDirectory() as folder:
        clip = await _render(Path(folder))
        await store.put(record.rendered.key, clip)
    async with database.session(tenant) as session:
        await clips.record_clip(session, record)
    return record.spec.id


async def _render(folder: Path) -> Path:
    parts = await asyncio.to_thread(
        lambda: segments(film(folder / "film.mp4", seconds=8.0), folder / "parts")
    )
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=30, timeout=30.0) as pool:
        cut = Cut(sources=sources(parts), offset=OFFSET, duration=DURATION, thumbnail_at=4.0)
        rendering = await render(
            cut, pool=pool, binary=find_ffmpeg(), directory=folder, limits=FfmpegLimits()
        )
    return rendering.clip


@asynccontextmanager
async def _serving(settings: Settings, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(
        uvicorn.Config(build_app(settings), host="127.0.0.1", port=port, log_config=None)
    )
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
        assert not task.done()
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def test_a_clip_is_ready_to_play_with_its_size_and_length(player: Player, url: str) -> None:
    await player.load(url)
    assert await player.value("[v.videoWidth, v.videoHeight]") == [320, 180]
    assert await player.value("v.duration") == pytest.approx(DURATION, abs=FRAME)
    assert await player.value("v.webkitAudioDecodedByteCount >= 0")


async def test_a_clip_plays_to_its_end(player: Player, url: str) -> None:
    await player.load(url)
    assert await player.value("v.currentTime") == 0
    await player.value("v.play()")
    await player.wait_until("v.currentTime > 0.2")
    await player.wait_until("v.ended")
    assert await player.value("v.currentTime") == pytest.approx(DURATION, abs=2 * FRAME)
    assert await player.value("v.webkitAudioDecodedByteCount") > 0


async def test_the_first_picture_is_that_of_the_clips_beginning(player: Player, url: str) -> None:
    await player.load(url)
    assert await player.shown_number() == round(OFFSET * RATE)


@pytest.mark.parametrize("seconds", [0.5, 2.5, 3.9])
async def test_seeking_shows_the_picture_of_that_time(
    player: Player, url: str, seconds: float
) -> None:
    await player.load(url)
    await player.seek(seconds)
    assert await player.value("v.currentTime") == pytest.approx(seconds)
    expected = (OFFSET + seconds) * RATE
    assert await player.shown_number() == pytest.approx(expected, abs=1)


async def test_the_browser_asks_for_parts_and_gets_them(player: Player, url: str) -> None:
    await player.load(url)
    of_clip = [answer for answer in player.answers if answer.url == url]
    assert {answer.status for answer in of_clip} == {206}
    assert all(answer.headers["accept-ranges"] == "bytes" for answer in of_clip)


async def test_a_forged_url_plays_nothing(player: Player, url: str) -> None:
    with pytest.raises(AssertionError):
        await player.load(url[:-4] + "AAAA")
    assert {answer.status for answer in player.answers if "/download" in answer.url} == {403}


async def test_a_clip_in_s3_plays_from_where_the_api_redirects_to(
    player: Player, remote_url: str
) -> None:
    await player.load(remote_url)
    await player.seek(2.5)
    await player.value("v.play()")
    await player.wait_until("v.ended")
    assert await player.value("v.currentTime") == pytest.approx(DURATION, abs=2 * FRAME)
    assert await player.value("v.webkitAudioDecodedByteCount") > 0
    redirects = [answer for answer in player.answers if answer.url == remote_url]
    assert {answer.status for answer in redirects} == {307}
    files = [answer for answer in player.answers if "/clips/" in urlsplit(answer.url).path]
    files = [answer for answer in files if answer not in redirects]
    assert {answer.status for answer in files} == {206}
    assert {answer.headers["content-type"] for answer in files} == {"video/mp4"}


@pytest.mark.parametrize("remote_url", ["cdn"], indirect=True)
async def test_a_script_reads_a_clip_behind_a_cdn_that_allows_it(
    player: Player, remote_url: str
) -> None:
    await player.open(remote_url, "a page")
    read = f"fetch('{remote_url}', {{headers: {{Range: 'bytes=4-7'}}}}).then(r => r.text())"
    assert await player.value(read) == "ftyp"
