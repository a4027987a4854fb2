"""Real names that people type find their profile, or fall back to the general one."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.profiles.matching import ProfileMatch
from infra.profiles.store import load_shipped_catalog

CATALOG = load_shipped_catalog()
DATA = Path(__file__).parents[1] / "domain" / "data"


class Name(NamedTuple):
    """One line of the data: `part` is `held_out` for names that aliases were not tuned on."""

    name: str
    expected: str
    part: str


class Title(NamedTuple):
    """Title of a stream, and the profile that it should find."""

    title: str
    expected: str


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


NAMES = [Name(**row) for row in rows("game_names.csv")]
TITLES = [Title(**row) for row in rows("stream_titles.csv")]


MATCHES = {name: CATALOG.match(name.name) for name in NAMES}


def wrong(names: list[Name]) -> list[tuple[Name, ProfileMatch]]:
    answers = [(name, MATCHES[name]) for name in names]
    return [(name, match) for name, match in answers if match.profile_id != name.expected]


def test_there_are_hundreds_of_names_and_a_good_part_is_held_out() -> None:
    assert len(NAMES) >= 300
    assert sum(name.part == "held_out" for name in NAMES) >= 100


@pytest.mark.parametrize("part", ["tuning", "held_out"])
def test_at_least_97_percent_find_their_profile(part: str) -> None:
    names = [name for name in NAMES if name.part == part]
    failures = wrong(names)
    assert len(failures) <= 0.03 * len(names), failures


def test_no_match_is_confident_and_wrong() -> None:
    assert [pair for pair in wrong(NAMES) if not pair[1].fallback] == []


@pytest.mark.parametrize("profile_id", CATALOG.ids())
def test_every_profile_is_found_by_at_least_three_real_names(profile_id: str) -> None:
    names = {*((n.name, n.expected) for n in NAMES), *TITLES}
    expected = [text for text, expected in names if expected == profile_id]
    assert sum(CATALOG.match(text).profile_id == profile_id for text in expected) >= 3


def test_there_are_hundreds_of_titles() -> None:
    assert len(TITLES) >= 200
    assert len({title.title for title in TITLES}) == len(TITLES)


def test_at_least_97_percent_of_titles_find_their_profile() -> None:
    failures = [
        title for title in TITLES if CATALOG.match(title.title).profile_id != title.expected
    ]
    assert len(failures) <= 0.03 * len(TITLES), failures


def test_no_title_is_matched_confidently_and_wrong() -> None:
    matches = [(title, CATALOG.match(title.title)) for title in TITLES]
    assert [(t, m) for t, m in matches if m.profile_id != t.expected and not m.fallback] == []


@pytest.mark.parametrize(
    ("text", "profile_id"),
    [
        ("US Open: Djokovic vs Alcaraz", "tennis"),
        ("US Open golf final round", "golf"),
        ("US Open", "default"),
        ("rugby", "default"),
        ("NRL rugby", "rugby_league"),
        ("Six Nations rugby", "rugby_union"),
        ("apex ranked to pred", "apex_legends"),
        ("VAL ranked radiant grind", "valorant"),
        ("cod ranked", "call_of_duty"),
        ("cod fishing in Norway", "default"),
        ("FIFA World Cup", "soccer"),
        ("FIFA 23", "ea_fc"),
        ("AFL football", "australian_rules"),
    ],
)
def test_names_that_several_games_share_are_told_apart(text: str, profile_id: str) -> None:
    assert CATALOG.match(text).profile_id == profile_id


@pytest.mark.parametrize("profile_id", CATALOG.ids())
def test_every_profile_is_found_by_its_id(profile_id: str) -> None:
    assert CATALOG.match(profile_id).profile_id == profile_id
    assert CATALOG.match(profile_id).score == 1.0


def test_most_names_are_not_simply_aliases() -> None:
    exact = sum(match.score == 1.0 for match in MATCHES.values())
    assert exact < 0.75 * len(NAMES)


@pytest.mark.parametrize(
    ("text", "profile_id", "words"),
    [
        ("CS2", "counter_strike", "it is “cs2”"),
        ("leage of legends", "league_of_legends", "it resembles “League of Legends” (91%)"),
        ("NFL Week 5: Chiefs vs Bills", "american_football", "it contains"),
        ("ставки на футбол", "soccer_betting", "asks for its betting variant"),
        ("Valorant betting", "valorant", "it has no betting variant"),
        ("Premier League Padel", "default", "it names “padel”, which has no profile"),
        ("rugby", "default", "it could mean rugby_league (“rugby”) or rugby_union"),
        ("football", "default", "it could mean american_football (“football”) or soccer"),
        ("asdfgh", "default", "nothing in it resembles a known name"),
        ("🔥🔥🔥", "default", "nothing in it names a game"),
    ],
)
def test_a_match_gives_its_reason_in_words(text: str, profile_id: str, words: str) -> None:
    match = CATALOG.match(text)
    assert match.profile_id == profile_id
    assert words in match.reason


def test_an_unclear_name_offers_its_alternatives() -> None:
    match = CATALOG.match("football")
    assert match.fallback
    assert {other.profile_id for other in match.alternatives} == {"american_football", "soccer"}


def test_a_name_without_typos_is_not_a_fallback() -> None:
    assert not CATALOG.match("Premier League").fallback


SAMPLE = st.sampled_from([name.name for name in NAMES])


@settings(deadline=None)
@given(SAMPLE, st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
def test_case_makes_no_difference(name: str, change: Callable[[str], str]) -> None:
    changed = change(name)
    assume(changed.casefold() == name.casefold())
    assert CATALOG.match(changed).profile_id == CATALOG.match(name).profile_id


@settings(deadline=None)
@given(SAMPLE, st.sampled_from([" ", "  ", "\t", "\u00a0"]))
def test_spacing_makes_no_difference(name: str, space: str) -> None:
    spaced = f"{space}{name.replace(' ', space)}{space}"
    assert CATALOG.match(spaced).profile_id == CATALOG.match(name).profile_id


@pytest.mark.parametrize(
    ("plain", "accented"),
    [
        ("futbol", "fútbol"),
        ("beisbol", "béisbol"),
        ("Brasileirao", "Brasileirão"),
        ("hoquei no gelo", "hóquei no gelo"),
        ("Bayern Munchen", "Bayern Mu\u0308nchen"),
        ("jaakiekko", "jääkiekko"),
    ],
)
def test_accents_make_no_difference(plain: str, accented: str) -> None:
    one, other = CATALOG.match(plain), CATALOG.match(accented)
    assert (one.profile_id, one.score) == (other.profile_id, other.score)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gets_an_answer_and_always_the_same(text: str) -> None:
    match = CATALOG.match(text)
    assert match == CATALOG.match(text)
    assert match.profile_id in CATALOG.profiles
    assert 0.0 <= match.score <= 1.0


def test_no_alias_is_listed_twice_within_a_profile() -> None:
    for profile in CATALOG.profiles.values():
        aliases = profile.aliases
        counts = Counter([*aliases.names, *aliases.leagues, *aliases.whole_text])
        assert [alias for alias, count in counts.items() if count > 1] == [], profile.id
