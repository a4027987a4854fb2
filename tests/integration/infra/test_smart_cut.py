"""Smart cuts of real segments, decoded: pictures and sound at their times, most of them copied."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from demo.ffmpeg import ffmpeg_path
from domain.exports.models import RenditionSpec
from infra.media.audio import RATE
from infra.media.concat import SourceFile
from infra.media.exports import source_packets
from infra.media.exports.smart_cut import Copy, smart_cut
from infra.media.exports.source_packets import CannotCutError
from tests.factories.film import FRAME, beeps, film, pictures, segments, sources

pytestmark = pytest.mark.timeout(60)
MP4 = RenditionSpec.model_validate({"format": "mp4"})
BEGIN, END = 1.4, 6.4
SILENT_BYTES = 16
"""A block of AAC without sound has fewer bytes; many of them are equal."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of film."""
    return film(tmp_path_factory.mktemp("film") / "film.mp4", seconds=8.0)


@pytest.fixture(scope="module")
def parts(base: Path) -> tuple[SourceFile, ...]:
    """The film in segments of two seconds, each of which begins with a keyframe."""
    return sources(segments(base, base.parent / "parts"))


def cut(
    files: Sequence[SourceFile], folder: Path, *, begin: float = BEGIN, end: float = END
) -> Copy:
    return smart_cut(files, folder / "cut.mp4", begin, end, [MP4])


def assert_in_time(copy: Copy, *, begin: float, end: float) -> None:
    """Every picture is shown when it happened, and each full second sounds within 20 ms."""
    shown = pictures(copy.path)
    assert copy.start == pytest.approx(begin, abs=FRAME * 0.51)
    assert shown[0].at == 0.0
    for picture in shown:
        assert picture.number * FRAME == pytest.approx(copy.start + picture.at, abs=FRAME * 0.99)
    assert all(0 < after.at - before.at < 3 * FRAME for before, after in pairwise(shown))
    assert shown[-1].at == pytest.approx(end - copy.start, abs=2 * FRAME)
    heard = [copy.start + at for at in beeps(copy.path)]
    assert heard == pytest.approx([round(each) for each in heard], abs=0.02)
    assert len(heard) >= int(end - begin) - 1
    assert copy.file.duration == pytest.approx(end - begin, abs=FRAME)
    with av.open(str(copy.path)) as container:
        for stream in container.streams:
            assert stream.duration is not None
            assert stream.time_base is not None
            lasts = float(stream.duration * stream.time_base)
            assert lasts == pytest.approx(end - begin, abs=FRAME)
    command = [ffmpeg_path(), "-v", "error", "-xerror", "-i", str(copy.path), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=True).stderr == b""


def packets(path: Path, kind: str) -> list[bytes]:
    with av.open(str(path)) as container:
        stream = next(each for each in container.streams if each.type == kind)
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


def has_copied_sound(path: Path, source: Path) -> bool:
    """Return True if all sound of a cut is that of its source, byte for byte."""
    own = {each for each in packets(source, "audio") if len(each) > SILENT_BYTES}
    copied = [each for each in packets(path, "audio") if len(each) > SILENT_BYTES]
    return bool(copied) and all(each in own for each in copied)


def samples(path: Path, first: float, seconds: float) -> NDArray[np.float32]:
    """Decode what a player plays from `first` on."""
    sound = np.zeros(RATE * 10, np.float32)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            at = round(float(frame.time or 0.0) * RATE)
            block = frame.to_ndarray()[0]
            sound[at : at + len(block)] = block
    begin = round(first * RATE)
    return sound[begin : begin + round(seconds * RATE)]


def test_sound_is_copied_and_cut_to_the_sample(
    base: Path, parts: tuple[SourceFile, ...], tmp_path: Path
) -> None:
    copy = cut(parts, tmp_path)
    assert has_copied_sound(copy.path, base)
    played = samples(copy.path, 0.1, 4.8)
    assert np.abs(played).max() > 0.1
    expected = samples(base, copy.start + 0.1, 4.8)
    np.testing.assert_allclose(played, expected, atol=1e-3)


def test_whole_groups_of_pictures_are_copied(
    base: Path, parts: tuple[SourceFile, ...], tmp_path: Path
) -> None:
    copy = cut(parts, tmp_path, begin=2.0, end=6.0)
    assert_in_time(copy, begin=2.0, end=6.0)
    with av.open(str(base)) as container:
        inside = [
            packet.size
            for packet in container.demux(container.streams.video[0])
            if packet.pts is not None and 2.0 <= float(packet.pts * packet.time_base) < 6.0
        ]
    assert len(packets(copy.path, "video")) == len(inside) == 100


@pytest.mark.parametrize(
    ("options", "copies_sound"),
    [
        (("-r", "30000/1001"), True),
        (("-vf", "select='not(eq(mod(n\\,7)\\,3))'", "-fps_mode", "vfr"), True),
        (("-bf", "0"), True),
        (("-bf", "4", "-x264-params", "b-pyramid=normal:ref=4"), True),
        (("-ar", "44100", "-ac", "1"), True),
        (("-ac", "6"), False),
        (("-c:a", "libmp3lame"), False),
        (("-c:a", "ac3"), False),
    ],
    ids=["ntsc", "vfr", "no_b", "pyramid", "mono_44100", "surround", "mp3", "ac3"],
)
def test_unusual_sources_stay_in_time(
    tmp_path: Path, options: Sequence[str], *, copies_sound: bool
) -> None:
    made = film(tmp_path / "film.mp4", seconds=8.0, options=options)
    files = sources(segments(made, tmp_path / "parts"))
    first = files[0].first_timestamp
    copy = cut(
        [each.model_copy(update={"start": each.first_timestamp - first}) for each in files],
        tmp_path,
    )
    assert_in_time(copy, begin=BEGIN, end=END)
    assert has_copied_sound(copy.path, made) is copies_sound


