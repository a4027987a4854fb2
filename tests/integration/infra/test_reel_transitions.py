"""Clips of a reel that fade into each other: pictures, sound and times of the film, decoded."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

import av
import numpy as np
import pytest

from demo.ffmpeg import ffmpeg_path
from domain.exports.models import ExportSource, ExportSpec, RenditionSpec
from domain.exports.reels import Transition, TransitionKind
from infra.media.concat import SourceFile
from infra.media.exports.renderer import ExportRenderer, RenditionFile
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import Cut
from tests.factories.film import FRAME, beeps, film, pictures

pytestmark = pytest.mark.timeout(120)
NTSC = ("-vf", "fps=30000/1001")
OVERLAP = 0.8


@pytest.fixture
async def renderer() -> AsyncIterator[ExportRenderer]:
    async with MediaPool(
        processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0
    ) as running:
        yield ExportRenderer(pool=running, binary=find_ffmpeg(), limits=FfmpegLimits())


async def reel(
    renderer: ExportRenderer,
    directory: Path,
    kind: TransitionKind,
    clips: Sequence[tuple[Path, float]],
) -> RenditionFile:
    """Make a film of clips with their seconds."""
    transition, files, at = Transition(kind=kind, duration=OVERLAP), [], 0.0
    for path, seconds in clips:
        files.append(SourceFile(path=path, first_timestamp=0.0, start=at, duration=seconds))
        at += seconds - OVERLAP
    at += OVERLAP
    joined = await renderer.with_transitions(files, transition, directory=directory)
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        source=ExportSource(stream_id=uuid4(), start=0.0, end=at),
        renditions=(RenditionSpec.model_validate({"format": "mp4"}),),
    )
    cut = Cut(sources=tuple(joined), offset=0.0, duration=at, thumbnail_at=at / 2)
    return (await renderer.render(cut, spec, [1], directory=directory))[1]


def plain(path: Path, *, color: str, seconds: float) -> Path:
    """Write a silent film of one color."""
    picture = f"color={color}:size=320x180:rate=25:duration={seconds}"
    command = [ffmpeg_path(), "-loglevel", "error", "-f", "lavfi", "-i", picture]
    command += ["-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def brightness(movie: Path) -> list[float]:
    with av.open(str(movie)) as container:
        return [
            float(np.mean(each.to_ndarray(format="gray"))) for each in container.decode(video=0)
        ]


@pytest.mark.parametrize("rate", [(), NTSC], ids=["25", "29.97"])
async def test_the_next_clip_appears_over_this_one_and_stays_in_time(
    renderer: ExportRenderer, tmp_path: Path, rate: tuple[str, ...]
) -> None:
    first = film(tmp_path / "first.mp4", seconds=4.0, options=rate)
    # 640 x 360 for less of the film: it is brought to the size of most of it.
    second = film(tmp_path / "second.mp4", seconds=3.0, first=500, size="640x360", options=rate)
    third = film(tmp_path / "third.mp4", seconds=3.0, first=800, options=rate)
    made = await reel(
        renderer, tmp_path, TransitionKind.DISSOLVE, [(first, 4.0), (second, 3.0), (third, 3.0)]
    )
    assert (made.problem, made.width, made.height) == ("", 320, 180)
    frame = 1001 / 30_000 if rate else FRAME
    assert made.duration == pytest.approx(10.0 - 2 * OVERLAP, abs=frame)
    shown = pictures(made.path)
    for start, number, seconds in ((0.0, 0, 4.0), (3.2, 500, 3.0), (5.4, 800, 3.0)):
        alone = [
            each
            for each in shown
            if start + (OVERLAP if number else 0) + frame
            < each.at
            < start + seconds - OVERLAP - frame
        ]
        assert len(alone) > 10
        for each in alone:
            assert (each.number - number) * FRAME == pytest.approx(each.at - start, abs=1.6 * frame)
    steps = np.diff([each.at for each in shown])
    assert np.abs(steps - frame).max() < 0.002
    heard = beeps(made.path)
    for start, seconds in ((0.0, 4), (3.2, 3), (5.4, 3)):
        # The first sound of a clip fades in, the last one out.
        for second_of_clip in range(1, seconds - 1):
            at = start + second_of_clip
            assert min(abs(at - each) for each in heard) <= 0.02


async def test_a_fade_goes_through_black(renderer: ExportRenderer, tmp_path: Path) -> None:
    white = plain(tmp_path / "white.mp4", color="white", seconds=2.4)
    made = await reel(renderer, tmp_path, TransitionKind.FADE, [(white, 2.4), (white, 2.4)])
    assert (made.problem, made.has_audio) == ("", False)
    levels = brightness(made.path)
    assert len(levels) == round((4.8 - OVERLAP) / FRAME)
    middle = round((2.4 - OVERLAP / 2) / FRAME)
    assert min(levels[middle - 2 : middle + 3]) < 40
    assert min(levels[:30] + levels[-30:]) > 200


async def test_a_clip_without_sound_is_silent_between_others(
    renderer: ExportRenderer, tmp_path: Path
) -> None:
    loud = film(tmp_path / "loud.mp4", seconds=2.0)
    mute = film(tmp_path / "mute.mp4", seconds=3.0, audio=False)
    made = await reel(
        renderer, tmp_path, TransitionKind.DISSOLVE, [(loud, 2.0), (mute, 3.0), (loud, 2.0)]
    )
    assert (made.problem, made.has_audio) == ("", True)
    heard = beeps(made.path)
    # A second after the beginnings of the first clip and of the last one.
    for at in (1.0, 3.4 + 1.0):
        assert min(abs(at - each) for each in heard) <= 0.02
    assert not [each for each in heard if 1.5 < each < 3.3]
