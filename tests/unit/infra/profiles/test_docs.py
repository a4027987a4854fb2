"""What is generated from the profiles is current, and editors accept what we ship."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from domain.profiles.documents import profile_json_schema
from infra.profiles.store import load_shipped_catalog, shipped_directory
from tools.profile_docs import generated_files

ROOT = shipped_directory().parent
FILES = generated_files(load_shipped_catalog())


@pytest.mark.parametrize("path", sorted(FILES), ids=str)
def test_generated_files_are_current(path: Path) -> None:
    written = (ROOT / path).read_text(encoding="utf-8")
    assert written == FILES[path], "run `python -m tools.profile_docs`"


def test_no_page_is_left_of_a_profile_that_is_gone() -> None:
    pages = {path.relative_to(ROOT) for path in (ROOT / "docs/profiles").glob("*.md")}
    assert pages <= set(FILES)


@pytest.mark.parametrize("path", sorted(shipped_directory().glob("*.yaml")), ids=lambda p: p.stem)
def test_the_editors_schema_accepts_what_is_shipped(path: Path) -> None:
    validator = jsonschema_rs.validator_for(profile_json_schema())
    validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        {"clipp": {}},
        {"clip": {"pre_role": 2}},
        {"weights": {"rarety": 0.1}},
        {"moments": {"goal": {"word": "x"}}},
        {"id": "x"},
        {"kind": "game"},
    ],
    ids=json.dumps,
)
def test_the_editors_schema_refuses_what_the_loader_refuses(change: dict[str, object]) -> None:
    validator = jsonschema_rs.validator_for(profile_json_schema())
    assert validator.is_valid({"name": "A", "kind": "sport"})
    assert not validator.is_valid({"name": "A", "kind": "sport", **change})
