"""Phrasebooks are data: complete where they ship, and refused with advice where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.profiles.criteria import REPLAY
from infra.profiles.phrasebooks import (
    InvalidPhrasebookError,
    load_phrasebooks,
    shipped_phrasebooks,
)
from infra.profiles.store import load_shipped_catalog

ENGLISH = 'language: "en"\nhighlight: "Highlight"\n'


def test_ten_languages_ship() -> None:
    assert set(shipped_phrasebooks().by_language) >= {
        *("en", "es", "pt", "de", "fr", "it", "ar", "hi", "zh", "ja")
    }


def test_all_languages_name_the_same_kinds() -> None:
    books = shipped_phrasebooks().by_language
    assert {code: set(book.kinds) ^ set(books["en"].kinds) for code, book in books.items()} == {
        code: set() for code in books
    }


def test_every_phrase_names_something_that_a_profile_has() -> None:
    profiles = load_shipped_catalog().profiles.values()
    known = {tag for each in profiles for tag in (*each.all_tags(), *each.moments)}
    kinds = set(shipped_phrasebooks().find("en").kinds)
    assert kinds - known == {REPLAY, "loud_crowd", "excited_commentary", "fast_play"}


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("de", 'language: "fr"\nhighlight: "Temps fort"\n', "name the file after its language"),
        ("de", 'language: "de"\n', "highlight"),
        ("de", "language: [", "is not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, name: str, text: str, advice: str) -> None:
    (tmp_path / "en.yaml").write_text(ENGLISH)
    (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(InvalidPhrasebookError, match=advice) as refused:
        load_phrasebooks(tmp_path)
    assert f"{name}.yaml" in str(refused.value)


def test_english_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InvalidPhrasebookError, match="add it"):
        load_phrasebooks(tmp_path)
