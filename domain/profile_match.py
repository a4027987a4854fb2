"""Which profile a text speaks of: a game, league, team or title as people type it.

Exact names are looked for first, then names with a few typos. Whatever stays unclear falls back
to `default`, and the match says why: a wrong profile costs more than a general one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from domain.betting_words import without_betting_words
from domain.game_name import normalize, split_digits, without_noise
from domain.model import Model
from domain.name_hit import (
    WHOLE,
    WITHOUT_NOISE,
    ExactFinder,
    Hit,
    TypoFinder,
    aliases_of,
)
from domain.profile import DEFAULT_PROFILE, GameProfile, ProfileKind

CONFIDENT: Final = 0.78
"""Score from which a match is acted upon; set on `tests/unit/domain/data/game_names.csv`."""

AMBIGUOUS: Final = 0.05
"""Two profiles whose scores lie closer than this cannot be told apart by typos."""

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
    """Which profile was found for a text, how surely, and why.

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


class NameIndex:
    """The aliases of a set of profiles, ready to be searched."""

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
        """Find the profile that `text` speaks of; the same for any case, spacing and accents."""
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
            reason = f"it names “{known.alias.text}”, which has no profile of its own"
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
            reason = f"it seems to name “{hit.alias.text}”, which has no profile of its own"
            return _fallback(text, best, reason)
        return self._found(
            text, hit, f"it resembles “{hit.alias.text}” ({hit.score:.0%})", best[1:]
        )

    def _by_longer_typo(self, text: str, words: list[str], hits: list[Hit]) -> ProfileMatch | None:
        """Settle an unclear word by the misspelt longer name around it: "americn football"."""
        longer = [near for near in self._near_hits(words) if all(near.spans(h) for h in hits)]
        best = _best_by_profile(longer)
        if len(best) != 1 or best[0].score < CONFIDENT:
            return None
        hit = best[0]
        return self._found(text, hit, f"it resembles “{hit.alias.text}” ({hit.score:.0%})", hits)

    def _exact_hits(self, words: list[str]) -> list[Hit]:
        spaced = split_digits(" ".join(words)).split()
        readings = [words] if spaced == words else [words, spaced]
        return [hit for reading in readings for hit in self._exact.hits(reading)]

    def _near_hits(self, words: list[str]) -> list[Hit]:
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

    def _found(self, text: str, hit: Hit, why: str, others: Iterable[Hit] = ()) -> ProfileMatch:
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
            return match.model_copy(update={"reason": reason})
        reason = f"{match.reason}; “{word}” asks for its betting variant"
        return match.model_copy(update={"profile_id": variant, "reason": reason})


def _settle(hits: list[Hit]) -> list[Hit]:
    """Drop what a longer name explains, then leagues where a game is named."""
    kept = [hit for hit in hits if not any(other.covers(hit) for other in hits)]
    whole = [hit for hit in kept if hit.score == WHOLE]
    if whole:
        return whole
    named = [hit for hit in kept if hit.alias.rank != 1]
    return named or kept


def _explaining_most(hits: list[Hit], best: list[Hit]) -> Hit | None:
    """Return the best hit of the one profile that explains all that others do and more, if any."""
    explained = {
        hit.profile_id: {i for h in hits if h.profile_id == hit.profile_id for i in h.words()}
        for hit in best
    }
    for hit in best:
        own = explained[hit.profile_id]
        if all(own > words for profile, words in explained.items() if profile != hit.profile_id):
            return hit
    return None


def _best_by_profile(hits: Iterable[Hit]) -> list[Hit]:
    best: dict[str, Hit] = {}
    for hit in hits:
        if hit.profile_id not in best or hit.score > best[hit.profile_id].score:
            best[hit.profile_id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.profile_id))


def _fallback(text: str, best: list[Hit], why: str) -> ProfileMatch:
    return ProfileMatch(
        query=text,
        profile_id=DEFAULT_PROFILE,
        score=round(best[0].score, 3) if best else 0.0,
        alias=best[0].alias.text if best else None,
        reason=f"the general profile, since {why}",
        fallback=True,
        alternatives=_alternatives(best),
    )


def _alternatives(hits: Iterable[Hit]) -> tuple[Alternative, ...]:
    others = [hit for hit in hits if hit.profile_id != DEFAULT_PROFILE][:_ALTERNATIVES]
    return tuple(
        Alternative(profile_id=h.profile_id, score=round(h.score, 3), alias=h.alias.text)
        for h in others
    )


def _list(hits: list[Hit]) -> str:
    return " or ".join(f"{hit.profile_id} (“{hit.alias.text}”)" for hit in hits)
