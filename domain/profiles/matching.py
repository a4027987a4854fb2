"""Matching of free text to game profiles: a game, league, team or title as people type it.

Exact names are searched first, then names with a few typos. Unclear matches fall back to `default`
with an explanation, because a wrong profile costs more than a general one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from domain.model import Model
from domain.profiles.model import DEFAULT_PROFILE, GameProfile, ProfileKind

_FOLDS: Final = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
        "æ": "ae",
        "œ": "oe",
        "&": " and ",
    }
)


_NOT_WORD: Final = re.compile(r"[\W_]+")


_UNSPACED: Final = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Thai, kana, Chinese characters and Hangul: scripts in which words are not set apart."""


_NOISE: Final = """
    a an and at by clip clips day ep episode final finals first full game games gameplay grand
    group hd highlights in la leg live match matchday matches of official on part playoff playoffs
    quarter quarterfinal quarterfinals ranked replay round season semi semifinal semifinals set
    stage stream streaming the tonight today v video vs watch week with
    en vivo ao vivo directo partido partida jogo direct diretta partita spiel maç
    матч финал прямая трансляция эфир онлайн обзор смотреть игра
"""


_PLAYED: Final = frozenset({"gameplay", "ladder", "ranked", "scrims", "scrim"})
"""Words that follow the name of a game: a short name before one is a game ("apex ranked")."""


_SPLIT: Final = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")


