"""A match becomes a video that a live origin can cut without encoding it again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from demo.errors import MatchError
from demo.match.direct import write_script
from demo.match.film import KEYFRAME_INTERVAL, encode
from demo.match.generate import ensure_match
from demo.match.sound import render_sound

TINY = (160, 90)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("film") / "match.mp4"
    told: list[float] = []
    encode(write_script(seed=7, duration=20), target, size=TINY, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    return target


def test_picture_and_sound_decode_over_the_whole_length(video: Path) -> None:
    with av.open(str(video)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    with av.open(str(video)) as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        assert (stream.codec.name, stream.rate, stream.channels) == ("aac", 48_000, 2)
    assert frames == 500
    assert samples / 48_000 == pytest.approx(20, abs=0.1)


def test_a_keyframe_comes_every_two_seconds_and_never_between(video: Path) -> None:
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.codec.name == "h264"
        assert stream.average_rate == Fraction(25)
        times = [
            float(packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.is_keyframe and packet.pts is not None
        ]
    assert sorted(times) == pytest.approx([KEYFRAME_INTERVAL * index for index in range(10)])


@pytest.mark.parametrize("kind", ["basketball", "esports"])
def test_every_kind_of_match_can_be_filmed(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "match.mp4"
    encode(write_script(seed=1, duration=12, kind=kind), target, size=TINY)
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 300


def test_a_failure_of_ffmpeg_is_reported_with_its_output_and_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "match.mp4"
    with pytest.raises(MatchError, match="could not encode"):
        encode(write_script(seed=1, duration=12), target, size=(1, 1))
    assert list(tmp_path.iterdir()) == []


def test_the_sound_is_the_same_for_a_seed_within_bounds_and_louder_at_a_goal() -> None:
    script = write_script(seed=4, duration=30)
    sound = render_sound(script)
    assert np.array_equal(sound, render_sound(script))
    assert np.abs(sound).max() <= 1
    moment = script.truth.moments[0]
    level = [
        float(np.sqrt(np.mean(sound[int(at * 48_000) : int((at + 2) * 48_000)] ** 2)))
        for at in (moment.start - 2, moment.peak + 0.5)
    ]
    assert level[1] > level[0]


def test_a_match_is_made_once_and_kept_with_its_truth(tmp_path: Path) -> None:
    first = ensure_match(tmp_path, seed=5, duration=12)
    made = first.video.stat().st_mtime_ns
    again = ensure_match(tmp_path, seed=5, duration=12)
    assert again == first
    assert again.video.stat().st_mtime_ns == made
    expected = write_script(seed=5, duration=12).truth.model_dump_json(indent=2)
    assert first.truth.read_text() == expected + "\n"
    assert [path.name for path in (tmp_path / "match").iterdir()] == [first.video.parent.name]
