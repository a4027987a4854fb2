"""Each look has the frames, the resolution and the price that it needs."""

from __future__ import annotations

import pytest

from domain.analysis.gemini.chunks import Chunk
from domain.analysis.gemini.pricing import ModelPrice
from domain.analysis.gemini.prompts import QueryBuilder
from domain.analysis.gemini.query import GeminiQuery, QueryStep
from domain.profiles.model import AnalyzerHints, GameProfile, MediaResolution
from tests.factories.gemini import PROFILE, window

PRICE = ModelPrice(text=0.30, audio=1.00, output=2.50)
QUESTIONS = QueryBuilder(model="gemini-3.5-flash-lite", temperature=0.3)
PIECE = Chunk(
    start=8.0,
    end=24.0,
    segments=tuple(each for index in range(6) for each in window(index).segments),
)


def profile(fps: float = 1.0, resolution: MediaResolution = MediaResolution.HIGH) -> GameProfile:
    hints = AnalyzerHints(frames_per_second=fps, media_resolution=resolution)
    return PROFILE.model_copy(update={"analyzer": hints})


def looks(fps: float = 1.0) -> tuple[GeminiQuery, GeminiQuery, GeminiQuery]:
    return (
        QUESTIONS.detect(PIECE, profile(fps)),
        QUESTIONS.refine(profile(fps), start=4.0, end=12.0, kind="goal"),
        QUESTIONS.score(profile(fps), start=3.0, end=14.0),
    )


def test_all_of_a_piece_is_looked_through_coarsely() -> None:
    excerpt = looks()[0].excerpt
    assert (excerpt.start, excerpt.end, excerpt.resolution) == (0.0, 24.0, MediaResolution.LOW)


@pytest.mark.parametrize(("fps", "closely"), [(0.5, 4.0), (1.0, 4.0), (2.0, 4.0), (10.0, 10.0)])
def test_a_closer_look_has_frames_enough_to_cut_by(fps: float, closely: float) -> None:
    assert looks(fps)[1].excerpt.fps == closely


@pytest.mark.parametrize(("fps", "shown"), [(0.5, 0.5), (1.0, 1.0), (2.0, 1.0)])
def test_the_last_look_has_few_frames_since_each_is_dear(fps: float, shown: float) -> None:
    assert looks(fps)[2].excerpt.fps == shown


def test_a_moment_is_scored_at_the_resolution_its_game_needs() -> None:
    assert looks()[2].excerpt.resolution is MediaResolution.HIGH


def test_each_look_says_its_step_version_and_model() -> None:
    assert [(ask.step, ask.version) for ask in looks()] == [
        (QueryStep.DETECT, "detect-2"),
        (QueryStep.REFINE, "refine-1"),
        (QueryStep.SCORE, "score-2"),
    ]
    assert {(ask.model, ask.temperature) for ask in looks()} == {("gemini-3.5-flash-lite", 0.3)}
    assert QUESTIONS.analyzer() == "gemini-3.5-flash-lite/detect-2+refine-1+score-2"


def test_an_analyzer_is_named_after_the_model_that_answered() -> None:
    assert QUESTIONS.analyzer("gemini-3.8-flash").startswith("gemini-3.8-flash/")


def test_a_look_is_expected_to_cost_all_three_questions() -> None:
    expected = QUESTIONS.expected_dollars(PIECE, profile(), PRICE)
    assert expected > PRICE.dollars(looks()[0].expected_usage())
    assert expected < sum(PRICE.dollars(ask.max_usage()) for ask in looks())


def test_a_piece_without_media_costs_nothing() -> None:
    empty = PIECE.model_copy(update={"segments": ()})
    assert QUESTIONS.expected_dollars(empty, profile(), PRICE) == 0.0


def test_a_look_is_expected_to_cost_what_the_serving_model_takes() -> None:
    asked = QUESTIONS.expected_dollars(PIECE, profile(), PRICE)
    old = QUESTIONS.expected_dollars(PIECE, profile(), PRICE, serving="gemini-2.5-pro")
    assert old != asked


def test_thoughts_have_room_beside_the_answer() -> None:
    ask = looks()[1]
    old = ask.model_copy(update={"model": "gemini-2.5-flash"})
    assert old.output_limit == ask.max_output
    assert ask.output_limit >= 4 * ask.max_output
    assert ask.with_more_room().output_limit > ask.output_limit
