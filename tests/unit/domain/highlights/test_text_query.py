"""PostgreSQL's queries as trees: read, changed word by word, written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.highlights.search_query import (
    Node,
    Not,
    Pair,
    UnreadableQueryError,
    Word,
    needed,
    parse,
    with_forms,
    without,
    words,
    write,
)


def trees() -> st.SearchStrategy[Node]:
    return st.recursive(
        st.text(min_size=1).filter(str.strip).map(Word),
        lambda inner: (
            st.builds(Not, inner)
            | st.builds(Pair, st.sampled_from(["&", "|", "<->", "<2>"]), inner, inner)
        ),
        max_leaves=12,
    )


def read(text: str) -> Node:
    node = parse(text)
    assert node is not None
    return node


@given(trees())
def test_what_is_written_reads_as_the_same(tree: Node) -> None:
    assert parse(write(tree)) == tree


def test_operators_bind_as_in_postgresql() -> None:
    assert read("'a' | 'b' & !'c' <-> 'd'") == Pair(
        "|", Word("a"), Pair("&", Word("b"), Pair("<->", Not(Word("c")), Word("d")))
    )
    assert read("( 'a' | 'b' ) & 'c'") == Pair("&", Pair("|", Word("a"), Word("b")), Word("c"))


def test_nothing_is_no_tree() -> None:
    assert parse("") is None


@pytest.mark.parametrize("text", ["a", "'a", "'a' &", "( 'a'", "'a' 'b'", "& 'a'"])
def test_what_postgresql_would_not_write_is_refused(text: str) -> None:
    with pytest.raises(UnreadableQueryError):
        parse(text)


def test_excluded_words_are_not_wanted() -> None:
    tree = read("'goal' & !'penalty' & 'goal'")
    assert words(tree) == ("goal", "penalty")
    assert words(tree, wanted_only=True) == ("goal",)


def test_a_word_counts_in_any_of_its_forms() -> None:
    tree = with_forms(read("'goals' & !'saves'"), {"goals": ("goals", "goal")})
    assert write(tree) == "(('goals' | 'goal') & !('saves'))"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("'the' & 'goal'", "('goal')"),
        ("'the' & 'goal' & 'a'", "('goal')"),
        ("'the' & 'a'", "('a')"),
        ("'the'", "('the')"),
        ("'the' <-> 'goal'", "(('the') <-> ('goal'))"),
    ],
)
def test_words_that_say_nothing_are_dropped_beside_others(text: str, left: str) -> None:
    assert write(without(read(text), frozenset({"the", "a"}))) == left


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("'goal'", [{"goal"}]),
        ("'late' & 'goal'", [{"late"}, {"goal"}]),
        ("'late' <-> 'goal'", [{"late"}, {"goal"}]),
        ("'goal' & !'own'", [{"goal"}]),
        ("'goal' | 'penalty' & 'hit'", [{"goal", "penalty"}]),
        ("'goal' | !'own'", []),
        ("!'own'", []),
    ],
)
def test_what_a_row_must_hold(text: str, sets: list[set[str]]) -> None:
    assert list(map(set, needed(read(text)))) == sets


def holds(node: Node, row: frozenset[str]) -> bool:
    """Whether a row of these words matches, positions aside."""
    match node:
        case Word(text):
            return text in row
        case Not(inner):
            return not holds(inner, row)
        case Pair("|", left, right):
            return holds(left, row) or holds(right, row)
        case Pair(_, left, right):
            return holds(left, row) and holds(right, row)


LETTERS = st.sampled_from("abcd")
SMALL = st.recursive(
    LETTERS.map(Word),
    lambda inner: (
        st.builds(Not, inner) | st.builds(Pair, st.sampled_from(["&", "|"]), inner, inner)
    ),
    max_leaves=8,
)


@given(SMALL, st.frozensets(LETTERS))
def test_no_row_that_matches_lacks_what_is_needed(tree: Node, row: frozenset[str]) -> None:
    if holds(tree, row):
        assert all(row & words for words in needed(tree))
