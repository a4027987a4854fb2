"""Segments lie where their media says, whatever the playlist claims of their durations."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest

from demo.ffmpeg import ffmpeg_path
from tests.factories.media import make_video
from tests.integration.ingest.harness import IngestHarness, static_origin

pytestmark = pytest.mark.timeout(60)

COUNT = 6


@dataclass(frozen=True)
class Packaged:
    """Segments of two seconds in one form, by file name; `head` is the fMP4 initialization."""

    names: tuple[str, ...]
    files: dict[str, bytes]
    head: str = ""

    def playlist(self, listed: str, *, without: int | None = None) -> str:
        lines = ["#EXTM3U", "#EXT-X-VERSION:8", "#EXT-X-TARGETDURATION:6", self.head]
        for number, name in enumerate(self.names):
            lines += ["#EXT-X-GAP"] if number == without else []
            lines += [f"#EXTINF:{listed},", name]
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


@pytest.fixture(scope="module", params=["ts", "fmp4", "packed"])
def packaged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    form, folder = request.param, tmp_path_factory.mktemp(request.param)
    source = make_video(
        folder / "source.mp4",
        seconds=2.0 * COUNT,
        size="160x90",
        video=form != "packed",
        options=() if form == "packed" else ("-bf", "2"),
    )
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(source), "-c", "copy"]
    if form == "packed":
        command += ["-f", "segment", "-segment_time", "2", str(folder / "part%d.aac")]
    else:
        kind = "fmp4" if form == "fmp4" else "mpegts"
        command += ["-f", "hls", "-hls_time", "2", "-hls_list_size", "0"]
        command += ["-hls_segment_type", kind, "-hls_segment_filename"]
        command += [str(folder / f"part%d.{'m4s' if kind == 'fmp4' else 'ts'}")]
        command += [str(folder / "list.m3u8")]
    subprocess.run(command, check=True, timeout=60)
    files = {path.name: path.read_bytes() for path in folder.glob("*") if path != source}
    names = tuple(sorted(name for name in files if name.startswith("part")))
    assert len(names) >= COUNT
    head = '#EXT-X-MAP:URI="init.mp4"' if form == "fmp4" else ""
    return Packaged(names=names[:COUNT], files=files, head=head)


@pytest.mark.parametrize("listed", ["6", "0", "1"])
async def test_the_media_decides_where_it_lies_and_how_long_it_is(
    ingest: IngestHarness, packaged: Packaged, listed: str
) -> None:
    answers: dict[str, str | bytes] = dict(packaged.files)
    async with static_origin({**answers, "live.m3u8": packaged.playlist(listed)}) as (url, _):
        story = await ingest.follow(f"{url}/live.m3u8")
    assert [ref.start for ref in story.segments] == pytest.approx(
        [2.0 * number for number in range(COUNT)], abs=0.15
    )
    assert [ref.duration for ref in story.segments] == pytest.approx([2.0] * COUNT, abs=0.15)
    assert {ref.discontinuity_sequence for ref in story.segments} == {0}


async def test_a_gap_is_as_long_as_the_clock_says(
    ingest: IngestHarness, packaged: Packaged
) -> None:
    answers: dict[str, str | bytes] = dict(packaged.files)
    listed = "2" if packaged.names[0].endswith("aac") else "6"  # without a clock EXTINF counts
    playlist = packaged.playlist(listed, without=3)
    async with static_origin({**answers, "live.m3u8": playlist}) as (url, _):
        story = await ingest.follow(f"{url}/live.m3u8")
    assert [ref.start for ref in story.segments] == pytest.approx(
        [2.0 * number for number in range(COUNT) if number != 3], abs=0.2
    )
    assert [gap.duration for gap in story.gaps] == pytest.approx([2.0], abs=0.2)
