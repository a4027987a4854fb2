"""Where a known name stands in a text, exactly or with a few typos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from domain.game_name import compact, is_unspaced, normalize, without_noise, without_numbers
from domain.profile import GameProfile, ProfileKind

WHOLE: Final = 1.0
WITHOUT_NOISE: Final = 0.98
_WITHIN: Final = 0.88
_TYPO_WHOLE: Final = 0.98
_TYPO_WITHIN: Final = 0.9
_MIN_TYPO_LENGTH: Final = 5
"""Shorter names have too many neighbours: "nba", "nbl" and "nfl" are one edit apart."""


class Alias(NamedTuple):
    """One name of a profile: as written, normalised, and without spaces."""

    profile_id: str
    text: str
    name: str
    joined: str
    rank: int  # 0: whole text only, 1: leagues and teams, 2: the game's own name
    words: int


class Hit(NamedTuple):
    """An alias found on the words `start`..`end` (end excluded) of a text; `score` in [0, 1]."""

    alias: Alias
    score: float
    start: int
    end: int

    @property
    def profile_id(self) -> str:
        """The profile that the alias belongs to."""
        return self.alias.profile_id

    def words(self) -> range:
        """Return the positions of the words that the hit explains."""
        return range(self.start, self.end)

    def spans(self, other: Hit) -> bool:
        """Tell whether this hit stands on the words of the other and on more."""
        return set(self.words()) > set(other.words())

    def covers(self, other: Hit) -> bool:
        """Tell whether this hit explains the words of the other and more."""
        return (
            self.start <= other.start
            and other.end <= self.end
            and (self.end - self.start, len(self.alias.name))
            > (other.end - other.start, len(other.alias.name))
        )


def aliases_of(profile: GameProfile) -> Iterable[Alias]:
    """Yield every name by which a profile can be found."""
    own = () if profile.kind is ProfileKind.DEFAULT else (profile.name, profile.id)
    groups = (
        (2, (*own, *profile.aliases.names)),
        (1, profile.aliases.leagues),
        (0, profile.aliases.whole_text),
    )
    for rank, texts in groups:
        for text in texts:
            name = normalize(text)
            if name:
                yield Alias(profile.id, text, name, compact(name), rank, name.count(" ") + 1)


class ExactFinder:
    """Finds names that stand in a text letter by letter."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._by_name: dict[str, list[Alias]] = {}
        self._by_joined: dict[str, list[Alias]] = {}
        self._unspaced: list[Alias] = []
        self._longest = 1
        for alias in aliases:
            self._longest = max(self._longest, alias.words)
            self._by_joined.setdefault(alias.joined, []).append(alias)
            if alias.rank == 0:
                continue
            self._by_name.setdefault(alias.name, []).append(alias)
            if is_unspaced(alias.name):
                self._unspaced.append(alias)

    def hits(self, words: list[str]) -> Iterator[Hit]:
        """Yield every alias that is the whole of a normalised text, or stands within it."""
        wholes = {
            "".join(without_noise(words)): WITHOUT_NOISE,
            "".join(without_numbers(words)): WITHOUT_NOISE,
            "".join(words): WHOLE,
        }
        for joined, score in wholes.items():
            for alias in self._by_joined.get(joined, ()):
                yield Hit(alias, score, 0, len(words))
        letters = sum(map(len, words))
        for alias, start, end in self._within(words):
            yield Hit(alias, _WITHIN + 0.1 * min(1.0, len(alias.joined) / letters), start, end)

    def _within(self, words: list[str]) -> Iterator[tuple[Alias, int, int]]:
        for start, end in _runs(words, self._longest):
            for alias in self._by_name.get(" ".join(words[start:end]), ()):
                yield alias, start, end
        for position, word in enumerate(words):
            for alias in self._by_joined.get(word, ()):
                if alias.rank > 0 and alias.words > 1:
                    yield alias, position, position + 1
            for alias in self._unspaced:
                if alias.name in word:
                    yield alias, position, position + 1


class TypoFinder:
    """Finds the names that come within a few typos of words of a text.

    Distances are optimal string alignments: a letter lost, added, changed or swapped counts one.
    """

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._aliases = [
            alias
            for alias in aliases
            if alias.rank > 0
            and len(alias.joined) >= _MIN_TYPO_LENGTH
            and not is_unspaced(alias.joined)
        ]
        self._names = [alias.joined for alias in self._aliases]
        self._longest = 1 + max((alias.words for alias in self._aliases), default=0)

    def hits(self, words: list[str]) -> Iterator[Hit]:
        """Yield every alias near any run of the words; words may be joined or split by mistake."""
        for start, end in _runs(words, self._longest):
            yield from self._hits_at(words, start, end)

    def _hits_at(self, words: list[str], start: int, end: int) -> Iterator[Hit]:
        piece = "".join(words[start:end])
        near = process.extract_iter(
            piece, self._names, scorer=OSA.distance, score_cutoff=_allowed_typos(len(piece))
        )
        factor = _TYPO_WHOLE if end - start == len(words) else _TYPO_WITHIN
        for name, distance, index in near:
            alias = self._aliases[index]
            if abs(alias.words - (end - start)) <= 1 and distance <= _allowed_typos(len(name)):
                score = factor * (1 - distance / max(len(name), len(piece)))
                yield Hit(alias, score, start, end)


def _allowed_typos(length: int) -> int:
    """One edit from 5 letters, two from 8, three from 13: about the rate of hasty typing."""
    return 0 if length < _MIN_TYPO_LENGTH else 1 + (length >= 8) + (length >= 13)  # noqa: PLR2004


def _runs(words: list[str], longest: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of every run of at most `longest` words."""
    for start in range(len(words)):
        for end in range(start + 1, min(start + longest, len(words)) + 1):
            yield start, end
