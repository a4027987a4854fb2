"""Criteria: which moments a stream should show, written as a sentence, and what was understood.

"Goals and cards, no replays" is matched with the kinds and tags of the game profile. Words that
match nothing are listed. Gemini also gets the sentence, as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import StringConstraints
from rapidfuzz import fuzz, process

from domain.model import Model
from domain.text import joined_characters, spaced_characters

if TYPE_CHECKING:
    from domain.profiles.model import GameProfile

LONGEST_CRITERIA: Final = 500
"""Characters."""

CriteriaText = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=LONGEST_CRITERIA,
        pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
    ),
]

REPLAY: Final = "replay"
"""Can only be excluded: replays are never shown on purpose (docs/selection.md)."""


class UnderstoodCriteria(Model):
    """Kinds and tags of the game profile: only those to `include`, never those to `exclude`.

    With an empty `include`, all kinds are included.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Criteria(Model):
    """A sentence, what was understood of it, and the words that were not understood."""

    text: str
    understood: UnderstoodCriteria = UnderstoodCriteria()
    not_understood: tuple[str, ...] = ()


class WordClass(StrEnum):
    """What a word of a sentence does there."""

    NEGATION = auto()  # what follows is excluded
    RESTART = auto()  # what follows is included again
    JOINER = auto()  # what follows is treated as what comes before
    FILLER = auto()  # says nothing about the moment


_ENGLISH: Final[Mapping[WordClass, str]] = {
    WordClass.NEGATION: "no not non never without except exclude excluding skip ignore avoid omit "
    "hide drop minus dont",
    WordClass.RESTART: "but only just however",
    WordClass.JOINER: "and or nor plus",
    WordClass.FILLER: "a an the all any every each of in on to for from with me us i we want wants "
    "would like please give find see highlight highlights moment moments clip clips play plays "
    "thing things everything show include including also mainly mostly especially do",
}

SENTENCE_WORDS: Final[Mapping[str, WordClass]] = {
    word: kind for kind, words in _ENGLISH.items() for word in words.split()
}
"""English words that order a sentence; phrasebooks add those of other languages."""

# Marks of Latin, Arabic and Devanagari letters are parts of a word, which `\w` does not know.
_LETTER: Final = (
    r"(?:[^\W_]|[\u0300-\u036f\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963])"
)
_TOKEN: Final = re.compile(
    rf"{_LETTER}+(?:['\-]{_LETTER}+)*|[,;.:!?&+/、，。；：！？،؛]"  # noqa: RUF001 - other scripts' signs
)
_JOINING_SIGNS: Final = frozenset("&+/")
_NEAR: Final = 88.0
_LONG_ENOUGH: Final = 5
_MOST_WORDS: Final = 12
"""Longest name, in words; in Chinese and Japanese each character is one."""


def understand(
    text: str,
    profile: GameProfile,
    *,
    names: Mapping[str, tuple[str, ...]] | None = None,
    sentence_words: Mapping[str, WordClass] = SENTENCE_WORDS,
) -> Criteria:
    """Return what a sentence asks for, in kinds and tags of `profile`. Deterministic.

    Args:
        text: the sentence.
        profile: the game's profile.
        names: names of kinds and tags in other languages, and their slugs.
        sentence_words: what words do that are no kind of moment.
    """
    known = _vocabulary(profile, names or {})
    include: dict[str, None] = {}
    exclude: dict[str, None] = {}
    unknown: list[str] = []
    for phrase, is_excluded in _phrases(text, sentence_words):
        missed: list[str] = []
        for words, slugs in _matches(phrase, known):
            wanted = [slug for slug in slugs if is_excluded or slug != REPLAY]
            if wanted:
                (exclude if is_excluded else include).update(dict.fromkeys(wanted))
            else:
                missed.append(words)
        if missed:
            unknown.append(f"{'no ' if is_excluded else ''}{joined_characters(' '.join(missed))}")
    return Criteria(
        text=text,
        understood=UnderstoodCriteria(
            include=tuple(slug for slug in include if slug not in exclude), exclude=tuple(exclude)
        ),
        not_understood=tuple(dict.fromkeys(unknown)),
    )


def tags_of(slug: str, profile: GameProfile) -> frozenset[str]:
    """Return the tags that a moment of a kind, tag or group of tags may carry.

    If a kind has several tags, only the one with its own name is certain (as for markers).
    """
    tags = {slug, *profile.tags.get(slug, ())}
    kind = profile.moments.get(slug)
    if kind is not None and slug not in profile.all_tags():
        tags.update(kind.tags)
    return frozenset(tags)


def _vocabulary(
    profile: GameProfile, names: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return the slugs that each phrase names: by its whole name, or else by its last word."""
    slugs = {*profile.moments, *profile.tags, *profile.all_tags()}
    known: dict[str, list[str]] = {_singular(REPLAY): [REPLAY]}
    for slug in sorted(slugs):
        known.setdefault(_folded(slug.replace("_", " ")), []).append(slug)
    for name, named in names.items():
        of_game = [slug for slug in named if slug in slugs or slug == REPLAY]
        if of_game:
            known.setdefault(_folded(name), []).extend(of_game)
    for slug in sorted(slugs):
        head = _singular(slug.rpartition("_")[2])
        if "_" in slug and (head not in known or head in _heads(known[head])):
            known.setdefault(head, []).append(slug)
    return {phrase: tuple(dict.fromkeys(found)) for phrase, found in known.items()}


def _heads(slugs: list[str]) -> set[str]:
    """Return the last words of slugs of several words, if there is no other among them."""
    if any("_" not in slug for slug in slugs):
        return set()
    return {_singular(slug.rpartition("_")[2]) for slug in slugs}


def _phrases(
    text: str, sentence_words: Mapping[str, WordClass]
) -> Iterator[tuple[list[str], bool]]:
    """Yield the phrases of a sentence in order, and whether each is excluded."""
    phrase: list[str] = []
    is_excluded = False
    for token in _TOKEN.findall(spaced_characters(text.replace("\u2019", "'"))):
        word = token.casefold()
        kind = sentence_words.get(word.replace("'", ""))
        is_sign = not word[0].isalnum()
        if kind is None and not is_sign:
            phrase.append(word)
            continue
        if kind is WordClass.FILLER:
            continue
        if phrase:
            yield phrase, is_excluded
            phrase = []
        if kind is WordClass.NEGATION:
            is_excluded = True
        elif kind is WordClass.RESTART or (is_sign and word not in _JOINING_SIGNS):
            is_excluded = False
    if phrase:
        yield phrase, is_excluded


def _matches(
    phrase: list[str], known: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield runs of words with the slugs that they name, the longest runs first; else none."""
    at = 0
    while at < len(phrase):
        for length in range(min(_MOST_WORDS, len(phrase) - at), 0, -1):
            words = " ".join(phrase[at : at + length])
            slugs = _named(_folded(words), known)
            if slugs or length == 1:
                yield words, slugs
                at += length
                break


def _named(words: str, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if words in known:
        return known[words]
    if len(words) < _LONG_ENOUGH:
        return ()
    near = process.extractOne(words, list(known), scorer=fuzz.ratio, score_cutoff=_NEAR)
    return () if near is None else known[near[0]]


def _folded(words: str) -> str:
    spaced = spaced_characters(words.casefold().replace("-", " "))
    return " ".join(_singular(word) for word in spaced.split())


def _singular(word: str) -> str:
    """Return an English noun in the singular; others as they are."""
    if len(word) > 4 and word.endswith("ies"):  # noqa: PLR2004 - "ties" is a tie
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")):  # noqa: PLR2004
        return word[:-1]
    return word
