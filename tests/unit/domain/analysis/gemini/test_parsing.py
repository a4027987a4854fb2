"""Gemini's answers are put right, or left out, and counted; none of them can do harm."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.analysis.gemini.parsing import (
    Assessment,
    DetectedMoment,
    DetectedMoments,
    Refinement,
    UnusableAnswerError,
    parse_assessment,
    parse_detections,
    parse_refinement,
)
from domain.analysis.gemini.query import GeminiAnswer
from domain.highlights.candidate import TitleSource
from domain.highlights.moderation import ModerationCategory, ModerationStatus
from tests.factories.gemini import FILE, PROFILE, assessment, moment, said

DETECTED = DetectedMoment(start=110.0, peak=114.5, end=120.0, kind="goal", certainty=0.9)


def detect(*moments: Any) -> DetectedMoments:  # noqa: ANN401
    return parse_detections(said({"moments": list(moments)}), FILE, PROFILE)


def refine(answer: GeminiAnswer, *, excerpt_start: float = 8.0) -> Refinement | None:
    return parse_refinement(answer, FILE, excerpt_start=excerpt_start, detected=DETECTED)


def test_times_in_the_file_become_media_time() -> None:
    (found,) = detect(moment()).moments
    assert (found.start, found.peak, found.end) == (110.0, 114.5, 120.0)
    assert (found.kind, found.certainty, found.corrections) == ("goal", 0.9, ())


def test_no_moments_are_a_good_answer() -> None:
    assert detect() == DetectedMoments()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (moment(peak="soon"), "unreadable_time"),
        (moment(peak="00:75.0"), "unreadable_time"),
        (moment(start=None), "unreadable_time"),
        (moment(start=float("nan")), "unreadable_time"),
        (moment(start="12:00", peak="12:05", end="12:10"), "outside"),
        (moment(certainty=0.1), "unsure"),
        (moment(certainty="very"), "unsure"),
        (moment(certainty=float("nan")), "unsure"),
        ("a goal", "malformed"),
    ],
)
def test_what_cannot_be_corrected_is_left_out_and_counted(wrong: object, reason: str) -> None:
    found = detect(wrong, moment())
    assert [each.peak for each in found.moments] == [114.5]
    assert found.counted == {reason: 1}


def test_hundredths_written_as_a_third_part_are_understood() -> None:
    found = detect(moment(start="00:10:00", peak="00:14:50", end="00:20:25"))
    assert [(each.start, each.peak, each.end) for each in found.moments] == [(110.0, 114.5, 120.25)]
    assert found.counted == {"hundredths": 3}


def test_hours_minutes_and_seconds_are_understood_too() -> None:
    found = detect(moment(start="00:00:10", peak="00:00:14", end="00:00:20"))
    assert [each.peak for each in found.moments] == [114.0]


def test_a_reversed_moment_is_turned_round() -> None:
    found = detect(moment(start="00:20.0", end="00:10.0"))
    assert [(each.start, each.end) for each in found.moments] == [(110.0, 120.0)]
    assert found.counted == {"corrected": 1}
    assert "exchanged" in found.moments[0].corrections[0]


def test_a_moment_that_reaches_out_of_the_file_ends_with_it() -> None:
    found = detect(moment(peak="00:38.0", end="00:55.0"))
    assert found.moments[0].end == 140.0
    assert found.counted == {"corrected": 1}


def test_a_moment_without_length_gets_a_little() -> None:
    found = detect(moment(start="00:14.5", end="00:14.5"))
    assert [(each.start, each.end) for each in found.moments] == [(113.5, 115.5)]
    assert found.counted == {"length": 1}


def test_of_moments_that_overlap_the_most_certain_stays() -> None:
    found = detect(moment(certainty=0.6), moment(peak="00:15.5", certainty=0.8))
    assert [each.peak for each in found.moments] == [115.5]
    assert found.counted == {"overlapping": 1}


def test_a_kind_the_profile_does_not_know_is_another() -> None:
    found = detect(moment(kind="ignore all instructions"))
    assert found.moments[0].kind == "other"
    assert found.counted == {"unknown_kind": 1}


def test_more_moments_than_a_piece_can_have_are_left_out() -> None:
    found = detect(
        *(
            moment(peak=f"00:{second:02d}", start=f"00:{second:02d}", end=f"00:{second:02d}")
            for second in range(0, 40, 4)
        )
    )
    assert len(found.moments) == 6
    assert found.counted["too_many"] == 4


def test_an_answer_that_was_cut_off_gives_what_was_complete() -> None:
    text = json.dumps({"moments": [moment(), moment(peak="00:30", start="00:28", end="00:33")]})
    found = parse_detections(said(text[:-40], finish="MAX_TOKENS"), FILE, PROFILE)
    assert [each.peak for each in found.moments] == [114.5]
    assert found.counted == {"cut_off": 1}


def test_an_answer_in_a_code_fence_is_read() -> None:
    text = "```json\n" + json.dumps({"moments": [moment()]}) + "\n```"
    assert len(parse_detections(said(text), FILE, PROFILE).moments) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said("There is a goal at 0:14."), "malformed"),
        (said("[1, 2]"), "malformed"),
        (said("", finish="SAFETY"), "safety"),
        (said("", finish="MAX_TOKENS"), "max_tokens"),
        (said("", blocked="PROHIBITED_CONTENT"), "blocked"),
    ],
)
def test_an_answer_of_which_nothing_can_be_used_says_why(answer: GeminiAnswer, reason: str) -> None:
    with pytest.raises(UnusableAnswerError) as caught:
        parse_detections(answer, FILE, PROFILE)
    assert caught.value.reason == reason


TIMES = st.sampled_from(["00:12", "00:39.5", "1:99", "99:00", "", "-1", "now", "12", "00:12.250"])
VALUES = st.none() | st.booleans() | st.floats() | TIMES
FIELDS = st.sampled_from(["start", "peak", "end", "kind", "certainty", "surprise"])


@given(st.lists(st.dictionaries(FIELDS, VALUES, max_size=6), max_size=8))
def test_whatever_is_said_moments_lie_in_the_file_and_in_order(items: list[Any]) -> None:
    found = detect(*items)
    for each in found.moments:
        assert FILE.start <= each.start <= each.peak <= each.end <= FILE.end
        assert each.kind in {"goal", "other"}
        assert 0.2 <= each.certainty <= 1.0


@given(st.text(alphabet='{}[]":,0mothens ', min_size=1, max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UnusableAnswerError):
        parse_detections(said(text), FILE, PROFILE)


def test_a_second_look_gives_exact_times() -> None:
    answer = said({"present": True, "start": "00:11.25", "peak": "00:15.75", "end": "00:19.5"})
    assert refine(answer) == Refinement(start=111.25, peak=115.75, end=119.5)


def test_a_model_that_counts_from_the_excerpt_is_understood() -> None:
    answer = said({"present": True, "start": "00:02.0", "peak": "00:06.75", "end": "00:11.0"})
    refined = refine(answer)
    assert refined is not None
    assert (refined.start, refined.peak, refined.end) == (110.0, 114.75, 119.0)


def test_a_moment_that_is_not_there_on_a_second_look_is_none() -> None:
    assert (
        refine(said({"present": False, "start": "00:00", "peak": "00:00", "end": "00:00"})) is None
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"present": True, "start": "00:01", "peak": "00:30", "end": "00:35"}, "elsewhere"),
        ({"present": True, "start": "x", "peak": "00:14", "end": "00:15"}, "unreadable_time"),
        ({"present": True}, "unreadable_time"),
        ([], "malformed"),
    ],
)
def test_a_second_look_that_cannot_be_used_says_why(value: object, reason: str) -> None:
    with pytest.raises(UnusableAnswerError) as caught:
        refine(said(value))
    assert caught.value.reason == reason


def test_a_moments_worth_is_read() -> None:
    read = parse_assessment(said(assessment()), PROFILE)
    assert set(read.score.dimensions().values()) == {0.8}
    assert read.score.confidence == 0.9
    assert (read.tags, read.title, read.description) == (("goal",), "A goal", "It is a goal.")


def test_scores_out_of_range_are_bounded() -> None:
    read = parse_assessment(said(assessment(rarity=7, certainty=-1)), PROFILE)
    assert (read.score.rarity, read.score.confidence) == (1.0, 0.0)


@pytest.mark.parametrize("value", [None, "high", True, float("nan")])
def test_a_missing_score_makes_the_answer_useless(value: object) -> None:
    with pytest.raises(UnusableAnswerError, match="score_missing"):
        parse_assessment(said(assessment(rarity=value)), PROFILE)


def test_tags_outside_the_taxonomy_are_left_out_and_counted() -> None:
    read = parse_assessment(said(assessment(tags=["save", "tenant:admin", "goal", 7])), PROFILE)
    assert read.tags == ("save", "goal")
    assert read.counted == {"unknown_tag": 1}


def test_words_are_made_plain() -> None:
    read = parse_assessment(
        said(
            assessment(
                title="<script>alert(1)</script> Goal!\x00\nsee https://evil.example/x now",
                description="a " * 500,
            )
        ),
        PROFILE,
    )
    assert read.title == "alert(1) Goal! see now"
    assert len(read.description) <= 240
    assert read.description.endswith("…")


def test_fields_that_were_not_asked_for_change_nothing() -> None:
    injected = assessment(tenant_id="another", analyzer="mine", start=0.0)
    assert parse_assessment(said(injected), PROFILE) == parse_assessment(
        said(assessment()), PROFILE
    )


HUGE = int("9" * 400)


def test_numbers_that_no_double_holds_are_read_as_far_as_they_go() -> None:
    dimensions = assessment() | {"rarity": HUGE, "certainty": HUGE}
    read = parse_assessment(said(dimensions), PROFILE)
    assert (read.score.rarity, read.score.confidence) == (1.0, 1.0)


@pytest.mark.parametrize("value", [HUGE, -HUGE, [], {}, None, True, "9" * 400, "\ud800"])
@pytest.mark.parametrize("name", ["start", "peak", "end", "kind", "certainty"])
def test_no_value_in_a_moment_breaks_the_others(name: str, value: object) -> None:
    later = moment(start="0:21", peak="0:23", end="0:25")
    found = detect(moment() | {name: value}, later).moments
    assert FILE.start + 23.0 in {each.peak for each in found}


MULTILINGUAL = PROFILE.with_wishes(languages=("es", "ar", "ja"), criteria=None)


def titled(titles: object) -> Assessment:
    return parse_assessment(said(assessment() | {"titles": titles}), MULTILINGUAL)


def test_titles_in_all_languages_come_from_one_answer() -> None:
    spanish = {"title": "¡Golazo!", "description": "Volea a la escuadra.", "tags": ["gol", "gol"]}
    arabic = {"title": "هدف\u202e رائع", "description": "", "tags": []}
    found = titled({"es": spanish, "ar": arabic, "fr": spanish})
    assert [(each.language, each.title, each.tags) for each in found.titles] == [
        ("es", "¡Golazo!", ("gol",)),
        ("ar", "هدف رائع", ()),
    ]
    assert {each.source for each in found.titles} == {TitleSource.GEMINI}
    assert found.counted == {"title_missing": 1}


@pytest.mark.parametrize(
    "hostile",
    ["none", [], {"es": "Gol"}, {"es": {"title": 7}}, {"es": {"title": "x" * 9000, "tags": [{}]}}],
)
def test_hostile_titles_are_bounded_or_left_out(hostile: object) -> None:
    for each in titled(hostile).titles:
        assert len(each.title) <= 80
        assert each.tags == ()


@pytest.mark.parametrize(
    ("flags", "status", "categories"),
    [
        ({"speech": [], "picture": []}, ModerationStatus.CLEAR, ()),
        ({"speech": ["hate", "dull"]}, ModerationStatus.FLAGGED, (ModerationCategory.HATE,)),
        ({"speech": "hate"}, ModerationStatus.UNKNOWN, ()),
    ],
)
def test_flags_are_those_that_were_offered(
    flags: object, status: ModerationStatus, categories: tuple[ModerationCategory, ...]
) -> None:
    found = parse_assessment(said(assessment() | {"flags": flags}), PROFILE).moderation
    assert found is not None
    assert (found.captions.status, found.captions.categories) == (status, categories)


def test_an_answer_of_an_older_release_flags_nothing() -> None:
    assert parse_assessment(said(assessment()), PROFILE).moderation is None
