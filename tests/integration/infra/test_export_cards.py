"""Movies between an intro, an outro and an end card: pictures, sound and times, decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import numpy as np
import pytest

from domain.exports.cards import Card, Cards
from domain.exports.models import ExportSource, ExportSpec, RenditionSpec, Watermark
from domain.exports.reels import ReelPart, chapters_of_reel
from domain.media.segments import Line
from infra.media.concat import SourceFile
from infra.media.exports.cards import BadCardError, write_cards
from infra.media.exports.renderer import ExportRenderer, RenditionFile
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import Cut
from tests.factories.cards import broken_card, image
from tests.factories.film import FRAME, beeps, film, number_in

pytestmark = pytest.mark.timeout(120)
NTSC = ("-vf", "fps=30000/1001")
RED, BLUE, GREEN, GRAY = (255, 0, 0), (0, 0, 255), (0, 128, 0), (96, 96, 96)
DURATION, INTRO, OUTRO, END = 3.0, 1.25, 0.5, 0.75
BUDGET = 2 << 30


INTRO_CARD = Card(image=image(RED), seconds=INTRO, background="#606060")
OUTRO_CARD = Card(image=image(BLUE, "JPEG", (320, 180)), seconds=OUTRO)
END_CARD = Card(image=image((0, 0, 0, 0)), seconds=END, background="#008000")


@pytest.fixture
async def renderer() -> AsyncIterator[ExportRenderer]:
    async with MediaPool(processes=1, memory_bytes=BUDGET, cpu_seconds=60, timeout=60.0) as pool:
        yield ExportRenderer(pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits())


async def render(
    renderer: ExportRenderer,
    source: Path,
    *renditions: Mapping[str, Any],
    captions: tuple[Line, ...] = (),
    **branding: Any,  # noqa: ANN401 - fields of ExportSpec
) -> list[RenditionFile]:
    """Render a film of 3 s that is a clip, so that it would be copied without cards."""
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        source=ExportSource(stream_id=uuid4(), start=0.0, end=DURATION),
        renditions=tuple(RenditionSpec.model_validate(each) for each in renditions),
        **({"intro": INTRO_CARD, "outro": OUTRO_CARD, "end_card": END_CARD} | branding),
    )
    file = SourceFile(path=source, first_timestamp=0.0, duration=DURATION)
    cut = Cut(sources=(file,), offset=0.0, duration=DURATION, thumbnail_at=1.0)
    numbers = range(1, len(renditions) + 1)
    directory = source.parent / "made"
    directory.mkdir()
    made = await renderer.render(
        cut, spec, numbers, directory=directory, movie=source, captions=captions
    )
    return [made[number] for number in numbers]


class Shown:
    """The pictures of a movie: when, the colors of the middle and of the left edge, the number."""

    def __init__(self, movie: Path) -> None:
        self.at: list[float] = []
        self.middle: list[tuple[int, ...]] = []
        self.edge: list[tuple[int, ...]] = []
        self.number: list[int] = []
        with av.open(str(movie)) as container:
            for frame in container.decode(video=0):
                pixels = frame.to_ndarray(format="rgb24")
                row = pixels[len(pixels) // 2]
                self.at.append(float(frame.time or 0.0))
                self.middle.append(tuple(map(int, row[len(row) // 2])))
                self.edge.append(tuple(map(int, row[4])))
                gray = frame.to_ndarray(format="gray").astype(np.uint8)
                self.number.append(number_in(gray[len(gray) // 2]))


def is_near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return max(abs(one - other) for one, other in zip(found, wanted, strict=True)) <= 16


def assert_between_cards(file: RenditionFile, frame: float) -> None:
    """Intro, source, outro and end card follow each other, each for its time, in sync."""
    assert (file.problem, file.copied, file.has_audio) == ("", False, True)
    total = INTRO + DURATION + OUTRO + END
    # A playlist's file may begin later, which its duration counts.
    assert file.duration == pytest.approx(total, abs=0.12)
    shown = Shown(file.path)
    assert shown.at[-1] + frame - shown.at[0] == pytest.approx(total, abs=frame)
    assert is_near(shown.middle[0], RED)
    assert is_near(shown.edge[0], GRAY)
    assert is_near(shown.middle[-1], GREEN)
    ends = INTRO + DURATION
    first = shown.at[0]
    for at, middle, number in zip(shown.at, shown.middle, shown.number, strict=True):
        second = at - first
        if second < INTRO - 0.001:
            assert is_near(middle, RED), at
        elif second < ends - 0.001:
            assert number * FRAME == pytest.approx(second - INTRO, abs=frame), at
        elif second < ends + OUTRO - 0.001:
            assert is_near(middle, BLUE), at
        else:
            assert is_near(middle, GREEN), at
    # Each part begins when it should, and no picture stays for longer than it should.
    for begin in (INTRO, ends, ends + OUTRO):
        assert min(abs(at - first - begin) for at in shown.at) <= 0.002
    assert max(np.diff(shown.at)) <= 1.6 * frame
    assert [at - first - INTRO for at in beeps(file.path)] == pytest.approx([0, 1, 2], abs=0.02)


@pytest.mark.parametrize("rate", [(), NTSC], ids=["25", "29.97"])
async def test_a_movie_is_shown_between_its_cards_and_stays_in_time(
    renderer: ExportRenderer, tmp_path: Path, rate: tuple[str, ...]
) -> None:
    source = film(tmp_path / "film.mp4", seconds=DURATION, options=rate)
    files = await render(renderer, source, *({"format": each} for each in ("mp4", "hls", "webm")))
    for file in files:
        assert_between_cards(file, 1001 / 30_000 if rate else FRAME)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return film(tmp_path / "clip.mp4", seconds=DURATION)


def colors(movie: Path) -> tuple[int, ...]:
    """Return matrix, transfer and primaries that a movie states (ISO/IEC 23091-2)."""
    with av.open(str(movie)) as container:
        found = container.streams.video[0].codec_context
        return int(found.colorspace), int(found.color_trc), int(found.color_primaries)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-vf", "scale=out_color_matrix=bt709,setparams=colorspace=bt709:color_primaries=bt709"),
    ],
    ids=["untagged", "bt709"],
)
async def test_cards_and_source_keep_their_colors(
    renderer: ExportRenderer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    source = film(tmp_path / "film.mp4", seconds=DURATION, options=options)
    carded, plain = await render(
        renderer,
        source,
        {"format": "mp4", "resolution": 360, "aspect": "1:1"},
        {"format": "mp4", "resolution": 360, "aspect": "1:1", "cards": False},
    )
    assert (carded.problem, plain.problem) == ("", "")
    assert plain.duration == pytest.approx(DURATION, abs=FRAME)
    assert colors(carded.path) == colors(plain.path)
    shown, bare = Shown(carded.path), Shown(plain.path)
    begin = next(place for place, at in enumerate(shown.at) if at >= INTRO - 0.001)
    for place in range(0, len(bare.at), 10):
        assert is_near(shown.middle[begin + place], bare.middle[place])
    # What a player shows that knows nothing but the file.
    assert is_near(shown.middle[0], RED)
    assert is_near(shown.middle[-1], GREEN)


async def test_a_card_keeps_its_shape_in_a_movie_of_another(
    renderer: ExportRenderer, clip: Path
) -> None:
    wide = Card(image=image(RED, "PNG", (400, 100)), seconds=0.5, background="#0000FF")
    (file,) = await render(renderer, clip, {"format": "mp4", "aspect": "9:16"}, intro=wide)
    with av.open(str(file.path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert picture.shape[:2] == (180, 100)
    column = [tuple(map(int, each)) for each in picture[:, 50]]
    assert [is_near(column[row], RED) for row in (5, 70, 90, 110, 175)] == [
        *(False, False),
        True,
        *(False, False),
    ]
    assert is_near(column[5], BLUE)
    assert is_near(column[175], BLUE)


async def test_a_watermark_is_drawn_on_the_source_and_not_on_cards(
    renderer: ExportRenderer, clip: Path
) -> None:
    mark = Watermark(image=image((255, 0, 255, 255)), scale=0.3, opacity=1.0)
    (file,) = await render(renderer, clip, {"format": "mp4"}, watermark=mark)
    with av.open(str(file.path)) as container:
        pictures = [each.to_ndarray(format="rgb24") for each in container.decode(video=0)]
    corner = [tuple(map(int, each[30, 290])) for each in pictures]
    assert is_near(corner[0], GRAY)
    assert is_near(corner[round((INTRO + 1.0) / FRAME)], (255, 0, 255))
    assert is_near(corner[-1], GREEN)


async def test_captions_and_storyboard_are_timed_by_the_movie(
    renderer: ExportRenderer, clip: Path
) -> None:
    line = Line(at=0.5, until=1.5, text="Goal!")
    timed, plain, board, audio, gif, bare = await render(
        renderer,
        clip,
        {"format": "captions"},
        {"format": "captions", "cards": False},
        *({"format": each} for each in ("storyboard", "audio", "gif")),
        {"format": "mp4", "cards": False},
        captions=(line,),
    )
    assert "00:00:01.750 --> 00:00:02.750" in timed.path.read_text("utf-8")
    assert "00:00:00.500 --> 00:00:01.500" in plain.path.read_text("utf-8")
    assert board.index is not None
    assert "00:00:01.250 --> 00:00:02.250" in board.index
    # Sound and previews have no cards.
    assert audio.duration == pytest.approx(DURATION, abs=0.05)
    assert gif.duration == pytest.approx(DURATION, abs=0.11)
    assert (bare.copied, bare.path) == (True, clip)


async def test_sound_without_pictures_has_silence_in_place_of_cards(
    renderer: ExportRenderer, tmp_path: Path
) -> None:
    source = film(tmp_path / "heard.mp4", seconds=DURATION, video=False)
    (file,) = await render(renderer, source, {"format": "mp4"})
    assert (file.problem, file.width) == ("", None)
    assert file.duration == pytest.approx(INTRO + DURATION + OUTRO + END, abs=FRAME)
    assert [at - INTRO for at in beeps(file.path)] == pytest.approx([0, 1, 2], abs=0.02)


async def test_the_sound_is_leveled_and_its_silence_is_not_measured(
    renderer: ExportRenderer, tmp_path: Path
) -> None:
    tone = ("-af", "aeval=exprs=0.02*sin(2*PI*440*t):c=same")
    source = film(tmp_path / "film.mp4", seconds=DURATION, options=tone)
    (file,) = await render(renderer, source, {"format": "mp4", "loudness": -16})
    assert file.problem == ""
    assert file.loudness == pytest.approx(-16, abs=0.5)


async def test_chapters_of_a_reel_begin_after_its_intro(
    renderer: ExportRenderer, clip: Path
) -> None:
    file = RenditionFile(path=clip, start=0.0)
    parts = [
        ReelPart(
            highlight_id=uuid4(),
            clip_id=uuid4(),
            clip_key="k",
            title=title,
            score=1.0,
            start=0.0,
            duration=0.75,
        )
        for title in ("One", "Two")
    ]
    marked = await renderer.with_chapters(file, chapters_of_reel(parts, lead=INTRO))
    with av.open(str(marked.path)) as container:
        found = [
            (each["metadata"]["title"], float(each["start"] * (each["time_base"] or 0)))
            for each in container.chapters()
        ]
    assert found == [("Intro", 0.0), ("One", INTRO), ("Two", INTRO + 0.75)]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (broken_card(), "send a whole PNG or JPEG"),
        ({"image": image("red", "JPEG")[:120]}, "send a whole PNG or JPEG"),
        ({"image": image("red", "PNG", (5000, 2))}, "5000 x 2 pixels; send at most 4096"),
    ],
    ids=["cut_off_png", "cut_off_jpeg", "too_wide"],
)
def test_a_picture_that_cannot_be_decoded_is_refused(
    tmp_path: Path, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(BadCardError, match=reason):
        write_cards(Cards(after=(Card.model_validate(asked),)), tmp_path)
