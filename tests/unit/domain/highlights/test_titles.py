"""Titles in languages: from phrases and the state of the match, or as Gemini wrote them."""

from __future__ import annotations

import pytest

from domain.analysis.screen import MatchState
from domain.highlights.candidate import HighlightCandidate, LocalizedTitle, TitleSource
from domain.highlights.moderation import (
    Moderation,
    ModerationCategory,
    ModerationFinding,
    ModerationSource,
    ModerationStatus,
)
from infra.profiles.phrasebooks import shipped_phrasebooks
from infra.profiles.store import load_shipped_catalog
from tests.factories.selection import candidate

BOOKS = shipped_phrasebooks()
CATALOG = load_shipped_catalog()
STATE = MatchState(score_before=(1, 1), score_after=(2, 1), clock="62:10")


def moment(
    *tags: str, state: MatchState | None = STATE, commentary: str = ""
) -> HighlightCandidate:
    plain = candidate(1, 3720.0, 0.9, tags=tags).replace(commentary=commentary)
    return HighlightCandidate.model_validate(plain.model_dump() | {"state": state})


def title(moment: HighlightCandidate, language: str, game: str = "soccer") -> LocalizedTitle:
    profile = CATALOG.get(game).with_wishes(languages=(language,), criteria=None)
    (found,) = BOOKS.titles(moment, profile)
    return found


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Goal, 2-1, 63'"),
        ("es", "Gol, 2-1, 63'"),
        ("pt-BR", "Gol, 2-1, 63'"),
        ("de", "Tor, 2-1, 63'"),
        ("fr", "But, 2-1, 63'"),
        ("it", "Gol, 2-1, 63'"),
        ("ar", "هدف، 2-1، 63'"),
        ("hi", "गोल, 2-1, 63'"),
        ("zh", "进球\uff0c2-1\uff0c63'"),
        ("ja", "ゴール、2-1、63'"),
    ],
)
def test_a_goal_has_a_title_in_each_language(language: str, words: str) -> None:
    found = title(moment("loud_crowd", "goal"), language)
    assert found.title == words
    assert found.source is TitleSource.TEMPLATE
    assert found.requested == language


def test_a_language_without_phrases_gets_english_and_says_so() -> None:
    found = title(moment("goal"), "sw")
    assert (found.requested, found.language, found.title) == ("sw", "en", "Goal, 2-1, 63'")


def test_a_region_gets_the_phrases_of_its_language() -> None:
    assert title(moment("goal"), "es-MX").language == "es"


def test_a_kind_that_only_english_names_is_not_hidden_behind_a_general_word() -> None:
    book = BOOKS.find("es").model_copy(update={"kinds": {"goal": "Gol"}})
    books = type(BOOKS)({"en": BOOKS.find("en"), "es": book})
    profile = CATALOG.get("soccer").with_wishes(languages=("es",), criteria=None)
    (found,) = books.titles(moment("nutmeg", state=None), profile)
    assert (found.language, found.title) == ("en", "Nutmeg, 1:02:00")


@pytest.mark.parametrize(
    ("clock", "shown"), [("62:10", "63'"), ("0:05", "1'"), ("45+2", "45+2"), ("90:00 + 3", "91'")]
)
def test_soccer_counts_running_minutes(clock: str, shown: str) -> None:
    state = MatchState(score_after=(0, 0), clock=clock)
    assert title(moment("save", state=state), "en").title == f"Save, 0-0, {shown}"


def test_other_games_show_their_clock() -> None:
    state = MatchState(score_after=(88, 90), clock="0:03", period="Q4")
    assert title(moment("dunk", state=state), "de", "basketball").title == "Dunk, 88-90, 0:03"


def test_without_a_screen_the_title_has_the_position_in_the_stream() -> None:
    assert title(moment("red_card", state=None), "it").title == "Cartellino rosso, 1:02:00"


def test_a_moment_of_unknown_kind_is_named_by_its_signals() -> None:
    found = title(moment("loud_crowd", "fast_play", state=None), "es")
    assert found.title == "Momento destacado, público ruidoso, juego rápido, 1:02:00"
    assert found.tags == ()


def test_tags_are_words_of_the_language() -> None:
    assert title(moment("goal", "header"), "fr").tags == ("But", "But de la tête")


def test_gemini_keeps_the_titles_that_it_wrote() -> None:
    written = LocalizedTitle(
        requested="es", language="es", source=TitleSource.GEMINI, title="¡Golazo de volea!"
    )
    profile = CATALOG.get("soccer").with_wishes(languages=("es", "ja"), criteria=None)
    spanish, japanese = BOOKS.titles(moment("goal").replace(titles=(written,)), profile)
    assert spanish == written
    assert (japanese.source, japanese.language) == (TitleSource.TEMPLATE, "ja")


def test_pictures_are_unknown_without_gemini() -> None:
    found = BOOKS.moderate(moment("goal"), ())
    assert found.pictures == ModerationFinding(status=ModerationStatus.UNKNOWN)
    assert found.captions.status is ModerationStatus.ABSENT
    assert found.titles.status is ModerationStatus.CLEAR


@pytest.mark.parametrize(
    ("said", "category"),
    [
        ("What a fucking strike", ModerationCategory.PROFANITY),
        ("qué hijo de PUTA", ModerationCategory.PROFANITY),
        ("这个傻逼裁判", ModerationCategory.PROFANITY),
        ("चूतिया कहीं का", ModerationCategory.PROFANITY),
        ("dirty faggot", ModerationCategory.HATE),
    ],
)
def test_words_of_any_language_are_flagged(said: str, category: ModerationCategory) -> None:
    found = BOOKS.moderate(moment(commentary=said), ()).captions
    assert found.status is ModerationStatus.FLAGGED
    assert category in found.categories
    assert found.sources == (ModerationSource.WORDS,)


@pytest.mark.parametrize(
    "said", ["The Scunthorpe keeper saves", "Kike scores", "what a headshot, he killed three"]
)
def test_harmless_words_are_not_flagged(said: str) -> None:
    assert BOOKS.moderate(moment(commentary=said), ()).captions.status is ModerationStatus.CLEAR


def test_a_title_of_gemini_is_looked_at_too() -> None:
    written = LocalizedTitle(
        requested="de", language="de", source=TitleSource.GEMINI, title="Scheiß Tor"
    )
    assert BOOKS.moderate(moment("goal"), (written,)).titles.status is ModerationStatus.FLAGGED


def test_what_gemini_flags_is_added_to_what_the_words_say() -> None:
    hateful = ModerationFinding.of((ModerationCategory.HATE,), ModerationSource.GEMINI)
    clear = ModerationFinding.of((), ModerationSource.GEMINI)
    looked = Moderation(captions=hateful, pictures=clear)
    found = BOOKS.moderate(moment(commentary="bullshit").replace(moderation=looked), ())
    assert found.captions.categories == (ModerationCategory.PROFANITY, ModerationCategory.HATE)
    assert found.captions.sources == (ModerationSource.WORDS, ModerationSource.GEMINI)
    assert found.pictures.status is ModerationStatus.CLEAR
