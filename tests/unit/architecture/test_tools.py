"""The tools count what they say: walks through the code, and differences of the document."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tools.openapi_diff import differences
from tools.structure import WALKS, WalkError, measure, read_checkout, read_walks, walk

ROOT = Path(__file__).parents[3]
FILES = {
    "api/a.py": "from app.b import Service\ndef route(service): service.start()",
    "app/b.py": "class Service:\n    def start(self): client.start('Flow')",
    "workflows/c.py": "class Flow:\n    def run(self): ...",
    "domain/d.py": "def unused(): ...",
}
TREES = {path: ast.parse(text) for path, text in FILES.items()}
IMPORTED = {"api/a.py": {"app/b.py"}, "app/b.py": set(), "workflows/c.py": set()} | {
    "domain/d.py": set()
}


def test_a_walk_counts_each_file_once_and_follows_imports_names_and_strings() -> None:
    steps = ["route", "Service", "Service.start", "Flow.run", "a.route"]
    assert walk("x", steps, TREES, IMPORTED) == ["api/a.py", "app/b.py", "workflows/c.py"]


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (["route", "unused"], "no earlier step leads to unused"),
        (["route", "Missing"], "Missing is defined in 0 files"),
    ],
)
def test_a_walk_that_skips_or_invents_a_step_is_refused(steps: list[str], problem: str) -> None:
    with pytest.raises(WalkError, match=problem):
        walk("x", steps, TREES, IMPORTED)


def test_a_step_of_some_revisions_only_may_be_missing() -> None:
    assert walk("x", ["route", "Missing?"], TREES, IMPORTED) == ["api/a.py"]


def test_a_walk_may_begin_with_another(tmp_path: Path) -> None:
    file = tmp_path / "walks.toml"
    file.write_text('[a]\nsteps = ["x"]\n[b]\nbefore = "a"\nsteps = ["y"]\n')
    assert read_walks(file) == {"a": ["x"], "b": ["y", "x"]}


@pytest.mark.parametrize("name", read_walks(WALKS))
def test_the_walks_of_this_checkout_can_be_counted(name: str) -> None:
    assert isinstance(COUNTS[f"walk {name}, files"], int), COUNTS[f"walk {name}, files"]


COUNTS = measure(read_checkout(ROOT))


def test_differences_of_texts_are_reported_separately() -> None:
    before = {
        "paths": {"/a": {"get": {"description": "One."}}},
        "enum": ["x", "y"],
        "properties": {"description": {"type": "string"}},
    }
    now = {
        "paths": {"/a": {"get": {"description": "Two."}}, "/b": {}},
        "enum": ["y", "x", "z"],
        "properties": {"description": {"type": "integer"}},
    }
    assert list(differences(before, before)) == []
    assert sorted(differences(before, now)) == [
        ('+ /enum: "z"', False),
        ("+ /paths/~1b: {}", False),
        ('~ /paths/~1a/get/description: "One." -> "Two."', True),
        ('~ /properties/description/type: "string" -> "integer"', False),
    ]
