"""Initialization sections: another one may be behind the same URL after a discontinuity."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import av
import pytest
from starlette.requests import Request
from starlette.responses import Response

from demo.ffmpeg import ffmpeg_path
from tests.factories.media import make_video
from tests.integration.ingest.harness import IngestHarness, static_origin

HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
MAP = '#EXT-X-MAP:URI="init.mp4"\n'


def packaged(folder: Path, size: str) -> tuple[bytes, list[bytes]]:
    """An initialization section and its segments of two seconds."""
    folder.mkdir()
    video = make_video(folder / "video.mp4", seconds=4.0, size=size, audio=False)
    command = [ffmpeg_path(), "-loglevel", "error", "-i", str(video), "-c", "copy", "-f", "hls"]
    command += ["-hls_segment_type", "fmp4", "-hls_time", "2", "-hls_list_size", "0"]
    subprocess.run([*command, str(folder / "x.m3u8")], check=True, timeout=60)
    parts = [(folder / f"x{number}.m4s").read_bytes() for number in range(2)]
    return (folder / "init.mp4").read_bytes(), parts


@pytest.mark.parametrize("tagged", [True, False], ids=["discontinuity", "unreadable"])
async def test_a_replaced_initialization_section_is_read_again(
    ingest: IngestHarness, tmp_path: Path, tagged: bool
) -> None:
    first, first_parts = packaged(tmp_path / "first", "160x90")
    second, second_parts = packaged(tmp_path / "second", "320x180")
    if not tagged:  # a section that the new media cannot be read with
        first = first.replace(b"avc1", b"xxxx").replace(b"trex", b"free")
        first_parts = [b"", b""]
    requests: Counter[str] = Counter()

    def advanced() -> bool:
        return requests["a1.m4s"] > 0

    def initialization(_request: Request) -> Response:
        requests["init.mp4"] += 1
        replaced = advanced() if tagged else requests["init.mp4"] > 1
        return Response(second if replaced else first)

    def segment(name: str, content: bytes) -> Response:
        requests[name] += 1
        return Response(content)

    def playlist(_request: Request) -> Response:
        before = "#EXTINF:2,\na0.m4s\n#EXTINF:2,\na1.m4s\n" if tagged else ""
        after = "#EXTINF:2,\nb0.m4s\n#EXTINF:2,\nb1.m4s\n#EXT-X-ENDLIST\n"
        if not tagged:
            return Response(HEAD + MAP + after)
        change = "#EXT-X-DISCONTINUITY\n" + MAP + after
        return Response(HEAD + MAP + before + (change if advanced() else ""))

    origin = {
        "live.m3u8": playlist,
        "init.mp4": initialization,
        "a0.m4s": lambda _: segment("a0.m4s", first_parts[0]),
        "a1.m4s": lambda _: segment("a1.m4s", first_parts[1]),
        "b0.m4s": lambda _: segment("b0.m4s", second_parts[0]),
        "b1.m4s": lambda _: segment("b1.m4s", second_parts[1]),
    }
    async with static_origin(origin) as (base, _):
        story = await ingest.follow(f"{base}/live.m3u8")
    widths = []
    for stored in story.segments:
        with av.open(str(await ingest.store.path(stored.key))) as container:
            widths.append(next(container.decode(video=0)).width)
    assert widths == ([160, 160, 320, 320] if tagged else [320, 320])
    assert story.gaps == []
