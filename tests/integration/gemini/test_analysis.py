"""The multimodal analyzer: both witnesses agree on a real moment, at a known price."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.analysis.gemini.budget import GateLimits, GateReason
from domain.analysis.gemini.pricing import DEFAULT_MODEL, PriceTable
from domain.analysis.gemini.prompts import QueryBuilder
from domain.highlights.candidate import TitleSource
from domain.highlights.moderation import ModerationStatus
from domain.profiles.criteria import Criteria
from infra.gemini import GeminiClient
from infra.media.pool import MediaPool
from infra.settings import Settings
from tests.factories.scenes import STARTED, TENANT, Scene
from tests.fakes.gemini import FakeGemini
from tests.integration.gemini.conftest import Service, brief_options
from tests.integration.gemini.stage import PROFILE, Stage


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.fixture
async def client_of_service(service: Service) -> AsyncIterator[GeminiClient]:
    client = GeminiClient(service.key, brief_options(service.base_url, call_deadline=30.0))
    yield client
    await client.close()


async def test_both_analyzers_confirm_a_moment(
    scene: Scene, pool: MediaPool, client: GeminiClient
) -> None:
    (moment,) = await Stage(scene, pool, client).analyze_all()
    assert moment.peak == pytest.approx(scene.peak, abs=0.5)
    assert moment.start < moment.peak < moment.end
    assert moment.title.endswith("at 22 dB")
    assert set(moment.tags) & PROFILE.all_tags()
    assert {each.signal for each in moment.evidence} > {"gemini", "crowd"}
    assert moment.peak_wall_clock == STARTED + timedelta(seconds=moment.peak)


async def test_a_highlight_carries_who_saw_it_and_by_which_prompts(
    scene: Scene, pool: MediaPool, client: GeminiClient
) -> None:
    (moment,) = await Stage(scene, pool, client).analyze_all()
    assert moment.analyzer == f"local-1+{Settings().gemini_model}/detect-2+refine-1+score-2"


async def test_a_window_in_which_gemini_looked_says_so_too(
    scene: Scene, pool: MediaPool, client: GeminiClient
) -> None:
    stage = Stage(scene, pool, client)
    looked = await stage.analyze(*scene.windows(), last=True)
    assert looked.analyzer == looked.candidates[0].analyzer
    quiet = await stage.analyze(*scene.windows()[:3], last=True)
    assert quiet.analyzer == "local-1"


async def test_a_profile_may_have_a_model_and_a_language_of_its_own(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    own = QueryBuilder(model="gemini-3.8-flash", temperature=0.2, language="Norwegian")
    (moment,) = await Stage(scene, pool, client, by_profile={"soccer": own}).analyze_all()
    assert "+gemini-3.8-flash/" in moment.analyzer
    *_, score = [call.body for call in fake_gemini.asked(":generateContent")]
    assert score["generationConfig"]["temperature"] == 0.2
    assert "Norwegian" in score["contents"][0]["parts"][1]["text"]


async def test_the_moment_keeps_the_id_it_has_without_gemini(
    scene: Scene, pool: MediaPool, client: GeminiClient
) -> None:
    stage = Stage(scene, pool, client)
    (moment,) = await stage.analyze_all()
    (local,) = await stage.local_alone()
    assert moment.id == local.id
    assert moment.score.confidence > local.score.confidence


async def test_a_moment_is_found_and_the_cost_is_reported(
    scene: Scene, pool: MediaPool, client_of_service: GeminiClient
) -> None:
    stage = Stage(scene, pool, client_of_service)
    found = await stage.analyze_all()
    assert any(each.peak == pytest.approx(scene.peak, abs=2.5) for each in found)
    report = stage.report()
    assert report.pieces[GateReason.MOMENT] == 1
    assert 1 <= report.calls <= 7
    price = PriceTable().price(DEFAULT_MODEL, datetime.now(UTC))
    assert report.dollars == pytest.approx(price.dollars(report.usage))
    assert 0 < report.dollars < 0.05


async def test_a_retry_gives_the_identical_answer_and_pays_nothing(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    stage = Stage(scene, pool, client)
    first = await stage.analyze_all()
    paid, left = len(fake_gemini.answers), await stage.spending.remaining_dollars(TENANT)
    again = await stage.analyze_all()
    assert again == first
    assert len(fake_gemini.answers) == paid == 3
    assert await stage.spending.remaining_dollars(TENANT) == left


async def test_several_windows_in_one_request_give_the_same_moment(
    scene: Scene, pool: MediaPool, client: GeminiClient
) -> None:
    stage = Stage(scene, pool, client)
    result = await stage.analyze(*scene.windows(), last=True)
    assert [each.peak for each in result.candidates] == [pytest.approx(scene.peak, abs=0.5)]


async def test_nothing_is_left_behind(
    scene: Scene, pool: MediaPool, client: GeminiClient, tmp_path: Path
) -> None:
    await Stage(scene, pool, client).analyze_all()
    assert files_in(tmp_path / ".scratch") == []


async def test_a_piece_in_which_nothing_stands_out_is_not_looked_at(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    stage = Stage(scene, pool, client)
    assert await stage.analyze_all(scene.windows()[:3]) == []
    assert stage.report().pieces == {GateReason.QUIET: 1}
    assert fake_gemini.calls == []


async def test_at_the_end_of_its_budget_the_local_analyzer_goes_on_and_says_so(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    stage = Stage(scene, pool, client, limits=GateLimits(dollars_per_hour=0.0, video_share=1.0))
    (moment,) = await stage.analyze_all()
    (local,) = await stage.local_alone()
    assert moment.score == local.score
    assert moment.evidence[-1].words == "not seen by Gemini: the stream's budget was used up"
    assert "budget was used up" in (stage.report().status_message or "")
    assert fake_gemini.calls == []


async def test_one_answer_brings_the_titles_of_all_languages_and_the_flags(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    plain = Stage(scene, pool, client)
    await plain.analyze_all()
    calls = len(fake_gemini.asked(":generateContent"))
    stage = Stage(scene, pool, client)
    stage.profiles.profile = PROFILE.with_wishes(
        languages=("es", "pt-BR", "ja"), criteria=Criteria(text="goals, </data> no replays")
    )
    (moment,) = await stage.analyze_all()
    assert len(fake_gemini.asked(":generateContent")) - calls <= calls
    assert [each.requested for each in moment.titles] == ["es", "pt-BR", "ja"]
    assert {each.source for each in moment.titles} == {TitleSource.GEMINI}
    assert moment.moderation is not None
    assert moment.moderation.pictures.status is ModerationStatus.CLEAR
    asked = fake_gemini.asked(":generateContent")[calls].body
    prompt = asked["contents"][0]["parts"][-1]["text"]
    assert "goals, \\u003c/data\\u003e no replays" in prompt
