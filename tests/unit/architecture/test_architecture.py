"""The house keeps its rules, and each rule catches whoever breaks it."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.unit.architecture.lints import (
    Lint,
    activity_docstrings,
    container_imports,
    contracting_migrations,
    impurity,
    named_by_string,
    nameless_file,
    sessions_without_tenant,
    sql_outside_repositories,
    unchecked_copies,
    unfinished,
    workflow_imports,
    workflow_starts,
)
from tools.structure import MAX_LINES, MAX_MODULES, crowded_folders, repeated_classes

ROOT = Path(__file__).parents[3]
PACKAGES = (
    *("activities", "api", "app", "benchmarks", "clients", "demo", "domain", "game_configs"),
    *("infra", "migrations", "workflows"),
)
PRODUCT = ("activities", "api", "app", "domain", "infra", "migrations", "workflows")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

LINTS = (
    impurity,
    sessions_without_tenant,
    sql_outside_repositories,
    workflow_imports,
    container_imports,
    workflow_starts,
    named_by_string,
    unchecked_copies,
    activity_docstrings,
    contracting_migrations,
    nameless_file,
    unfinished,
)
REVISION = "migrations/versions/0099_x.py"
ACTIVITY = "@activity.defn(name='render')\nasync def render():\n    "
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
    (container_imports, "api/x.py", "from app.container import Container", "api/x.py:1"),
    (container_imports, "app/services/x.py", "from app import container", "as an argument"),
    (container_imports, "app/doctor.py", "import app.container", "as an argument"),
    (workflow_starts, "api/x.py", "client.start_workflow(StreamWorkflow.run)", "app/services"),
    (workflow_starts, "infra/x.py", "client.execute_workflow(Relay.run)", "app/services"),
    (named_by_string, "app/x.py", "client.start_workflow('StreamWorkflow', 1)", "by a string"),
    (named_by_string, "app/x.py", "handle.signal('stop')", "the method itself"),
    (named_by_string, "app/x.py", "handle.query(f'{x}')", "the method itself"),
    (named_by_string, "app/x.py", "client.start_workflow(WORKFLOW, 1)", "the method itself"),
    (
        named_by_string,
        "app/x.py",
        "def f(name: str):\n    handle.signal(name)",
        "x.py:2: names what it calls",
    ),
    (
        named_by_string,
        "app/x.py",
        "client.start_workflow(X.run, start_signal='stop')",
        "the method itself",
    ),
    (named_by_string, "workflows/x.py", "workflow.execute_activity('render')", "by a string"),
    (named_by_string, "infra/x.py", "ScheduleActionStartWorkflow('Relay')", "by a string"),
    (unchecked_copies, "domain/x.py", "y = x.model_copy(update={'a': 1})", "named method"),
    (activity_docstrings, "activities/x.py", f'{ACTIVITY}"""Renders."""', "repeats the docstring"),
    (activity_docstrings, "activities/interfaces.py", f"{ACTIVITY}pass", "has no docstring"),
    (contracting_migrations, REVISION, "op.drop_column('a', 'b')", "drop_column()"),
    (contracting_migrations, REVISION, "op.rename_table('a', 'b')", "rename_table()"),
    (
        contracting_migrations,
        REVISION,
        "op.alter_column('a', 'b', new_column_name='c')",
        "renames or narrows",
    ),
    (contracting_migrations, REVISION, "op.alter_column('a', 'b', nullable=False)", "narrows"),
    (
        contracting_migrations,
        REVISION,
        "def add():\n    op.add_column('a', sa.Column('b', sa.Text(), nullable=False))",
        "0099_x.py:2: adds a column that is NOT NULL",
    ),
    (
        contracting_migrations,
        REVISION,
        "op.execute('ALTER TABLE a ALTER b SET NOT NULL')",
        "executes DDL",
    ),
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
    (contracting_migrations, "migrations/versions/0027_x.py", "op.drop_column('a', 'b')"),
    (contracting_migrations, REVISION, "def downgrade():\n    op.drop_table('a')"),
    (contracting_migrations, REVISION, "CONTRACT = 'unused'\nop.drop_column('a', 'b')"),
    (
        contracting_migrations,
        REVISION,
        "op.add_column('a', sa.Column('b', sa.Text(), server_default='x', nullable=False))",
    ),
    (contracting_migrations, REVISION, "op.add_column('a', sa.Column('b', nullable=True))"),
    (container_imports, "app/commands.py", "from app.container import Container"),
    (container_imports, "api/x.py", "from av.container import InputContainer"),
    (workflow_starts, "app/services/x.py", "client.start_workflow(StreamWorkflow.run)"),
    (workflow_starts, "infra/x.py", "super().start_workflow(given)"),
    (named_by_string, "app/x.py", "client.start_workflow(StreamWorkflow.run, 'x')"),
    (named_by_string, "app/x.py", "import signal\nsignal.signal(signal.SIGTERM, stop)"),
    (named_by_string, "infra/x.py", "signal.signal(number, signal.SIG_DFL)"),
    (unchecked_copies, "domain/x.py", "y = x.model_copy()"),
    (unchecked_copies, "infra/x.py", "y = x.model_copy(update={})"),
    (activity_docstrings, "activities/x.py", f"{ACTIVITY}pass"),
    (activity_docstrings, "activities/x.py", 'async def helper():\n    """Helps."""'),
    (activity_docstrings, "activities/interfaces.py", f'{ACTIVITY}"""Renders."""'),
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
    too_long = {path for path, text in modules() if text.count("\n") > MAX_LINES}
    assert too_long == set(), f"over {MAX_LINES} lines: split it by noun"


def test_no_folder_holds_more_than_a_reader_can_survey() -> None:
    paths = [path for path, _ in modules() if not path.endswith("/__init__.py")]
    assert crowded_folders(paths) == [], f"over {MAX_MODULES} modules: merge or divide"


def test_a_public_class_name_exists_once() -> None:
    trees = {path: ast.parse(text) for path, text in modules() if path.partition("/")[0] in PRODUCT}
    assert repeated_classes(trees) == {}


def test_a_crowded_folder_and_a_repeated_name_are_seen() -> None:
    assert crowded_folders([f"a/{number}.py" for number in range(MAX_MODULES)]) == []
    crowd = [f"a/{number}.py" for number in range(MAX_MODULES + 1)]
    assert crowded_folders(crowd) == [("a", MAX_MODULES + 1)]
    trees = {
        "a.py": ast.parse("class Span: ...\nclass _Own: ..."),
        "b.py": ast.parse("class Span: ...\nclass _Own: ..."),
    }
    assert repeated_classes(trees) == {"Span": ["a.py", "b.py"]}


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
