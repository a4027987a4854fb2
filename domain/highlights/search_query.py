"""A text query as a tree: read from PostgreSQL's `tsquery`, changed by our rules, written back.

PostgreSQL reads what was typed (`websearch_to_tsquery`: words, "phrases", or, -not). The tree adds
other forms and corrections of each word, and gives the words that a row must hold, because only
single words find an index (docs/decisions/0015-search-under-row-security.md). What PostgreSQL's own
functions lack for this is in docs/decisions/0026-own-code.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

# A lexeme in quotes (doubled inside, as backslashes are), or an operator (PostgreSQL manual,
# 8.11.2).
_TOKEN: Final = re.compile(r"\s*(?:'((?:[^'\\]|''|\\.)*)'|<(-|\d+)>|([&|!()]))")


@dataclass(frozen=True)
class Word:
    """One word, in any of the forms in which it may be written."""

    text: str
    forms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Not:
    """What must not be there."""

    inner: Node


@dataclass(frozen=True)
class Pair:
    """Two parts joined by `&`, by `|`, or by `<->` and the like for words that follow."""

    operator: str
    left: Node
    right: Node


Node = Word | Not | Pair


class UnreadableQueryError(ValueError):
    """It is no `tsquery` as PostgreSQL writes it."""


def parse(text: str) -> Node | None:
    """Read a `tsquery`; None is the empty one.

    Raises:
        UnreadableQueryError: PostgreSQL did not write this.
    """
    tokens = list(_tokens(text))
    if not tokens:
        return None
    reader = _Reader(tokens)
    node = reader.level(0)
    if not reader.done:
        raise UnreadableQueryError(text)
    return node


def write(node: Node) -> str:
    """Return the `tsquery` of a tree."""
    match node:
        case Word(text, forms):
            return f"({' | '.join(_quoted(each) for each in forms or (text,))})"
        case Not(inner):
            return f"!{write(inner)}"
        case Pair(operator, left, right):
            return f"({write(left)} {operator} {write(right)})"


def words(node: Node, *, wanted_only: bool = False) -> tuple[str, ...]:
    """Return the words, each once; with `wanted_only` none of those that must not be there."""
    match node:
        case Word(text):
            return (text,)
        case Not(inner):
            return () if wanted_only else words(inner)
        case Pair(_, left, right):
            found = (*words(left, wanted_only=wanted_only), *words(right, wanted_only=wanted_only))
            return tuple(dict.fromkeys(found))


def with_forms(node: Node, forms: Mapping[str, tuple[str, ...]]) -> Node:
    """Return the tree with the forms of each word."""
    match node:
        case Word(text):
            return replace(node, forms=forms.get(text, (text,)))
        case Not(inner):
            return Not(with_forms(inner, forms))
        case Pair(operator, left, right):
            return Pair(operator, with_forms(left, forms), with_forms(right, forms))


def without(node: Node, dropped: frozenset[str]) -> Node:
    """Return the tree without words that say nothing, as far as others remain beside them.

    Phrases keep theirs: there the little words matter.
    """
    if not isinstance(node, Pair) or node.operator != "&":
        return node
    left, right = without(node.left, dropped), without(node.right, dropped)
    if isinstance(left, Word) and left.text in dropped:
        return right
    if isinstance(right, Word) and right.text in dropped:
        return left
    return Pair("&", left, right)


def needed(node: Node) -> tuple[frozenset[str], ...]:
    """Return sets of forms of each of which a row must hold one; none, if nothing is needed.

    They find rows and do not replace the query, which is stricter.
    """
    match node:
        case Word(text, forms):
            return (frozenset(forms or (text,)),)
        case Not():
            return ()
        case Pair("|", left, right):
            either = needed(left), needed(right)
            if not all(either):
                return ()
            return (_rarest(either[0]) | _rarest(either[1]),)
        case Pair(_, left, right):
            return tuple(dict.fromkeys((*needed(left), *needed(right))))


def _rarest(sets: tuple[frozenset[str], ...]) -> frozenset[str]:
    """Return the set that is likely to find least: long words are rare."""
    return max(sets, key=lambda forms: (min(map(len, forms)), sorted(forms)))


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, text = 0, text.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise UnreadableQueryError(text)
        lexeme, distance, operator = found.groups()
        if lexeme is not None:
            yield "word", re.sub(r"''|\\(.)", lambda m: m[1] or "'", lexeme)
        else:
            yield "operator", operator or f"<{distance}>"
        position = found.end()


# The loosest first: or, and, followed by.
_LEVELS: Final = ("|", "&", "<")


class _Reader:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def done(self) -> bool:
        return self._next == len(self._tokens)

    def level(self, depth: int) -> Node:
        if depth == len(_LEVELS):
            return self._single()
        node = self.level(depth + 1)
        while self._sees(_LEVELS[depth]):
            operator = self._take()[1]
            node = Pair(operator, node, self.level(depth + 1))
        return node

    def _single(self) -> Node:
        kind, value = self._take()
        if kind == "word":
            return Word(value)
        if value == "!":
            return Not(self._single())
        if value != "(":
            raise UnreadableQueryError(value)
        node = self.level(0)
        if self._take() != ("operator", ")"):
            raise UnreadableQueryError(value)
        return node

    def _sees(self, start: str) -> bool:
        if self.done:
            return False
        kind, value = self._tokens[self._next]
        return kind == "operator" and value.startswith(start)

    def _take(self) -> tuple[str, str]:
        if self.done:
            raise UnreadableQueryError("it ends too early")
        self._next += 1
        return self._tokens[self._next - 1]


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
