"""A clip as the viewer sees it: in a real browser, over HTTP, by its signed URL."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
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
from domain.exports.models import (
    ExportRecord,
    ExportSource,
    ExportSpec,
    ExportStatus,
    RenderedRendition,
    RenditionFormat,
    RenditionSpec,
)
from domain.tenants.keys import Scope
from infra.db.engine import Database
from infra.db.repositories import clips, exports
from infra.media.exports.renderer import ExportRenderer, RenditionFile
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.probe import probe
from infra.media.render import Cut, render
from infra.settings import Settings
from infra.storage.clips import ClipStore, LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore
from infra.storage.signed_urls import read_rsa_key
from tests.factories.film import FRAME, RATE, film, number_in, segments, sources
from tests.factories.rows import clip_record, new_highlight, new_stream
from tests.factories.segments import stored_segment
from tests.fakes.cloudfront import CloudFront
from tests.fakes.s3_server import S3Server, cdn_private_key

SECRET = "s" * 32
OFFSET, DURATION = 2.0, 4.0
LENGTH, CLIP_SIDE, SEGMENT = 16.0, 5.0, 2.0
RENDERED = {"index", "start", "duration", "size", "width", "height", "has_audio", "sha256"}
SCRIPTS = {
    "hls.js": (
        "hls.min.js",
        """url => {
            const v = document.querySelector('video'), h = new Hls();
            h.on(Hls.Events.ERROR, (_, e) => failures.push(e.details));
            h.loadSource(url);
            h.attachMedia(v);
        }""",
    ),
    "shaka-player": (
        "shaka-player.compiled.js",
        """async url => {
            const v = document.querySelector('video'), p = new shaka.Player();
            p.addEventListener('error', e => failures.push(e.detail.code));
            await p.attach(v);
            await p.load(url).catch(e => failures.push(`${e.code}: ${e.data}`));
        }""",
    ),
}
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # A page that the test itself answers counts as public, which may not lead to this machine.
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
)


@dataclass(frozen=True)
class PlayerScript:
    """A player of playlists: its file, and a function that loads a URL in the video element."""

    path: Path
    load: str


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

    async def load_playlist(self, url: str, script: PlayerScript) -> None:
        """Load a playlist with a player's script, which lists in `failures` what goes wrong."""
        await self.open(url, "<video muted></video>")
        await self.page.add_script_tag(path=script.path)
        await self.page.evaluate("() => { window.failures = []; }")
        await self.page.evaluate(script.load, url)
        await self.wait_until("failures.length > 0 || (v.readyState >= 3 && v.duration > 0)")
        assert await self.value("failures") == []

    async def play_to_end(self) -> tuple[float, float]:
        """Play from here to the end without a failure of the script; return both times (s)."""
        begin = await self.value("v.currentTime")
        await self.value("(v.playbackRate = 4, v.play())")
        await self.wait_until("v.ended || failures.length > 0")
        assert await self.value("failures") == []
        return begin, await self.value("v.currentTime")

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


