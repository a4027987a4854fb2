"""A mark that comes late is put on its moment without anybody being asked again."""

from __future__ import annotations

import pytest

from domain.highlights.candidate import HighlightCandidate
from domain.media.segments import TimedMetadata, Window
from infra.gemini import GeminiClient
from infra.media.pool import MediaPool
from tests.factories.scenes import Scene
from tests.fakes.gemini import FakeGemini, Fault
from tests.integration.gemini.stage import Stage

PAYLOAD = '{"highlight": {"label": "goal", "importance": 0.9, "offset": -12}}'


@pytest.fixture
def stage(scene: Scene, pool: MediaPool, client: GeminiClient) -> Stage:
    return Stage(scene, pool, client)


def windows(scene: Scene) -> list[Window]:
    """The scene, whose last window brings a mark for the moment told before."""
    *others, last = scene.windows()
    mark = TimedMetadata(id="late", at=scene.peak + 13.0, payload=PAYLOAD)
    assert last.start <= mark.at < last.end
    return [*others, last.model_copy(update={"metadata": (mark,)})]


async def told_and_told_again(stage: Stage) -> tuple[HighlightCandidate, HighlightCandidate]:
    found: list[HighlightCandidate] = []
    shown = windows(stage.scene)
    for window in shown:
        found += (await stage.analyze(window, last=window is shown[-1])).candidates
    first, again = found
    assert first.id == again.id
    assert (first.mark is None, again.mark is None) == (True, False)
    return first, again


async def test_a_late_mark_costs_no_call_and_no_word_of_geminis(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    first, again = await told_and_told_again(stage)
    assert len(fake_gemini.answers) == 3
    assert (again.peak, again.title, again.analyzer) == (first.peak, first.title, first.analyzer)
    assert again.score.rarity > first.score.rarity
    assert stage.report().counted == {"told_again": 1}


async def test_a_retry_of_the_late_mark_gives_the_same(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    _, again = await told_and_told_again(stage)
    (retried,) = (await stage.analyze(windows(stage.scene)[-1], last=True)).candidates
    assert retried == again
    assert len(fake_gemini.answers) == 3


async def test_nor_does_one_for_a_moment_about_which_the_answer_was_of_no_use(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    fake_gemini.faults.add(Fault(text="It was a fine goal."))
    await told_and_told_again(stage)
    assert len(fake_gemini.asked(":generateContent")) == 1


async def test_a_mark_in_the_same_request_as_its_moment_is_one_moment(
    stage: Stage, fake_gemini: FakeGemini
) -> None:
    result = await stage.analyze(*windows(stage.scene), last=True)
    assert result.candidates[-1].mark is not None
    assert result.candidates[-1].title.endswith("at 22 dB")
    assert len(fake_gemini.answers) == 3
