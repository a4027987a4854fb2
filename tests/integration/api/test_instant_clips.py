"""Instant clips: playlists over stored segments, by signed URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from domain.clips.models import ClipStatus
from domain.highlights.selection import DecisionStatus
from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore
from tests.factories.rows import new_clip, new_highlight, new_stream
from tests.factories.segments import MEDIA, stored_segment
from tests.integration.api.conftest import Account


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    stream = await new_stream(database, account.tenant_id)
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(
            session,
            StreamRecord(
                tenant_id=account.tenant_id,
                stream_id=stream,
                progress=StreamProgress(status=StreamStatus.LIVE, position=60.0),
            ),
        )
    return stream


@pytest.fixture
async def highlight(account: Account, database: Database, stream: UUID) -> UUID:
    """A highlight with its peak at 60 s."""
    return await new_highlight(
        database, account.tenant_id, stream, status=DecisionStatus.PENDING, peak=60.0
    )


async def keep(account: Account, stream: UUID, root: Path, first: float, end: float) -> None:
    store = LocalSegmentStore(root)
    index = StoredSegments(store, tenant_id=account.tenant_id, stream_id=stream)
    for number in range(int(first / 2), int(end / 2)):
        segment = stored_segment(number, tenant_id=account.tenant_id, stream_id=stream)
        await store.put(segment.ref.key, MEDIA)
        await index.note(segment)
    await index.flush()


async def playlist_url(account: Account, highlight: UUID) -> str:
    found = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert found["playback"]["ready"] == "instant"
    return str(found["playback"]["hls_url"])


def links(playlist: str) -> list[str]:
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


async def test_a_highlight_plays_before_its_clip_is_rendered(
    account: Account,
    anonymous: httpx.AsyncClient,
    stream: UUID,
    highlight: UUID,
    segment_root: Path,
) -> None:
    await keep(account, stream, segment_root, 0.0, 120.0)
    answer = await anonymous.get(await playlist_url(account, highlight))
    assert answer.headers["Content-Type"].startswith("application/vnd.apple.mpegurl")
    assert answer.text.endswith("#EXT-X-ENDLIST\n")
    segments = [await anonymous.get(link) for link in links(answer.text)]
    assert {each.content for each in segments} == {MEDIA}
    assert {each.headers["Content-Type"] for each in segments} == {"video/mp2t"}
    part = await anonymous.get(links(answer.text)[0], headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, MEDIA[1:3])


async def test_while_the_clip_is_broadcast_the_playlist_grows(
    account: Account,
    anonymous: httpx.AsyncClient,
    stream: UUID,
    highlight: UUID,
    segment_root: Path,
) -> None:
    url = await playlist_url(account, highlight)
    assert (await anonymous.get(url)).json()["code"] == "media_not_ready"
    await keep(account, stream, segment_root, 0.0, 62.0)
    growing = (await anonymous.get(url)).text
    assert "#EXT-X-ENDLIST" not in growing
    await keep(account, stream, segment_root, 62.0, 120.0)
    whole = (await anonymous.get(url)).text
    assert "#EXT-X-ENDLIST" in whole
    assert len(links(growing)) < len(links(whole))


async def test_a_ready_clip_takes_the_place_of_the_instant_one(
    account: Account, database: Database, stream: UUID, highlight: UUID
) -> None:
    await new_clip(database, account.tenant_id, stream, highlight)
    found = (await account.http.get(f"/v1/highlights/{highlight}")).json()
    assert found["playback"] == {
        "ready": "exact",
        "hls_url": None,
        "mp4_url": found["clip"]["url"],
    }


async def test_media_that_is_no_longer_kept_is_said_to_be_gone(
    account: Account,
    anonymous: httpx.AsyncClient,
    stream: UUID,
    highlight: UUID,
    segment_root: Path,
) -> None:
    await keep(account, stream, segment_root, 0.0, 120.0)
    url = await playlist_url(account, highlight)
    link = links((await anonymous.get(url)).text)[0]
    await LocalSegmentStore(segment_root).delete_prefix(f"{account.tenant_id}/")
    await keep(account, stream, segment_root, 200.0, 210.0)
    assert (await anonymous.get(link)).json()["code"] == "media_gone"


async def test_a_retracted_highlight_plays_no_more(
    *,
    account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    stream: UUID,
    highlight: UUID,
    segment_root: Path,
) -> None:
    await keep(account, stream, segment_root, 0.0, 120.0)
    url = await playlist_url(account, highlight)
    await new_highlight(
        database, account.tenant_id, stream, status=DecisionStatus.RETRACTED, peak=60.0
    )
    assert (await anonymous.get(url)).json()["code"] == "highlight_not_found"


@pytest.mark.parametrize("what", ["playlist", "segment", "clip"])
async def test_a_link_opens_nothing_of_another_tenant(
    *,
    account: Account,
    other_account: Account,
    anonymous: httpx.AsyncClient,
    database: Database,
    stream: UUID,
    highlight: UUID,
    segment_root: Path,
    what: str,
) -> None:
    await keep(account, stream, segment_root, 0.0, 120.0)
    url = await playlist_url(account, highlight)
    if what == "segment":
        url = links((await anonymous.get(url)).text)[0]
    if what == "clip":
        clip = await new_clip(
            database, account.tenant_id, stream, highlight, status=ClipStatus.RENDERING
        )
        found = (await account.http.get(f"/v1/clips/{clip}")).json()
        url = found["playback"]["hls_url"]
    assert (await anonymous.get(url)).status_code == 200
    parts = urlsplit(url)
    stolen = url.replace(str(account.tenant_id), str(other_account.tenant_id))
    assert (await anonymous.get(stolen)).json()["code"] == "invalid_signature"
    moved = url.replace(parts.path, parts.path.replace(str(stream), str(other_account.tenant_id)))
    if moved != url:
        assert (await anonymous.get(moved)).json()["code"] == "invalid_signature"
    assert (await anonymous.get(parts.path)).status_code == 422


async def test_a_name_that_was_not_signed_reaches_no_file(
    account: Account,
    anonymous: httpx.AsyncClient,
    stream: UUID,
    highlight: UUID,
    segment_root: Path,
) -> None:
    await keep(account, stream, segment_root, 0.0, 120.0)
    playlist = (await anonymous.get(await playlist_url(account, highlight))).text
    parts = urlsplit(links(playlist)[0])
    index = f"/v1/streams/{stream}/media/index/00000000.json?{parts.query}"
    assert (await anonymous.get(index)).json()["code"] == "invalid_signature"