@dataclass(frozen=True)
class Site:
    """An installation of the API with one tenant."""

    port: int
    database: Database
    tenant: UUID
    key: str

    async def read(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with httpx.AsyncClient(headers=headers, timeout=60.0) as client:
            found = await client.get(f"http://127.0.0.1:{self.port}{path}")
            return dict(found.raise_for_status().json())


@pytest.fixture
async def site(postgres: DatabaseUrls, tmp_path: Path) -> AsyncIterator[Site]:
    """An installation whose stores are on this disk."""
    stores = {
        "clip_store": str(tmp_path / "clips"),
        "segment_store": str(tmp_path / "segments"),
    }
    async with site_with(postgres, **stores) as made:
        yield made


@pytest.fixture(params=["s3", "cdn"])
async def remote_url(
    request: pytest.FixtureRequest, postgres: DatabaseUrls, s3_server: S3Server, s3_bucket: str
) -> AsyncIterator[str]:
    """The signed URL of a clip in S3; the API redirects to the bucket, or to the CDN."""
    client = s3_server.client()
    connection = S3Connection()
    store = S3ClipStore(S3Bucket(connection, S3Location(s3_bucket, "clips")))
    listener = bind("127.0.0.1", 0)
    places = {"clip_store": f"s3://{s3_bucket}/clips"}
    if request.param == "cdn":
        places |= {
            "clip_cdn_url": f"http://127.0.0.1:{listener.getsockname()[1]}/clips",
            "clip_cdn_key_id": "K1",
            "clip_cdn_private_key": cdn_private_key(),
        }
    key = read_rsa_key(cdn_private_key()).public_key()
    cdn = CloudFront(client, s3_bucket, key_id="K1", key=key)
    async with serving(cdn.app, listener), site_with(postgres, **places) as made:
        yield await _clip_url(made, store)
    await connection.close()


@asynccontextmanager
async def site_with(postgres: DatabaseUrls, **places: str) -> AsyncIterator[Site]:
    """Serve an installation with the given stores."""
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
        async with _serving(settings, port):
            yield Site(port, database, made.tenant_id, made.key.value)
    finally:
        await database.close()


@pytest.fixture
async def url(site: Site, tmp_path: Path) -> str:
    """The signed URL of a clip that was rendered, stored and recorded, as the API gives it."""
    return await _clip_url(site, LocalClipStore(tmp_path / "clips"))


@pytest.fixture(params=["mpegts", "fmp4"])
async def playlist(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> str:
    """The signed URL of the instant clip of a highlight, whose stream's media is stored."""
    stream = await new_stream(site.database, site.tenant)
    highlight = await new_highlight(site.database, site.tenant, stream, peak=LENGTH / 2)
    await _store_media(site, stream, tmp_path, fragmented=request.param == "fmp4")
    found = await site.read(f"/v1/highlights/{highlight}")
    return str(found["playback"]["hls_url"])


async def _clip_url(site: Site, store: ClipStore) -> str:
    """Store and record a clip; return its signed URL as the API gives it."""
    clip = await _stored_clip(site.database, site.tenant, store)
    return str((await site.read(f"/v1/clips/{clip}"))["url"])


async def _store_media(site: Site, stream: UUID, folder: Path, *, fragmented: bool) -> None:
    package = _fragments if fragmented else segments
    parts = await asyncio.to_thread(
        lambda: package(film(folder / "film.mp4", seconds=LENGTH), folder / "parts")
    )
    store = LocalSegmentStore(folder / "segments")
    index = StoredSegments(store, tenant_id=site.tenant, stream_id=stream)
    for number, part in enumerate(parts):
        found = stored_segment(number, tenant_id=site.tenant, stream_id=stream)
        facts = await asyncio.to_thread(probe, str(part))
        data = await asyncio.to_thread(part.read_bytes)
        key = found.ref.key.removesuffix("ts") + part.suffix.removeprefix(".")
        ref = found.ref.model_copy(
            update={"key": key, "size": len(data), "duration": facts.duration}
        )
        await store.put(key, data)
        await index.note(found.model_copy(update={"ref": ref}))
    await index.flush()


def _fragments(movie: Path, folder: Path) -> list[Path]:
    """Package a film as fragmented MP4; each segment follows its initialization section."""
    folder.mkdir()
    command = [str(find_ffmpeg()), "-nostdin", "-loglevel", "error", "-i", str(movie), "-c", "copy"]
    command += ["-f", "hls", "-hls_time", "2", "-hls_list_size", "0", "-hls_segment_type", "fmp4"]
    command += ["-hls_segment_filename", str(folder / "%03d.m4s"), str(folder / "list.m3u8")]
    subprocess.run(command, check=True, timeout=60)
    init = (folder / "init.mp4").read_bytes()
    parts = []
    for fragment in sorted(folder.glob("*.m4s")):
        part = fragment.with_suffix(".mp4")
        part.write_bytes(init + fragment.read_bytes())
        parts.append(part)
    return parts


@pytest.fixture(params=["hls.js", "shaka-player"])
def script(request: pytest.FixtureRequest, home: Path) -> PlayerScript:
    """The players of playlists that most pages use."""
    path, load = SCRIPTS[request.param]
    found = [
        file
        for players in (home / "tools").glob("players-*")
        if (file := players / "node_modules" / request.param / "dist" / path).exists()
    ]
    if not found:
        pytest.skip(f"no {request.param} here: it needs npm (bin/locked-tools players)")
    return PlayerScript(max(found, key=lambda file: file.stat().st_mtime), load)


async def _exported(site: Site, folder: Path, rendition: RenditionFormat) -> dict[str, Any]:
    """Export a span of a film into the clip store; return the rendition as the API gives it."""
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=site.tenant,
        source=ExportSource(
            stream_id=await new_stream(site.database, site.tenant),
            start=OFFSET,
            end=OFFSET + DURATION,
        ),
        renditions=(RenditionSpec(format=rendition),),
    )
    file = await _render_export(spec, folder)
    await LocalClipStore(folder / "clips").put(spec.key(1), file.path)
    made = RenderedRendition(
        number=1,
        key=spec.key(1),
        ready_at=datetime.now(UTC),
        **file.model_dump(include=RENDERED),
    )
    record = ExportRecord(
        tenant_id=site.tenant, export_id=spec.id, status=ExportStatus.READY, renditions=(made,)
    )
    async with site.database.session(site.tenant) as session:
        await exports.create(session, spec)
        await exports.record_export(session, record)
    export = await site.read(f"/v1/exports/{spec.id}")
    return dict(export["renditions"][0])


async def _render_export(spec: ExportSpec, folder: Path) -> RenditionFile:
    parts = await asyncio.to_thread(
        lambda: segments(film(folder / "film.mp4", seconds=8.0), folder / "parts")
    )
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0) as pool:
        renderer = ExportRenderer(pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits())
        cut = Cut(sources=sources(parts), offset=OFFSET, duration=DURATION, thumbnail_at=OFFSET)
        (file,) = (await renderer.render(cut, spec, (1,), directory=folder)).values()
    assert file.problem == ""
    return file


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


