"""Settings become doors, or a sentence that says which setting is wrong."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.container import Doors, open_doors
from infra.errors import NotConfiguredError
from infra.settings import Settings


def settings(**changes: Any) -> Settings:  # noqa: ANN401 -- any setting
    given = {"database_url": SecretStr("postgresql://nobody@127.0.0.1:1/none")} | changes
    return Settings(**given)


async def opened(configured: Settings) -> Doors:
    async with AsyncExitStack() as stack:
        return await open_doors(configured, stack)


async def test_without_a_database_nothing_opens_and_the_remedy_is_told() -> None:
    with pytest.raises(NotConfiguredError, match=r"Set DATABASE_URL, or .*highlights dev"):
        await opened(settings(database_url=None))


async def test_stores_lie_where_the_settings_say(tmp_path: Path) -> None:
    doors = await opened(
        settings(clip_store=str(tmp_path / "clips"), segment_store=str(tmp_path / "segments"))
    )
    assert doors.clips.root == tmp_path / "clips"
    await doors.segments.put("a/b", b"x")
    assert (tmp_path / "segments" / "a" / "b").is_file()


async def test_probing_never_waits_behind_analysis() -> None:
    doors = await opened(settings())
    assert doors.probes is not doors.media
