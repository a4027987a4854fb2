"""A crop follows the player of a film as it is broadcast, and keeps the score in view."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import av
import numpy as np
import pytest

from domain.exports.camera import STEP, plan_path
from domain.exports.models import ExportSource, ExportSpec, Fit, RenditionSpec
from infra.media.concat import SourceFile, splice
from infra.media.exports.motion import watch
from infra.media.exports.renderer import ExportRenderer
from infra.media.ffmpeg import FfmpegLimits, find_ffmpeg
from infra.media.pool import MediaPool
from infra.media.render import Cut
from tests.factories.action import (
    BUG,
    HEIGHT,
    RATE,
    WIDTH,
    Place,
    action_film,
    crossing,
    player_in,
    swinging,
)

pytestmark = pytest.mark.timeout(120)
SECONDS = 10.0
CUT = 4.6


def two_scenes(at: float) -> float:
    return 0.2 if at < CUT else 0.8


@pytest.fixture
async def renderer() -> AsyncIterator[ExportRenderer]:
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60.0) as pool:
        yield ExportRenderer(pool=pool, binary=find_ffmpeg(), limits=FfmpegLimits())


async def render(renderer: ExportRenderer, film: Path, *aspects: str) -> list[Path]:
    directory = film.parent / "renditions"
    directory.mkdir()
    spec = ExportSpec(
        id=uuid4(),
        tenant_id=uuid4(),
        source=ExportSource(stream_id=uuid4(), start=0.0, end=SECONDS),
        renditions=tuple(
            RenditionSpec.model_validate({"format": "mp4", "aspect": aspect, "fit": Fit.TRACK})
            for aspect in aspects
        ),
    )
    source = SourceFile(path=film, first_timestamp=0.0, duration=SECONDS)
    cut = Cut(sources=(source,), offset=0.0, duration=SECONDS, thumbnail_at=0.0)
    numbers = range(1, len(aspects) + 1)
    made = await renderer.render(cut, spec, numbers, directory=directory)
    assert [made[number].problem for number in numbers] == [""] * len(aspects)
    return [made[number].path for number in numbers]


@pytest.mark.parametrize(
    ("where", "options"),
    [
        (crossing, {}),
        (swinging, {"pan": 90.0}),
        (swinging, {"pan": 0.0}),
        (two_scenes, {"cut_at": CUT}),
    ],
    ids=["crosses", "swings_fast_camera", "swings_fixed_camera", "cut"],
)
async def test_the_rendered_player_is_inside_and_the_crop_is_calm(
    tmp_path: Path, renderer: ExportRenderer, where: Place, options: dict[str, Any]
) -> None:
    film = action_film(tmp_path / "film.mp4", where, seconds=SECONDS, **options)
    shapes = {"9:16": 9 / 16, "1:1": 1.0, "4:5": 4 / 5}
    for movie, ratio in zip(await render(renderer, film, *shapes), shapes.values(), strict=True):
        whole, centers = 0, list[float]()
        with av.open(str(movie)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                found = player_in(frame)
                if found is None:
                    continue
                # Of 26 x 26 pixels; the encoder takes some at the edges.
                whole += found[1] >= 0.9 * 26 * 26
                centers.append(where(number / RATE) * WIDTH - found[0] + frame.width / 2)
        frames = round(SECONDS * RATE)
        assert whole >= 0.95 * frames
        moves = [
            abs(after - before)
            for number, (before, after) in enumerate(pairwise(centers), start=1)
            if "cut_at" not in options or number != round(CUT * RATE)
        ]
        # The player's own place is rounded to a pixel, which adds up: it is not the crop's.
        assert sum(moves) / len(moves) <= 0.005 * WIDTH + 1.0
        assert frame.width == pytest.approx(HEIGHT * ratio, abs=2)


@pytest.mark.parametrize("where", [crossing, swinging], ids=["crosses", "swings"])
def test_the_planned_crop_moves_slowly_and_rests_before_it_returns(
    tmp_path: Path, where: Place
) -> None:
    film = action_film(tmp_path / "film.mp4", where, seconds=SECONDS)
    source = SourceFile(path=film, first_timestamp=0.0, duration=SECONDS)
    motion = watch(splice((source,), str(tmp_path), 0.0, SECONDS, 0.0), SECONDS)
    (knots,) = plan_path(motion.columns, share=0.316).knots
    steps = [after - before for before, after in pairwise(knots)]
    assert sum(map(abs, steps)) / len(steps) <= 0.005 * STEP * RATE
    moving = [(number, step) for number, step in enumerate(steps) if abs(step) > 1e-9]
    turns = [later - sooner for (sooner, a), (later, b) in pairwise(moving) if a * b < 0]
    assert all((turn - 1) * STEP >= 1.0 for turn in turns)


def test_a_cut_is_found_to_the_frame(tmp_path: Path) -> None:
    film = action_film(tmp_path / "film.mp4", two_scenes, seconds=SECONDS, cut_at=CUT)
    source = SourceFile(path=film, first_timestamp=0.0, duration=SECONDS)
    motion = watch(splice((source,), str(tmp_path), 0.0, SECONDS, 0.0), SECONDS)
    assert [shot.start for shot in motion.columns] == pytest.approx([0.0, CUT], abs=0.001)


async def test_the_score_bug_is_moved_to_the_top_and_whole(
    tmp_path: Path, renderer: ExportRenderer
) -> None:
    film = action_film(tmp_path / "film.mp4", lambda _: 0.85, seconds=SECONDS)
    (movie,) = await render(renderer, film, "9:16")
    left, top, width, height = BUG
    with av.open(str(film)) as container:
        before = next(container.decode(video=0)).to_ndarray(format="gray")
    bug = before[top : top + height, left : left + width].astype(float)
    with av.open(str(movie)) as container:
        after = next(container.decode(video=0)).to_ndarray(format="gray").astype(float)
    # It is where it matches best; the learned box may have a few pixels around it.
    places = [
        (y, x) for y in range(HEIGHT // 4 - height) for x in range(after.shape[1] - width + 1)
    ]
    errors = [np.abs(after[y : y + height, x : x + width] - bug).mean() for y, x in places]
    assert min(errors) < 12


async def test_a_score_bug_that_the_crop_holds_stays_where_it_is(
    tmp_path: Path, renderer: ExportRenderer
) -> None:
    film = action_film(tmp_path / "film.mp4", lambda _: 0.12, seconds=SECONDS)
    (movie,) = await render(renderer, film, "1:1")
    left, top, width, height = BUG
    with av.open(str(film)) as container:
        before = next(container.decode(video=0)).to_ndarray(format="gray")
    with av.open(str(movie)) as container:
        after = next(container.decode(video=0)).to_ndarray(format="gray")
    spot = slice(top, top + height), slice(left, left + width)
    errors = [
        np.abs(np.roll(after, shift, axis=1)[spot].astype(float) - before[spot]).mean()
        for shift in range(40)
    ]
    assert min(errors) < 12