async def test_an_instant_clip_plays_to_its_end(
    player: Player, playlist: str, script: PlayerScript
) -> None:
    await player.load_playlist(playlist, script)
    begin, end = await player.play_to_end()
    assert end == pytest.approx(await player.value("v.duration"), abs=FRAME)
    assert end - begin == pytest.approx(2 * CLIP_SIDE, abs=SEGMENT)
    assert await player.value("v.webkitAudioDecodedByteCount") > 0


async def test_seeking_in_an_instant_clip_shows_the_picture_of_that_time(
    player: Player, playlist: str, script: PlayerScript
) -> None:
    await player.load_playlist(playlist, script)
    await player.seek(7.0)
    later = await player.shown_number()
    await player.seek(3.0)
    assert later - await player.shown_number() == pytest.approx(4.0 * RATE, abs=1)


async def test_an_exported_playlist_plays_seeks_and_ends(
    player: Player, site: Site, script: PlayerScript, tmp_path: Path
) -> None:
    made = await _exported(site, tmp_path, RenditionFormat.HLS)
    await player.load_playlist(made["index_url"], script)
    assert await player.value("v.duration") == pytest.approx(DURATION, abs=2 * FRAME)
    assert await player.value("[v.videoWidth, v.videoHeight]") == [320, 180]
    for seconds in (2.5, 0.5):
        await player.seek(seconds)
        # A playlist's file may begin later by the pictures that B-frames reorder.
        expected = (OFFSET + seconds) * RATE
        assert await player.shown_number() == pytest.approx(expected, abs=3)
    _, end = await player.play_to_end()
    assert end == pytest.approx(await player.value("v.duration"), abs=FRAME)
    assert await player.value("v.webkitAudioDecodedByteCount") > 0


@pytest.mark.parametrize("rendition", [RenditionFormat.MP4, RenditionFormat.WEBM])
async def test_an_exported_movie_plays_seeks_and_ends(
    player: Player, site: Site, tmp_path: Path, rendition: RenditionFormat
) -> None:
    made = await _exported(site, tmp_path, rendition)
    await player.load(made["url"])
    assert await player.value("v.duration") == pytest.approx(DURATION, abs=2 * FRAME)
    await player.seek(2.5)
    assert await player.shown_number() == pytest.approx((OFFSET + 2.5) * RATE, abs=1)
    await player.value("v.play()")
    await player.wait_until("v.ended")
    assert await player.value("v.currentTime") == pytest.approx(DURATION, abs=2 * FRAME)
    assert await player.value("v.webkitAudioDecodedByteCount") > 0


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
