"""Text on the screen, from a film through the activity to a candidate."""

from __future__ import annotations

from pathlib import Path
from typing import cast
from uuid import UUID

from temporalio.testing import ActivityEnvironment

from activities.analysis.local import LocalAnalysis
from app.services.profiles import PinnedProfiles
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.profiles.model import GameProfile
from infra.media.pool import MediaPool
from infra.profiles.store import load_shipped_catalog
from tests.factories.scenes import STREAM, TENANT, film_screens, store_scene
from tests.factories.screens import Screen

_GOAL = 10


class OneProfile:
    """The shipped soccer profile with a region for the score."""

    def __init__(self, height: float) -> None:
        profile = load_shipped_catalog().get("soccer")
        box = {"x": 0.02, "y": 0.02, "width": 0.5, "height": height}
        hud = {**profile.hud.model_dump(), "regions": {"score": {"holds": "score", "box": box}}}
        self._profile = GameProfile.model_validate({**profile.model_dump(), "hud": hud})

    async def find_or_shipped(self, tenant_id: UUID, profile_id: str, version: str) -> GameProfile:
        assert (tenant_id, profile_id, version) == (TENANT, "soccer", "1")
        return self._profile


def _screens() -> list[Screen]:
    screens = []
    for number in range(18):
        screen = Screen(640, 360)
        for player in range(4):
            x = (player * 130 + number * (31 + 7 * player)) % 560
            screen.box(x, 120 + 50 * player, 40, 45, (180, 50 * player, 60))
        goals = int(number >= _GOAL)
        screen.write(f"ARS {goals} - 0 CHE", 30, 20, size=24, color=(240, 240, 240))
        screens.append(screen)
    return screens


async def _analyze(folder: Path, *, height: float) -> AnalyzeWindowResult:
    scene = await store_scene(film_screens(folder, _screens(), peak=20.0), folder / "store")
    profiles = cast("PinnedProfiles", OneProfile(height))
    async with MediaPool(processes=1, memory_bytes=2 << 30, cpu_seconds=60, timeout=60) as pool:
        analysis = LocalAnalysis(segments=scene.store, pool=pool, profiles=profiles)
        request = AnalyzeWindowInput(
            tenant_id=TENANT,
            stream_id=STREAM,
            windows=tuple(scene.windows()),
            profile_id="soccer",
            profile_version="1",
            last=True,
        )
        return await ActivityEnvironment().run(analysis.analyze_window, request)


async def test_a_score_on_screen_makes_a_candidate_that_says_so(tmp_path: Path) -> None:
    result = await _analyze(tmp_path, height=0.16)
    assert result.screen_off == ""
    states = [each.state for each in result.candidates if each.state is not None]
    assert [(each.score_before, each.score_after) for each in states] == [((0, 0), (1, 0))]


async def test_a_region_that_is_too_low_is_reported_by_the_stream(tmp_path: Path) -> None:
    result = await _analyze(tmp_path, height=0.02)
    assert result.status_message == (
        "Text on the screen is not read: the region score is 7 rows high in a picture of "
        "640x360, and text needs 10: choose a variant of 720 rows."
    )
