"""Clips cut out of real segments: the right pictures, the right sound, at the right time."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import psutil
import pytest

from demo.ffmpeg import ffmpeg_path
from infra.media.concat import SourceFile, SpliceError
from infra.media.ffmpeg import FfmpegLimits, FfmpegTimeoutError, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import Cut, Rendering, UnplayableClipError, inspect, render
from tests.factories.film import FRAME, RATE, Picture, beeps, film, pictures, segments, sources

WRAP = 2**33 / 90_000  # s, ISO/IEC 13818-1, 2.4.3.7
AAC_PRIMING = 1024 / 48_000  # s by which an encoder delays sound in a container without edit lists


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of film."""
    return film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def parts(base: Path) -> list[Path]:
    """The film in five segments."""
    return segments(base, base.parent / "parts")


class Studio:
    """Renders into a directory of its own."""

    def __init__(self, pool: MediaPool, directory: Path) -> None:
        self.pool = pool
        self.directory = directory

    async def render(
        self,
        files: Sequence[SourceFile],
        *,
        offset: float = 1.4,
        duration: float = 5.0,
        watermark: Path | None = None,
        limits: FfmpegLimits | None = None,
        told: list[float] | None = None,
    ) -> Rendering:
        return await render(
            Cut(
                sources=tuple(files),
                offset=offset,
                duration=duration,
                thumbnail_at=offset + duration / 2,
                watermark=watermark,
            ),
            pool=self.pool,
            binary=find_ffmpeg(),
            directory=self.directory,
            limits=limits or FfmpegLimits(),
            on_progress=told.append if told is not None else None,
        )


@pytest.fixture
def studio(media_pool: MediaPool, tmp_path: Path) -> Studio:
    directory = tmp_path / "studio"
    directory.mkdir()
    return Studio(media_pool, directory)


def swapped(files: Sequence[SourceFile], number: int, path: Path) -> list[SourceFile]:
    """The sources with another file in one's place."""
    return [
        each.model_copy(update={"path": path}) if index == number else each
        for index, each in enumerate(files)
    ]


def damaged(path: Path, target: Path, *, first: float, last: float) -> Path:
    """A copy of a segment with noise from `first` to `last`, as parts of its size."""
    data = bytearray(path.read_bytes())
    begin, end = int(len(data) * first), int(len(data) * last)
    data[begin:end] = random.Random(1).randbytes(end - begin)
    target.write_bytes(data)
    return target


def assert_in_time(shown: Sequence[Picture], *, offset: float) -> None:
    """Each picture is shown when it happened, to within half a frame."""
    for picture in shown:
        assert picture.number * FRAME == pytest.approx(offset + picture.at, abs=FRAME * 0.51)


def assert_beeps(
    clip: Path,
    *,
    offset: float,
    seconds: Sequence[int],
    late: float = 0.0,
    within: float = 0.02,
) -> None:
    """Each full second is heard when it happened, `late` s after it in the source itself."""
    heard = [offset + at for at in beeps(clip)]
    assert heard == pytest.approx([second + late for second in seconds], abs=within)


async def test_a_clip_has_exactly_the_pictures_and_the_sound_of_its_time(
    studio: Studio, parts: list[Path]
) -> None:
    clip = (await studio.render(sources(parts))).clip
    shown = pictures(clip)
    assert [each.number for each in shown] == list(range(35, 160))
    assert_in_time(shown, offset=1.4)
    assert_beeps(clip, offset=1.4, seconds=[2, 3, 4, 5, 6])


@pytest.mark.parametrize(("offset", "duration"), [(0.0, 2.0), (3.3, 5.0), (4.0, 1.0), (7.77, 1.5)])
async def test_a_clip_begins_and_ends_where_it_should_to_within_a_frame(
    studio: Studio, parts: list[Path], offset: float, duration: float
) -> None:
    clip = (await studio.render(sources(parts), offset=offset, duration=duration)).clip
    shown = pictures(clip)
    assert inspect(clip).duration == pytest.approx(duration, abs=FRAME)
    assert shown[0].number * FRAME == pytest.approx(offset, abs=FRAME)
    assert (shown[-1].number + 1) * FRAME == pytest.approx(offset + duration, abs=FRAME)
    assert_in_time(shown, offset=offset)


