"""The house keeps its rules, and each rule catches whoever breaks it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.unit.architecture.lints import (
    Lint,
    impurity,
    nameless_file,
    sessions_without_tenant,
    sql_outside_repositories,
    unfinished,
    workflow_imports,
)

ROOT = Path(__file__).parents[3]
PACKAGES = (
    *("activities", "api", "app", "benchmarks", "clients", "demo", "domain", "game_configs"),
    *("infra", "migrations", "workflows"),
)
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
MAX_FILE_LINES = 800

LINTS = (
    impurity,
    sessions_without_tenant,
    sql_outside_repositories,
    workflow_imports,
    nameless_file,
    unfinished,
)
VIOLATIONS: list[tuple[Lint, str, str, str]] = [
    (impurity, "domain/x.py", "import time", "imports time"),
    (impurity, "domain/x.py", "from random import choice", "imports random"),
    (impurity, "domain/x.py", "from uuid import UUID, uuid4", "imports uuid4"),
    (impurity, "domain/x.py", "import uuid\nuuid.uuid4()", "calls uuid.uuid4()"),
    (impurity, "domain/x.py", "def f():\n    return datetime.now(UTC)", "x.py:2: calls datetime"),
    (impurity, "domain/x.py", "print('x')", "calls print()"),
    (impurity, "domain/a/x.py", "with open('x') as f: pass", "calls open()"),
    (
        sessions_without_tenant,
        "infra/x.py",
        "from sqlalchemy.ext.asyncio import async_sessionmaker",
        "Database.session(tenant_id)",
    ),
    (
        sessions_without_tenant,
        "infra/db/repositories/x.py",
        "from sqlalchemy import create_engine",
        "imports create_engine",
    ),
    (sql_outside_repositories, "api/x.py", "from sqlalchemy import select", "imports select"),
    (sql_outside_repositories, "api/x.py", "import sqlalchemy", "imports sqlalchemy"),
    (
        sql_outside_repositories,
        "activities/x.py",
        "async def f(session):\n    await session.execute('SELECT 1')",
        "x.py:2: calls .execute()",
    ),
    (workflow_imports, "workflows/x.py", "from infra.db.engine import Database", "infra.db.engine"),
    (workflow_imports, "workflows/x.py", "import infra", "imports infra"),
    (workflow_imports, "workflows/x.py", "from activities.clips import x", "activities.clips"),
    (workflow_imports, "workflows/x.py", "from activities import clips", "interfaces only"),
    (nameless_file, "domain/utils.py", "", "names no idea"),
    (nameless_file, "infra/clip_helper.py", "", "'helper'"),
    (nameless_file, "api/common/x.py", "", "'common'"),
    (unfinished, "api/x.py", "x = 1  # TODO later", "x.py:1"),
    (unfinished, "api/x.py", '"""Doc.\n\nFIXME: this.\n"""', "x.py:3"),
    (unfinished, "Makefile", "all: # XXX", "Makefile:1"),
]
ALLOWED: list[tuple[Lint, str, str]] = [
    (impurity, "domain/x.py", "from uuid import UUID, uuid5\nself.open()\nat = datetime.min"),
    (impurity, "infra/x.py", "import time\nprint(open('x'))"),
    (sessions_without_tenant, "infra/db/engine.py", "from sqlalchemy import create_engine"),
    (sessions_without_tenant, "api/x.py", "from sqlalchemy.ext.asyncio import AsyncSession"),
    (sql_outside_repositories, "api/x.py", "from sqlalchemy.ext.asyncio import AsyncSession"),
    (sql_outside_repositories, "infra/db/repositories/x.py", "from sqlalchemy import select"),
    (workflow_imports, "workflows/x.py", "from activities.interfaces import Clips"),
    (workflow_imports, "workflows/x.py", "from activities import interfaces"),
    (nameless_file, "infra/manageable.py", ""),
    (unfinished, "api/x.py", "TODO = 1  # a name"),
]


def modules() -> list[tuple[str, str]]:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in files]


def build_files() -> list[tuple[str, str]]:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    ours = Path(__file__).parent  # which has to name what it forbids
    names = [ROOT / "Makefile", *(file for file in tests if not file.is_relative_to(ours))]
    return [(file.relative_to(ROOT).as_posix(), file.read_text("utf-8")) for file in names]


@pytest.mark.parametrize("lint", LINTS, ids=lambda lint: lint.__name__)
def test_the_house_keeps_its_rules(lint: Lint) -> None:
    assert [complaint for path, text in modules() for complaint in lint(path, text)] == []


def test_tests_and_build_files_are_finished_too() -> None:
    complaints = [each for path, text in build_files() for each in unfinished(path, text)]
    assert complaints == []


def test_there_is_a_house_to_look_at() -> None:
    paths = [path for path, _ in modules()]
    assert {path.partition("/")[0] for path in paths} == set(PACKAGES)


@pytest.mark.parametrize(("lint", "path", "text", "complaint"), VIOLATIONS)
def test_a_broken_rule_is_seen(lint: Lint, path: str, text: str, complaint: str) -> None:
    (found,) = lint(path, text)
    assert complaint in found
    assert found.startswith(path)


@pytest.mark.parametrize(("lint", "path", "text"), ALLOWED)
def test_what_is_allowed_is_not_complained_of(lint: Lint, path: str, text: str) -> None:
    assert lint(path, text) == []


def test_every_rule_is_tried() -> None:
    assert {lint for lint, *_ in VIOLATIONS} == set(LINTS)


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    too_long = {path for path, text in modules() if text.count("\n") > MAX_FILE_LINES}
    assert too_long == set(), f"over {MAX_FILE_LINES} lines: split it by noun"


def test_packages_import_only_what_their_contracts_allow() -> None:
    assert lint_imports(ROOT) == ""


def test_an_import_against_the_arrows_is_seen(tmp_path: Path) -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    named = {*rules["root_packages"]}
    for contract in rules["contracts"]:
        named |= {*contract["source_modules"], *contract["forbidden_modules"]}
    for module in named:
        if module.split(".")[0] in rules["root_packages"]:
            folder = tmp_path.joinpath(*module.split("."))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
            (folder.parent / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    assert lint_imports(tmp_path) == ""
    (tmp_path / "domain" / "x.py").write_text("import infra\n")
    assert "domain is pure" in lint_imports(tmp_path)


def lint_imports(folder: Path) -> str:
    """Run import-linter; return what it says when a contract is broken, else nothing."""
    result = subprocess.run(
        [str(LINT_IMPORTS), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr
