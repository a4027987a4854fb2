"""Stored media goes when it is no longer needed, so that hours of it fit on a disk."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from demo.origin import LiveOrigin, OriginOptions
from infra.storage.segment_index import IndexedMinute
from tests.integration.ingest.harness import IngestHarness

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def stored(ingest: IngestHarness, video: Path) -> IngestHarness:
    async with LiveOrigin(video, OriginOptions(pace=16.0, segment_duration=1.0)) as origin:
        await ingest.follow(origin.master_url)
    assert len(await ingest.media_keys()) == 12
    return ingest


async def forget(ingest: IngestHarness, *keys: str) -> None:
    """Take segments out of the index, as if their writer had been killed before it was written."""
    for name, minute in (await ingest.index()).items():
        left = tuple(each for each in minute.segments if each.ref.key not in keys)
        await ingest.store.put(name, IndexedMinute(segments=left).model_dump_json().encode())


async def test_what_ends_before_the_time_given_goes_and_the_rest_stays(
    stored: IngestHarness,
) -> None:
    await stored.release(before=5.5)
    names = [key.rpartition("/")[2] for key in await stored.media_keys()]
    assert names == [f"00000-{n:010d}.ts" for n in range(5, 12)]
    await stored.release(before=5.5)
    assert len(await stored.media_keys()) == 7


async def test_all_goes_when_the_stream_is_over_but_not_what_was_paid_for(
    stored: IngestHarness,
) -> None:
    analysis = f"{stored.tenant_id}/{stored.stream_id}/analysis"
    answer = f"{analysis}/gemini-1/answers/0123.json"
    states = [f"{analysis}/local-1/00000007.json", f"{analysis}/gemini-1/00000007.json"]
    other = f"{stored.tenant_id}/{UUID(int=7)}/analysis/local-1/00000007.json"
    for key in (answer, other, *states):
        await stored.store.put(key, b"{}")
    await stored.release(before=5.5)
    assert set(await stored.store.list(f"{analysis}/")) == {answer, *states}
    await stored.release(before=None)
    assert await stored.media_keys() == []
    assert set(await stored.store.list(f"{stored.tenant_id}/")) == {answer, other}


async def test_a_stream_never_stored_is_released_without_error(ingest: IngestHarness) -> None:
    await ingest.release(before=10.0)
    await ingest.release(before=None)


async def test_media_whose_writer_was_killed_before_noting_it_goes_with_its_neighbours(
    stored: IngestHarness,
) -> None:
    key = (await stored.media_keys())[2]
    await forget(stored, key)
    await stored.release(before=6.0)
    assert len(await stored.media_keys()) == 6


async def test_media_that_no_index_names_goes_at_the_end(stored: IngestHarness) -> None:
    await forget(stored, *await stored.media_keys())
    await stored.release(before=6.0)
    assert len(await stored.media_keys()) == 12
    await stored.release(before=None)
    assert await stored.store.list(f"{stored.tenant_id}/") == []


async def test_hours_of_windows_take_the_room_of_the_retention_only(
    ingest: IngestHarness, video: Path
) -> None:
    most = 0
    async with LiveOrigin(video, OriginOptions(pace=8.0, segment_duration=1.0)) as origin:
        request = ingest.request(origin.master_url)
        end = None
        while end is None:
            result = await ingest.window(request)
            end = result.end
            request = request.model_copy(update={"cursor": result.cursor})
            await ingest.release(before=max(result.cursor.position - 4.0, 0.0))
            most = max(most, len(await ingest.media_keys()))
    assert most <= 5
