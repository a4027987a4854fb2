"""Text on the screen: from readings with errors to facts, and the state of the match."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.analysis.screen import (
    LONGEST_TEXT,
    MatchState,
    ScreenFact,
    ScreenFactKind,
    ScreenReading,
    ScreenState,
    follow_screen,
    read_clock,
    read_period,
    read_score,
    screen_text,
)
from domain.profiles.model import Hud, HudKind

SOCCER = Hud(score_step=1, words={"goal": 0.9, "red card": 0.8})
Shown = Sequence[tuple[float, str]]


def readings(
    shown: Shown, holds: HudKind | None = HudKind.SCORE, region: str = "one"
) -> list[ScreenReading]:
    return [
        ScreenReading(region=region, holds=holds, at=at, text=text, confidence=0.95)
        for at, text in shown
    ]


def facts(
    shown: Shown, hud: Hud = SOCCER, holds: HudKind | None = HudKind.SCORE
) -> list[ScreenFact]:
    return list(follow_screen(ScreenState(), readings(shown, holds), hud)[1])


def words(shown: Shown, hud: Hud = SOCCER, holds: HudKind | None = HudKind.SCORE) -> list[str]:
    return [fact.words for fact in facts(shown, hud, holds)]


def test_a_clock_in_the_place_of_a_counter_is_no_score() -> None:
    shown = [(0.0, "FRAGS 17"), (2.0, "FRAGS 17"), (4.0, "2:15"), (6.0, "2:15"), (60.0, "2:15")]
    assert words(shown) == []


@pytest.mark.parametrize(
    ("text", "sides", "score"),
    [
        ("2 - 1", None, (2, 1)),
        ("ARS 2–1 CHE", None, (2, 1)),
        ("ARS 2 1 CHE 45:12", None, (2, 1)),
        ("2:1", None, (2, 1)),
        ("21:18", None, (21, 18)),
        ("21:18", 1, None),
        ("FRAGS 17", None, (17,)),
        ("Q4 88 91 2:05", None, (88, 91)),
        ("6 4 3 6 2 1", None, (6, 4, 3, 6, 2, 1)),
        ("O - 1", 2, (0, 1)),
        ("O", 1, (0,)),
        ("50% OFF", None, None),
        ("goal!", None, None),
        ("SOL", 1, None),
        ("ARS 10 CHE", 2, (1, 0)),
        ("", None, None),
    ],
)
def test_a_score_is_read_between_names_clocks_and_errors(
    text: str, sides: int | None, score: tuple[int, ...] | None
) -> None:
    assert read_score(text, sides) == score


def test_clock_and_period_are_read() -> None:
    assert read_clock("2nd 45:12 +3") == "45:12"
    assert read_period("2nd 45:12 +3") == "2nd"
    assert read_period("ROUND 3") == "ROUND 3"
    assert read_clock("2-1") is None
    assert read_period("second to none") is None


def test_a_rise_that_two_readings_agree_on_is_a_change_when_it_first_showed() -> None:
    (fact,) = facts([(0, "0-0"), (2, "0-0"), (4, "1-0"), (6, "1-0"), (26, "1-0")])
    assert (fact.kind, fact.at, fact.weight) == (ScreenFactKind.SCORE, 4.0, 1.0)
    assert fact.words == "score 0–0 → 1–0 on screen"
    assert fact.state == MatchState(score_before=(0, 0), score_after=(1, 0))


def test_a_single_wrong_reading_changes_nothing() -> None:
    assert facts([(0, "1-0"), (2, "1-0"), (4, "7-0"), (6, "1-0"), (8, "1-8"), (10, "1-0")]) == []


def test_a_rise_greater_than_one_event_gives_is_not_a_change() -> None:
    shown = [(0, "1-0"), (2, "1-0"), (4, "7-0"), (6, "7-0"), (8, "1-0")]
    assert facts(shown) == []
    assert len(facts(shown, Hud(score_step=6))) == 1


def test_a_reading_of_low_confidence_does_not_count() -> None:
    unsure = [
        ScreenReading(region="one", holds=HudKind.SCORE, at=at, text=text, confidence=0.4)
        for at, text in ((4, "2-0"), (6, "2-0"))
    ]
    known = readings([(0, "1-0"), (2, "1-0")])
    assert follow_screen(ScreenState(), [*known, *unsure], SOCCER)[1] == ()


def test_a_replay_that_shows_the_old_score_does_not_score_twice() -> None:
    goal = [(0, "0-0"), (2, "0-0"), (10, "1-0"), (12, "1-0")]
    replay = [(20, "0-0"), (22, "0-0"), (24, "0-0"), (30, "1-0"), (32, "1-0"), (52, "1-0")]
    assert words([*goal, *replay]) == ["score 0–0 → 1–0 on screen"]


def test_a_score_that_stays_fallen_is_a_correction() -> None:
    goal = [(0, "0-0"), (2, "0-0"), (10, "1-0"), (12, "1-0")]
    taken_back = [(at, "0-0") for at in range(60, 130, 20)]
    assert words([*goal, *taken_back, (140, "1-0"), (142, "1-0")]) == [
        "score 0–0 → 1–0 on screen",
        "score corrected 1–0 → 0–0 on screen",
        "score 0–0 → 1–0 on screen",
    ]


def test_a_score_that_starts_over_is_another_match_and_no_correction() -> None:
    shown = [(0, "2-1"), (2, "2-1"), (300, "0-0"), (320, "0-0"), (340, "0-0"), (360, "0-0")]
    assert words([*shown, (380, "0-1"), (382, "0-1")]) == ["score 0–0 → 0–1 on screen"]


def test_an_advert_in_the_same_place_changes_nothing() -> None:
    match = [(0, "1-0"), (2, "1-0")]
    advert = [(10, "SAVE 50% TODAY"), (12, "ONLY 9.99"), (14, "CALL 555 0199 88"), (16, "")]
    assert facts([*match, *advert, (40, "1-0"), (42, "1-0")]) == []
    assert len(facts([*match, *advert, (40, "2-0"), (42, "2-0")])) == 1


def test_another_graphic_with_another_number_of_numbers_starts_over() -> None:
    shown = [(0, "1-0"), (2, "1-0"), *((10 + 2 * n, "6 4 3 1") for n in range(8))]
    assert words([*shown, (40, "6 4 3 2"), (42, "6 4 3 2")]) == [
        "score 6–4–3–1 → 6–4–3–2 on screen"
    ]


def test_changes_count_less_where_the_score_changes_often() -> None:
    shown = [(2.0 * n, f"{n // 2}-0") for n in range(60)]
    weights = [fact.weight for fact in facts(shown, Hud(score_step=3))]
    assert weights[0] == 1.0
    assert weights[-1] < 0.2
    assert weights == sorted(weights, reverse=True)


def test_the_clock_and_period_of_the_moment_are_part_of_its_state() -> None:
    clock = readings([(4, "45:12 1st")], HudKind.CLOCK, "clock")
    score = readings([(0, "0-0"), (2, "0-0"), (4, "1-0"), (6, "1-0")])
    (fact,) = follow_screen(ScreenState(), [*score, *clock], SOCCER)[1]
    assert fact.state == MatchState(
        score_before=(0, 0), score_after=(1, 0), clock="45:12", period="1st"
    )
    assert fact.state.words == "score 0–0 → 1–0 on screen, 1-0 at 45:12, 1st"


def test_a_clock_read_long_before_is_not_the_moments() -> None:
    state, _ = follow_screen(ScreenState(), readings([(4, "45:12")], HudKind.CLOCK), SOCCER)
    assert state.match_at(30.0) is None


def test_a_learned_region_is_a_score_by_what_it_looks_like() -> None:
    bug = [(0, "ARS 0-0 CHE 41:30"), (2, "ARS 0-0 CHE 41:32")]
    scored = [(40, "ARS 1-0 CHE 42:10"), (42, "ARS 1 - 0 CHE 42:12")]
    (fact,) = facts([*bug, *scored], holds=None)
    assert fact.state == MatchState(score_before=(0, 0), score_after=(1, 0), clock="42:12")
    assert facts([(0, "41:30"), (2, "41:30"), (4, "41:31"), (6, "41:31")], holds=None) == []


def test_a_learned_score_goes_on_where_the_graphic_has_moved() -> None:
    before = readings([(0, "ARS 1-0 CHE"), (2, "ARS 1-0 CHE")], None, "learned-1")
    after = readings([(30, "ARS 1-1 CHE"), (32, "ARS 1-1 CHE")], None, "learned-2")
    found = follow_screen(ScreenState(), [*before, *after], SOCCER)[1]
    assert [fact.words for fact in found] == ["score 1–0 → 1–1 on screen"]


def test_a_learned_counter_that_falls_is_ammunition_and_no_score() -> None:
    ammunition = [(2 * n, str(20 - n // 2 if n < 20 else 10 + n // 2)) for n in range(30)]
    assert facts([(float(at), text) for at, text in ammunition], holds=None) == []
    frags = [(float(2 * n), str(n // 2)) for n in range(16)]
    assert words(frags, holds=None)[-1] == "score 6 → 7 on screen"


def test_a_banner_counts_once_by_the_word_of_the_profile() -> None:
    shown = [(0, ""), (10, "GOAAL SAKA"), (12, "GOAL! SAKA"), (14, "GOAL! SAKA"), (90, "")]
    (fact,) = facts([(10, "GOAL! SAKA"), *shown[2:]], holds=HudKind.BANNER)
    assert (fact.kind, fact.at, fact.weight) == (ScreenFactKind.BANNER, 10.0, 0.9)
    assert fact.words == "“goal” on screen"


def test_a_reading_error_in_a_long_word_is_forgiven() -> None:
    assert words([(0, "REO CARD"), (2, "REO CARD")], holds=HudKind.BANNER) == [
        "“red card” on screen"
    ]
    assert words([(0, "GOAT"), (2, "GOAT")], holds=HudKind.BANNER) == []


def test_a_new_line_of_a_feed_counts_with_who_did_it() -> None:
    before = ["A killed B"]
    after = ["A killed B", "Zed: red card for tackle"]
    shown = [(0, "\n".join(before)), (2, "\n".join(before))]
    shown += [(4, "\n".join(after)), (6, "\n".join(after)), (8, after[1]), (10, after[1])]
    assert words(shown, holds=HudKind.FEED) == [
        "new line “A killed B” in the feed",
        "“red card” by “Zed” on screen",
    ]


def test_text_of_the_screen_is_bounded_and_cleaned() -> None:
    hostile = "a\x00b\u202e\ud800" + "x" * 5000
    cleaned = screen_text(hostile)
    assert len(cleaned) <= LONGEST_TEXT
    assert cleaned.isprintable()
    cleaned.encode()
    long = [(0, "goal " + "w" * 3000), (2, "goal " + "w" * 3000)]
    assert all(len(each) < 200 for each in words(long, holds=HudKind.FEED))


def test_how_readings_are_split_into_calls_makes_no_difference() -> None:
    shown = readings([(0, "0-0"), (2, "0-0"), (4, "1-0"), (6, "1-0"), (30, "2-0"), (32, "2-0")])
    state, once = follow_screen(ScreenState(), shown, SOCCER)
    step = ScreenState()
    found: list[ScreenFact] = []
    for each in shown:
        step, new = follow_screen(
            ScreenState.model_validate_json(step.model_dump_json()), [each], SOCCER
        )
        found += new
    assert (step, tuple(found)) == (state, once)


GLYPHS = "0oQDl1|I5SB8 -.:x"


@st.composite
def noisy_matches(draw: st.DrawFn) -> tuple[list[tuple[float, str]], list[float]]:
    """Draw a match: a reading every two seconds, of which some are wrong, and its true goals."""
    seed = draw(st.integers(0, 2**32))
    share = draw(st.sampled_from([0.0, 0.05, 0.15]))
    chance = random.Random(seed)
    score, at = [0, 0], 0.0
    shown: list[tuple[float, str]] = []
    goals: list[float] = []
    for _ in range(draw(st.integers(0, 6))):
        length = chance.randrange(30, 90)
        for _ in range(length):
            right = text = f"{score[0]}-{score[1]}"
            if chance.random() < share:
                place = chance.randrange(len(text))
                text = text[:place] + chance.choice(GLYPHS) + text[place + 1 :]
            if shown and shown[-1][1] == text:  # two errors in a row differ
                text = right
            shown.append((at, text))
            at += 2.0
        score[chance.randrange(2)] += 1
        goals.append(at)
    shown += [(at + 2.0 * n, f"{score[0]}-{score[1]}") for n in range(30)]
    return shown, goals


@settings(max_examples=100, deadline=None, derandomize=True)
@given(noisy_matches())
def test_all_goals_are_found_through_reading_errors_and_nothing_else(
    match: tuple[list[tuple[float, str]], list[float]],
) -> None:
    shown, goals = match
    found = [fact.at for fact in facts(shown) if fact.kind is ScreenFactKind.SCORE]
    assert len(found) == len(goals)
    assert all(-6 <= at - goal <= 20 for at, goal in zip(found, goals, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([None, *HudKind]), st.text(max_size=40), st.floats(0, 1)),
        max_size=30,
    )
)
def test_no_text_breaks_the_tracker(shown: list[tuple[HudKind | None, str, float]]) -> None:
    given_readings = [
        ScreenReading(region=str(holds), holds=holds, at=2.0 * n, text=text, confidence=confidence)
        for n, (holds, text, confidence) in enumerate(shown)
    ]
    state, _ = follow_screen(ScreenState(), given_readings, SOCCER)
    assert ScreenState.model_validate_json(state.model_dump_json()) == state