async def test_a_clip_may_begin_an_instant_after_its_first_segment(
    studio: Studio, parts: list[Path]
) -> None:
    rendering = await studio.render(sources(parts), offset=5.7e-14, duration=3.0)
    assert_in_time(pictures(rendering.clip), offset=0.0)


async def test_a_clip_starts_with_a_keyframe_and_its_index_in_front(
    studio: Studio, parts: list[Path]
) -> None:
    clip = (await studio.render(sources(parts), offset=3.0, duration=2.0)).clip
    with av.open(str(clip)) as container:
        assert next(container.decode(video=0)).key_frame
    data = await asyncio.to_thread(clip.read_bytes)
    assert data.index(b"moov") < data.index(b"mdat")


async def test_every_browser_can_decode_a_clip(studio: Studio, parts: list[Path]) -> None:
    clip = (await studio.render(sources(parts))).clip
    with av.open(str(clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert video.profile == "High"
        assert (audio.codec_context.name, audio.profile) == ("aac", "LC")
        assert (audio.rate, audio.layout.name) == (48_000, "stereo")


async def test_the_thumbnail_is_the_picture_of_its_instant(
    studio: Studio, parts: list[Path]
) -> None:
    rendering = await studio.render(sources(parts), offset=2.0, duration=4.0)
    assert rendering.thumbnail is not None
    (still,) = pictures(rendering.thumbnail)
    assert still.number == 4 * RATE


async def test_the_files_say_what_they_are(studio: Studio, parts: list[Path]) -> None:
    clip = (await studio.render(sources(parts))).clip
    found = inspect(clip)
    assert (found.width, found.height, found.has_audio) == (320, 180, True)
    assert found.size == (await asyncio.to_thread(clip.stat)).st_size
    assert len(found.sha256) == 64


async def test_clocks_that_wrap_inside_a_clip_do_not_show(studio: Studio, tmp_path: Path) -> None:
    late = film(tmp_path / "late.mp4")
    wrapping = segments(late, tmp_path / "s", options=["-output_ts_offset", str(WRAP - 5)])
    clip = (await studio.render(sources(wrapping))).clip
    assert [each.number for each in pictures(clip)] == list(range(35, 160))
    assert_beeps(clip, offset=1.4, seconds=[2, 3, 4, 5, 6])


async def test_a_restarted_clock_is_not_visible(
    studio: Studio, parts: list[Path], tmp_path: Path
) -> None:
    second = film(tmp_path / "second.mp4", first=100, seconds=4.0)
    anew = segments(second, tmp_path / "s", options=["-output_ts_offset", "5000"])
    clip = (await studio.render(sources([*parts[:2], *anew]))).clip
    assert [each.number for each in pictures(clip)] == list(range(35, 160))
    assert_beeps(clip, offset=1.4, seconds=[2, 3, 4, 5, 6])


@pytest.mark.parametrize("size", ["640x360", "160x90"])
async def test_a_change_of_resolution_is_scaled_to_the_first(
    studio: Studio, parts: list[Path], tmp_path: Path, size: str
) -> None:
    second = film(tmp_path / "second.mp4", first=100, seconds=4.0, size=size)
    clip = (await studio.render(sources([*parts[:2], *segments(second, tmp_path / "s")]))).clip
    assert (inspect(clip).width, inspect(clip).height) == (320, 180)
    assert [each.number for each in pictures(clip)] == list(range(35, 160))


async def test_a_change_of_shape_is_shown_between_bars_not_stretched(
    studio: Studio, parts: list[Path], tmp_path: Path
) -> None:
    second = film(tmp_path / "second.mp4", first=1023 - 50, seconds=2.0, size="180x320")
    clip = (
        await studio.render(
            sources([*parts[:2], *segments(second, tmp_path / "s")]), offset=1.0, duration=5.0
        )
    ).clip
    with av.open(str(clip)) as container:
        shown = [frame for frame in container.decode(video=0) if (frame.time or 0.0) >= 3.0]
    middle = [frame.to_ndarray(format="gray")[90] for frame in shown]
    assert all(row[20] < 40 and row[300] < 40 for row in middle)
    assert all(row[160 - 45 : 160 + 45].max() > 180 for row in middle)


async def test_sound_alone_makes_a_clip_without_a_thumbnail(studio: Studio, tmp_path: Path) -> None:
    alone = segments(film(tmp_path / "alone.mp4", video=False), tmp_path / "s")
    rendering = await studio.render(sources(alone))
    found = inspect(rendering.clip)
    assert (found.width, found.has_audio, rendering.thumbnail) == (None, True, None)
    assert found.duration == pytest.approx(5.0, abs=FRAME)
    assert_beeps(rendering.clip, offset=1.4, seconds=[2, 3, 4, 5, 6], late=AAC_PRIMING)


async def test_pictures_alone_make_a_clip_without_sound(studio: Studio, tmp_path: Path) -> None:
    alone = segments(film(tmp_path / "alone.mp4", audio=False), tmp_path / "s")
    clip = (await studio.render(sources(alone))).clip
    assert not inspect(clip).has_audio
    assert [each.number for each in pictures(clip)] == list(range(35, 160))


@pytest.mark.parametrize("silent", [0, 1], ids=["first", "second"])
async def test_sound_missing_from_one_segment_is_silence(
    studio: Studio, parts: list[Path], tmp_path: Path, silent: int
) -> None:
    mute = film(tmp_path / "mute.mp4", audio=False, first=50 * silent, seconds=2.0)
    (part,) = segments(mute, tmp_path / "s")
    mixed = [*parts[:silent], part, *parts[silent + 1 :]]
    clip = (await studio.render(sources(mixed), duration=6.0)).clip
    assert [each.number for each in pictures(clip)] == list(range(35, 185))
    heard = {0: [2, 3, 4, 5, 6, 7], 1: [4, 5, 6, 7]}[silent]
    assert_beeps(clip, offset=1.4, seconds=heard)


async def test_pictures_missing_from_one_segment_leave_the_others_in_time(
    studio: Studio, parts: list[Path], tmp_path: Path
) -> None:
    dark = film(tmp_path / "dark.ts", video=False, first=50, seconds=2.0)
    files = [*sources(parts[:1]), *sources([dark]), *sources(parts)[2:]]
    files[1] = files[1].model_copy(update={"start": 2.0})
    clip = (await studio.render(files)).clip
    shown = pictures(clip)
    assert {each.number for each in shown}.isdisjoint(range(50, 100))
    assert_in_time(shown, offset=1.4)
    # Two encoders' priming meet here; viewers notice 45 ms (ITU-R BT.1359).
    assert_beeps(clip, offset=1.4, seconds=[2, 3, 4, 5, 6], within=0.045)


async def test_streams_in_another_order_are_not_taken_for_each_other(
    studio: Studio, parts: list[Path], tmp_path: Path
) -> None:
    turned = tmp_path / "turned.ts"
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(parts[1]), "-copyts"]
    command += ["-map", "0:a", "-map", "0:v", "-c", "copy", str(turned)]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=60)
    clip = (await studio.render(sources([parts[0], turned, *parts[2:]]))).clip
    assert [each.number for each in pictures(clip)] == list(range(35, 160))
    assert_beeps(clip, offset=1.4, seconds=[2, 3, 4, 5, 6])


