"""Inputs of all kinds become the same kind of stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from demo.ffmpeg import ffmpeg_path
from demo.origin import LiveOrigin, OriginOptions
from demo.origin.source import probe
from tests.factories.media import make_video

PACE = 40.0


async def play(path: Path) -> LiveOrigin:
    async with LiveOrigin(path, OriginOptions(pace=PACE)) as origin:
        await origin.finished.wait()
        return origin


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (
            "webm.webm",
            {
                "video_codec": "libvpx",
                "audio_codec": "libopus",
                "options": ("-deadline", "realtime", "-cpu-used", "16"),
            },
        ),
        ("avi.avi", {"video_codec": "mpeg4", "audio_codec": "mp3"}),
        ("mkv.mkv", {"video_codec": "ffv1", "audio_codec": "flac"}),
        ("transport.ts", {}),
        ("silent.mp4", {"audio": False}),
        ("sound.mp3", {"video": False, "audio_codec": "mp3"}),
        ("sound.m4a", {"video": False}),
        ("odd.mp4", {"video_codec": "mpeg4", "size": "323x181"}),
        ("ntsc.mp4", {"rate": "30000/1001"}),
        ("slow.mp4", {"rate": "5"}),
        ("fast.mp4", {"rate": "120", "video_codec": "mpeg4", "size": "160x90"}),
        ("sparse.mp4", {"keyframe_interval": 100.0}),
        ("late.mkv", {"options": ("-output_ts_offset", "37")}),
    ],
)
async def test_it_is_played_to_its_end(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    seconds = 5.0
    path = make_video(tmp_path / name, seconds=seconds, **options)  # type: ignore[arg-type]
    origin = await play(path)
    assert origin.position == pytest.approx(seconds, abs=0.25)


async def test_an_input_shorter_than_a_segment_is_one_segment(tmp_path: Path) -> None:
    origin = await play(make_video(tmp_path / "short.mp4", seconds=0.4))
    assert origin.published == 1


async def test_pictures_of_a_varying_rate_are_played_to_their_end(tmp_path: Path) -> None:
    drop = ("-vf", "select='lt(mod(n,25),10)'", "-fps_mode", "vfr")
    origin = await play(make_video(tmp_path / "vfr.mp4", seconds=6, options=drop))
    assert origin.position == pytest.approx(6, abs=0.7)


async def test_a_rotated_input_is_turned_upright(tmp_path: Path) -> None:
    flat = make_video(tmp_path / "flat.mp4", seconds=2)
    rotated = tmp_path / "rotated.mp4"
    process = await asyncio.create_subprocess_exec(
        ffmpeg_path(),
        *("-nostdin", "-v", "error", "-display_rotation", "90", "-i", str(flat)),
        *("-c", "copy", str(rotated)),
    )
    assert await process.wait() == 0
    video = probe(rotated).video
    assert video is not None
    assert (video.width, video.height, video.keyframe_gap) == (180, 320, None)
    assert (await play(rotated)).published == 1


async def test_cover_art_is_no_picture(tmp_path: Path) -> None:
    sound = make_video(tmp_path / "sound.mp3", seconds=2, video=False, audio_codec="mp3")
    cover, song = tmp_path / "cover.png", tmp_path / "song.mp3"
    for arguments in (
        ("-f", "lavfi", "-i", "testsrc2=size=64x64:duration=1", "-frames:v", "1", str(cover)),
        (
            *("-i", str(sound), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy"),
            *("-disposition:v:0", "attached_pic", str(song)),
        ),
    ):
        process = await asyncio.create_subprocess_exec(
            ffmpeg_path(), "-nostdin", "-v", "error", *arguments
        )
        assert await process.wait() == 0
    assert probe(song).video is None


async def test_frequent_keyframes_let_the_pictures_pass_untouched(tmp_path: Path) -> None:
    often = probe(make_video(tmp_path / "often.mp4", seconds=5, keyframe_interval=1.0)).video
    seldom = probe(make_video(tmp_path / "seldom.mp4", seconds=5, keyframe_interval=100.0)).video
    assert often is not None
    assert seldom is not None
    assert often.keyframe_gap == pytest.approx(1.0, abs=0.05)
    assert seldom.keyframe_gap == pytest.approx(5.0, abs=0.1)
