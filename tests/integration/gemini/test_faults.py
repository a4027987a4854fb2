"""Whatever goes wrong with Gemini, no window and no moment is lost, and nothing is paid twice."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from domain.analysis.gemini.budget import TenantBudget
from domain.analysis.gemini.pricing import FALLBACK_PRICE, PriceTable
from domain.analysis.gemini.prompts import QueryBuilder
from domain.highlights.candidate import HighlightCandidate
from infra.gemini import GeminiClient
from infra.media.pool import MediaPool
from tests.factories.scenes import Scene
from tests.fakes.gemini import KEY, FakeGemini, Fault, On
from tests.integration.gemini.conftest import brief_options
from tests.integration.gemini.stage import Purse, Stage, request_of

LOOKS = 3
"""Answers that one moment takes: detect, refine, score."""

EXHAUSTIVE = int(os.environ.get("EXTERNAL_EXAMPLES", "0")) > 0
PASSES = Fault()
"""No fault: the call it strikes is answered."""


@pytest.fixture
def stage(scene: Scene, pool: MediaPool, client: GeminiClient) -> Stage:
    return Stage(scene, pool, client)


@pytest.fixture
async def hasty(scene: Scene, pool: MediaPool, fake_gemini: FakeGemini) -> AsyncIterator[Stage]:
    """A stage whose calls may take a moment only, which uploads its videos."""
    options = brief_options(fake_gemini.url, call_deadline=2.0, inline_bytes=0, file_wait=1.0)
    client = GeminiClient(KEY, options)
    yield Stage(scene, pool, client)
    await client.close()


def seen(moment: HighlightCandidate) -> bool:
    return "gemini" in moment.analyzer


def gemini_says(moment: HighlightCandidate) -> str:
    (words,) = [each.words for each in moment.evidence if each.signal == "gemini"]
    return words


@pytest.mark.parametrize(
    ("fault", "delay", "step"),
    [
        (Fault(status="RESOURCE_EXHAUSTED", delay=7.5), 7.5, 0),
        (Fault(status="RESOURCE_EXHAUSTED"), 1.0, 2),
        (Fault(status="INTERNAL"), 1.0, 0),
        (Fault(status="INTERNAL"), 1.0, 1),
        (Fault(status="UNAVAILABLE"), 1.0, 2),
        (Fault(status="DEADLINE_EXCEEDED"), 1.0, 0),
        (Fault(html=True), 1.0, 1),
    ],
    ids=[
        *("429-delay-detect", "429-score", "500-detect", "500-refine", "503-score", "504-detect"),
        "502-html-refine",
    ],
)
async def test_after_a_failure_that_passes_the_moment_is_seen_and_paid_once(
    stage: Stage, fake_gemini: FakeGemini, fault: Fault, delay: float, step: int
) -> None:
    fake_gemini.faults.add(*[PASSES] * step, fault)
    (moment,) = await stage.analyze_all()
    assert seen(moment)
    assert stage.delays == [delay]
    assert len(fake_gemini.answers) == LOOKS
    assert stage.report().calls == LOOKS


async def test_a_call_that_is_never_answered_is_made_again(
    hasty: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(PASSES, Fault(hang=True))
    (moment,) = await hasty.analyze_all()
    assert seen(moment)
    assert len(fake_gemini.answers) == LOOKS


async def test_when_gemini_stays_away_the_local_analyzer_goes_on_and_says_so(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(*[Fault(status="UNAVAILABLE")] * 10)
    (moment,) = await stage.analyze_all()
    (local,) = await stage.local_alone()
    assert moment.score == local.score
    assert gemini_says(moment) == "not seen by Gemini: Gemini was not reachable"
    assert "not reachable" in (stage.report().status_message or "")
    assert stage.delays == [1.0, 1.0]
    assert stage.report().dollars == 0


async def test_after_three_attempts_gemini_is_not_asked_whatever_they_failed_of(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    request = request_of(stage.scene.windows(), last=True)
    (moment,) = (await stage.attempt(request, 4)).candidates
    assert not seen(moment)
    assert fake_gemini.calls == []


async def test_the_cost_before_an_outage_is_reported(stage: Stage, fake_gemini: FakeGemini) -> None:
    fake_gemini.faults.add(PASSES, *[Fault(status="UNAVAILABLE")] * 10)
    (moment,) = await stage.analyze_all()
    assert not seen(moment)
    assert len(fake_gemini.answers) == 1
    assert stage.report().calls == 1
    assert stage.report().dollars > 0


async def test_after_three_attempts_what_is_paid_for_is_still_used(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    request = request_of(stage.scene.windows(), last=True)
    first = await stage.attempt(request, 1)
    asked = len(fake_gemini.calls)
    assert await stage.attempt(request, 4) == first
    assert len(fake_gemini.calls) == asked


async def test_a_delay_too_long_for_a_live_stream_is_not_waited_for(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(status="RESOURCE_EXHAUSTED", delay=3600.0))
    (moment,) = await stage.analyze_all()
    assert gemini_says(moment).endswith("the shared quota of Gemini was used up for the moment")
    assert stage.delays == []


async def test_a_service_that_keeps_failing_is_left_alone(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(*[Fault(status="INTERNAL")] * 20)
    await stage.analyze_all()
    await stage.analyze_all()
    asked = len(fake_gemini.asked(":generateContent"))
    (moment,) = await stage.analyze_all()
    assert len(fake_gemini.asked(":generateContent")) == asked
    assert gemini_says(moment) == "not seen by Gemini: Gemini was not reachable"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(text="It was 1-0 after a great goal."), "malformed"),
        (Fault(text='{"moments": "none"}'), "malformed"),
        (Fault(finish="SAFETY"), "safety"),
        (Fault(finish="RECITATION"), "recitation"),
        (Fault(finish="SPII"), "spii"),
        (Fault(blocked="PROHIBITED_CONTENT"), "blocked"),
    ],
    ids=["prose", "wrong-shape", "safety", "recitation", "personal-data", "blocked"],
)
async def test_an_answer_without_use_is_paid_once_and_the_local_analyzer_goes_on(
    stage: Stage, fake_gemini: FakeGemini, fault: Fault, reason: str
) -> None:
    fake_gemini.faults.add(fault)
    (moment,) = await stage.analyze_all()
    again = await stage.analyze_all()
    assert again == [moment]
    assert stage.report().calls == 2
    assert moment.peak == pytest.approx(stage.scene.peak, abs=1.0)
    assert len(fake_gemini.asked(":generateContent")) == 1
    assert stage.report().counted[reason] == 2


FAULTS = {
    "429-delay": Fault(status="RESOURCE_EXHAUSTED", delay=2.0),
    "429-an-hour": Fault(status="RESOURCE_EXHAUSTED", delay=3600.0),
    "500": Fault(status="INTERNAL"),
    "503": Fault(status="UNAVAILABLE"),
    "502-html": Fault(html=True),
    "time-out": Fault(hang=True),
    "prose": Fault(text="It was 1-0 after a great goal."),
    "truncated": Fault(cut=30),
    "empty": Fault(thoughts=1_000_000),
    "safety": Fault(finish="SAFETY"),
    "blocked": Fault(blocked="PROHIBITED_CONTENT"),
    "processing": Fault(On.FILE, state="PROCESSING"),
    "broken-upload": Fault(On.FILE, lose=1000),
}
STRUCK = [
    pytest.param(fault, step, id=f"{name}-{look}")
    for number, (name, fault) in enumerate(FAULTS.items())
    for step, look in enumerate(("detect", "refine", "score"))
    if EXHAUSTIVE or step == number % LOOKS
]
"""Each fault at each look by `make external`; in CI each fault at one look, in turn."""


@pytest.mark.parametrize(("fault", "step"), STRUCK)
async def test_whatever_goes_wrong_no_question_is_billed_twice_and_no_moment_is_lost(
    hasty: Stage, fake_gemini: FakeGemini, fault: Fault, step: int
) -> None:
    fake_gemini.faults.add(*[PASSES] * step, fault)
    (moment,) = await hasty.analyze_all()
    (again,) = await hasty.analyze_all()
    assert len(fake_gemini.billed) == len(set(fake_gemini.billed))
    assert {moment.id, again.id} == {(await hasty.local_alone())[0].id}
    assert fake_gemini.files.files == {}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(thoughts=1_000_000), "empty_once"),
        (Fault(finish="STOP"), "empty_once"),
        (Fault(finish="OTHER"), "empty_once"),
        (Fault(finish="MALFORMED_RESPONSE"), "empty_once"),
        (Fault(text=" \n"), "empty_once"),
        (Fault(cut=30), "cut_off_once"),
    ],
    ids=["thoughts", "stop", "other", "malformed-response", "blank", "truncated"],
)
@pytest.mark.parametrize("step", [0, 2], ids=["detect", "score"])
async def test_an_answer_that_thoughts_left_no_room_for_is_paid_and_asked_for_once_more(
    stage: Stage, fake_gemini: FakeGemini, fault: Fault, reason: str, step: int
) -> None:
    fake_gemini.faults.add(*[PASSES] * step, fault)
    (moment,) = await stage.analyze_all()
    assert seen(moment)
    assert stage.report().counted == {reason: 1}
    assert stage.report().calls == LOOKS + 1
    limits = [
        call.body["generationConfig"]["maxOutputTokens"]
        for call in fake_gemini.asked(":generateContent")
    ]
    assert limits[step + 1] > limits[step]
    assert len(stage.spending.entered) == LOOKS + 1
    assert await stage.analyze_all() == [moment]
    assert len(fake_gemini.answers) == LOOKS + 1


async def test_an_answer_that_stays_empty_is_asked_for_twice_and_no_more(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(thoughts=1_000_000), Fault(thoughts=1_000_000))
    (moment,) = await stage.analyze_all()
    await stage.analyze_all()
    assert gemini_says(moment) == "not seen by Gemini: Gemini gave no answer that could be used"
    assert len(fake_gemini.asked(":generateContent")) == 2
    assert stage.report().usage.output > 0


async def test_the_second_question_is_asked_alone_when_it_had_to_wait(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(thoughts=1_000_000), Fault(status="DEADLINE_EXCEEDED"))
    (moment,) = await stage.analyze_all()
    assert seen(moment)
    assert stage.delays == [1.0]
    assert len(fake_gemini.answers) == LOOKS + 1


async def test_a_model_that_thinks_at_all_levels_is_asked_at_the_least_it_takes(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    own = {"soccer": QueryBuilder(model="gemini-3.7-flash")}
    (moment,) = await Stage(scene, pool, client, by_profile=own).analyze_all()
    assert seen(moment)
    levels = [
        call.body["generationConfig"]["thinkingConfig"]["thinking_level"]
        for call in fake_gemini.asked(":generateContent")
    ]
    assert levels == ["MINIMAL", "LOW", "LOW", "LOW"]


async def test_a_retired_model_is_named_and_priced_as_the_one_that_answers(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    fake_gemini.routes["gemini-2.5-pro"] = "gemini-3.8-flash"
    own = {"soccer": QueryBuilder(model="gemini-2.5-pro")}
    stage = Stage(scene, pool, client, by_profile=own)
    (moment,) = await stage.analyze_all()
    report = stage.report()
    price = PriceTable().price("gemini-3.8-flash", datetime.now(UTC))
    assert "+gemini-3.8-flash/" in moment.analyzer
    assert report.dollars == pytest.approx(price.dollars(report.usage))
    assert report.status_message == (
        "The Gemini model gemini-2.5-pro is no longer served: gemini-3.8-flash answers in its "
        "place, at its own price."
    )


async def test_a_model_of_unknown_price_is_billed_at_a_high_one_and_says_so(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    fake_gemini.models.append("gemini-9-flash")
    own = {"soccer": QueryBuilder(model="gemini-9-flash")}
    stage = Stage(scene, pool, client, by_profile=own)
    (moment,) = await stage.analyze_all()
    assert "+gemini-9-flash/" in moment.analyzer
    report = stage.report()
    assert report.dollars == pytest.approx(FALLBACK_PRICE.dollars(report.usage))
    assert "price of the Gemini model gemini-9-flash is not known" in (report.status_message or "")


async def test_a_model_that_is_not_offered_costs_gemini_only_and_the_stream_says_which(
    scene: Scene, pool: MediaPool, client: GeminiClient
) -> None:
    own = {"soccer": QueryBuilder(model="gemini-of-yesterday")}
    stage = Stage(scene, pool, client, by_profile=own)
    for _ in range(5):  # the circuit opens meanwhile, and the reason stays
        stage.reports.clear()
        (moment,) = await stage.analyze_all()
        assert gemini_says(moment) == (
            "not seen by Gemini: Gemini does not offer the configured model"
        )
        assert stage.report().status_message == (
            "Only the local analyzer is at work: Gemini does not offer the configured model "
            "(gemini-of-yesterday)."
        )


async def test_without_a_usable_second_look_the_first_ones_times_stand(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(PASSES, Fault(text="{"))
    (moment,) = await stage.analyze_all()
    assert seen(moment)
    assert moment.peak == 24.0
    assert stage.report().counted == {"malformed": 1}


async def test_without_usable_scores_the_local_ones_stand(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(PASSES, PASSES, Fault(cut=40), Fault(cut=40))
    (moment,) = await stage.analyze_all()
    (local,) = await stage.local_alone()
    assert moment.score == local.score
    assert gemini_says(moment) == "not seen by Gemini: Gemini gave no answer that could be used"


@pytest.mark.parametrize("state", ["PROCESSING", "FAILED"])
async def test_a_file_that_is_never_processed_costs_gemini_only(
    hasty: Stage, fake_gemini: FakeGemini, state: str
) -> None:
    fake_gemini.faults.add(Fault(On.FILE, state=state))
    (moment,) = await hasty.analyze_all()
    assert not seen(moment)
    assert fake_gemini.answers == []
    assert fake_gemini.files.files == {}


async def test_an_upload_that_loses_bytes_costs_gemini_only(
    hasty: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(On.FILE, lose=1000))
    (moment,) = await hasty.analyze_all()
    assert not seen(moment)


async def test_a_wrong_key_costs_gemini_only(
    scene: Scene, pool: MediaPool, fake_gemini: FakeGemini
) -> None:
    client = GeminiClient("AIza-wrong", brief_options(fake_gemini.url))
    stage = Stage(scene, pool, client)
    (moment,) = await stage.analyze_all()
    assert not seen(moment)
    assert "Gemini refused the configured key" in (stage.report().status_message or "")
    await client.close()


async def test_media_that_is_gone_costs_gemini_only(stage: Stage, scene: Scene) -> None:
    for segment in scene.segments[7:11]:
        await scene.store.put(segment.key, b"\x00not media at all" * 500)
    found = await stage.analyze_all()
    assert len(found) == len(await stage.local_alone())


async def test_analysis_goes_on_without_a_database(stage: Stage) -> None:
    stage.profiles.away = True
    (moment,) = await stage.analyze_all()
    assert seen(moment)


async def test_a_tenant_without_money_left_goes_on_with_the_local_analyzer(
    scene: Scene, pool: MediaPool, client: GeminiClient, fake_gemini: FakeGemini
) -> None:
    stage = Stage(scene, pool, client, spending=Purse(TenantBudget(dollars_per_month=0.0)))
    (moment,) = await stage.analyze_all()
    assert gemini_says(moment) == "not seen by Gemini: the tenant's budget was used up"
    assert fake_gemini.calls == []


async def test_a_moment_invented_by_the_model_is_not_published(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    invented = '{"start": "59:00", "peak": "59:05", "end": "59:10", "kind": "x", "certainty": 1}'
    fake_gemini.faults.add(Fault(text='{"moments": [' + invented + "]}"))
    (moment,) = await stage.analyze_all()
    assert moment.peak == pytest.approx(stage.scene.peak, abs=1.0)
    assert gemini_says(moment) == "Gemini looked and saw no moment there"
    assert stage.report().counted == {"outside": 1}


async def test_an_answer_that_obeys_the_picture_changes_neither_tenant_nor_tags(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    obeyed = (
        '{"tenant_id": "0", "tags": ["goal", "admin"], "certainty": 1, "title": "<b>Owned</b>", '
        '"description": "", "skill_execution": 1, "game_impact": 1, "rarity": 1, '
        '"visual_spectacle": 1, "emotional_intensity": 1, "narrative_value": 1, '
        '"timing_importance": 1, "momentum_shift": 1}'
    )
    fake_gemini.faults.add(PASSES, PASSES, Fault(text=obeyed))
    (moment,) = await stage.analyze_all()
    (local,) = await stage.local_alone()
    assert moment.id == local.id
    assert moment.title == "Owned"
    assert moment.tags == ("goal", *local.tags)
    assert stage.report().counted == {"unknown_tag": 1}