async def test_media_missing_between_segments_leaves_the_rest_in_time(
    studio: Studio, parts: list[Path]
) -> None:
    files = sources(parts)
    clip = (await studio.render([*files[:1], *files[2:]])).clip
    assert_in_time(pictures(clip), offset=1.4)
    assert_beeps(clip, offset=1.4, seconds=[4, 5, 6])


async def test_fragmented_mp4_is_cut_as_exactly(studio: Studio, base: Path, tmp_path: Path) -> None:
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(base), "-c", "copy"]
    command += ["-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", "2", "-hls_list_size", "0"]
    playlist = tmp_path / "x.m3u8"
    await asyncio.to_thread(subprocess.run, [*command, str(playlist)], check=True, timeout=60)
    stored = await asyncio.to_thread(_with_initialization, tmp_path)
    clip = (await studio.render(sources(stored))).clip
    assert [each.number for each in pictures(clip)] == list(range(35, 160))
    assert_beeps(clip, offset=1.4, seconds=[2, 3, 4, 5, 6])


def _with_initialization(folder: Path) -> list[Path]:
    """Put the initialisation section in front of each segment, as ingest stores it."""
    initialization = (folder / "init.mp4").read_bytes()
    stored = []
    for number in range(5):
        path = folder / f"{number}.mp4"
        path.write_bytes(initialization + (folder / f"x{number}.m4s").read_bytes())
        stored.append(path)
    return stored


