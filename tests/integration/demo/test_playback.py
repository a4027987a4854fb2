"""Whether a clip plays."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from demo.ffmpeg import ffmpeg_path
from demo.playback import playback_problem
from tests.factories.media import make_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2)


async def test_a_whole_clip_plays(clip: Path) -> None:
    assert await playback_problem(clip, duration=2.0, video=True, audio=True) is None


async def test_a_clip_whose_frames_lie_between_ticks_plays(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    command = [
        *(ffmpeg_path(), "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x180:r=35:d=2"),
        *("-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"),
        # Each frame half a frame later, which rounds up and down in turn at 90 kHz.
        *("-vf", "settb=1/90000,setpts=PTS+1286", "-fps_mode", "passthrough"),
        *("-enc_time_base", "1/90000", "-video_track_timescale", "90000"),
        *("-c:v", "libx264", "-bf", "0", "-preset", "ultrafast", str(path)),
    ]
    await asyncio.to_thread(subprocess.run, command, check=True)
    assert await playback_problem(path, duration=2.0, video=True, audio=True) is None


async def test_another_length_is_a_problem(clip: Path) -> None:
    problem = await playback_problem(clip, duration=4.0, video=True, audio=True)
    assert problem is not None
    assert "instead of 4.00 s" in problem


@pytest.mark.parametrize(("video", "audio"), [(False, True), (True, False)])
async def test_streams_other_than_the_sources_are_a_problem(
    clip: Path, *, video: bool, audio: bool
) -> None:
    assert await playback_problem(clip, duration=2.0, video=video, audio=audio)


async def test_a_file_that_is_no_media_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no media")
    assert await playback_problem(tmp_path / "clip.mp4", duration=2.0, video=True, audio=True)


@pytest.fixture
def damaged(clip: Path, tmp_path: Path) -> Path:
    """A clip whose index is whole and whose pictures are noise in the middle."""
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xa5" * 20_000
    (tmp_path / "damaged.mp4").write_bytes(data)
    return tmp_path / "damaged.mp4"


async def test_damage_that_only_decoding_finds_is_a_problem(damaged: Path) -> None:
    assert await playback_problem(damaged, duration=2.0, video=True, audio=True)