def normalize(text: str) -> str:
    """Return lower-case words separated by single spaces, without diacritics and punctuation."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_FOLDS))
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    recomposed = unicodedata.normalize("NFKC", bare).casefold().translate(_FOLDS)
    return " ".join(_NOT_WORD.sub(" ", _without_apostrophes(recomposed)).split())


def compact(name: str) -> str:
    """Return a normalized name without spaces: "rocket league" equals "rocketleague"."""
    return name.replace(" ", "")


def without_noise(words: list[str]) -> list[str]:
    """Return the words that may be names: without numbers and broadcasting terms."""
    return [word for word in without_numbers(words) if word not in NOISE]


def without_numbers(words: list[str]) -> list[str]:
    """Return the words that are not bare numbers, such as years and episodes."""
    return [word for word in words if not word.isdigit()]


def is_unspaced(name: str) -> bool:
    """Return True if the name is in a script that does not separate words."""
    return bool(_UNSPACED.search(name))


def split_digits(name: str) -> str:
    """Return a name with digits separated from letters: "nba2k24" is "nba 2 k 24"."""
    return _SPLIT.sub(" ", name)


def _without_apostrophes(text: str) -> str:
    return text.replace("'", "").replace("\u2019", "")


NOISE: Final = frozenset(normalize(word) for word in _NOISE.split())
"""Words that stand around a name without naming anything."""


_WORDS: Final = """
bet, bets, betting, bettor, odds, wager, wagers, wagering, sportsbook, bookmaker, bookmakers,
bookie, bookies, handicap, parlay, punting, gambling, over under, in play betting, live odds,
ставка, ставки, букмекер, ставки на, apuesta, apuestas, casa de apuestas, cuotas, apostas, aposta,
paris sportifs, pari sportif, cotes, wetten, wette, sportwetten, quoten, scommesse, quote calcio,
bahis, iddaa, zaklady, zaklady bukmacherskie, pariuri, vadslagning, vedonlyonti, στοιχημα,
投注, 博彩, 赔率, 下注, ベッティング, 賭け, オッズ, 배팅, 베팅, رهان, مراهنات, الرهان, सट्टा
"""


_PHRASES: Final = sorted(
    {tuple(normalize(phrase).split()) for phrase in _WORDS.split(",") if normalize(phrase)},
    key=lambda phrase: (-len(phrase), phrase),
)


_UNSPACED_TERMS: Final = tuple(p[0] for p in _PHRASES if len(p) == 1 and is_unspaced(p[0]))


_JOINERS: Final = frozenset({"on", "na", "на", "de", "di", "of", "for", "the", "sur", "auf", "su"})


def without_betting_words(words: list[str]) -> tuple[list[str], str | None]:
    """Return normalized words without betting terms, and the first such term, if any.

    So "odds on the Lakers" leaves "Lakers" to be matched.
    """
    rest, found = list(words), None
    for phrase in _PHRASES:
        for start in range(len(rest) - len(phrase), -1, -1):
            if tuple(rest[start : start + len(phrase)]) == phrase:
                del rest[start : start + len(phrase)]
                found = " ".join(phrase)
    for sign in _UNSPACED_TERMS:
        if any(sign in word for word in rest):
            rest = [piece for word in rest for piece in word.replace(sign, " ").split()]
            found = sign
    if found is None:
        return list(words), None
    while rest and rest[0] in _JOINERS:
        rest.pop(0)
    while rest and rest[-1] in _JOINERS:
        rest.pop()
    return rest, found


WHOLE: Final = 1.0


WITHOUT_NOISE: Final = 0.98


_WITHIN: Final = 0.88


_TYPO_WHOLE: Final = 0.98


_TYPO_WITHIN: Final = 0.9


_MIN_TYPO_LENGTH: Final = 5
"""Shorter names have too many neighbours: "nba", "nbl" and "nfl" are one edit apart."""


class Alias(NamedTuple):
    """One name of a profile: as written, normalized, and without spaces."""

    profile_id: str
    text: str
    name: str
    joined: str
    rank: int  # 0: whole text only, 1: leagues and teams, 2: the game's own name
    words: int


class AliasHit(NamedTuple):
    """An alias found at the words `start`..`end` (exclusive) of a text; `score` in [0, 1]."""

    alias: Alias
    score: float
    start: int
    end: int

    @property
    def profile_id(self) -> str:
        """The profile that the alias belongs to."""
        return self.alias.profile_id

    def words(self) -> range:
        """Return the positions of the matched words."""
        return range(self.start, self.end)

    def spans(self, other: AliasHit) -> bool:
        """Return True if this hit covers the words of the other and more."""
        return set(self.words()) > set(other.words())

    def covers(self, other: AliasHit) -> bool:
        """Return True if this hit explains the words of the other and more."""
        return (
            self.start <= other.start
            and other.end <= self.end
            and (self.end - self.start, len(self.alias.name))
            > (other.end - other.start, len(other.alias.name))
        )


def aliases_of(profile: GameProfile) -> Iterable[Alias]:
    """Yield every name of a profile."""
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
    """Finds names that occur literally in a text."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._by_name: dict[str, list[Alias]] = {}
        self._by_joined: dict[str, list[Alias]] = {}
        self._short: dict[str, list[Alias]] = {}
        self._unspaced: list[Alias] = []
        self._longest = 1
        for alias in aliases:
            self._longest = max(self._longest, alias.words)
            self._by_joined.setdefault(alias.joined, []).append(alias)
            if alias.rank == 0:
                self._short.setdefault(alias.name, []).append(alias)
                continue
            self._by_name.setdefault(alias.name, []).append(alias)
            if is_unspaced(alias.name):
                self._unspaced.append(alias)

    def hits(self, words: list[str]) -> Iterator[AliasHit]:
        """Yield every alias that equals a normalized text or occurs in it."""
        wholes = {
            "".join(without_noise(words)): WITHOUT_NOISE,
            "".join(without_numbers(words)): WITHOUT_NOISE,
            "".join(words): WHOLE,
        }
        for joined, score in wholes.items():
            for alias in self._by_joined.get(joined, ()):
                yield AliasHit(alias, score, 0, len(words))
        letters = sum(map(len, words))
        for alias, start, end in self._within(words):
            yield AliasHit(alias, _WITHIN + 0.1 * min(1.0, len(alias.joined) / letters), start, end)

    def _within(self, words: list[str]) -> Iterator[tuple[Alias, int, int]]:
        for start, end in _runs(words, self._longest):
            for alias in self._by_name.get(" ".join(words[start:end]), ()):
                yield alias, start, end
            if end < len(words) and words[end] in _PLAYED:
                for alias in self._short.get(" ".join(words[start:end]), ()):
                    yield alias, start, end
        for position, word in enumerate(words):
            for alias in self._by_joined.get(word, ()):
                if alias.rank > 0 and alias.words > 1:
                    yield alias, position, position + 1
            for alias in self._unspaced:
                if alias.name in word:
                    yield alias, position, position + 1


class TypoFinder:
    """Finds names within a few typos of words of a text.

    The distance is optimal string alignment: a letter missing, added, changed or swapped counts
    one.
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

    def hits(self, words: list[str]) -> Iterator[AliasHit]:
        """Yield every alias near any run of the words; words may be wrongly joined or split."""
        for start, end in _runs(words, self._longest):
            yield from self._hits_at(words, start, end)

    def _hits_at(self, words: list[str], start: int, end: int) -> Iterator[AliasHit]:
        piece = "".join(words[start:end])
        near = process.extract_iter(
            piece, self._names, scorer=OSA.distance, score_cutoff=_allowed_typos(len(piece))
        )
        factor = _TYPO_WHOLE if end - start == len(words) else _TYPO_WITHIN
        for name, distance, index in near:
            alias = self._aliases[index]
            if abs(alias.words - (end - start)) <= 1 and distance <= _allowed_typos(len(name)):
                score = factor * (1 - distance / max(len(name), len(piece)))
                yield AliasHit(alias, score, start, end)


def _allowed_typos(length: int) -> int:
    """Return the allowed edits: one from 5 letters, two from 8, three from 13."""
    return 0 if length < _MIN_TYPO_LENGTH else 1 + (length >= 8) + (length >= 13)  # noqa: PLR2004


def _runs(words: list[str], longest: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of every run of at most `longest` words."""
    for start in range(len(words)):
        for end in range(start + 1, min(start + longest, len(words)) + 1):
            yield start, end


