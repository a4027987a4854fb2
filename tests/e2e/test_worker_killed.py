"""A worker killed in mid-stream costs nothing but time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from domain.streams.status import EndReason, StreamStatus
from tests.e2e.conftest import Stack
from tests.e2e.found import (
    assert_clip_plays,
    assert_each_moment_is_found_once,
    clip_files,
    wanted,
)
from tests.e2e.tenant import Tenant

pytestmark = [pytest.mark.stack, pytest.mark.slow]

# In real time, since a new worker takes the same seconds to start at any pace. The playlist lists
# 28 s: more than a new worker needs on a busy machine, and less than the 30 s from which on the
# product takes a worker for dead later.
PACE, WINDOW = 1.0, 14
FIRST_KILL, LAST_KILL = 8, 38
LIMIT = 240.0
ANALYSIS_RETRIED = 60.0
"""Seconds in which analysis catches up after a kill; waiting for its timeout would take 120."""


async def test_no_segment_is_lost_and_every_clip_is_made_once(
    stack: Stack, tenant: Tenant, match: Match, tmp_path: Path
) -> None:
    orphans: list[psutil.Process] = []
    async with LiveOrigin(
        match.video, OriginOptions(pace=PACE, window=WINDOW, autostart=False)
    ) as origin:
        stream_id = await tenant.analyze(origin.master_url)
        await origin.wait_requested()
        origin.begin()
        watch = asyncio.create_task(longest_silence(origin))
        await origin.wait_published(FIRST_KILL)
        orphans += stack.kill_worker()
        await tenant.until_a_clip_is_wanted(stream_id, seconds=LIMIT)
        orphans += stack.kill_worker()
        await origin.wait_published(LAST_KILL)
        orphans += stack.kill_worker()
        fetched = (await tenant.stream(stream_id)).position
        await tenant.until(
            stream_id, lambda stream: stream.analyzed >= fetched, seconds=ANALYSIS_RETRIED
        )
        stream = await tenant.until_over(stream_id, seconds=LIMIT)
        published = origin.published
    silence = await watch

    assert (stream.status, stream.end and stream.end.reason) == (
        StreamStatus.COMPLETED,
        EndReason.PLAYLIST_ENDED,
    )
    assert stream.gaps == [], f"{silence:.1f} s without a look at a playlist that lists 28"
    assert (stream.segments, stream.missed) == (published, 0)
    highlights = wanted(await tenant.highlights(stream_id))
    assert_each_moment_is_found_once(highlights, match)
    assert stream.clips == stream.highlights == len(highlights)
    for highlight in highlights:
        await assert_clip_plays(highlight, tenant, tmp_path)
    assert clip_files(stack, stream_id) == {str(h.clip.id) for h in highlights if h.clip}
    _, alive = psutil.wait_procs(orphans, timeout=10)
    assert alive == []


async def longest_silence(origin: LiveOrigin) -> float:
    """Measure the longest time (s) for which nobody asked for a playlist of a live stream."""
    clock = asyncio.get_running_loop().time
    seen, seen_at, longest = 0, clock(), 0.0
    while not origin.finished.is_set():
        hits = sum(count for path, count in origin.hits.items() if path.endswith("index.m3u8"))
        if hits != seen:
            longest = max(longest, clock() - seen_at)
            seen, seen_at = hits, clock()
        await asyncio.sleep(0.02)
    return max(longest, clock() - seen_at)
