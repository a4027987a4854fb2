"""Renditions of real segments, decoded: the right pictures and sound, in shape, size and level."""

from __future__ import annotations

import base64
import io
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from demo.ffmpeg import ffmpeg_path
from domain.exports.models import (
    ExportSource,
    ExportSpec,
    LowerThird,
    RenditionSpec,
    Watermark,
)
from domain.media.segments import Line
from infra.media.concat import SourceFile
from infra.media.exports.renderer import BadWatermarkError, ExportRenderer, RenditionFile
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import Cut
from tests.factories.film import FRAME, beeps, film, pictures, segments, sources

pytestmark = pytest.mark.timeout(120)
OFFSET, DURATION = 1.4, 5.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of film."""
    return film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def parts(base: Path) -> tuple[SourceFile, ...]:
    """The film in segments of two seconds, each of which begins with a keyframe."""
    return sources(segments(base, base.parent / "parts"))


@pytest.fixture
async def pool() -> AsyncIterator[MediaPool]:
    async with MediaPool(
        processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0
    ) as running:
        yield running


class Studio:
    """Renders into a separate directory."""

    def __init__(self, pool: MediaPool, directory: Path) -> None:
        self.directory = directory
        self.renderer = ExportRenderer(pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits())

    async def render(
        self,
        files: Sequence[SourceFile],
        *renditions: Mapping[str, Any],
        offset: float = OFFSET,
        duration: float = DURATION,
        watermark: Watermark | None = None,
        movie: Path | None = None,
        lower_third: LowerThird | None = None,
        captions: Sequence[Line] = (),
    ) -> list[RenditionFile]:
        spec = ExportSpec(
            id=uuid4(),
            tenant_id=uuid4(),
            source=ExportSource(stream_id=uuid4(), start=offset, end=offset + duration),
            renditions=tuple(RenditionSpec.model_validate(each) for each in renditions),
            watermark=watermark,
            lower_third=lower_third,
        )
        cut = Cut(sources=tuple(files), offset=offset, duration=duration, thumbnail_at=offset)
        numbers = range(1, len(renditions) + 1)
        made = await self.renderer.render(
            cut, spec, numbers, directory=self.directory, movie=movie, captions=captions
        )
        return [made[number] for number in numbers]


@pytest.fixture
def studio(pool: MediaPool, tmp_path: Path) -> Studio:
    directory = tmp_path / "studio"
    directory.mkdir()
    return Studio(pool, directory)


def assert_shows(movie: Path, *, offset: float, duration: float) -> None:
    """A movie shows every picture of a span when it happened, and sounds at each full second."""
    shown = pictures(movie)
    first = shown[0].at  # a playlist's file may begin later, sound and pictures alike
    assert len(shown) == round(duration / FRAME)
    for picture in shown:
        at = offset + picture.at - first
        assert picture.number * FRAME == pytest.approx(at, abs=FRAME * 0.51)
    heard = [offset + at - first for at in beeps(movie)]
    assert heard == pytest.approx([round(each) for each in heard], abs=0.02)
    assert len(heard) >= int(duration) - 1


def frame_of(movie: Path, number: int = 20) -> NDArray[np.uint8]:
    with av.open(str(movie)) as container:
        for place, frame in enumerate(container.decode(video=0)):
            if place == number:
                return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    raise AssertionError(number)


def faults(movie: Path) -> bytes:
    """Return what a strict decoder complains of."""
    command = [ffmpeg_path(), "-v", "error", "-xerror", "-i", str(movie), "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, timeout=60, check=True).stderr


async def test_sound_and_pictures_of_a_playlist_count_in_the_same_ticks(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    (made,) = await studio.render(parts, {"format": "hls"})
    with av.open(str(made.path)) as container:
        # shaka-player places a fragment by its first track, in the ticks of its last one.
        assert [str(each.time_base) for each in container.streams] == ["1/48000", "1/48000"]


async def test_every_format_of_one_source_is_whole_and_in_time(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    mp4, hls, webm, webp, gif, audio, thumbnail, storyboard = await studio.render(
        parts,
        *({"format": each} for each in ("mp4", "hls", "webm", "webp", "gif", "audio")),
        *({"format": each} for each in ("thumbnail", "storyboard")),
    )
    for movie in (mp4, hls, webm):
        assert movie.problem == ""
        assert_shows(movie.path, offset=OFFSET, duration=DURATION)
        assert (movie.width, movie.height, movie.has_audio) == (320, 180, True)
        assert movie.duration == pytest.approx(DURATION, abs=0.12)
    # The index comes before the media: a player starts without reading to the end.
    content = mp4.path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert hls.index is not None
    assert hls.index.count("EXT-X-BYTERANGE") >= 2
    assert hls.index.count("{file}") == hls.index.count("BYTERANGE")
    for path in (webp.path, gif.path):
        with Image.open(path) as image:
            frames = [frame.copy() for frame in ImageSequence.Iterator(image)]
        assert len(frames) == pytest.approx(DURATION * 10, abs=1)
        assert frames[0].size == (320, 180)
    with av.open(str(audio.path)) as container:
        assert [each.type for each in container.streams] == ["audio"]
    assert [OFFSET + at for at in beeps(audio.path)] == pytest.approx([2, 3, 4, 5, 6], abs=0.02)
    assert frame_of(thumbnail.path, 0).mean() > 24  # not black
    assert thumbnail.blurhash is not None
    assert thumbnail.duration is None
    with Image.open(storyboard.path) as sheet:
        assert sheet.size == (5 * 160, 90)
    assert storyboard.index is not None
    assert storyboard.index.count("#xywh=") == 5


@pytest.mark.parametrize(
    ("offset", "duration"),
    [(1.4, 5.0), (2.0, 4.0), (2.0, 3.32), (0.52, 7.48)],
    ids=["both_ends", "whole_groups", "tail_only", "head_only"],
)
async def test_a_smart_cut_copies_all_but_the_ends(
    studio: Studio, parts: tuple[SourceFile, ...], offset: float, duration: float
) -> None:
    (cut,) = await studio.render(parts, {"format": "mp4"}, offset=offset, duration=duration)
    assert cut.copied
    assert_shows(cut.path, offset=offset, duration=duration)
    assert faults(cut.path) == b""


async def test_a_span_within_one_group_of_pictures_is_encoded(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    (cut,) = await studio.render(parts, {"format": "mp4"}, offset=2.4, duration=1.2)
    assert not cut.copied
    assert_shows(cut.path, offset=2.4, duration=1.2)


async def test_a_clip_is_copied_byte_for_byte(studio: Studio, base: Path) -> None:
    clip = SourceFile(path=base, first_timestamp=0.0, duration=10.0)
    mp4, hls = await studio.render(
        [clip], {"format": "mp4"}, {"format": "hls"}, offset=0.0, duration=10.0, movie=base
    )
    assert mp4.path == base
    assert_shows(hls.path, offset=0.0, duration=10.0)


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"aspect": "9:16"}, (100, 180)),
        ({"aspect": "1:1"}, (180, 180)),
        ({"aspect": "4:5", "fit": "pad"}, (320, 400)),
        ({"aspect": "1:1", "fit": "pad"}, (320, 320)),
    ],
)
async def test_a_shape_keeps_the_middle_or_everything(
    studio: Studio,
    parts: tuple[SourceFile, ...],
    asked: Mapping[str, Any],
    size: tuple[int, int],
) -> None:
    (file,) = await studio.render(parts, {"format": "mp4", **asked}, duration=2.0)
    assert (file.width, file.height) == size
    shaped = frame_of(file.path)
    (plain,) = await studio.render(parts, {"format": "mp4"}, duration=2.0)
    source = frame_of(plain.path)[90]
    row = shaped[shaped.shape[0] // 2]
    if asked.get("fit") == "pad":
        assert np.abs(row.astype(int) - source.astype(int)).mean() < 12
    else:
        middle = source[(320 - size[0]) // 2 :][: size[0]]
        assert np.abs(row.astype(int) - middle.astype(int)).mean() < 12


@pytest.mark.parametrize("target", [-14, -16])
async def test_sound_has_the_loudness_that_was_asked_for(
    studio: Studio, parts: tuple[SourceFile, ...], target: int
) -> None:
    leveled, plain = await studio.render(
        parts, {"format": "audio", "loudness": target}, {"format": "audio"}
    )
    assert leveled.loudness == pytest.approx(target, abs=0.5)
    assert integrated(leveled.path) == pytest.approx(target, abs=0.5)
    assert plain.loudness is None
    assert integrated(plain.path) != pytest.approx(target, abs=0.5)


def integrated(path: Path) -> float:
    """Loudness as another meter of ffmpeg's measures it."""
    command = [ffmpeg_path(), "-nostats", "-i", str(path), "-af", "ebur128", "-f", "null", "-"]
    report = subprocess.run(command, capture_output=True, timeout=60, check=True).stderr.decode()
    return float(report.rsplit("I:", 1)[1].split("LUFS")[0])