CONFIDENT: Final = 0.78
"""Score from which a match is acted upon; set on `tests/unit/domain/data/game_names.csv`."""


AMBIGUOUS: Final = 0.05
"""If the scores of two profiles differ by less than this, a typo makes the match ambiguous."""


MAX_TEXT: Final = 200
"""Characters of a text that are read; a longer one is a description, not a name."""


MAX_WORDS: Final = 24
"""Words of a text that are read."""


_ALTERNATIVES: Final = 3


class Alternative(Model):
    """A profile that was considered too; `score` in [0, 1]."""

    profile_id: str
    score: float
    alias: str


class ProfileMatch(Model):
    """The profile that matches a text, how well, and why.

    Attributes:
        query: the text as given.
        profile_id: the profile to use.
        score: 0 to 1, how well the alias fits the text; for a fallback, that of the best rejected.
        alias: the alias that was found, None when nothing was.
        reason: the explanation in words.
        fallback: `default` is used because nothing was found, or nothing for certain.
        alternatives: other profiles considered, best first.
        notes: what else to know, such as an override that was left out.
    """

    query: str
    profile_id: str
    score: float
    alias: str | None = None
    reason: str
    fallback: bool = False
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()

    def replace(
        self,
        *,
        profile_id: str | None = None,
        reason: str | None = None,
        notes: tuple[str, ...] | None = None,
    ) -> ProfileMatch:
        """Return a copy with the given fields changed; None leaves a field as it is."""
        return ProfileMatch(
            query=self.query,
            profile_id=self.profile_id if profile_id is None else profile_id,
            score=self.score,
            alias=self.alias,
            reason=self.reason if reason is None else reason,
            fallback=self.fallback,
            alternatives=self.alternatives,
            notes=self.notes if notes is None else notes,
        )


