"""Wrong timestamps, damage and unusual forms of media cost what they touch, and nothing else."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.ffmpeg import ffmpeg_path
from domain.media.timeline import unwrap
from infra.media.probe import MediaFacts, UndecodableError, probe
from infra.media.signals import SegmentFile, measure_segment, measure_segments
from tests.factories.media import FRAGMENTED, damage, make_video, restamp

HOUR = 3600 * 90_000
SMALL = "160x90"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def pictures(folder: Path) -> Path:
    """Two seconds with B frames, 25 pictures a second."""
    path = folder / "pictures.ts"
    return make_video(path, seconds=2, size=SMALL, audio=False, options=("-bf", "2"))


@pytest.fixture(scope="module")
def both(folder: Path) -> Path:
    return make_video(folder / "both.ts", seconds=2, size=SMALL)


def segment(path: Path, facts: MediaFacts, *, duration: float = 2.0) -> SegmentFile:
    return SegmentFile(
        path=path, start=10.0, duration=duration, first_timestamp=facts.first_timestamp
    )


STRAYS: list[tuple[int, int]] = [
    (0, 3 * HOUR),
    (20, 3 * HOUR),
    (20, -3 * HOUR),
    (20, 1 << 32),
    (20, 5 * 90_000),
    (49, 3 * HOUR),
]


@pytest.mark.parametrize(("number", "by"), STRAYS)
def test_one_frame_of_another_time_changes_nothing_for_the_others(
    pictures: Path, tmp_path: Path, number: int, by: int
) -> None:
    whole, path = probe(str(pictures)), tmp_path / "stray.ts"
    path.write_bytes(restamp(pictures.read_bytes(), lambda n, at: at + by if n == number else at))
    facts = probe(str(path))
    first = unwrap(facts.first_timestamp, near=whole.first_timestamp)
    assert first == pytest.approx(whole.first_timestamp, abs=0.081)
    assert facts.duration == pytest.approx(whole.duration, abs=0.121)
    frames = measure_segment(segment(path, facts)).frames
    assert all(frame.picture for frame in frames)


def test_a_last_picture_seconds_ahead_of_the_sound_is_not_believed(
    both: Path, tmp_path: Path
) -> None:
    path = tmp_path / "ahead.ts"
    path.write_bytes(restamp(both.read_bytes(), lambda n, at: at + 5 * 90_000 if n == 49 else at))
    assert probe(str(path)).duration == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("by", [-1 * HOUR, 30 * 90_000])
def test_a_clock_that_restarts_within_a_segment_keeps_its_length(
    pictures: Path, tmp_path: Path, by: int
) -> None:
    path = tmp_path / "anew.ts"
    path.write_bytes(restamp(pictures.read_bytes(), lambda n, at: at + by if n >= 25 else at))
    facts = probe(str(path))
    assert facts.duration == pytest.approx(2.0, abs=0.2)
    assert all(frame.picture for frame in measure_segment(segment(path, facts)).frames)


@pytest.mark.parametrize(
    "change",
    [lambda _n, at: at - at % 27_000, lambda n, at: at - n % 3 * 9_000],
    ids=["duplicates", "presented before they are decoded"],
)
def test_doubtful_order_drops_no_picture(
    pictures: Path, tmp_path: Path, change: Callable[[int, int], int]
) -> None:
    path = tmp_path / "doubtful.ts"
    path.write_bytes(restamp(pictures.read_bytes(), change))
    facts = probe(str(path))
    assert facts.duration == pytest.approx(2.0, abs=0.35)
    assert sum(frame.picture is not None for frame in measure_segment(segment(path, facts)).frames)


def test_timestamps_that_wrap_within_a_segment_are_its_own_span(
    pictures: Path, tmp_path: Path
) -> None:
    first = round(probe(str(pictures)).first_timestamp * 90_000)
    path = tmp_path / "wrap.ts"
    path.write_bytes(restamp(pictures.read_bytes(), lambda _n, at: at - first + (1 << 33) - 90_000))
    facts = probe(str(path))
    assert facts.duration == pytest.approx(2.0, abs=0.05)
    assert all(frame.picture for frame in measure_segment(segment(path, facts)).frames)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video", "libx265"])
def test_segments_cut_within_a_group_of_pictures_lose_none(tmp_path: Path, codec: str) -> None:
    source = make_video(
        tmp_path / "source.ts",
        seconds=8,
        size=SMALL,
        audio=False,
        keyframe_interval=5,
        video_codec=codec,
        options=("-g", "125", "-keyint_min", "125")
        + (("-x265-params", "keyint=125:min-keyint=125:log-level=none") if "x265" in codec else ()),
    )
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(source), "-c", "copy"]
    command += ["-f", "segment", "-segment_time", "2", "-break_non_keyframes", "1"]
    subprocess.run([*command, str(tmp_path / "cut%d.ts")], check=True, timeout=60)
    parts = sorted(tmp_path.glob("cut*.ts"))
    assert len(parts) == 4
    keys = 0
    for part in parts:
        facts = probe(str(part))
        assert facts.has_video
        assert facts.duration == pytest.approx(2.0, abs=0.2)
        frames = measure_segment(segment(part, facts)).frames
        assert sum(frame.picture is not None for frame in frames) >= 7
        keys += sum(len(frame.keys) for frame in frames)
    assert keys == 2


FORMS = [
    ("mp3", "libmp3lame", ("-f", "mp3")),
    ("ac3", "ac3", ("-f", "ac3")),
    ("eac3", "eac3", ("-f", "eac3")),
    ("aac", "aac", ("-f", "adts")),
    ("ts", "mp2", ()),
    ("ts", "libmp3lame", ()),
    ("ts", "eac3", ()),
    ("mp4", "libopus", FRAGMENTED),
    ("mp4", "flac", FRAGMENTED),
    ("mp4", "aac", ("-ac", "8", *FRAGMENTED)),
]


@pytest.mark.parametrize(("suffix", "codec", "options"), FORMS)
def test_sound_is_heard_in_every_form_that_is_stored(
    tmp_path: Path, suffix: str, codec: str, options: tuple[str, ...]
) -> None:
    path = make_video(
        tmp_path / f"a.{suffix}", seconds=2, video=False, audio_codec=codec, options=options
    )
    facts = probe(str(path))
    assert facts.has_audio
    assert facts.suffix == suffix
    assert facts.duration == pytest.approx(2.0, abs=0.1)
    frames = measure_segment(segment(path, facts)).frames
    assert all(frame.sound and frame.sound.loudness > -40 for frame in frames)


@pytest.mark.parametrize("form", ["ts", "mp4", "aac", "mp3"])
def test_damaged_segments_are_measured_or_passed_over_but_never_raise(
    tmp_path: Path, both: Path, form: str
) -> None:
    options = {"mp4": FRAGMENTED, "aac": ("-f", "adts"), "mp3": ("-f", "mp3")}
    source = both
    if form != "ts":
        codec = "libmp3lame" if form == "mp3" else "aac"
        source = make_video(
            tmp_path / f"whole.{form}",
            seconds=2,
            size=SMALL,
            video=form == "mp4",
            audio_codec=codec,
            options=options[form],
        )
    whole, dice, path = source.read_bytes(), random.Random(11), tmp_path / "damaged.bin"
    measured = 0
    for _ in range(25):
        path.write_bytes(damage(whole, dice))
        try:
            facts = probe(str(path))
        except UndecodableError:
            facts = probe(str(source))
        assert 0 <= facts.duration < 3600
        (signals,) = measure_segments((segment(path, facts),))
        measured += signals is not None
    assert measured >= 10


def test_packed_audio_has_the_clock_of_its_id3_tag(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.aac", seconds=2, video=False, options=("-f", "adts"))
    bare = probe(str(path))
    assert (bare.timed, bare.clock) == (False, None)
    owner = b"com.apple.streaming.transportStreamTimestamp\x00"
    body = owner + (900_000).to_bytes(8, "big")
    frame = b"PRIV" + len(body).to_bytes(4, "big") + b"\x00\x00" + body
    path.write_bytes(
        b"ID3\x04\x00\x00\x00\x00\x00" + bytes([len(frame)]) + frame + path.read_bytes()
    )
    tagged = probe(str(path))
    assert (tagged.timed, tagged.clock) == (True, 10.0)
    assert tagged.duration == pytest.approx(bare.duration)
    assert all(frame.sound for frame in measure_segment(segment(path, tagged)).frames)


def test_sound_longer_than_the_picture_belongs_to_the_segment(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.ts", seconds=4, size=SMALL, options=("-vf", "trim=end=1"))
    assert probe(str(path)).duration == pytest.approx(4.0, abs=0.1)


def test_the_track_asked_for_is_heard_whatever_its_place(tmp_path: Path) -> None:
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-y"]
    command += ["-f", "lavfi", "-i", "sine=440:d=2", "-f", "lavfi", "-i", "anullsrc=d=2"]
    command += ["-map", "1", "-map", "0", "-metadata:s:a:0", "language=spa"]
    command += ["-metadata:s:a:1", "language=eng", "-t", "2", str(tmp_path / "two.ts")]
    subprocess.run(command, check=True, timeout=60)
    facts = probe(str(tmp_path / "two.ts"))
    assert [track.language for track in facts.audio_tracks] == ["spa", "eng"]
    loudness = []
    for track in facts.audio_tracks:
        file = segment(tmp_path / "two.ts", facts).model_copy(update={"audio_track": track.id})
        sound = measure_segment(file).frames[3].sound
        loudness.append(sound.loudness if sound else None)
    assert loudness[0] is not None
    assert loudness[1] is not None
    assert loudness[0] < -60 < loudness[1]
