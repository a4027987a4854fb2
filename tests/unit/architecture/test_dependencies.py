"""What is imported is asked for by name: else another package's next release may take it away."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[3]
SHIPPED = (
    *("activities", "api", "app", "domain", "game_configs", "infra", "migrations", "workflows"),
)
COMES_WITH = {
    "botocore": "boto3",
    "httpcore": "httpx",
    "httpx2": "google-genai",  # whose errors it lets through
    "pydantic_core": "pydantic",
    "redis": "limits",  # by its extra
    "starlette": "fastapi",
    "yarl": "aiohttp",  # whose URLs it takes
}
"""Modules that are part of what a package offers in its own interface."""


def imported(*packages: str) -> set[str]:
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return {module for file in files for module in _modules(file.read_text("utf-8"))}


def asked_for(*, extra: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"]]
    if extra is not None:
        asked += project["optional-dependencies"][extra]
    names = (re.match(r"[\w.-]+", each) for each in asked)
    return {_normalized(name.group()) for name in names if name}


def missing(packages: tuple[str, ...], asked: set[str], *, beside: str) -> set[str]:
    """Return what no dependency brings; `beside` is a folder of this repository."""
    homes = packages_distributions()
    foreign = imported(*packages) - set(sys.stdlib_module_names) - {*packages, "tldrtv_highlights"}
    return {
        module
        for module in foreign - COMES_WITH.keys() - {beside}
        if not asked & {_bare(home) for home in homes[module]}
    }


def test_every_imported_package_is_a_direct_dependency() -> None:
    assert missing(SHIPPED, asked_for(), beside="demo") == set(), "add them to pyproject.toml"


def test_what_the_demo_alone_imports_is_an_extra() -> None:
    assert missing(("demo",), asked_for(extra="demo"), beside="tools") == set()
    assert asked_for(extra="demo") - asked_for() == {"pillow"}


def test_the_wheel_holds_the_product_only() -> None:
    builder = WheelBuilder(str(ROOT))
    files = [each.distribution_path for each in builder.recurse_included_files()]
    assert {file.partition("/")[0] for file in files} == {*SHIPPED}


def test_what_comes_with_another_package_is_imported_and_that_one_asked_for() -> None:
    assert COMES_WITH.keys() - imported(*SHIPPED) == set(), (
        "no longer imported: take it off the list"
    )
    assert set(COMES_WITH.values()) - asked_for() == set()


def _modules(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in node.body
        for inner in ast.walk(each)
    }
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bare(distribution: str) -> str:
    """Name a distribution without the suffix that tells its major version: `typed-ffmpeg-v9`."""
    return re.sub(r"-v\d+$", "", _normalized(distribution))
