"""What a word that nobody wrote was probably meant to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

SUGGESTIONS: Final = 3
"""Words tried in place of a misspelt one."""

_SLIPS: Final = ((8, 2), (4, 1))
"""Slips (a letter wrong, missing, too many, or two swapped) allowed from so many letters on."""


def nearest(word: str, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """Return the words of the vocabulary that `word` may be a misspelling of, the nearest first.

    Nothing near is no suggestion; nor is anything near a number, where each digit counts, or a
    word of less than four letters, which is near too many others. Of words equally near those that
    begin and end as `word` does come first, since slips are made in the middle.
    """
    slips = next((slips for letters, slips in _SLIPS if len(word) >= letters), 0)
    if not slips or any(letter.isdigit() for letter in word):
        return ()
    found = process.extract(
        word, vocabulary, scorer=OSA.distance, score_cutoff=slips, limit=8 * SUGGESTIONS
    )
    ranked = sorted(
        (distance, -_same_ends(word, other), other) for other, distance, _ in found if other != word
    )
    return tuple(dict.fromkeys(other for _, _, other in ranked))[:SUGGESTIONS]


def _same_ends(one: str, other: str) -> int:
    return (one[0] == other[0]) + (one[-1] == other[-1])