def logo() -> str:
    target = io.BytesIO()
    Image.new("RGBA", (40, 20), (255, 0, 0, 255)).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


@pytest.mark.parametrize(
    "watermark",
    [
        {"text": "Tor! שלום 中文 \U0001f600 ' : \\ %{n} {\\an5}", "scale": 0.15},
        {"image": logo(), "scale": 0.2, "opacity": 1.0},
    ],
    ids=["text", "image"],
)
@pytest.mark.parametrize("position", ["top_left", "bottom_right"])
async def test_a_watermark_is_in_its_corner_and_nowhere_else(
    studio: Studio, parts: tuple[SourceFile, ...], watermark: Mapping[str, Any], position: str
) -> None:
    marked, bare = await studio.render(
        parts,
        {"format": "mp4", "aspect": "16:9"},
        {"format": "mp4", "aspect": "16:9", "watermark": False},
        duration=2.0,
        watermark=Watermark.model_validate({**watermark, "position": position}),
    )
    differing = np.abs(frame_of(marked.path).astype(int) - frame_of(bare.path).astype(int)) > 60
    rows, columns, _ = np.nonzero(differing)
    assert len(rows) > 40
    if position == "top_left":
        assert rows.max() < 60
        assert columns.min() < 40
    else:
        assert rows.min() > 120
        assert columns.max() > 280


