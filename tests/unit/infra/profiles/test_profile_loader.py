"""Problems in profile files are told by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.profiles.documents import InvalidProfilesError
from infra.profiles.store import load_catalog, read_document

DEFAULT = "name: General\nkind: default\n"


def refusal(directory: Path, **files: str) -> str:
    for name, text in {"default": DEFAULT, **files}.items():
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidProfilesError) as caught:
        load_catalog(directory)
    return str(caught.value).replace(f"{directory.name}/", "")


def test_an_unknown_key_names_file_line_and_nearest_key(tmp_path: Path) -> None:
    text = "extends: default\nname: A\nkind: sport\nclip:\n  pre_role: 2\n"
    assert refusal(tmp_path, a=text) == (
        "a.yaml:5: clip.pre_role: unknown key `pre_role`; did you mean `pre_roll`?"
    )


def test_an_inherited_mistake_names_the_parents_line(tmp_path: Path) -> None:
    parent = "name: A\nkind: sport\nthresholds:\n  standard: 0.99\n"
    child = "extends: a\nname: B\nkind: sport\n"
    assert refusal(tmp_path, a=parent, b=child).startswith("a.yaml:3: thresholds: ")


def test_every_problem_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    words = refusal(tmp_path, a="name: A\nkind: spor\n", b="name: B\nkind: sport\nclipp: {}\n")
    assert words.count("\n") == 1
    assert "a.yaml:2: kind" in words
    assert "b.yaml:3: clipp" in words


def test_a_problem_inside_a_list_names_the_items_line(tmp_path: Path) -> None:
    text = "name: A\nkind: sport\naliases:\n  names:\n    - fine\n    - no\n"
    assert refusal(tmp_path, a=text).startswith("a.yaml:6: aliases.names.1: should be a valid str")


def test_a_missing_field_is_reported_at_the_top(tmp_path: Path) -> None:
    assert refusal(tmp_path, a="extends: default\n") == (
        "a.yaml:1: `name` and `kind` must be given"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: A\nname: B\n", "a.yaml:2: name: is given twice, first on line 1"),
        ("name: [A\n", "a.yaml:2: is not valid YAML"),
        ("- a\n", "a.yaml:1: must be a mapping"),
        ("", "a.yaml:1: must be a mapping"),
        ("name: A\n1: b\n", "a.yaml:2: 1: keys are text"),
        ("name: &x A\nkind: *x\n", "a.yaml:1: kind: YAML anchors and aliases are not used"),
        ("tags: &t {a: *t}\n", "anchors and aliases are not used"),
        ("name: !!python/object:os.system {}\n", "is not valid YAML"),
        ("x: " + "a" * (257 << 10), "is larger than 262144 bytes"),
    ],
)
def test_what_yaml_or_its_freedoms_break_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert words.split(": ", 1)[-1] in refusal(tmp_path, a=text)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8),
        st.recursive(
            st.integers() | st.text(max_size=8) | st.booleans(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1), inner)
            ),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_what_is_written_as_yaml_is_read_back(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data)
    read, lines = read_document(text.encode(), source="a.yaml")
    assert read == data
    assert all(1 <= line <= text.count("\n") for line in lines.values())
