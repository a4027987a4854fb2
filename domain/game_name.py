"""Names of games as people type them, brought to a form in which they can be compared."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

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

_SPLIT: Final = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])")


def normalize(text: str) -> str:
    """Return lower-case words, single-spaced, with diacritics and punctuation taken away."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_FOLDS))
    bare = "".join(c for c in folded if not unicodedata.combining(c))
    recomposed = unicodedata.normalize("NFKC", bare).casefold().translate(_FOLDS)
    return " ".join(_NOT_WORD.sub(" ", _without_apostrophes(recomposed)).split())


def compact(name: str) -> str:
    """Return a normalised name without its spaces: "rocket league" and "rocketleague" agree."""
    return name.replace(" ", "")


def without_noise(words: list[str]) -> list[str]:
    """Return the words that may name something: no numbers and no words of broadcasting."""
    return [word for word in without_numbers(words) if word not in NOISE]


def without_numbers(words: list[str]) -> list[str]:
    """Return the words that are not bare numbers, such as years and episodes."""
    return [word for word in words if not word.isdigit()]


def is_unspaced(name: str) -> bool:
    """Tell whether a name is in a script that does not set words apart."""
    return bool(_UNSPACED.search(name))


def split_digits(name: str) -> str:
    """Return a name with digits set apart from letters: "nba2k24" is "nba 2 k 24"."""
    return _SPLIT.sub(" ", name)


def _without_apostrophes(text: str) -> str:
    return text.replace("'", "").replace("\u2019", "")


NOISE: Final = frozenset(normalize(word) for word in _NOISE.split())
"""Words that stand around a name without naming anything."""
