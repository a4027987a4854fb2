"""Titles and tags of a highlight in the languages that its stream asks for.

Gemini writes them, all languages in one answer. Without Gemini they are made of phrases
(`game_configs/languages/`) and the state of the match: `Goal, 2-1, 63'`. A language without phrases
gets English ones, and says so: `language` is then not the one that was `requested`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from domain.analysis.scoring import SIGNAL_TAGS
from domain.analysis.screen import MatchState
from domain.highlights.candidate import HighlightCandidate, LocalizedTitle, TitleSource
from domain.highlights.kinds import known_kinds
from domain.highlights.moderation import (
    Moderation,
    ModerationCategory,
    ModerationFinding,
    ModerationSource,
    ModerationStatus,
)
from domain.media.timestamps import format_timestamp
from domain.model import Model
from domain.profiles.criteria import SENTENCE_WORDS, WordClass
from domain.profiles.model import GameProfile, Slug
from domain.text import LanguageTag, primary_language, spaced_characters

FALLBACK: Final = "en"
"""The language whose phrases stand in for those of others."""

MOST_TAGS: Final = 5

_MINUTE_GAMES: Final = frozenset({"soccer", "soccer_betting"})
"""Games in which the time of an event is the running minute of play, the first one being 1'."""

_CLOCK: Final = re.compile(r"(\d{1,3}):([0-5]\d)(?:\.\d)?(?: *\+ *\d+)?")
_MOST_SIGNALS: Final = 2

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=60)]


class Phrasebook(Model):
    """Phrases of one language, in its usual capitals.

    Attributes:
        language: BCP 47; phrases of `pt` also serve `pt-BR`.
        separator: between the parts of a title.
        highlight: a moment of which nothing more is known.
        kinds: names of kinds of moments and tags, by their identifiers in game profiles.
        also: other names of kinds by which criteria may ask for them, such as plurals.
        flags: words that no title should have, by category; whole words, in lower case.
        sentence_words: words of criteria that order a sentence (`domain.profiles.criteria`).
    """

    language: LanguageTag
    separator: Annotated[str, StringConstraints(min_length=1, max_length=5)] = ", "
    highlight: Phrase
    kinds: dict[Slug, Phrase] = Field(default_factory=dict)
    also: dict[Slug, tuple[Phrase, ...]] = Field(default_factory=dict)
    flags: dict[ModerationCategory, tuple[Phrase, ...]] = Field(default_factory=dict)
    sentence_words: dict[WordClass, tuple[Phrase, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Phrasebooks:
    """Phrases of all languages; English is among them."""

    by_language: Mapping[str, Phrasebook]

    def find(self, tag: str) -> Phrasebook:
        """Return the phrases of a language, of the same language elsewhere, or English ones."""
        books = self.by_language
        return books.get(tag) or books.get(primary_language(tag)) or books[FALLBACK]

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Names of kinds and tags in all languages, and what each of them may mean."""
        names: dict[str, list[str]] = {}
        for book in self.by_language.values():
            named = [(name, slug) for slug, name in book.kinds.items()]
            named += [(name, slug) for slug, others in book.also.items() for name in others]
            for name, slug in named:
                names.setdefault(name, []).append(slug)
        return {name: tuple(dict.fromkeys(slugs)) for name, slugs in names.items()}

    @cached_property
    def sentence_words(self) -> dict[str, WordClass]:
        """Words of all languages that order a sentence. English ones come first."""
        words = {
            word.casefold(): kind
            for book in self.by_language.values()
            for kind, listed in book.sentence_words.items()
            for word in listed
        }
        return words | dict(SENTENCE_WORDS)

    def titles(
        self, candidate: HighlightCandidate, profile: GameProfile
    ) -> tuple[LocalizedTitle, ...]:
        """Return title and tags in each language of the profile: Gemini's, or else from phrases."""
        written = {each.requested: each for each in candidate.titles if each.title}
        return tuple(
            written.get(tag) or self._title(tag, candidate, profile) for tag in profile.languages
        )

    def _title(
        self, tag: str, candidate: HighlightCandidate, profile: GameProfile
    ) -> LocalizedTitle:
        book, english = self.find(tag), self.by_language[FALLBACK]
        kinds = known_kinds(candidate, profile)
        named = next((kind for kind in kinds if kind in book.kinds), None)
        if named is None and kinds and kinds[0] in english.kinds:
            # What happened says more in English than that something did in any language.
            book, named = english, kinds[0]
        parts = [book.kinds[named] if named else book.highlight]
        if not named:
            signals = (each for each in candidate.tags if each in SIGNAL_TAGS)
            known = [book.kinds[each] for each in signals if each in book.kinds]
            parts += known[:_MOST_SIGNALS]
        return LocalizedTitle(
            requested=tag,
            language=book.language,
            source=TitleSource.TEMPLATE,
            title=book.separator.join([*parts, *_facts(candidate, profile)]),
            tags=tuple(
                book.kinds.get(each) or english.kinds.get(each) or each.replace("_", " ")
                for each in kinds[:MOST_TAGS]
            ),
        )

    def moderate(
        self, candidate: HighlightCandidate, titles: Iterable[LocalizedTitle]
    ) -> Moderation:
        """Return what Gemini flagged, and what the lists of words find."""
        found = candidate.moderation or Moderation()
        written = [candidate.title, candidate.description]
        written += [text for each in titles for text in (each.title, each.description, *each.tags)]
        captions = ModerationFinding(status=ModerationStatus.ABSENT)
        if candidate.commentary:
            captions = self._finding([candidate.commentary])
        return Moderation(
            titles=found.titles.with_finding(self._finding(written)),
            captions=captions.with_finding(found.captions),
            pictures=found.pictures,
        )

    def _finding(self, texts: Iterable[str]) -> ModerationFinding:
        words = "".join(f" {_spaced_words(text)} " for text in texts)
        categories = tuple(
            category
            for category, listed in self._flagged.items()
            if any(f" {each} " in words for each in listed)
        )
        return ModerationFinding.of(categories, ModerationSource.WORDS)

    @cached_property
    def _flagged(self) -> dict[ModerationCategory, frozenset[str]]:
        """Words of all languages, since the language of a text is unknown."""
        return {
            category: frozenset(
                _spaced_words(word)
                for book in self.by_language.values()
                for word in book.flags.get(category, ())
            )
            for category in ModerationCategory
        }


def _facts(candidate: HighlightCandidate, profile: GameProfile) -> list[str]:
    """Return the score and the time of a moment, as the screen showed them, or its position.

    The score has a hyphen: with it, digits keep their order in text from right to left.
    """
    state = candidate.state or MatchState()
    facts = ["-".join(map(str, state.score_after))] if state.score_after else []
    if state.clock is None:
        return [*facts, format_timestamp(candidate.peak)]
    minute = _CLOCK.fullmatch(state.clock) if profile.id in _MINUTE_GAMES else None
    return [*facts, state.clock if minute is None else f"{int(minute[1]) + 1}'"]


def _spaced_words(text: str) -> str:
    """Return the casefolded words, and each Chinese and Japanese character, between spaces."""
    spaced = spaced_characters(text.casefold())
    return " ".join("".join(each if _in_word(each) else " " for each in spaced).split())


def _in_word(character: str) -> bool:
    """Return True for letters, digits, and the marks that Hindi and Arabic write vowels with."""
    return character.isalnum() or unicodedata.category(character)[0] == "M"
