"""What is said over a moment: words of a stranger, on the timeline, and what they may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.commentary import (
    LONGEST,
    LONGEST_LINE,
    MOST_LIFTED,
    MOST_LINES,
    TAGS,
    CaptionDeduplicator,
    Cue,
    apply_commentary,
    caption_text,
    commentary_over,
    place_cues,
    recent_lines,
)
from domain.media.segments import Line
from domain.profiles.model import GameProfile
from tests.factories.selection import candidate

WRAP = 2**33 / 90_000
PROFILE = GameProfile(
    id="soccer",
    version="1",
    name="Soccer",
    tags={"play": ("goal", "own_goal", "save", "corner", "late_winner", "penalty")},
)


def line(at: float, text: str) -> Line:
    return Line(at=at, until=at + 2.0, text=text)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("<v Bob>GOAL &amp; <b>what</b> a goal!\nSecond line", "GOAL & what a goal! Second line"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "script alert(1) /script"),
        ("a\x00b\u202ec\tD", "a b c D"),
        ("  ", ""),
        ("x" * 500, "x" * LONGEST_LINE),
    ],
)
def test_a_caption_is_plain_bounded_text(caption: str, words: str) -> None:
    assert caption_text(caption) == words


@given(st.text())
def test_whatever_is_said_holds_no_markup_and_no_control_characters(text: str) -> None:
    found = caption_text(text)
    assert len(found) <= LONGEST_LINE
    assert not set(found) & {"<", ">", "\n", "\x00"}
    assert caption_text(found.replace("&", "")) == " ".join(found.replace("&", "").split())


def test_cues_lie_on_the_media_timeline_over_a_wrap_of_the_clock() -> None:
    cues = [Cue(start=1.0, end=2.0, text="after"), Cue(start=WRAP - 3.0, end=WRAP, text="before")]
    found = place_cues(cues, at=100.0, timestamp=WRAP - 1.0)
    assert [(each.at, each.text) for each in found] == [(98.0, "before"), (102.0, "after")]


def test_cues_of_another_clock_and_of_before_the_stream_are_left_out() -> None:
    cues = [Cue(start=start, end=start + 1.0, text="x") for start in (0.0, 500.0, 9.0)]
    assert [each.at for each in place_cues(cues, at=2.0, timestamp=10.0)] == [1.0]
    assert place_cues([Cue(start=5.0, end=6.0, text="x")], at=2.0, timestamp=10.0) == ()


def test_of_too_many_lines_the_latest_are_kept() -> None:
    cues = [Cue(start=n / 10, end=n / 10 + 1, text=str(n)) for n in range(2 * MOST_LINES)]
    found = place_cues(cues, at=0.0, timestamp=0.0)
    assert len(found) == MOST_LINES
    assert found[-1].text == str(2 * MOST_LINES - 1)


def test_lines_are_remembered_once_and_for_a_minute() -> None:
    before = (line(10.0, "a"), line(60.0, "b"))
    assert recent_lines(before, (line(60.0, "b"), line(80.0, "c")), position=90.0) == (
        line(60.0, "b"),
        line(80.0, "c"),
    )


def test_repeated_commentary_over_a_moment_is_kept_once() -> None:
    times = {40.0: "earlier", 60.0: "He shoots", 61.0: "He shoots", 62.0: "Goal", 90.0: "later"}
    moment = candidate(1, 60.0, 0.8)
    assert (
        commentary_over([line(at, text) for at, text in times.items()], moment) == "He shoots Goal"
    )
    talkative = [line(60.0 + n / 50, f"{n:0>50}") for n in range(50)]
    assert len(commentary_over(talkative, moment)) <= LONGEST


def heard(
    text: str, *, value: float = 0.5, tags: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], float, list[str]]:
    said_over = candidate(1, 60.0, value, tags=tags).model_copy(update={"commentary": text})
    found = apply_commentary(said_over, PROFILE)
    return found.tags, found.score.narrative_value, [each.words for each in found.evidence]


def test_words_of_the_games_taxonomy_give_tags_and_lift_the_story() -> None:
    assert heard("A LATE winner! What a goal.", tags=("loud_crowd",)) == (
        ("loud_crowd", "late_winner", "goal"),
        0.6,
        ["the commentary says late winner, goal (narrative value +0.10)"],
    )


@pytest.mark.parametrize("text", ["", "the goalkeeper saves", "nothing of it", "cornered"])
def test_other_words_change_nothing(text: str) -> None:
    assert heard(text) == ((), 0.5, [])


def test_all_words_together_lift_no_more_than_allowed() -> None:
    tags, value, _ = heard("goal own goal save corner late winner penalty", value=0.95)
    assert len(set(tags)) == TAGS
    assert value == 1.0
    _, lifted, _ = heard("goal own goal save corner late winner penalty", value=0.5)
    assert lifted == 0.5 + MOST_LIFTED


@given(st.text(max_size=LONGEST))
def test_whatever_is_said_only_the_taxonomy_is_heard(text: str) -> None:
    before = candidate(1, 60.0, 0.5).model_copy(update={"commentary": text})
    after = apply_commentary(before, PROFILE)
    assert set(after.tags) <= PROFILE.all_tags()
    assert 0.5 <= after.score.narrative_value <= 0.5 + MOST_LIFTED
    assert (
        after.model_copy(
            update={"tags": before.tags, "score": before.score, "evidence": before.evidence}
        )
        == before
    )


def unrolled(*texts: str, every: float = 1.0) -> list[str]:
    unroller = CaptionDeduplicator()
    cues = [Cue(start=n * every, end=n * every + 1.0, text=text) for n, text in enumerate(texts)]
    return [cue.text for each in cues for cue in unroller.new_text([each])]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("A", "A\nB", "B\nC", "C\nD"), ["A", "B", "C", "D"]),
        (("A\nB\nC", "B\nC\nD"), ["A\nB\nC", "D"]),
        (
            ("he", "he shoots", "he shoots and", "he shoots and scores"),
            ["he", "shoots", "and", "scores"],
        ),
        (("he sho", "he shoots"), ["he sho", "shoots"]),
        (("A\nhe", "A\nhe shoots", "he shoots\nB"), ["A\nhe", "shoots", "B"]),
        (("A", "A", "A"), ["A"]),
        (("A", "", "A"), ["A"]),
        (("<c>A</c>", "A\nB"), ["A", "B"]),
        (("goal", "what a goal"), ["goal", "what a goal"]),
        (("A", "B", "A"), ["A", "B", "A"]),
    ],
)
def test_what_roll_up_captions_repeat_is_said_once(
    texts: tuple[str, ...], expected: list[str]
) -> None:
    assert unrolled(*texts) == expected


def test_what_is_said_again_much_later_counts_again() -> None:
    assert unrolled("goal", "goal", every=60.0) == ["goal", "goal"]
