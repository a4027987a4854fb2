"""Requests of one live stream, driven by the real ingest activity on the demo's origin."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from temporalio.testing import ActivityEnvironment

from activities.ingest import IngestActivities
from benchmarks.stores.counting import CountingStore
from demo.ffmpeg import ffmpeg_path
from demo.origin import LiveOrigin, OriginOptions
from domain.ingest.messages import FetchWindowInput
from domain.streams.messages import MediaRelease, StreamTiming
from infra.media.hls_client import HlsClient
from infra.media.pool import MediaPool
from infra.ssrf import UrlGuard
from infra.storage.segments import LocalSegmentStore

_HOUR: Final = 3600.0


@dataclass(frozen=True)
class StreamRequests:
    """Requests of a stream.

    Attributes:
        hourly: of an hour of media, scaled from what was played.
        ending: of the deletion of everything, once per stream.
        segments: segments that were stored.
        missed: segments that were not.
    """

    hourly: Counter[str]
    ending: Counter[str]
    segments: int
    missed: int


async def count_requests(folder: Path, *, seconds: float, pace: float) -> StreamRequests:
    """Follow a stream of so many seconds and release its media as its workflow does.

    Its playlist keeps all segments, so that a busy machine loses none.
    """
    video = _make_video(folder / "video.mp4", seconds)
    store = CountingStore(LocalSegmentStore(folder / "segments"))
    tenant_id, stream_id = uuid4(), uuid4()
    pool = MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=600, timeout=30.0)
    timing = StreamTiming()
    segments = missed = 0
    released = 0.0
    async with (
        HlsClient(UrlGuard(allow_private=True)) as client,
        LiveOrigin(video, OriginOptions(pace=pace, playlist_type="event")) as origin,
    ):
        ingest = IngestActivities(store=store, client=client, pool=pool)
        request = FetchWindowInput(
            tenant_id=tenant_id, stream_id=stream_id, playlist_url=origin.master_url
        )
        while True:
            result = await ActivityEnvironment().run(ingest.fetch_window, request)
            if result.window is not None:
                segments += len(result.window.segments)
                missed += sum(gap.segments for gap in result.window.gaps)
            if result.end is not None:
                break
            request = FetchWindowInput(
                tenant_id=tenant_id,
                stream_id=stream_id,
                playlist_url=origin.master_url,
                cursor=result.cursor,
            )
            before = result.cursor.position - timing.media_horizon
            if before - released >= timing.release_interval:
                release = MediaRelease(
                    tenant_id=tenant_id, stream_id=stream_id, before=before, after=released
                )
                await ActivityEnvironment().run(ingest.release_media, release)
                released = before
        hourly = Counter(
            {
                name: round(number * _HOUR / result.cursor.position)
                for name, number in store.requests.items()
            }
        )
        store.requests.clear()
        everything = MediaRelease(tenant_id=tenant_id, stream_id=stream_id)
        await ActivityEnvironment().run(ingest.release_media, everything)
        await ingest.close()
    await pool.close()
    return StreamRequests(hourly, Counter(store.requests), segments, missed)


def _make_video(path: Path, seconds: float) -> Path:
    command = [
        *[ffmpeg_path(), "-loglevel", "error", "-f", "lavfi"],
        *["-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"],
        *["-t", f"{seconds:g}", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"],
        *["-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-c:a", "aac", str(path)],
    ]
    subprocess.run(command, check=True)
    return path
