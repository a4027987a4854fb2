"""Texts are written in plain American English: words that readers stumble over do not return.

In what tenants and operators read there is none of them. In comments and docstrings their number
may only fall: lower the limit when you remove some.
"""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.openapi import document

ROOT = Path(__file__).parents[3]
PRODUCT = ("activities", "api", "app", "domain", "infra", "workflows")
PAGES = [
    *(ROOT / name for name in ("README.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "howto").glob("*.md")),
]
LIMITS = {
    "told": 4,
    "whoever": 1,
    "nobody": 6,
    "anybody": 0,
    "somebody": 1,
    "anew": 2,
    "heed": 0,
    "tether": 0,
    "brought": 0,
    "strangers": 0,
    "of its own": 3,
    "come of": 0,
    "to be had": 2,
}
"""How often each may occur in the texts of product code."""
WORDS = re.compile(rf"\b(?:{'|'.join(LIMITS)})\b", re.IGNORECASE)


def found(text: str) -> Counter[str]:
    """Return how often each word occurs, line breaks and indents aside."""
    plain = " ".join(text.split())
    return Counter(word.lower() for word in WORDS.findall(plain))


def described() -> Iterator[tuple[str, str]]:
    """Yield the place and text of each description in the OpenAPI document."""

    def visit(node: object, place: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, dict):
            for name, value in node.items():
                if name in {"description", "summary"} and isinstance(value, str):
                    yield place, value
                yield from visit(value, f"{place}/{name}")
        elif isinstance(node, list):
            for number, value in enumerate(node):
                yield from visit(value, f"{place}/{number}")

    yield from visit(json.loads(json.dumps(document())), "")


def texts(source: str) -> str:
    """Return the comments and strings of a module."""
    return "\n".join(
        token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type in {tokenize.COMMENT, tokenize.STRING}
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_has_none_of_them(page: Path) -> None:
    assert found(page.read_text("utf-8")) == {}


def test_the_api_documents_itself_without_them() -> None:
    assert {place: words for place, text in described() if (words := found(text))} == {}


def test_their_number_in_code_only_falls() -> None:
    files = [file for package in PRODUCT for file in (ROOT / package).rglob("*.py")]
    total = sum((found(texts(file.read_text("utf-8"))) for file in files), Counter())
    more = {word: count for word, count in total.items() if count > LIMITS[word]}
    assert more == {}, "write it as an American engineer would"


def test_a_word_is_seen_over_a_line_break_and_a_name_is_not() -> None:
    words = found("Whoever is told\n   of its\n   own.")
    assert words == {"whoever": 1, "told": 1, "of its own": 1}
    assert found("untold retold_by brought_up") == {}
    assert texts("told = 1  # told\nx = 'anew'\n").split() == ["told", "'anew'"]
