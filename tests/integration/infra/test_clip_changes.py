"""Clips of media that changes, is in an unusual form, or carries bad timestamps.

Every picture carries its number and every second begins with a beep (`film`), so each clip is
checked for all its pictures, each at its time, and for its sound in time with them.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import av
import pytest

from demo.ffmpeg import ffmpeg_path
from infra.media.concat import SourceFile, SpliceError, splice
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.probe import UndecodableError, probe
from infra.media.render import Cut, Rendering, inspect, render
from tests.factories.film import FRAME, RATE, beeps, film, pictures, segments, sources

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SYNC = 0.02
"""Seconds between picture and sound that nobody notices (EBU R37 allows 40 ms)."""

HOURS = 5 * 3600
VIDEO_PID = 0x100
PACKET = 188


class HerePool(MediaPool):
    """Runs tasks in this process: these media are our own, and a child takes a second to start."""

    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        return fn(*args)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changes")


@pytest.fixture(scope="module")
def parts(folder: Path) -> list[Path]:
    """Eight seconds of film in four segments."""
    return segments(film(folder / "film.mp4", seconds=8.0), folder / "parts")


def ffmpeg(*arguments: object) -> None:
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=60)


async def rendered(
    files: Sequence[SourceFile], directory: Path, *, offset: float = 1.4, duration: float = 5.0
) -> Rendering:
    return await render(
        Cut(
            sources=tuple(files),
            offset=offset,
            duration=duration,
            thumbnail_at=offset + duration / 2,
        ),
        pool=HerePool(processes=1, memory_bytes=1 << 30, cpu_seconds=1, timeout=1.0),
        binary=find_ffmpeg(),
        directory=directory,
        limits=FfmpegLimits(),
    )


def assert_whole(
    clip: Path, *, offset: float, duration: float, heard: Sequence[float] | None = None
) -> None:
    """All pictures and all sound of `offset`..`offset + duration` are there, in time."""
    shown = pictures(clip)
    first, last = round(offset * RATE), round((offset + duration) * RATE)
    assert [each.number for each in shown] == list(range(first, last))
    for picture in shown:
        assert picture.number * FRAME == pytest.approx(offset + picture.at, abs=SYNC)
    if heard is None:
        heard = [second for second in range(20) if offset <= second < offset + duration]
    assert [offset + at for at in beeps(clip)] == pytest.approx(heard, abs=SYNC)
    with av.open(str(clip)) as container:
        for stream in container.streams:
            assert stream.duration is not None
            assert stream.time_base is not None
            assert float(stream.duration * stream.time_base) == pytest.approx(duration, abs=0.06)
    assert inspect(clip).holes == ()


# Where the second half of a clip is otherwise.
CHANGES: dict[str, tuple[str, ...]] = {
    "44.1 kHz mono": ("-ar", "44100", "-ac", "1"),
    "5.1": ("-af", "pan=5.1|FC=c0|FL=c0|FR=c0"),
    "AC-3": ("-c:a", "ac3"),
    "MP3": ("-c:a", "libmp3lame"),
    "HEVC": ("-c:v", "libx265", "-x265-params", "log-level=error:keyint=50:bframes=2"),
    "MPEG-2": ("-c:v", "mpeg2video", "-q:v", "2", "-g", "50"),
    "10 bits": ("-pix_fmt", "yuv420p10le"),
    "full range": ("-vf", "scale=out_range=full", "-color_range", "pc"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_inside_a_clip_costs_neither_picture_nor_sound_nor_their_sync(
    parts: list[Path], tmp_path: Path, change: str
) -> None:
    other = film(tmp_path / "other.ts", first=100, seconds=4.0, options=CHANGES[change])
    clip = (await rendered(sources([*parts[:2], other]), tmp_path)).clip
    assert_whole(clip, offset=1.4, duration=5.0)


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [
        (4.0, "480x270", (320, 180)),
        (2.0, "480x270", (480, 270)),
        (2.0, "180x320", (180, 320)),
        (1.0, "160x90", (160, 90)),
    ],
)
async def test_a_clip_has_the_size_of_most_of_it(
    parts: list[Path], tmp_path: Path, before: float, after: str, size: tuple[int, int]
) -> None:
    second = film(tmp_path / "b.ts", first=round(before * RATE), seconds=7 - before, size=after)
    cut = film(tmp_path / "a.ts", seconds=before)
    rendering = await rendered(sources([cut, second]), tmp_path, offset=0.6, duration=5.4)
    found = inspect(rendering.clip)
    assert (found.width, found.height) == size
    assert len(pictures(rendering.clip)) == 5.4 * RATE
    assert [0.6 + at for at in beeps(rendering.clip)] == pytest.approx([1, 2, 3, 4, 5], abs=SYNC)


async def test_variants_that_alternate_are_joined_in_order(
    parts: list[Path], tmp_path: Path
) -> None:
    others = segments(film(tmp_path / "o.mp4", seconds=8.0, size="160x90"), tmp_path / "others")
    mixed = [parts[0], others[1], parts[2], others[3]]
    clip = (await rendered(sources(mixed), tmp_path, offset=0.4, duration=7.0)).clip
    assert_whole(clip, offset=0.4, duration=7.0)


async def test_a_short_advert_with_another_codec_of_sound_keeps_the_sound_after_it(
    tmp_path: Path,
) -> None:
    advert = film(
        tmp_path / "a.ts", seconds=0.4, size="160x90", options=("-c:a", "libmp3lame", "-ac", "1")
    )
    after = film(tmp_path / "b.ts", first=10, seconds=6.0)
    rendering = await rendered(sources([advert, after]), tmp_path, offset=0.0, duration=6.0)
    assert_whole(rendering.clip, offset=0.0, duration=6.0)
    assert inspect(rendering.clip).width == 320


async def test_a_change_of_frame_rate_keeps_every_picture(
    parts: list[Path], tmp_path: Path
) -> None:
    fast = tmp_path / "fast.ts"
    pattern = "testsrc2=size=320x180:rate=50:duration=4"
    ffmpeg("-f", "lavfi", "-i", pattern, "-c:v", "libx264", "-preset", "ultrafast", fast)
    clip = (await rendered(sources([*parts[:2], fast]), tmp_path, offset=1.0, duration=6.0)).clip
    times = [picture.at for picture in pictures(clip)]
    assert len(times) == 3 * RATE + 3 * 2 * RATE
    assert times == pytest.approx(
        [*(n / 25 for n in range(75)), *(3 + n / 50 for n in range(150))], abs=0.001
    )


@pytest.mark.parametrize("mute", [(), (0,), (1, 2)], ids=["none", "first", "most"])
async def test_sound_that_the_source_lacks_is_silence(
    parts: list[Path], tmp_path: Path, mute: tuple[int, ...]
) -> None:
    files = list(parts)
    for number in mute:
        files[number] = tmp_path / f"mute{number}.ts"
        ffmpeg("-i", parts[number], "-an", "-c", "copy", files[number])
    rendering = await rendered(sources(files), tmp_path, offset=0.4, duration=7.0)
    heard = [second for second in range(1, 8) if second // 2 not in mute and second < 7.4]
    assert_whole(rendering.clip, offset=0.4, duration=7.0, heard=heard)
    assert rendering.silences == ()


def fragmented(video: Path, folder: Path) -> list[Path]:
    """Segments of fragmented MP4, each with the initialization section in front as stored."""
    folder.mkdir()
    kind = ("-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "2", "-hls_list_size", "0")
    ffmpeg("-i", video, "-c", "copy", *kind, folder / "x.m3u8")
    init = (folder / "init.mp4").read_bytes()
    stored = []
    for number in range(len(list(folder.glob("x*.m4s")))):
        stored.append(folder / f"{number}.mp4")
        stored[-1].write_bytes(init + (folder / f"x{number}.m4s").read_bytes())
    return stored


CLOSED = "log-level=error:keyint=50:open-gop=0"

FORMS: dict[str, tuple[str, ...]] = {
    "AV1": ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-crf", "12", "-g", "50"),
    "VP9 and Opus": ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "50", "-c:a", "libopus"),
    "HEVC and FLAC": ("-c:v", "libx265", "-x265-params", CLOSED, "-c:a", "flac", "-strict", "-2"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_what_only_mp4_can_carry_is_cut_as_exactly(tmp_path: Path, form: str) -> None:
    video = film(tmp_path / "film.mp4", seconds=6.0, options=FORMS[form])
    files = sources(fragmented(video, tmp_path / "s"))
    rendering = await rendered(files, tmp_path, offset=1.4, duration=3.0)
    assert_whole(rendering.clip, offset=1.4, duration=3.0)


@pytest.mark.parametrize("degrees", [90, 180, 270])
async def test_a_rotated_source_gives_an_upright_clip_and_thumbnail(
    folder: Path, parts: list[Path], tmp_path: Path, degrees: int
) -> None:
    turned = tmp_path / "turned.mp4"
    source = ("-display_rotation", degrees, "-i", folder / "film.mp4")
    ffmpeg(*source, "-t", 4, "-c", "copy", turned)
    files = sources(fragmented(turned, tmp_path / "s"))
    rendering = await rendered(files, tmp_path, offset=0.4, duration=2.0)
    expected = (320, 180) if degrees == 180 else (180, 320)
    assert rendering.thumbnail is not None
    for path in (rendering.clip, rendering.thumbnail):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            assert (frame.width, frame.height, frame.rotation) == (*expected, 0)


@pytest.mark.parametrize(
    ("aspect", "codec", "size"),
    [
        ("4/3", "libx264", (426, 180)),
        ("3/4", "libx264", (320, 240)),
        ("4/3", "libvpx-vp9", (426, 180)),  # said by the container only
    ],
)
async def test_an_anamorphic_source_gives_square_pixels(
    tmp_path: Path, aspect: str, codec: str, size: tuple[int, int]
) -> None:
    options = ("-c:v", codec, "-vf", f"setsar={aspect}", "-g", "50", "-cpu-used", "8")
    video = film(
        tmp_path / "film.mp4", seconds=4.0, options=options if "vp9" in codec else options[:4]
    )
    files = sources(fragmented(video, tmp_path / "s"))
    rendering = await rendered(files, tmp_path, offset=0.4, duration=2.0)
    assert rendering.thumbnail is not None
    for path in (rendering.clip, rendering.thumbnail):
        with av.open(str(path)) as container:
            assert container.streams.video[0].sample_aspect_ratio in {None, 1}
            frame = next(container.decode(video=0))
            assert (frame.width, frame.height) == size


async def test_high_dynamic_range_becomes_standard_range(tmp_path: Path) -> None:
    color = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    parameters = (
        "log-level=error:keyint=50:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    )
    options = ("-c:v", "libx265", "-x265-params", parameters, "-pix_fmt", "yuv420p10le", *color)
    video = film(tmp_path / "hdr.ts", seconds=4.0, options=options)
    clip = (await rendered(sources([video]), tmp_path, offset=0.4, duration=2.0)).clip
    assert_whole(clip, offset=0.4, duration=2.0)
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
    assert (frame.format.name, frame.colorspace, frame.color_trc) == ("yuv420p", 1, 1)


@pytest.mark.parametrize("offset", [0.4, 2.6, 4.4])
async def test_segments_that_do_not_begin_with_a_keyframe_keep_their_pictures(
    folder: Path, tmp_path: Path, offset: float
) -> None:
    long = tmp_path / "long.mp4"
    keyframes = ("-g", 125, "-keyint_min", 125, "-sc_threshold", 0, "-bf", 2)
    encoder = ("-c:v", "libx264", "-preset", "ultrafast", *keyframes)
    ffmpeg("-i", folder / "film.mp4", "-c:a", "copy", *encoder, long)
    cut = segments(long, tmp_path / "s", options=("-break_non_keyframes", "1"))
    facts = [probe(str(part)) for part in cut]
    assert [each.starts_with_keyframe for each in facts] == [True, False, False, False]
    assert all(each.has_video for each in facts)
    clip = (await rendered(sources(cut), tmp_path, offset=offset, duration=3.0)).clip
    assert_whole(clip, offset=offset, duration=3.0)


Change = Callable[[int, int], int | None]
"""From a picture's place in its segment and its PTS to the PTS it is given; None removes it."""


