"""One origin for all streams: `python -m benchmarks.load.origin FOLDER PORT`.

`/<video>/<begin>/<name>/master.m3u8` is a live stream that began at `begin` (milliseconds since the
epoch) and plays the segments of `FOLDER/<video>` again and again, `--pace` times as fast as they
last. Everything follows from the URL
and the clock, so a stream costs the origin two small responses for each segment.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Final

from aiohttp import web

from app.dev.supervisor import accepts
from infra.child_process import ChildProcess
from infra.media.ffmpeg import find_ffmpeg

LISTED: Final = 5
"""Segments in a playlist, as 100ms lists them."""

_KEPT: Final = 10  # segments that are served after they have left the playlist
_SEGMENT_SECONDS: Final = 2
_START_TIMEOUT: Final = 120.0


@dataclass(frozen=True)
class LoopedVideo:
    """Segments that are played again and again.

    Attributes:
        durations: in seconds.
        listed: segments in a playlist.
    """

    folder: Path
    durations: tuple[float, ...]
    listed: int = LISTED

    def published(self, seconds: float) -> int:
        """Return how many segments are complete after so many seconds."""
        ends = list(accumulate(self.durations))
        rounds, rest = divmod(max(seconds, 0.0), ends[-1])
        return int(rounds) * len(ends) + bisect_right(ends, rest)

    def start(self, number: int) -> float:
        """Return the seconds at which a segment begins."""
        rounds, place = divmod(number, len(self.durations))
        return rounds * sum(self.durations) + sum(self.durations[:place])

    def playlist(self, begin: float, *, now: float) -> str | None:
        """Return the playlist at `now`; None before the first segment. Seconds since the epoch."""
        published = self.published(now - begin)
        if not published:
            return None
        first = max(0, published - self.listed)
        count = len(self.durations)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:6",
            f"#EXT-X-TARGETDURATION:{round(max(self.durations))}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{max(0, first - 1) // count}",
        ]
        for number in range(first, published):
            if number and number % count == 0:
                lines.append("#EXT-X-DISCONTINUITY")
            at = datetime.fromtimestamp(begin + self.start(number), UTC)
            lines += [
                f"#EXT-X-PROGRAM-DATE-TIME:{at.isoformat(timespec='milliseconds')}",
                f"#EXTINF:{self.durations[number % count]:.6f},",
                f"{number}.ts",
            ]
        return "\n".join(lines) + "\n"

    def segment(self, number: int, begin: float, *, now: float) -> Path | None:
        """Return the file of a segment that is served at `now`."""
        age = self.published(now - begin) - number
        if not 0 < age <= self.listed + _KEPT:
            return None
        return self.folder / f"{number % len(self.durations)}.ts"


def package(video: Path, folder: Path, *, height: int) -> Path:
    """Cut a video into segments of 2 s of a height in lines, unless that was done before."""
    if folder.is_dir():
        return folder
    making = folder.with_name(f"{folder.name}.part")
    making.mkdir(parents=True, exist_ok=True)
    arguments = [
        *("-v", "error", "-y", "-i", str(video), "-vf", f"scale=-2:{height}"),
        *("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-sc_threshold", "0"),
        *("-force_key_frames", f"expr:gte(t,n_forced*{_SEGMENT_SECONDS})"),
        *("-c:a", "aac", "-b:a", "96k", "-f", "hls", "-hls_time", str(_SEGMENT_SECONDS)),
        *("-hls_list_size", "0", "-hls_segment_filename", str(making / "%d.ts")),
        str(making / "index.m3u8"),
    ]
    subprocess.run([str(find_ffmpeg(None)), *arguments], check=True)
    making.rename(folder)
    return folder


def read_video(folder: Path, *, listed: int = LISTED) -> LoopedVideo:
    """Read what `package` made."""
    lines = (folder / "index.m3u8").read_text("utf-8").splitlines()
    durations = [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
    return LoopedVideo(folder, tuple(durations), listed)


async def start_origin(
    folder: Path, *, port: int, log: Path, pace: float = 1.0, listed: int = LISTED
) -> ChildProcess:
    """Start this origin as a process, and wait until it answers."""
    command = [sys.executable, "-m", "benchmarks.load.origin", str(folder), str(port)]
    process = ChildProcess([*command, "--pace", str(pace), "--listed", str(listed)], log=log)
    async with asyncio.timeout(_START_TIMEOUT):
        while not accepts(port):
            if not process.running():
                raise SystemExit(f"The origin did not start: {process.last_words()}")
            await asyncio.sleep(0.1)
    return process


_MASTER: Final = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000\nindex.m3u8\n"
_TYPE: Final = "application/vnd.apple.mpegurl"


def application(videos: dict[str, LoopedVideo], *, pace: float = 1.0) -> web.Application:
    """Return the server."""

    async def serve(request: web.Request) -> web.StreamResponse:
        video = videos.get(request.match_info["video"])
        begin = int(request.match_info["begin"]) / 1000
        now = begin + pace * (time.time() - begin)
        name, _, suffix = request.match_info["file"].partition(".")
        if video is None:
            raise web.HTTPNotFound
        if suffix == "m3u8":
            playlist = video.playlist(begin, now=now)
            if playlist is None:
                raise web.HTTPNotFound
            return web.Response(text=_MASTER if name == "master" else playlist, content_type=_TYPE)
        file = video.segment(int(name), begin, now=now) if name.isdecimal() else None
        if file is None:
            raise web.HTTPNotFound
        return web.FileResponse(file, headers={"Content-Type": "video/mp2t"})

    server = web.Application()
    server.router.add_get(r"/{video}/{begin:\d+}/{name}/{file}", serve)
    return server


def main() -> None:
    """Serve until SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.origin", description=__doc__)
    parser.add_argument("folder", type=Path, help="has a folder for each video")
    parser.add_argument("port", type=int)
    parser.add_argument("--pace", type=float, default=1.0, help="media seconds in a second")
    parser.add_argument("--listed", type=int, default=LISTED, help="segments in a playlist")
    options = parser.parse_args()
    found = {
        each.parent.name: read_video(each.parent, listed=options.listed)
        for each in options.folder.glob("*/*.m3u8")
    }
    web.run_app(
        application(found, pace=options.pace),
        host="127.0.0.1",
        port=options.port,
        print=None,
        access_log=None,
    )


if __name__ == "__main__":
    main()
