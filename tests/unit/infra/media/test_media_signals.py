"""Signals of real media files in the forms in which streams carry them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from demo.ffmpeg import ffmpeg_path
from domain.analysis.signals import SignalFrame
from domain.highlights.similarity import hash_distance
from domain.profiles.model import SimilarityThresholds
from infra.media.signals import (
    SegmentFile,
    UndecodableSegmentError,
    measure_segment,
    measure_segments,
)
from tests.factories.media import make_video

WRAP = 2**33 / 90_000


def segment(path: Path, *, first_timestamp: float = 1.4, start: float = 10.0) -> SegmentFile:
    return SegmentFile(path=path, start=start, duration=2.0, first_timestamp=first_timestamp)


def frames_of(file: SegmentFile) -> tuple[SignalFrame, ...]:
    return measure_segment(file).frames


def test_a_segment_gives_quarter_seconds_on_the_media_timeline(tmp_path: Path) -> None:
    frames = frames_of(segment(make_video(tmp_path / "a.ts", seconds=2)))
    assert [frame.start for frame in frames] == [10 + index / 4 for index in range(8)]
    assert all(frame.sound and frame.picture for frame in frames)
    assert [len(frame.keys) for frame in frames] == [1, *[0] * 7]
    assert frames[0].keys[0].time == pytest.approx(10.0, abs=0.1)


def test_re_encoded_pictures_have_nearly_the_same_hash(tmp_path: Path) -> None:
    sharp = make_video(tmp_path / "a.ts", seconds=2, size="1280x720")
    small = tmp_path / "b.ts"
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(sharp)]
    command += ["-vf", "scale=256:144", "-c:v", "libx264", "-crf", "38", str(small)]
    subprocess.run(command, check=True, timeout=60)
    one, two = (frames_of(segment(path))[0].keys[0].hash for path in (sharp, small))
    distance = hash_distance(one, two)
    assert distance is not None
    assert distance <= SimilarityThresholds().thumbnail_distance


def test_a_segment_without_picture_gives_sound_only(tmp_path: Path) -> None:
    frames = frames_of(segment(make_video(tmp_path / "a.ts", seconds=2, video=False)))
    assert all(frame.sound and not frame.picture and not frame.keys for frame in frames)


def test_a_segment_without_sound_gives_picture_only(tmp_path: Path) -> None:
    frames = frames_of(segment(make_video(tmp_path / "a.ts", seconds=2, audio=False)))
    assert all(frame.picture and not frame.sound for frame in frames)


def test_packed_audio_is_read(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.aac", seconds=2, video=False, options=("-f", "adts"))
    assert any(frame.sound for frame in frames_of(segment(path, first_timestamp=0.0)))


def test_fragmented_mp4_is_read_with_its_initialisation_section(tmp_path: Path) -> None:
    options = ("-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
    whole = make_video(tmp_path / "a.mp4", seconds=2, options=options).read_bytes()
    at = whole.index(b"moof") - 4
    init, media = tmp_path / "init.mp4", tmp_path / "1.m4s"
    init.write_bytes(whole[:at])
    media.write_bytes(whole[at:])
    file = SegmentFile(path=media, init_path=init, start=4.0, duration=2.0, first_timestamp=0.0)
    frames = frames_of(file)
    assert all(frame.sound and frame.picture for frame in frames)
    assert frames[0].keys[0].time == pytest.approx(4.0, abs=0.1)


def test_timestamps_that_wrap_lie_on_the_timeline(tmp_path: Path) -> None:
    late = WRAP - 1.0
    path = make_video(
        tmp_path / "a.ts",
        seconds=2,
        keyframe_interval=1.5,
        options=("-output_ts_offset", f"{late - 1.4:.3f}"),
    )
    frames = frames_of(segment(path, first_timestamp=late))
    times = [key.time for frame in frames for key in frame.keys]
    assert times == pytest.approx([10.0, 11.5], abs=0.15)
    assert all(frame.sound for frame in frames)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no media " * 1000,
        b"\x47" + b"\x00" * 188 * 50,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_is_no_media_is_undecodable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ts"
    path.write_bytes(content)
    with pytest.raises(UndecodableSegmentError):
        measure_segment(segment(path))


def test_a_truncated_segment_gives_what_can_be_had(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts", seconds=2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = frames_of(segment(path))
    assert frames[0].picture is not None
    assert frames[-1].picture is None


def test_one_bad_segment_costs_only_itself(tmp_path: Path) -> None:
    good, bad = make_video(tmp_path / "a.ts", seconds=2), tmp_path / "b.ts"
    bad.write_bytes(b"no media")
    results = measure_segments((segment(good), segment(bad, start=12.0), segment(good, start=14.0)))
    assert [result is not None for result in results] == [True, False, True]