def restamped(path: Path, target: Path, change: Change) -> Path:
    """A copy of an MPEG-TS segment with other PTS in its PES headers (ISO/IEC 13818-1, 2.4.3.6)."""
    data = bytearray(path.read_bytes())
    count = 0
    for at in range(0, len(data), PACKET):
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        if pid != VIDEO_PID or not data[at + 1] & 0x40:
            continue
        pes = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        field = pes + 9
        pts = (data[field] >> 1 & 7) << 30 | data[field + 1] << 22 | (data[field + 2] >> 1) << 15
        pts |= data[field + 3] << 7 | data[field + 4] >> 1
        given = change(count, pts)
        count += 1
        if given is None:
            data[pes + 7] &= 0x3F  # neither PTS nor DTS follows: what is there is stuffing
            size = data[pes + 8]
            data[field : field + size] = b"\xff" * size
        else:
            given %= 1 << 33
            data[field] = data[field] & 0xF0 | given >> 29 & 0x0E | 1
            data[field + 1] = given >> 22 & 0xFF
            data[field + 2] = given >> 14 & 0xFE | 1
            data[field + 3] = given >> 7 & 0xFF
            data[field + 4] = given << 1 & 0xFE | 1
    target.write_bytes(data)
    return target


BAD_TIMES: dict[str, Change] = {
    "hours ahead": lambda place, pts: pts + HOURS * 90_000 if place == 20 else pts,
    "hours behind": lambda place, pts: pts - HOURS * 90_000 if place == 20 else pts,
    "seconds ahead": lambda place, pts: pts + 3 * 90_000 if place == 20 else pts,
    "first ahead": lambda place, pts: pts + HOURS * 90_000 if place == 0 else pts,
    "last ahead": lambda place, pts: pts + HOURS * 90_000 if place == 49 else pts,
    "burst": lambda place, pts: pts + HOURS * 90_000 if 20 <= place < 24 else pts,
    "missing": lambda place, pts: None if place % 10 == 5 else pts,
    "equal": lambda place, pts: pts if place != 20 else pts - 3600,
}


