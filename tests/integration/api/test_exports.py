"""Exports over the API: asked for, made of real media, downloaded, canceled and deleted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from uuid import UUID, uuid4

import av
import httpx
import pytest
from temporalio.client import Client

from domain.clips.models import ClipStatus
from domain.exports.models import ExportStatus
from domain.ingest.playlist import ListedSegment, Resource
from domain.ingest.window import FetchedMedia
from domain.media.segments import Line, SegmentRef
from domain.tenants.usage import PLANS, PlanName
from infra.db.engine import Database
from infra.db.repositories import clips
from infra.media.probe import probe
from infra.settings import Settings
from infra.storage.clips import LocalClipStore
from infra.storage.segment_index import StoredSegment, StoredSegments
from infra.storage.segments import LocalSegmentStore
from infra.storage.signed_urls import UrlSigner
from tests.factories.cards import broken_card, card
from tests.factories.clips import WHEN
from tests.factories.film import film, pictures, segments
from tests.factories.rows import clip_record, new_clip, new_export, new_highlight, new_stream
from tests.fakes.export_worker import recording, rendering
from tests.integration.api.conftest import SECRET, Account
from tests.integration.api.problems import assert_problem

pytestmark = pytest.mark.timeout(120)
MP4 = [{"format": "mp4"}]
PATIENCE = 60.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("film")
    return segments(film(folder / "film.mp4"), folder / "parts")


@pytest.fixture
async def media(tmp_path: Path) -> LocalSegmentStore:
    return LocalSegmentStore(tmp_path / "segments")


@pytest.fixture
async def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
async def worker(
    temporal_client: Client,
    database: Database,
    media: LocalSegmentStore,
    clip_root: Path,
    scratch: Path,
) -> AsyncIterator[None]:
    """A worker that makes exports."""
    async with (
        recording(temporal_client, database, scratch),
        rendering(
            temporal_client,
            database,
            segments=media,
            clips=LocalClipStore(clip_root),
            scratch=scratch,
        ),
    ):
        yield


async def store(
    media: LocalSegmentStore, parts: list[Path], tenant: UUID, stream: UUID, *, skip: int = -1
) -> None:
    """Store a film's segments with their index, as ingest does, without number `skip`."""
    index = StoredSegments(media, tenant_id=tenant, stream_id=stream)
    for number, part in enumerate(parts):
        if number == skip:
            continue
        facts = probe(str(part))
        data = await asyncio.to_thread(part.read_bytes)
        key = f"{tenant}/{stream}/media/180p/00000-{number:010d}.ts"
        await media.put(key, data)
        ref = SegmentRef(
            media_sequence=number,
            start=2.0 * number,
            duration=2.0,
            first_timestamp=facts.first_timestamp,
            key=key,
            size=len(data),
            published_at=WHEN,
        )
        listed = ListedSegment(
            sequence=number, resource=Resource(url="https://cdn.example/1.ts"), duration=2.0
        )
        fetched = FetchedMedia(
            first_timestamp=facts.first_timestamp,
            duration=2.0,
            has_video=True,
            has_audio=True,
            size=len(data),
        )
        await index.note(StoredSegment(listed=listed, media=fetched, ref=ref))
    await index.flush()


async def store_captions(
    media: LocalSegmentStore, tenant: UUID, stream: UUID, *lines: Line
) -> None:
    index = StoredSegments(media, tenant_id=tenant, stream_id=stream)
    first = (await index.following(0.0, discontinuity=0, sequence=0))[0]
    index.note_captions(lines)
    await index.note(first)
    await index.flush()


