"""How people say, in several languages, that they mean to bet."""

from __future__ import annotations

from typing import Final

from domain.game_name import is_unspaced, normalize

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
_UNSPACED: Final = tuple(p[0] for p in _PHRASES if len(p) == 1 and is_unspaced(p[0]))
_JOINERS: Final = frozenset({"on", "na", "на", "de", "di", "of", "for", "the", "sur", "auf", "su"})


def without_betting_words(words: list[str]) -> tuple[list[str], str | None]:
    """Return normalised words without those about betting, and the first such phrase, if any.

    A text like "odds on the Lakers" thus leaves "Lakers" to be recognised.
    """
    rest, found = list(words), None
    for phrase in _PHRASES:
        for start in range(len(rest) - len(phrase), -1, -1):
            if tuple(rest[start : start + len(phrase)]) == phrase:
                del rest[start : start + len(phrase)]
                found = " ".join(phrase)
    for sign in _UNSPACED:
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