@pytest.mark.parametrize("size", ["180x320", "322x182", "64x36"])
async def test_pictures_of_any_size_keep_it(studio: Studio, tmp_path: Path, size: str) -> None:
    parts = segments(film(tmp_path / "film.mp4", size=size, seconds=4.0), tmp_path / "s")
    clip = (await studio.render(sources(parts), duration=2.0)).clip
    found = inspect(clip)
    assert f"{found.width}x{found.height}" == size


async def test_pictures_of_an_odd_size_lose_their_last_line(
    studio: Studio, base: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd.mp4"
    command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-i", str(base), "-t", "4"]
    command += ["-vf", "scale=321:181,format=yuv444p", "-c:v", "libx264", "-preset", "ultrafast"]
    await asyncio.to_thread(subprocess.run, [*command, str(odd)], check=True, timeout=60)
    clip = (await studio.render(sources([odd]), duration=2.0)).clip
    assert (inspect(clip).width, inspect(clip).height) == (320, 180)


class TestWatermark:
    @pytest.fixture
    def logo(self, tmp_path: Path) -> Path:
        path = tmp_path / "logo 50%d.png"
        command = [ffmpeg_path(), "-nostdin", "-loglevel", "error", "-f", "lavfi"]
        command += ["-i", "color=red:size=40x20", "-frames:v", "1", "-update", "1", str(path)]
        subprocess.run(command, check=True, timeout=60)
        return path

    async def test_is_seen_in_the_corner_throughout(
        self, studio: Studio, parts: list[Path], logo: Path
    ) -> None:
        clip = (await studio.render(sources(parts), watermark=logo)).clip
        assert all(self.is_marked(clip))
        assert inspect(clip).duration == pytest.approx(5.0, abs=FRAME)

    async def test_comes_back_within_moments_of_a_change_of_resolution(
        self, studio: Studio, parts: list[Path], logo: Path, tmp_path: Path
    ) -> None:
        second = film(tmp_path / "second.mp4", first=100, seconds=4.0, size="640x360")
        files = sources([*parts[:2], *segments(second, tmp_path / "s")])
        marked = self.is_marked((await studio.render(files, watermark=logo)).clip)
        assert marked.count(False) <= RATE // 2
        assert marked[-1]

    @staticmethod
    def is_marked(clip: Path) -> list[bool]:
        with av.open(str(clip)) as container:
            found = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        corner = [frame[24 + 10, 320 - 24 - 20] for frame in found]
        return [bool(red > 180 and green < 80) for red, green, _ in corner]


class TestBadMedia:
    async def test_a_damaged_segment_costs_its_own_pictures_only(
        self, studio: Studio, parts: list[Path], tmp_path: Path
    ) -> None:
        bad = damaged(parts[1], tmp_path / "bad.ts", first=0.3, last=0.6)
        clip = (await studio.render(swapped(sources(parts), 1, bad))).clip
        shown = pictures(clip)
        whole = [each for each in shown if not 2.0 <= 1.4 + each.at < 4.0]
        assert [each.number for each in whole] == [*range(35, 50), *range(100, 160)]
        assert_in_time(whole, offset=1.4)
        assert inspect(clip).duration == pytest.approx(5.0, abs=FRAME)

    async def test_a_segment_of_noise_leaves_the_others_in_time(
        self, studio: Studio, parts: list[Path], tmp_path: Path
    ) -> None:
        bad = damaged(parts[1], tmp_path / "bad.ts", first=0.0, last=1.0)
        clip = (await studio.render(swapped(sources(parts), 1, bad))).clip
        assert_in_time(pictures(clip), offset=1.4)
        assert_beeps(clip, offset=1.4, seconds=[4, 5, 6])

    async def test_a_clip_that_lost_its_beginning_says_where_it_begins(
        self, studio: Studio, parts: list[Path], tmp_path: Path
    ) -> None:
        bad = damaged(parts[0], tmp_path / "bad.ts", first=0.0, last=1.0)
        rendering = await studio.render(swapped(sources(parts), 0, bad))
        assert rendering.start == pytest.approx(2.0, abs=0.1)
        assert_in_time(pictures(rendering.clip), offset=rendering.start)
        end = rendering.start + inspect(rendering.clip).duration
        assert end == pytest.approx(1.4 + 5.0, abs=FRAME)

    async def test_nothing_but_noise_is_an_error(
        self, studio: Studio, parts: list[Path], tmp_path: Path
    ) -> None:
        bad = damaged(parts[0], tmp_path / "bad.ts", first=0.0, last=1.0)
        with pytest.raises(SpliceError, match="none of the segments"):
            await studio.render(swapped(sources(parts[:1]), 0, bad), offset=0.0, duration=1.0)

    async def test_a_segment_that_is_gone_is_an_error(
        self, studio: Studio, parts: list[Path], tmp_path: Path
    ) -> None:
        with pytest.raises(FileNotFoundError):
            await studio.render(swapped(sources(parts), 1, tmp_path / "gone.ts"))

    @pytest.mark.parametrize(
        "text",
        [
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n",
            "ffconcat version 1.0\nfile '{secret}'\nduration 2\n",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        ],
        ids=["playlist", "listing", "session"],
    )
    @pytest.mark.parametrize("suffix", ["ts", "m3u8"])
    async def test_a_segment_that_refers_to_another_file_is_not_followed(
        self, studio: Studio, parts: list[Path], tmp_path: Path, text: str, suffix: str
    ) -> None:
        lure = tmp_path / f"lure.{suffix}"
        lure.write_text(text.format(secret=parts[1]))
        clip = (await studio.render(swapped(sources(parts), 1, lure))).clip
        assert {each.number for each in pictures(clip)}.isdisjoint(range(50, 100))
        with pytest.raises(SpliceError):
            await studio.render(swapped(sources(parts[:1]), 0, lure), offset=0.0, duration=1.0)


class TestLimits:
    async def test_progress_is_reported_in_seconds_of_the_clip(
        self, studio: Studio, parts: list[Path]
    ) -> None:
        told: list[float] = []
        await studio.render(sources(parts), told=told)
        assert told == sorted(told)
        assert told[-1] == pytest.approx(5.0, abs=0.1)

    async def test_a_rendering_that_takes_too_long_is_stopped(
        self, studio: Studio, parts: list[Path]
    ) -> None:
        with pytest.raises(FfmpegTimeoutError):
            await studio.render(sources(parts), limits=FfmpegLimits(wall_seconds=0.01))
        assert self.encoders(studio) == []

    async def test_cancelling_leaves_no_encoder(self, studio: Studio, parts: list[Path]) -> None:
        long = [
            each.model_copy(update={"start": each.start + 10.0 * turn})
            for turn in range(12)
            for each in sources(parts)
        ]
        told: list[float] = []
        task = asyncio.create_task(studio.render(long, offset=0.0, duration=120.0, told=told))
        while not told:
            await asyncio.sleep(0.01)
            assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert self.encoders(studio) == []

    @staticmethod
    def encoders(studio: Studio) -> list[psutil.Process]:
        children = psutil.Process().children(recursive=True)
        return [each for each in children if str(studio.directory / "clip.mp4") in each.cmdline()]


class TestInspection:
    @pytest.mark.parametrize("content", [b"", b"not a movie"], ids=["empty", "text"])
    def test_what_is_no_movie_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(content)
        with pytest.raises(UnplayableClipError, match="cannot be opened"):
            inspect(path)

    def test_a_movie_cut_short_is_refused(self, base: Path, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(base.read_bytes()[: base.stat().st_size // 2])
        with pytest.raises(UnplayableClipError):
            inspect(path)

    def test_what_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UnplayableClipError, match="No such file"):
            inspect(tmp_path / "missing.mp4")