@pytest.mark.parametrize(
    "options",
    [
        ("-output_ts_offset", "95440"),
        ("-segment_format", "mp4", "-segment_format_options", "movflags=frag_keyframe+empty_moov"),
        (
            "-segment_format_options",
            "mpegts_flags=+initial_discontinuity",
            "-reset_timestamps",
            "1",
        ),
    ],
    ids=["wrap", "fragmented_mp4", "discontinuities"],
)
def test_segments_of_every_kind_are_cut(base: Path, tmp_path: Path, options: Sequence[str]) -> None:
    copy = cut(sources(segments(base, tmp_path / "parts", options=options)), tmp_path)
    assert_in_time(copy, begin=BEGIN, end=END)


def test_another_broadcast_in_the_middle_stays_in_time(base: Path, tmp_path: Path) -> None:
    second = film(tmp_path / "second.mp4", seconds=4.0, first=100)
    first = sources(segments(base, tmp_path / "parts"))[:2]
    rest = sources(segments(second, tmp_path / "parts", name="second"))
    files = [*first, *(each.model_copy(update={"start": each.start + 4.0}) for each in rest)]
    assert_in_time(cut(files, tmp_path), begin=BEGIN, end=END)


def test_a_cut_without_sound_has_no_sound_track(tmp_path: Path) -> None:
    silent = film(tmp_path / "film.mp4", seconds=8.0, audio=False)
    copy = cut(sources(segments(silent, tmp_path / "parts")), tmp_path)
    assert not copy.file.has_audio
    assert [picture.number for picture in pictures(copy.path)] == list(range(35, 160))


def test_sound_that_pauses_is_encoded_with_its_silence(base: Path, tmp_path: Path) -> None:
    paths = segments(base, tmp_path / "parts")
    mute = tmp_path / "mute.ts"
    command = [ffmpeg_path(), "-loglevel", "error", "-copyts", "-i", str(paths[1]), "-an"]
    command += ["-c", "copy", "-muxdelay", "0", "-muxpreload", "0", str(mute)]
    subprocess.run(command, check=True, timeout=60)
    files = list(sources(paths))
    files[1] = files[1].model_copy(update={"path": mute})
    copy = cut(files, tmp_path)
    heard = [copy.start + at for at in beeps(copy.path)]
    assert heard == pytest.approx([4.0, 5.0, 6.0], abs=0.02)
    assert [picture.number for picture in pictures(copy.path)] == list(range(35, 160))


def test_long_sources_are_read_twice_instead_of_kept(
    parts: tuple[SourceFile, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cut(parts, tmp_path)
    content = kept.path.read_bytes()
    monkeypatch.setattr(source_packets, "_MOST_KEPT", parts[0].path.stat().st_size)
    read = source_packets.read_packets(parts)
    assert {part.kept is None for part in read} == {False, True}
    assert cut(parts, tmp_path).path.read_bytes() == content


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-x264-params", "open-gop=1:bframes=3:keyint=20:min-keyint=20:b-adapt=0"), "open"),
        (("-c:v", "libx265", "-x265-params", "log-level=none"), "not H.264"),
        (("-vf", "setfield=tff", "-flags", "+ilme+ildct", "-x264opts", "tff=1"), "interlaced"),
        (("-vf", "setsar=4/3"), "square"),
    ],
    ids=["open_groups", "hevc", "interlaced", "wide_pixels"],
)
def test_what_cannot_be_cut_says_why(tmp_path: Path, options: Sequence[str], reason: str) -> None:
    made = film(tmp_path / "film.ts", seconds=8.0, options=options)
    with pytest.raises(CannotCutError, match=reason):
        cut(sources(segments(made, tmp_path / "parts")), tmp_path)


def test_another_size_in_the_middle_cannot_be_cut(base: Path, tmp_path: Path) -> None:
    small = film(tmp_path / "small.mp4", seconds=4.0, size="160x90", first=100)
    first = sources(segments(base, tmp_path / "parts"))[:2]
    rest = sources(segments(small, tmp_path / "parts", name="small"))
    files = [*first, *(each.model_copy(update={"start": each.start + 4.0}) for each in rest)]
    with pytest.raises(CannotCutError, match="parameters change"):
        cut(files, tmp_path)


def test_a_damaged_segment_cannot_be_cut(base: Path, tmp_path: Path) -> None:
    paths = segments(base, tmp_path / "parts")
    files = sources(paths)
    content = bytearray(paths[1].read_bytes())
    content[20_000:24_000] = bytes(4000)
    paths[1].write_bytes(content)
    with pytest.raises(CannotCutError):
        cut(files, tmp_path)


def test_a_rendition_of_another_size_is_not_cut(
    parts: tuple[SourceFile, ...], tmp_path: Path
) -> None:
    tall = RenditionSpec.model_validate({"format": "mp4", "aspect": "9:16"})
    with pytest.raises(CannotCutError, match="size"):
        smart_cut(parts, tmp_path / "cut.mp4", BEGIN, END, [tall])
    assert not (tmp_path / "cut.mp4").exists()