@pytest.mark.parametrize("image", ["%%%", base64.b64encode(b"no picture").decode()])
async def test_a_picture_that_is_none_is_refused(
    studio: Studio, parts: tuple[SourceFile, ...], image: str
) -> None:
    with pytest.raises(BadWatermarkError, match="PNG in base64"):
        await studio.render(
            parts, {"format": "gif"}, duration=1.0, watermark=Watermark(image=image)
        )


async def test_what_a_source_does_not_have_is_said(studio: Studio, tmp_path: Path) -> None:
    silent = film(tmp_path / "silent.mp4", seconds=4.0, audio=False)
    source = SourceFile(path=silent, first_timestamp=0.0, duration=4.0)
    movie, audio = await studio.render(
        [source], {"format": "mp4", "loudness": -14}, {"format": "audio"}, offset=0.0, duration=4.0
    )
    assert (movie.problem, movie.has_audio, movie.loudness) == ("", False, None)
    assert audio.problem == "The source has no sound."


async def test_sound_alone_is_exported_and_pictures_of_it_are_not(
    studio: Studio, tmp_path: Path
) -> None:
    heard = film(tmp_path / "heard.mp4", seconds=4.0, video=False)
    source = SourceFile(path=heard, first_timestamp=0.0, duration=4.0)
    audio, movie, gif = await studio.render(
        [source],
        *({"format": each} for each in ("audio", "mp4", "gif")),
        offset=0.0,
        duration=4.0,
    )
    assert beeps(audio.path) == pytest.approx([0, 1, 2, 3], abs=0.02)
    assert (movie.problem, movie.width) == ("", None)
    assert gif.problem == "The source has no picture."