async def test_a_clip_keeps_to_the_track_that_was_chosen_whatever_its_place(
    tmp_path: Path,
) -> None:
    two = tmp_path / "two.mp4"
    ffmpeg(
        *("-i", film(tmp_path / "film.mp4", seconds=8.0), "-f", "lavfi", "-i", "anullsrc"),
        *("-map", "0", "-map", "1", "-t", 8, "-c", "copy", "-c:a:1", "aac", two),
    )
    before, after = (
        segments(two, tmp_path / name, options=("-map", "0:v", "-map", one, "-map", other))
        for name, one, other in (("before", "0:a:0", "0:a:1"), ("after", "0:a:1", "0:a:0"))
    )
    files = []
    for source in sources([*before[:2], *after[2:]]):
        tracks = probe(str(source.path)).audio_tracks
        track = tracks[0 if source.path.parent.name == "before" else 1]
        files.append(source.model_copy(update={"audio_track": track.id}))
    assert_whole((await rendered(files, tmp_path)).clip, offset=1.4, duration=5.0)


@pytest.mark.parametrize("fault", BAD_TIMES)
async def test_a_bad_timestamp_costs_at_most_its_own_picture(
    parts: list[Path], tmp_path: Path, fault: str
) -> None:
    bad = restamped(parts[1], tmp_path / "bad.ts", BAD_TIMES[fault])
    good, found = probe(str(parts[1])), probe(str(bad))
    assert found.first_timestamp == pytest.approx(good.first_timestamp, abs=0.25)
    assert found.duration == pytest.approx(good.duration, abs=0.25)
    files = list(sources(parts))
    files[1] = files[1].model_copy(update={"path": bad})
    clip = (await rendered(files, tmp_path)).clip
    shown = [picture.number for picture in pictures(clip)]
    lost = set(range(35, 160)) - set(shown)
    assert len(lost) <= {"burst": 4, "missing": 5}.get(fault, 1)
    assert shown == sorted(shown)
    allowed = 4.1 if fault == "burst" else 2.1
    for picture in pictures(clip):
        assert picture.number * FRAME == pytest.approx(1.4 + picture.at, abs=allowed * FRAME)
    assert [1.4 + at for at in beeps(clip)] == pytest.approx([2, 3, 4, 5, 6], abs=SYNC)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Media as a bad disk, line or packager leaves it."""
    result = bytearray(data)
    place, length = chance.randrange(len(result)), chance.randrange(1, 5000)
    match chance.randrange(6):
        case 0:
            for _ in range(chance.choice([1, 50, 500])):
                result[chance.randrange(len(result))] ^= 1 << chance.randrange(8)
        case 1:
            del result[place:]
        case 2:
            del result[place : place + length]
        case 3:
            result[place : place + length] = chance.randbytes(len(result[place : place + length]))
        case 4:
            for _ in range(20):
                result[chance.randrange(1500)] = chance.randrange(256)
        case _:
            packets = [result[at : at + PACKET] for at in range(0, len(result), PACKET)]
            chance.shuffle(packets)
            result = bytearray(b"".join(packets))
    return bytes(result)


@pytest.mark.parametrize("form", ["ts", "mp4"])
def test_mutated_media_raises_nothing_but_our_own_errors(
    folder: Path, parts: list[Path], tmp_path: Path, form: str
) -> None:
    originals = parts if form == "ts" else fragmented(folder / "film.mp4", tmp_path / "s")
    known = [probe(str(part)) for part in originals]
    chance = random.Random(20261129)
    for _ in range(12):
        files = []
        for number, (part, facts) in enumerate(zip(originals[:3], known, strict=False)):
            copy = tmp_path / f"{number}.{form}"
            copy.write_bytes(mutated(part.read_bytes(), chance))
            with suppress(UndecodableError):
                assert probe(str(copy)).duration > 0
            files.append(
                SourceFile(
                    path=copy,
                    first_timestamp=facts.first_timestamp,
                    start=2.0 * number,
                    duration=facts.duration,
                )
            )
        with suppress(SpliceError):
            assert splice(files, str(tmp_path), 1.0, 5.0, 3.0).start < 5.0