async def finished(account: Account, export_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            found: dict[str, Any] = (await account.http.get(f"/v1/exports/{export_id}")).json()
            if found["status"] not in {"queued", "running"}:
                return found
            await asyncio.sleep(0.1)


def span(stream: UUID, start: float, end: float) -> dict[str, Any]:
    return {"stream_id": str(stream), "from": start, "to": end}


async def ask(
    account: Account,
    source: dict[str, Any],
    renditions: Sequence[dict[str, Any]] = MP4,
    **branding: dict[str, Any],
) -> httpx.Response:
    return await account.http.post(
        "/v1/exports", json={"source": source, "renditions": renditions, **branding}
    )


def files_below(root: Path) -> list[Path]:
    return [each for each in root.rglob("*") if each.is_file()]


@pytest.mark.usefixtures("worker")
async def test_a_span_of_a_stream_is_exported_and_downloaded(
    *,
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    media: LocalSegmentStore,
    parts: list[Path],
    tmp_path: Path,
    scratch: Path,
    clip_root: Path,
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await store(media, parts, account.tenant_id, stream)
    response = await ask(account, span(stream, 1.4, 6.4), [*MP4, {"format": "hls"}])
    assert response.status_code == 201
    asked = response.json()
    assert response.headers["Location"] == f"/v1/exports/{asked['id']}"
    assert [each["status"] for each in asked["renditions"]] == ["queued", "queued"]
    found = await finished(account, asked["id"])
    assert (found["status"], found["message"]) == ("ready", "")
    mp4, hls = found["renditions"]
    assert mp4["start"] == pytest.approx(1.4, abs=0.02)
    content = await anonymous.get(mp4["url"])
    assert content.headers["Content-Type"] == "video/mp4"
    assert len(content.content) == mp4["size"]
    file = tmp_path / "export.mp4"
    file.write_bytes(content.content)
    shown = pictures(file)
    assert (shown[0].number, shown[-1].number) == (35, 159)
    playlist = await anonymous.get(hls["index_url"])
    assert playlist.headers["Content-Type"].startswith("application/vnd.apple.mpegurl")
    (link,) = {line for line in playlist.text.splitlines() if line.startswith("download?")}
    part = await anonymous.get(urljoin(hls["index_url"], link), headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    used = (await account.http.get("/v1/usage/stats")).json()["data"]
    quantities = {each["kind"]: float(each["quantity"]) for each in used}
    assert quantities["export_rendered"] == 2
    assert quantities["export_bytes"] == mp4["size"] + hls["size"]
    assert files_below(scratch) == []
    deleted = await account.http.delete(f"/v1/exports/{asked['id']}")
    assert deleted.status_code == 204
    assert files_below(clip_root) == []
    assert (await anonymous.get(mp4["url"])).status_code == 404


@pytest.mark.usefixtures("worker")
async def test_a_span_that_touches_a_gap_is_refused(
    account: Account, database: Database, media: LocalSegmentStore, parts: list[Path]
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await store(media, parts, account.tenant_id, stream, skip=2)
    asked = (await ask(account, span(stream, 3.0, 7.0))).json()
    found = await finished(account, asked["id"])
    assert found["status"] == "failed"
    message = found["renditions"][0]["message"]
    assert message.startswith("There is no stored media from 4.00 s to 6.00 s of the stream.")


@pytest.mark.usefixtures("worker")
async def test_captions_of_the_stream_are_exported_as_webvtt_and_in_the_picture(
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    media: LocalSegmentStore,
    parts: list[Path],
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await store(media, parts, account.tenant_id, stream)
    said = Line(at=3.4, until=5.0, text="What a goal!")
    await store_captions(media, account.tenant_id, stream, said)
    renditions: list[dict[str, Any]] = [
        {"format": "captions"},
        {"format": "mp4", "captions": True},
    ]
    asked = (await ask(account, span(stream, 2.4, 6.4), renditions)).json()
    found = await finished(account, asked["id"])
    assert (found["status"], found["message"]) == ("ready", "")
    text, movie = found["renditions"]
    content = await anonymous.get(text["url"])
    assert content.headers["Content-Type"].startswith("text/vtt")
    assert content.text == "WEBVTT\n\n00:00:01.000 --> 00:00:02.600\nWhat a goal!\n"
    assert (movie["captions"], movie["width"]) == (True, 320)
    silent = (await ask(account, span(stream, 6.0, 8.0), renditions)).json()
    failed = await finished(account, silent["id"])
    assert failed["status"] == "failed"
    assert failed["renditions"][1]["message"].startswith("There are no captions of these seconds")


@pytest.mark.usefixtures("worker")
async def test_a_highlights_clip_is_exported_in_other_shapes(
    account: Account, database: Database, parts: list[Path], clip_root: Path
) -> None:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    clip = await new_clip(database, account.tenant_id, stream, highlight)
    directory = clip_root / str(account.tenant_id) / str(stream)
    directory.mkdir(parents=True)
    film(directory / f"{clip}.mp4", seconds=10.0)
    renditions = [*MP4, {"format": "mp4", "preset": "shorts"}, {"format": "thumbnail"}]
    asked = await ask(
        account,
        {"highlight_id": str(highlight)},
        renditions,
        watermark={"text": "tldrtv"},
        lower_third={"seconds": 2, "tags": ["late", "winner"]},
    )
    found = await finished(account, asked.json()["id"])
    assert (found["status"], found["message"]) == ("ready", "")
    assert found["source"]["clip_id"] == str(clip)
    plain, shorts, thumbnail = found["renditions"]
    assert (plain["width"], plain["height"], plain["watermark"]) == (320, 180, True)
    assert (shorts["aspect"], shorts["width"], shorts["height"]) == ("9:16", 100, 180)
    assert (shorts["fit"], shorts["lower_third"], thumbnail["lower_third"]) == (
        "track",
        True,
        False,
    )
    assert shorts["loudness"] == pytest.approx(-14, abs=1.0)
    assert thumbnail["blurhash"]


async def two_clips(account: Account, database: Database, clip_root: Path) -> UUID:
    """A stream with two highlights of ten seconds, whose clips have pictures 0 to 249."""
    stream = await new_stream(database, account.tenant_id)
    directory = clip_root / str(account.tenant_id) / str(stream)
    directory.mkdir(parents=True)
    for peak, title, score in ((60.0, "Save; = 1", 0.7), (120.0, "Tor \N{TROPHY}", 0.9)):
        highlight = await new_highlight(
            database, account.tenant_id, stream, peak=peak, title=title, score=score
        )
        record = clip_record(account.tenant_id, stream, highlight)
        spec = record.spec.model_copy(update={"start": peak - 5, "end": peak + 5})
        assert record.rendered is not None
        rendered = record.rendered.model_copy(update={"start": peak - 5})
        moved = record.model_copy(update={"spec": spec, "rendered": rendered})
        async with database.session(account.tenant_id) as session:
            await clips.record_clip(session, moved)
        film(directory / f"{record.spec.id}.mp4", seconds=10.0)
    return stream


@pytest.mark.usefixtures("worker")
async def test_a_reel_is_one_film_with_chapters(
    *,
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    clip_root: Path,
    tmp_path: Path,
) -> None:
    stream = await two_clips(account, database, clip_root)
    reel = {"stream_id": str(stream), "seconds": 30, "order": "score"}
    asked = (await ask(account, {"reel": reel}, [*MP4, {"format": "audio"}])).json()
    chapters = asked["source"]["chapters"]
    assert [(each["start"], each["end"]) for each in chapters] == [(0, 10), (10, 20)]
    assert [each["title"] for each in chapters] == ["Tor \N{TROPHY}", "Save; = 1"]
    found = await finished(account, asked["id"])
    assert (found["status"], found["message"]) == ("ready", "")
    mp4, audio = found["renditions"]
    assert mp4["duration"] == pytest.approx(20.0, abs=0.05)
    assert audio["duration"] == pytest.approx(20.0, abs=0.1)
    content = await anonymous.get(mp4["url"])
    assert len(content.content) == mp4["size"]
    assert hashlib.sha256(content.content).hexdigest() == mp4["sha256"]
    file = tmp_path / "reel.mp4"
    file.write_bytes(content.content)
    numbers = [each.number for each in pictures(file)]
    assert numbers == [*range(250), *range(250)]
    with av.open(str(file)) as container:
        marks = [
            (each["metadata"]["title"], float(each["start"] * (each["time_base"] or 0)))
            for each in container.chapters()
        ]
    assert marks == [("Tor \N{TROPHY}", 0.0), ("Save; = 1", 10.0)]


@pytest.mark.usefixtures("worker")
async def test_a_reel_with_an_intro_has_its_chapters_after_it(
    *,
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    clip_root: Path,
    tmp_path: Path,
) -> None:
    stream = await two_clips(account, database, clip_root)
    reel = {"stream_id": str(stream), "seconds": 15, "text": "save"}
    asked = (await ask(account, {"reel": reel}, intro=card("red", 1.0))).json()
    chapters = asked["source"]["chapters"]
    assert [(each["start"], each["end"]) for each in chapters] == [(1, 11)]
    found = await finished(account, asked["id"])
    assert (found["status"], found["message"]) == ("ready", "")
    (mp4,) = found["renditions"]
    assert mp4["duration"] == pytest.approx(11.0, abs=0.04)
    file = tmp_path / "reel.mp4"
    file.write_bytes((await anonymous.get(mp4["url"])).content)
    assert [each.number for each in pictures(file)][25:] == [*range(250)]
    with av.open(str(file)) as container:
        marks = [
            (each["metadata"]["title"], float(each["start"] * (each["time_base"] or 0)))
            for each in container.chapters()
        ]
    assert marks == [("Intro", 0.0), ("Save; = 1", 1.0)]


@pytest.mark.usefixtures("worker")
async def test_an_export_whose_end_card_cannot_be_decoded_says_so(
    account: Account, database: Database, media: LocalSegmentStore, parts: list[Path]
) -> None:
    stream = await new_stream(database, account.tenant_id)
    await store(media, parts, account.tenant_id, stream)
    asked = await ask(account, span(stream, 2.0, 4.0), end_card={"default": broken_card()})
    found = await finished(account, asked.json()["id"])
    assert found["status"] == "failed"
    assert found["renditions"][0]["message"].startswith(
        "The image of an intro, outro or end card cannot be read"
    )


@pytest.mark.usefixtures("worker")
async def test_a_reel_of_two_streams_dissolves_and_is_deleted_with_either(
    *,
    account: Account,
    other_account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    clip_root: Path,
    tmp_path: Path,
) -> None:
    streams = [str(await two_clips(account, database, clip_root)) for _ in range(2)]
    transition = {"kind": "dissolve", "duration": 0.5}
    reel = {"stream_ids": streams, "seconds": 25, "transition": transition}
    asked = (await ask(account, {"reel": reel})).json()
    source = asked["source"]
    assert (source["stream_id"], source["other_stream_ids"]) == (streams[0], [streams[1]])
    spans = [(each["start"], each["end"]) for each in source["chapters"]]
    assert spans == [(0, 9.5), (9.5, 19.5)]
    found = await finished(account, asked["id"])
    assert (found["status"], found["message"]) == ("ready", "")
    (mp4,) = found["renditions"]
    assert mp4["duration"] == pytest.approx(19.5, abs=0.04)
    file = tmp_path / "reel.mp4"
    file.write_bytes((await anonymous.get(mp4["url"])).content)
    shown = pictures(file)
    # Between the two, no picture is that of one clip alone.
    assert [each.number for each in shown[:237]] == [*range(237)]
    assert [each.number for each in shown[-237:]] == [*range(13, 250)]
    foreign = await ask(other_account, {"reel": reel})
    assert_problem(foreign, 404, "stream_not_found")
    await account.http.delete(f"/v1/streams/{streams[1]}")
    gone = await account.http.get(f"/v1/exports/{asked['id']}")
    assert_problem(gone, 404, "export_not_found")
    assert not list((clip_root / str(account.tenant_id) / streams[0]).rglob("exports/*/*"))


@pytest.mark.usefixtures("worker")
async def test_captions_of_a_reel_are_those_of_its_clips(
    *,
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    clip_root: Path,
    media: LocalSegmentStore,
    parts: list[Path],
) -> None:
    stream = await two_clips(account, database, clip_root)
    await store(media, parts, account.tenant_id, stream)
    said = [
        Line(at=2.0, until=4.0, text="Kick-off"),
        Line(at=53.0, until=56.5, text="He shoots"),
        Line(at=57.0, until=58.0, text="Saved"),
    ]
    await store_captions(media, account.tenant_id, stream, *said)
    reel = {"stream_id": str(stream), "seconds": 15, "text": "save"}
    asked = (await ask(account, {"reel": reel}, [{"format": "captions"}])).json()
    (captions,) = (await finished(account, asked["id"]))["renditions"]
    text = (await anonymous.get(captions["url"])).text
    assert "00:00:00.000 --> 00:00:01.500\nHe shoots" in text
    assert "00:00:02.000 --> 00:00:03.000\nSaved" in text
    assert "Kick-off" not in text


async def test_a_reel_takes_what_fits_and_says_if_nothing_does(
    account: Account, database: Database, clip_root: Path
) -> None:
    stream = await two_clips(account, database, clip_root)
    reel = {"stream_id": str(stream), "seconds": 15}
    best = (await ask(account, {"reel": reel})).json()
    assert [each["title"] for each in best["source"]["chapters"]] == ["Tor \N{TROPHY}"]
    await account.http.post(f"/v1/exports/{best['id']}/cancel")
    named = (await ask(account, {"reel": reel | {"text": "save"}})).json()
    assert [each["title"] for each in named["source"]["chapters"]] == ["Save; = 1"]
    await account.http.post(f"/v1/exports/{named['id']}/cancel")
    short = await ask(account, {"reel": reel | {"seconds": 5}})
    assert_problem(short, 409, "nothing_to_export")
    assert "2 have a clip that is ready" in short.json()["detail"]
    other = await new_stream(database, account.tenant_id)
    foreign = await new_highlight(database, account.tenant_id, other)
    wrong = await ask(account, {"reel": reel | {"highlight_ids": [str(foreign)]}})
    assert_problem(wrong, 404, "highlight_not_found")


async def test_a_clip_that_is_not_ready_is_refused(account: Account, database: Database) -> None:
    stream = await new_stream(database, account.tenant_id)
    highlight = await new_highlight(database, account.tenant_id, stream)
    for _ in range(2):
        response = await ask(account, {"highlight_id": str(highlight)})
        assert_problem(response, 409, "source_not_ready")
        await new_clip(database, account.tenant_id, stream, highlight, status=ClipStatus.RENDERING)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"highlight_id": str(uuid4())}, "highlight_not_found"),
        ({"clip_id": str(uuid4())}, "clip_not_found"),
        ({"stream_id": str(uuid4()), "from": 0, "to": 5}, "stream_not_found"),
    ],
)
async def test_a_source_that_does_not_exist_is_not_found(
    account: Account, source: dict[str, Any], code: str
) -> None:
    assert_problem(await ask(account, source), 404, code)


async def test_another_tenants_media_cannot_be_exported(
    account: Account, other_account: Account, database: Database
) -> None:
    stream = await new_stream(database, other_account.tenant_id)
    highlight = await new_highlight(database, other_account.tenant_id, stream)
    clip = await new_clip(database, other_account.tenant_id, stream, highlight)
    for source in ({"highlight_id": str(highlight)}, {"clip_id": str(clip)}, span(stream, 0, 5)):
        assert (await ask(account, source)).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"source": {}}, "/source"),
        ({"source": {"stream_id": str(uuid4()), "from": 5, "to": 5.1}}, "/source"),
        ({"source": {"clip_id": str(uuid4()), "from": 5}}, "/source"),
        ({"renditions": []}, "/renditions"),
        ({"renditions": [{"format": "avi"}]}, "/renditions/0/format"),
        ({"renditions": [{"format": "gif", "preset": "x"}]}, "/renditions/0"),
        ({"renditions": [{"format": "mp4", "filter": "x"}]}, "/renditions/0/filter"),
        ({"watermark": {"text": "a\nb"}}, "/watermark/text"),
        ({"lower_third": {"title": "a\nb"}}, "/lower_third/title"),
        ({"lower_third": {"title": "a", "tags": ["x" * 41]}}, "/lower_third/tags/0"),
        ({"lower_third": {"seconds": 4}}, ""),
        ({"renditions": [{"format": "gif", "captions": True}]}, "/renditions/0"),
    ],
)
async def test_a_request_that_makes_no_sense_is_pointed_at(
    account: Account, body: dict[str, Any], pointer: str
) -> None:
    whole = {"source": {"clip_id": str(uuid4())}, "renditions": MP4} | body
    problem = assert_problem(
        await account.http.post("/v1/exports", json=whole), 422, "invalid_request"
    )
    assert pointer in [each["pointer"] for each in problem["errors"]]


class TestLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"default_plan": PlanName.FREE})

    async def test_no_export_is_started_beyond_the_plan(
        self, account: Account, database: Database
    ) -> None:
        stream = await new_stream(database, account.tenant_id)
        many = MP4 * (PLANS[PlanName.FREE].renditions_per_export + 1)
        problem = assert_problem(
            await ask(account, span(stream, 0, 5), many), 409, "export_quota_exceeded"
        )
        assert "5 renditions in one export" in problem["detail"]
        await new_export(database, account.tenant_id, stream, status=ExportStatus.RUNNING)
        problem = assert_problem(
            await ask(account, span(stream, 0, 5)), 409, "export_quota_exceeded"
        )
        assert "1 exports at a time" in problem["detail"]


async def test_the_same_request_with_the_same_key_starts_one_export(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    body = {"source": span(stream, 0, 5), "renditions": MP4}
    key = {"Idempotency-Key": "once"}
    first, second = [
        await account.http.post("/v1/exports", json=body, headers=key) for _ in range(2)
    ]
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len((await account.http.get("/v1/exports")).json()["data"]) == 1


async def test_an_export_without_a_worker_can_be_canceled_and_deleted(
    account: Account, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    asked = (await ask(account, span(stream, 0, 5))).json()
    path = f"/v1/exports/{asked['id']}"
    for _ in range(2):
        canceled = (await account.http.post(f"{path}/cancel")).json()
        assert (canceled["status"], canceled["message"]) == (
            "cancelled",
            "The export was canceled.",
        )
        assert canceled["renditions"][0]["status"] == "cancelled"
    assert (await account.http.delete(path)).status_code == 204
    assert (await account.http.delete(path)).status_code == 404


async def test_a_link_is_good_for_its_own_file_and_tenant_only(
    account: Account, other_account: Account, anonymous: httpx.AsyncClient, database: Database
) -> None:
    stream = await new_stream(database, account.tenant_id)
    export = await new_export(database, account.tenant_id, stream)
    found = (await account.http.get(f"/v1/exports/{export}")).json()["renditions"][0]
    for url in (found["url"], found["index_url"]):
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for changed in (
            f"{parts.path}?{urlencode(query | {'tenant': str(other_account.tenant_id)})}",
            f"{parts.path}?{urlencode(query | {'expires': int(query['expires']) + 1})}",
            f"{parts.path.replace('/1/', '/2/')}?{parts.query}",
        ):
            assert_problem(await anonymous.get(changed), 403, "invalid_signature")
    signer = UrlSigner(SECRET.encode())
    path = urlsplit(found["url"]).path
    foreign = signer.sign(path, tenant_id=other_account.tenant_id, expires=99999999999)
    assert_problem(await anonymous.get(foreign), 404, "export_not_found")
    old = signer.sign(path, tenant_id=account.tenant_id, expires=1)
    assert (await anonymous.get(old)).status_code == 403


async def test_deleting_a_stream_deletes_its_exports(
    account: Account, anonymous: httpx.AsyncClient, database: Database, clip_root: Path
) -> None:
    stream = await new_stream(database, account.tenant_id)
    export = await new_export(database, account.tenant_id, stream)
    file = clip_root / str(account.tenant_id) / str(stream) / "exports" / str(export) / "1.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"film")
    url = (await account.http.get(f"/v1/exports/{export}")).json()["renditions"][0]["url"]
    assert (await anonymous.get(url)).content == b"film"
    assert (await account.http.delete(f"/v1/streams/{stream}")).status_code == 204
    assert not file.exists()
    assert (await account.http.get(f"/v1/exports/{export}")).status_code == 404
