"""The index of stored segments: found by number, written rarely, and enough to delete by."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from uuid import UUID

import pytest

from benchmarks.stores.counting import CountingStore
from demo.origin import LiveOrigin, OriginOptions
from domain.ingest.window import index_key
from domain.media.segments import Line
from infra.storage.segment_index import StoredSegment, StoredSegments
from infra.storage.segments import LocalSegmentStore
from tests.factories.segments import MEDIA, stored_segment
from tests.integration.ingest.harness import IngestHarness

TENANT, STREAM = UUID(int=1), UUID(int=2)


class RefusingStore(LocalSegmentStore):
    """A directory that can become full."""

    is_full = False

    async def put(self, key: str, data: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space")
        await super().put(key, data)


class SlowStore(LocalSegmentStore):
    """A store that does not answer."""

    async def put(self, key: str, data: bytes) -> None:
        del key, data
        await asyncio.Event().wait()


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(LocalSegmentStore(tmp_path / "segments"))


def segments(store: CountingStore | LocalSegmentStore) -> StoredSegments:
    """The segments of the stream as a new worker sees them."""
    return StoredSegments(store, tenant_id=TENANT, stream_id=STREAM)


def segment(number: int) -> StoredSegment:
    return stored_segment(number, tenant_id=TENANT, stream_id=STREAM)


def key_of(number: int) -> str:
    return segment(number).ref.key


async def keep(
    store: CountingStore | LocalSegmentStore, index: StoredSegments, *numbers: int
) -> None:
    """Store segments as ingest does."""
    for number in numbers:
        await store.put(key_of(number), MEDIA)
        await index.note(segment(number))
    await index.flush()


async def stored(store: CountingStore | LocalSegmentStore) -> list[str]:
    return [key.partition("/media/")[2] for key in await store.list(f"{TENANT}/{STREAM}/media/")]


async def test_a_live_stream_is_followed_and_released_without_listing(
    ingest: IngestHarness, video: Path
) -> None:
    counting = ingest.store = CountingStore(ingest.store)
    ingest.activities = ingest.worker()
    async with LiveOrigin(video, OriginOptions(pace=16.0, segment_duration=1.0)) as origin:
        story = await ingest.follow(origin.master_url)
        await ingest.release(before=6.0)
    assert len(story.segments) == 12
    assert counting.requests["LIST"] == 0
    assert counting.requests["HEAD"] == 0
    assert len(await ingest.media_keys()) == 6


@pytest.mark.parametrize(("listed", "writes"), [(29.0, 12), (30.0, 3)])
async def test_the_index_is_written_the_sooner_the_shorter_a_segment_is_listed(
    store: CountingStore, listed: float, writes: int
) -> None:
    index = segments(store)
    for number in range(12):
        await index.note(segment(number), listed=listed)
    assert store.requests["PUT"] == writes


async def test_a_new_worker_finds_what_follows_the_cursor(store: CountingStore) -> None:
    await keep(store, segments(store), *range(20, 40))
    found = await segments(store).following(50.0, discontinuity=0, sequence=25)
    assert list(found) == list(range(25, 40))
    assert found[30] == segment(30)


async def test_a_new_worker_adds_to_the_minute_of_the_one_before_it(store: CountingStore) -> None:
    await keep(store, segments(store), 0, 1, 2)
    await keep(store, segments(store), 3, 4)
    found = await segments(store).following(0.0, discontinuity=0, sequence=0)
    assert list(found) == [0, 1, 2, 3, 4]


async def test_a_cursor_at_the_end_of_a_minute_finds_the_next_one(store: CountingStore) -> None:
    await keep(store, segments(store), 30, 31)
    found = await segments(store).following(59.999, discontinuity=0, sequence=30)
    assert list(found) == [30, 31]


async def test_segments_of_a_clip_are_found_across_minutes(store: CountingStore) -> None:
    await keep(store, segments(store), *range(60))
    store.requests.clear()
    refs = await segments(store).covering(55.0, 65.0)
    assert [ref.media_sequence for ref in refs] == [27, 28, 29, 30, 31, 32]
    assert store.requests["LIST"] == 0


async def test_all_that_is_kept_is_found_from_a_place_near_its_end(store: CountingStore) -> None:
    await keep(store, segments(store), *range(1200))
    await segments(store).release(before=999.0)
    kept = await segments(store).kept(near=2300.0)
    assert (kept[0].start, kept[-1].end, len(kept)) == (998.0, 2400.0, 701)


async def test_what_is_kept_is_found_from_a_record_that_is_minutes_old(
    store: CountingStore,
) -> None:
    await keep(store, segments(store), *range(300, 600))
    kept = await segments(store).kept(near=840.0)
    assert (kept[0].start, kept[-1].end) == (600.0, 1200.0)


async def test_nothing_is_kept_of_an_empty_store(store: CountingStore) -> None:
    assert await segments(store).kept(near=0.0) == []


async def test_what_one_release_kept_for_a_clip_goes_with_a_later_one(
    store: CountingStore,
) -> None:
    await keep(store, segments(store), *range(600))
    await segments(store).release(before=400.0, after=0.0)
    await segments(store).release(before=900.0, after=800.0)
    assert len(await stored(store)) == 150 + 5


async def test_a_release_deletes_media_and_the_index_of_whole_minutes(store: CountingStore) -> None:
    await keep(store, segments(store), *range(95))
    store.requests.clear()
    await segments(store).release(before=130.0)
    assert store.requests["LIST"] == 0
    left = await stored(store)
    assert left == [
        *(f"720p/00000-{number:010d}.ts" for number in range(65, 95)),
        "index/00000002.json",
        "index/00000003.json",
    ]


async def test_later_releases_read_only_the_minutes_since_the_last(store: CountingStore) -> None:
    await keep(store, segments(store), *range(330))
    await segments(store).release(before=480.0)
    store.requests.clear()
    await segments(store).release(before=600.0, after=480.0)
    assert store.requests["GET"] <= 5
    assert len(await stored(store)) == 30 + 1


async def test_what_a_failed_release_left_goes_with_the_next(store: CountingStore) -> None:
    await keep(store, segments(store), *range(330))
    await segments(store).release(before=600.0, after=480.0)
    assert len(await stored(store)) == 30 + 1


async def test_media_before_a_long_gap_is_released_too(store: CountingStore) -> None:
    await keep(store, segments(store), *range(30))
    await keep(store, segments(store), *range(1800, 1830))
    await segments(store).release(before=3600.0, after=0.0)
    assert len(await stored(store)) == 30 + 1


async def test_a_full_store_does_not_fail_a_fetch_that_is_over(tmp_path: Path) -> None:
    store = RefusingStore(tmp_path / "segments")
    index = segments(store)
    await index.note(segment(0))
    store.is_full = True
    await index.flush()
    store.is_full = False
    await index.note(segment(1))
    await index.flush()
    for number in (0, 1):
        await store.put(key_of(number), MEDIA)
    found = await segments(store).following(0.0, discontinuity=0, sequence=0)
    assert list(found) == [0, 1]


async def test_a_store_that_does_not_answer_delays_the_result_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.storage.segment_index._FLUSH_TIMEOUT", 0.05)
    index = segments(SlowStore(tmp_path / "segments"))
    await index.note(segment(0))
    await asyncio.wait_for(index.flush(), 30)


async def test_a_damaged_index_counts_as_none(store: CountingStore) -> None:
    await keep(store, segments(store), 0, 1)
    await store.put(index_key(tenant_id=TENANT, stream_id=STREAM, minute=0), b"{")
    assert await segments(store).following(0.0, discontinuity=0, sequence=0) == {}
    await segments(store).release(before=60.0)
    await segments(store).release(before=None)
    assert await stored(store) == []


async def test_what_an_earlier_version_stored_goes_at_the_end(store: CountingStore) -> None:
    await store.put(key_of(0), b"media")
    await store.put(f"{key_of(0)}.json", segment(0).model_dump_json().encode())
    await keep(store, segments(store), 1)
    assert list(await segments(store).following(0.0, discontinuity=0, sequence=0)) == [1]
    await segments(store).release(before=None)
    assert await stored(store) == []


async def test_the_cursor_names_the_worker_that_has_the_media_on_its_disk(
    ingest: IngestHarness, video: Path
) -> None:
    owner = ingest.worker(name="ingest-1-0123456789ab")
    async with LiveOrigin(video, OriginOptions(pace=8.0, segment_duration=1.0)) as origin:
        request = ingest.request(origin.master_url)
        first = await ingest.window(request, worker=owner)
        request = request.model_copy(update={"cursor": first.cursor})
        second = await ingest.window(request)
    assert first.cursor.worker == "ingest-1-0123456789ab"
    assert second.cursor.worker is None


def line(at: float, text: str) -> Line:
    return Line(at=at, until=at + 2.0, text=text)


async def test_captions_are_found_where_they_are_shown_and_once(store: CountingStore) -> None:
    writer = segments(store)
    await writer.note(segment(0))
    writer.note_captions([line(3.0, "one"), line(40.0, "two")])
    await writer.note(segment(1))
    await writer.flush()
    writer = segments(store)  # another worker continues, and reads some captions again
    await writer.note(segment(2))
    writer.note_captions([line(40.0, "two"), line(58.0, "three")])
    await writer.note(segment(31))  # in the next minute
    writer.note_captions([line(59.5, "late")])
    await writer.flush()
    found = segments(store)
    assert [each.text for each in await found.captions(0.0, 120.0)] == [
        *("one", "two", "three", "late")
    ]
    assert [each.text for each in await found.captions(41.0, 58.5)] == ["two", "three"]
    assert await found.captions(200.0, 210.0) == []


async def test_captions_go_with_their_media(store: CountingStore) -> None:
    writer = segments(store)
    writer.note_captions([line(3.0, "one")])
    await writer.note(segment(0))
    await writer.flush()
    await segments(store).release(before=None)
    assert await segments(store).captions(0.0, 60.0) == []