async def test_a_file_that_a_network_would_refuse_is_not_ready(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    (file,) = await studio.render(parts, {"format": "mp4", "preset": "tiktok"}, duration=2.0)
    assert file.problem == (
        "tiktok would not take the file: it takes 3 s or more, and this is 2.0 s."
    )


@pytest.mark.parametrize(
    "options",
    [
        ("-vf", "scale=321:179,setsar=1", "-pix_fmt", "yuv444p"),
        ("-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1"),
        ("-vf", "setfield=tff", "-flags", "+ilme+ildct", "-x264opts", "tff=1"),
        ("-vf", "select='not(eq(mod(n\\,7)\\,3))'", "-fps_mode", "vfr"),
        ("-r", "30000/1001"),
        ("-ac", "6"),
        ("-vf", "transpose=1"),
    ],
    ids=["odd_size", "hevc", "interlaced", "vfr", "ntsc", "surround", "upright"],
)
async def test_unusual_sources_stay_in_time(
    studio: Studio, tmp_path: Path, options: Sequence[str]
) -> None:
    made = film(tmp_path / "film.mp4", seconds=4.0, options=options)
    source = SourceFile(path=made, first_timestamp=0.0, duration=4.0)
    movie, gif = await studio.render(
        [source], {"format": "mp4"}, {"format": "gif"}, offset=0.52, duration=3.2
    )
    assert (movie.problem, gif.problem) == ("", "")
    assert movie.duration == pytest.approx(3.2, abs=FRAME)
    assert [0.52 + at for at in beeps(movie.path)] == pytest.approx([1, 2, 3], abs=0.02)
    with av.open(str(movie.path)) as container:
        times = [float(frame.time or 0.0) for frame in container.decode(video=0)]
    assert times[0] == pytest.approx(0.0, abs=FRAME)
    assert times[-1] == pytest.approx(3.2, abs=3 * FRAME)


async def test_equal_encodings_are_made_once(studio: Studio, parts: tuple[SourceFile, ...]) -> None:
    first, second, third = await studio.render(
        parts,
        {"format": "mp4", "aspect": "1:1"},
        {"format": "mp4", "aspect": "1:1", "fit": "crop"},
        {"format": "mp4", "aspect": "1:1", "loudness": -14},
        duration=2.0,
    )
    assert first.path == second.path != third.path


def differing(one: Path, other: Path, number: int) -> NDArray[np.intp]:
    """Return the rows in which a picture of two movies differs clearly."""
    difference = np.abs(frame_of(one, number).astype(int) - frame_of(other, number).astype(int))
    return np.nonzero((difference > 60).any(axis=(1, 2)))[0]


NASTY = "Tor! שלום مرحبا 中文 \U0001f600 ' : , ; [a] \\N %{n} {\\an8}"


async def test_a_lower_third_is_at_the_lower_left_for_its_time(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    shown, bare = await studio.render(
        parts,
        {"format": "mp4", "aspect": "16:9"},
        {"format": "mp4", "aspect": "16:9", "lower_third": False},
        duration=4.0,
        lower_third=LowerThird(
            title=NASTY, score="2-1", tags=("goal", "שער"), start=1.0, seconds=2.0
        ),
    )
    assert (shown.problem, shown.copied, bare.copied) == ("", False, True)
    rows = differing(shown.path, bare.path, 50)
    assert len(rows) >= 20
    assert rows.min() > 90  # in the lower half, though the text says {\an8}
    for outside in (5, 90):
        assert len(differing(shown.path, bare.path, outside)) == 0


async def test_captions_are_drawn_when_they_are_spoken_and_written_as_webvtt(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    burnt, plain, file = await studio.render(
        parts,
        {"format": "mp4", "captions": True},
        {"format": "mp4"},
        {"format": "captions"},
        duration=4.0,
        captions=[
            Line(at=OFFSET - 1.0, until=OFFSET + 0.4, text="Earlier."),
            Line(at=OFFSET + 1.0, until=OFFSET + 5.0, text=f"<b>{NASTY} & so on"),
            Line(at=OFFSET + 3.0, until=OFFSET + 3.6, text="And over."),
            Line(at=OFFSET + 4.5, until=OFFSET + 5.0, text="Too late."),
        ],
    )
    assert [each.problem for each in (burnt, plain, file)] == ["", "", ""]
    for number, is_spoken in ((5, True), (18, False), (60, True), (95, False)):
        rows = differing(burnt.path, plain.path, number)
        assert (len(rows) > 4) is is_spoken
        assert not is_spoken or rows.min() > 90
    assert file.path.read_text(encoding="utf-8").splitlines() == [
        "WEBVTT",
        "",
        "00:00:00.000 --> 00:00:00.400",
        "Earlier.",
        "",
        "00:00:01.000 --> 00:00:03.000",
        f"&lt;b&gt;{NASTY} &amp; so on",
        "",
        "00:00:03.000 --> 00:00:03.600",
        "And over.",
    ]


async def test_a_source_without_captions_says_so(
    studio: Studio, parts: tuple[SourceFile, ...]
) -> None:
    burnt, file, plain = await studio.render(
        parts,
        {"format": "mp4", "captions": True},
        {"format": "captions"},
        {"format": "mp4"},
        duration=2.0,
    )
    assert plain.problem == ""
    for each in (burnt, file):
        assert each.problem.startswith("There are no captions of these seconds")
