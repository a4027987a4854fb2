"""A worker's analyzer: local without a key, with Gemini beside it where there is one."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from activities.analysis.gemini import GeminiAnalysis
from activities.analysis.local import LocalAnalysis
from activities.interfaces import Analysis
from app.container import Container
from app.dev.postgres import DatabaseUrls
from infra.settings import Settings


async def analyzer_of(tmp_path: Path, postgres: DatabaseUrls, **values: object) -> Analysis:
    settings = Settings.model_validate(
        {
            "database_url": SecretStr(postgres.application),
            "clip_store": str(tmp_path / "clips"),
            "segment_store": str(tmp_path / "segments"),
            **values,
        }
    )
    async with Container(settings) as container:
        return container.analyzer


async def test_without_a_key_nothing_changes(tmp_path: Path, postgres: DatabaseUrls) -> None:
    assert isinstance(await analyzer_of(tmp_path, postgres), LocalAnalysis)


async def test_with_a_key_gemini_takes_part(tmp_path: Path, postgres: DatabaseUrls) -> None:
    made = await analyzer_of(tmp_path, postgres, gemini_api_key="AIza-x")
    assert isinstance(made, GeminiAnalysis)


async def test_a_model_whose_price_is_not_known_may_be_used(
    tmp_path: Path, postgres: DatabaseUrls
) -> None:
    made = await analyzer_of(
        tmp_path,
        postgres,
        gemini_api_key="AIza-x",
        gemini_model="gemini-next",
        gemini_by_profile={"soccer": {"model": "gemini-after-next"}},
    )
    assert isinstance(made, GeminiAnalysis)
