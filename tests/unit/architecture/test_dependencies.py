"""What is imported is asked for by name: else another package's next release may take it away."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHIPPED = (
    *("activities", "api", "app", "demo", "domain", "game_configs", "infra", "migrations"),
    "workflows",
)
COMES_WITH = {
    "httpcore": "httpx",
    "httpx2": "google-genai",  # whose errors it lets through
    "pydantic_core": "pydantic",
    "redis": "limits",  # by its extra
    "starlette": "fastapi",
}
"""Modules that are part of what a package offers in its own interface."""


def imported() -> set[str]:
    files = [file for package in SHIPPED for file in (ROOT / package).rglob("*.py")]
    return {module for file in files for module in _modules(file.read_text("utf-8"))}


def asked_for() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = (re.match(r"[\w.-]+", each) for each in project["dependencies"])
    return {_normalized(name.group()) for name in names if name}


def test_every_imported_package_is_a_direct_dependency() -> None:
    homes = packages_distributions()
    foreign = imported() - set(sys.stdlib_module_names) - {*SHIPPED, "tldrtv_highlights"}
    missing = {
        module
        for module in foreign - COMES_WITH.keys()
        if not asked_for() & {_bare(home) for home in homes[module]}
    }
    assert missing == set(), "add them to pyproject.toml"


def test_what_comes_with_another_package_is_imported_and_that_one_asked_for() -> None:
    assert COMES_WITH.keys() - imported() == set(), "no longer imported: take it off the list"
    assert set(COMES_WITH.values()) - asked_for() == set()


def _modules(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bare(distribution: str) -> str:
    """Name a distribution without the suffix that tells its major version: `typed-ffmpeg-v9`."""
    return re.sub(r"-v\d+$", "", _normalized(distribution))
