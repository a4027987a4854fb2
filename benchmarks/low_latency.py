"""How near to the live edge low-latency HLS is followed, and what reloads of a long playlist cost.

`python -m benchmarks.low_latency [--segments 2 4 6] [--seconds 60]` plays one generated video at
real time, for each segment duration as plain HLS and in parts of 0.33 s, side by side.
Three followers join each stream at different times, and for every segment the seconds from its last
frame, live, to its file are reported. Then a playlist of 1 MiB is parsed as its window slides, as a
whole and with what is known of the response before, in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from rich.console import Console
from rich.table import Table

from activities.ingest.fetcher import DownloadedSegment, SegmentFetcher
from activities.ingest.follower import PlaylistFollower
from activities.ingest.follower_events import SegmentReady
from activities.ingest.poller import PlaylistPoller
from activities.ingest.store import StoreGuard
from benchmarks.load.report import figures_of
from benchmarks.quality.report import machine
from demo.ffmpeg import ffmpeg_path
from demo.origin import LiveOrigin, OriginOptions
from domain.ingest.messages import IngestCursor, IngestLimits
from domain.ingest.retries import RepeatedFailure
from domain.media.segments import VariantPolicy
from domain.streams.status import ProblemCode
from infra.media.hls_client import HlsClient
from infra.media.hls_playlist import PlaylistParser, parse_playlist
from infra.media.pool import MediaPool
from infra.ssrf import UrlGuard
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore

_FOLLOWERS: Final = 3
_PART_DURATION: Final = 0.33
_WINDOW: Final = 8
_RELOADS: Final = 30
_PLAYLIST_BYTES: Final = 1 << 20
_URL: Final = "https://cdn.example/live/720p.m3u8"


def main() -> None:
    """Measure and print."""
    options = _options()
    console = Console(width=100)
    before = os.getloadavg()[0]
    console.print(_edge_table(asyncio.run(_measure(options.segments, options.seconds))))
    console.print(_reload_table())
    console.print(
        f"{machine()}; load average {before:.1f} before, {os.getloadavg()[0]:.1f} at the end"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.low_latency", description=main.__doc__
    )
    parser.add_argument("--segments", type=float, nargs="+", default=(2.0, 4.0, 6.0))
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each stream")
    return parser.parse_args()


class Followed:
    """Seconds from the last frame of each segment, live, to its file; and segments without one."""

    def __init__(self) -> None:
        self.distances: list[float] = []
        self.lost = 0
        self.requests = 0


async def _measure(
    durations: Sequence[float], seconds: float
) -> dict[tuple[float, bool], Followed]:
    found: dict[tuple[float, bool], Followed] = {}
    with tempfile.TemporaryDirectory(prefix="low-latency-") as directory:
        video = Path(directory) / "video.mp4"
        await asyncio.to_thread(_make_video, video, seconds)
        pool = MediaPool(processes=1, memory_bytes=1 << 30, cpu_seconds=60, timeout=30.0)
        store = LocalSegmentStore(Path(directory) / "segments")
        try:
            async with HlsClient(UrlGuard(allow_private=True)) as client:
                for duration in durations:
                    cases = [(duration, False), (duration, True)]
                    both = (_play(video, client, store, pool, case) for case in cases)
                    found |= zip(cases, await asyncio.gather(*both), strict=True)
        finally:
            await pool.close()
    return found


async def _play(
    video: Path,
    client: HlsClient,
    store: LocalSegmentStore,
    pool: MediaPool,
    case: tuple[float, bool],
) -> Followed:
    followed = Followed()
    segment_duration, in_parts = case
    options = OriginOptions(
        segment_duration=segment_duration,
        part_duration=_PART_DURATION if in_parts else None,
        window=_WINDOW,
        keep_all=True,
    )
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(LiveOrigin(video, options))
        await origin.wait_published(1)
        async with asyncio.TaskGroup() as group:
            for number in range(_FOLLOWERS):
                follower = _follower(origin.master_url, client, store, pool)
                stack.push_async_callback(follower.close)
                wait = number * segment_duration / _FOLLOWERS
                group.create_task(_follow(follower, origin, followed, wait))
        followed.requests = sum(
            count for path, count in origin.hits.items() if path.endswith("index.m3u8")
        )
    return followed


def _follower(
    url: str, client: HlsClient, store: LocalSegmentStore, pool: MediaPool
) -> PlaylistFollower:
    limits = IngestLimits(captions=False)
    session = client.session(object())
    return PlaylistFollower(
        poller=PlaylistPoller(
            session,
            url=url,
            limits=limits,
            policy=VariantPolicy(),
            media_url=None,
            variant=None,
        ),
        fetcher=SegmentFetcher(session, store, pool),
        cursor=IngestCursor(),
        limits=limits,
        stored={},
        index=StoredSegments(store, tenant_id=UUID(int=0), stream_id=UUID(int=0)),
        worker=None,
        store=StoreGuard(store, problem=None),
        encryption=RepeatedFailure(ProblemCode.MEDIA_ENCRYPTED),
        audio=RepeatedFailure(ProblemCode.AUDIO_UNAVAILABLE),
    )


async def _follow(
    follower: PlaylistFollower, origin: LiveOrigin, followed: Followed, wait: float
) -> None:
    """Note each segment but those that were published before the follower joined."""
    await asyncio.sleep(wait)
    joined = datetime.now(UTC)
    follower.start()
    while (event := await follower.next(seconds=30.0)) is not None:
        outcome = await event.outcome if isinstance(event, SegmentReady) else None
        if not isinstance(outcome, DownloadedSegment) or outcome.file is None:
            followed.lost += 1
            continue
        arrived = datetime.now(UTC)
        await asyncio.to_thread(outcome.file.unlink)
        follower.release_slot()
        live = origin.segments[outcome.listed.sequence].published_at
        if live > joined + timedelta(seconds=2 * origin.options.segment_duration):
            followed.distances.append((arrived - live).total_seconds())


def _make_video(path: Path, seconds: float) -> None:
    sources = f"-f lavfi -i testsrc2=s=320x180:r=25:d={seconds} -f lavfi -i sine=d={seconds}"
    coding = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -keyint_min 50 -c:a aac"
    command = [ffmpeg_path(), *f"-v error -y {sources} {coding}".split(), str(path)]
    subprocess.run(command, check=True)


def _edge_table(found: dict[tuple[float, bool], Followed]) -> Table:
    table = Table(title="seconds from the last frame of a segment, live, to its file")
    for heading in ("segments", "", "p50", "p95", "max", "of", "lost", "playlist requests"):
        table.add_column(heading, justify="left" if not heading else "right")
    for (duration, in_parts), followed in found.items():
        figures = figures_of(followed.distances)
        table.add_row(
            f"{duration:g} s",
            "low latency" if in_parts else "plain",
            *(f"{value:.2f}" for value in (figures.p50, figures.p95, figures.max)),
            str(len(followed.distances)),
            str(followed.lost),
            str(followed.requests),
        )
    return table


def reload_costs(size: int, *, reloads: int) -> tuple[float, float]:
    """Return CPU seconds of a reload of `size` bytes as a whole, and with what is known of it."""
    texts = [_playlist(first, size) for first in range(reloads + 1)]
    count = texts[0].count("#EXTINF")
    parser = PlaylistParser()
    parser.parse(texts[0], url=_URL)
    whole, known = 0.0, 0.0
    for first, text in enumerate(texts[1:], 1):
        since = first + count - 128
        whole += _timed(partial(parse_playlist, text, url=_URL, since=since))
        known += _timed(partial(parser.parse, text, url=_URL, since=since))
    return whole / reloads, known / reloads


def _reload_table() -> Table:
    whole, known = reload_costs(_PLAYLIST_BYTES, reloads=_RELOADS)
    table = Table(title=f"CPU of a reload of {_PLAYLIST_BYTES >> 10} KiB, in ms")
    for heading in ("as a whole", "with what is known", "ratio"):
        table.add_column(heading, justify="right")
    table.add_row(f"{1000 * whole:.1f}", f"{1000 * known:.2f}", f"{whole / known:.0f}")
    return table


def _timed(parse: Callable[[], object]) -> float:
    began = time.process_time()
    parse()
    return time.process_time() - began


def _playlist(first: int, least: int) -> str:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    entries: list[str] = []
    size, number = len(head), first
    while size < least:
        date = (noon + timedelta(seconds=2 * number)).isoformat()
        entry = f"#EXT-X-PROGRAM-DATE-TIME:{date}\n#EXTINF:2.000000,\nsegment_{number:08d}.ts\n"
        entries.append(entry)
        size, number = size + len(entry), number + 1
    return head + "".join(entries)


if __name__ == "__main__":
    main()