class NameIndex:
    """Search index of the aliases of a set of profiles."""

    def __init__(self, profiles: Iterable[GameProfile]) -> None:
        self._profiles = {profile.id: profile for profile in profiles}
        self._variants = {
            profile.extends: profile.id
            for profile in self._profiles.values()
            if profile.kind is ProfileKind.BETTING and profile.extends
        }
        aliases = sorted(
            {
                alias
                for profile in self._profiles.values()
                if profile.kind is not ProfileKind.BETTING
                for alias in aliases_of(profile)
            }
        )
        self._exact = ExactFinder(aliases)
        self._typos = TypoFinder(aliases)

    def match(self, text: str) -> ProfileMatch:
        """Find the profile that `text` refers to, ignoring case, spacing and accents."""
        if text.strip() in self._profiles:
            return self._by_id(text)
        words = normalize(text[:MAX_TEXT]).split()[:MAX_WORDS]
        subject, betting_word = without_betting_words(words)
        match = self._match_subject(text, subject)
        return match if betting_word is None else self._as_betting(match, betting_word)

    def _match_subject(self, text: str, words: list[str]) -> ProfileMatch:
        if not words:
            return _fallback(text, [], "nothing in it names a game")
        hits = _settle(self._exact_hits(words))
        if not hits:
            return self._by_typos(text, words)
        best = _best_by_profile(hits)
        if any(hit.profile_id == DEFAULT_PROFILE for hit in hits):
            known = next(hit for hit in hits if hit.profile_id == DEFAULT_PROFILE)
            reason = f"it names “{known.alias.text}”, which has no profile"
            return _fallback(text, best, reason)
        hit = _explaining_most(hits, best)
        if hit is None:
            return self._by_longer_typo(text, words, hits) or _fallback(
                text, best, f"it could mean {_list(best)}"
            )
        what = "is" if hit.score >= WITHOUT_NOISE else "contains"
        return self._found(text, hit, f"it {what} “{hit.alias.text}”")

    def _by_typos(self, text: str, words: list[str]) -> ProfileMatch:
        best = _best_by_profile(self._near_hits(words))
        if not best:
            return _fallback(text, [], "nothing in it resembles a known name")
        hit = best[0]
        if hit.score < CONFIDENT:
            reason = f"the nearest name, “{hit.alias.text}”, is not near enough"
            return _fallback(text, best, reason)
        rivals = [other for other in best[1:] if hit.score - other.score < AMBIGUOUS]
        if rivals:
            return _fallback(text, best, f"it is as near to {_list([hit, *rivals])}")
        if hit.profile_id == DEFAULT_PROFILE:
            reason = f"it seems to name “{hit.alias.text}”, which has no profile"
            return _fallback(text, best, reason)
        return self._found(
            text, hit, f"it resembles “{hit.alias.text}” ({hit.score:.0%})", best[1:]
        )

    def _by_longer_typo(
        self, text: str, words: list[str], hits: list[AliasHit]
    ) -> ProfileMatch | None:
        """Resolve an ambiguous word by the misspelled longer name around it: "americn football"."""
        longer = [near for near in self._near_hits(words) if all(near.spans(h) for h in hits)]
        best = _best_by_profile(longer)
        if len(best) != 1 or best[0].score < CONFIDENT:
            return None
        hit = best[0]
        return self._found(text, hit, f"it resembles “{hit.alias.text}” ({hit.score:.0%})", hits)

    def _exact_hits(self, words: list[str]) -> list[AliasHit]:
        spaced = split_digits(" ".join(words)).split()
        readings = [words] if spaced == words else [words, spaced]
        return [hit for reading in readings for hit in self._exact.hits(reading)]

    def _near_hits(self, words: list[str]) -> list[AliasHit]:
        named = without_noise(words)
        readings = [words] if named in ([], words) else [words, named]
        return [hit for reading in readings for hit in self._typos.hits(reading)]

    def _by_id(self, text: str) -> ProfileMatch:
        profile = self._profiles[text.strip()]
        return ProfileMatch(
            query=text,
            profile_id=profile.id,
            score=WHOLE,
            alias=profile.id,
            reason=f"{profile.name}: it is the profile's id",
        )

    def _found(
        self, text: str, hit: AliasHit, why: str, others: Iterable[AliasHit] = ()
    ) -> ProfileMatch:
        return ProfileMatch(
            query=text,
            profile_id=hit.profile_id,
            score=round(hit.score, 3),
            alias=hit.alias.text,
            reason=f"{self._profiles[hit.profile_id].name}: {why}",
            alternatives=_alternatives(others),
        )

    def _as_betting(self, match: ProfileMatch, word: str) -> ProfileMatch:
        if match.fallback:
            return match
        variant = self._variants.get(match.profile_id)
        if variant is None:
            reason = f"{match.reason}; it has no betting variant, though “{word}” asks for one"
            return match.replace(reason=reason)
        reason = f"{match.reason}; “{word}” asks for its betting variant"
        return match.replace(profile_id=variant, reason=reason)


def _settle(hits: list[AliasHit]) -> list[AliasHit]:
    """Drop hits within longer names, then leagues if a game is named."""
    kept = [hit for hit in hits if not any(other.covers(hit) for other in hits)]
    whole = [hit for hit in kept if hit.score == WHOLE]
    if whole:
        return whole
    named = [hit for hit in kept if hit.alias.rank != 1]
    return named or kept


def _explaining_most(hits: list[AliasHit], best: list[AliasHit]) -> AliasHit | None:
    """Return the best hit of the one profile that explains more than all others, if any."""
    explained = {
        hit.profile_id: {i for h in hits if h.profile_id == hit.profile_id for i in h.words()}
        for hit in best
    }
    for hit in best:
        own = explained[hit.profile_id]
        if all(own > words for profile, words in explained.items() if profile != hit.profile_id):
            return hit
    return None


def _best_by_profile(hits: Iterable[AliasHit]) -> list[AliasHit]:
    best: dict[str, AliasHit] = {}
    for hit in hits:
        if hit.profile_id not in best or hit.score > best[hit.profile_id].score:
            best[hit.profile_id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.profile_id))


def _fallback(text: str, best: list[AliasHit], why: str) -> ProfileMatch:
    return ProfileMatch(
        query=text,
        profile_id=DEFAULT_PROFILE,
        score=round(best[0].score, 3) if best else 0.0,
        alias=best[0].alias.text if best else None,
        reason=f"the general profile, since {why}",
        fallback=True,
        alternatives=_alternatives(best),
    )


def _alternatives(hits: Iterable[AliasHit]) -> tuple[Alternative, ...]:
    others = [hit for hit in hits if hit.profile_id != DEFAULT_PROFILE][:_ALTERNATIVES]
    return tuple(
        Alternative(profile_id=h.profile_id, score=round(h.score, 3), alias=h.alias.text)
        for h in others
    )


def _list(hits: list[AliasHit]) -> str:
    return " or ".join(f"{hit.profile_id} (“{hit.alias.text}”)" for hit in hits)
