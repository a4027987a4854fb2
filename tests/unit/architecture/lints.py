"""Rules of this house that no off-the-shelf linter knows; each tells what to do instead."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

Lint = Callable[[str, str], list[str]]
"""Takes a file's path in the repository and its text; returns what is wrong, one line each."""

_IMPURE_MODULES = {
    *("asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib.request"),
}
_IMPURE_FUNCTIONS = {"input", "open", "print"}
_IMPURE_METHODS = {
    *(("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow"), ("date", "today")),
    *(("uuid", "uuid1"), ("uuid", "uuid4")),
}
_IMPURE_NAMES = {"uuid1", "uuid4"}

_SESSION_MAKERS = {
    *("AsyncEngine", "Session", "async_sessionmaker", "create_async_engine", "create_engine"),
    *("scoped_session", "sessionmaker"),
}
_SESSION_HOMES = (
    "infra/db/engine.py",
    "infra/db/inspection.py",
    "infra/db/migration.py",
)

_SQL_HOMES = ("infra/db/repositories/", "infra/db/tables/", "migrations/")
_SQL_FILES = {
    "benchmarks/list_pages.py": "explains the repositories' statements",
    "benchmarks/list_rows.py": "makes a million rows to find them among",
    "infra/db/tls.py": "changes URLs, and makes no statement",
    "infra/db/keyset.py": "adds order, position and limit to a repository's query",
    "infra/db/engine.py": "opens the sessions and begins their transactions: a setting, no query",
    "infra/db/inspection.py": "reads the catalog, of no tenant",
    "infra/db/migration.py": "applies revisions and reads the catalog, as the owner of the tables",
    "infra/settings/base.py": "parses the database's URL: no query",
    "app/dev/postgres.py": "makes roles and databases, before there is any tenant",
    "app/dev/temporal.py": "checks the SQLite file of Temporal itself",
}
_SQL_METHODS = {
    "execute",
    "scalar",
    "scalar_one",
    "scalar_one_or_none",
    "scalars",
    "stream_scalars",
}
_SQL_FREE_NAMES = {"AsyncSession"}  # to pass a session on is not to use it

_ENTRY_POINTS = (
    "app/cli.py",
    "app/container.py",
    "app/serve.py",
    "app/worker.py",
    "app/commands.py",
)
_STARTS = {"start_workflow", "execute_workflow", "signal_with_start", "start_update_with_start"}
_NAMED_BY_METHOD = {
    *(*_STARTS, "start_child_workflow", "execute_child_workflow", "execute_update", "start_update"),
    *("execute_activity", "start_activity", "execute_activity_method", "start_activity_method"),
    *("execute_local_activity", "start_local_activity", "execute_update_with_start_workflow"),
    *("signal", "query", "ScheduleActionStartWorkflow", "WithStartWorkflowOperation"),
}
_NO_TEMPORAL = {"signal.signal"}  # the standard library's
_UNCOUNTED = ("benchmarks/", "clients/", "demo/")  # no part of the product

_LAST_FREE_REVISION = "0031"
_CONTRACTING = re.compile(
    r"\b(DROP\s+(COLUMN|TABLE)|RENAME\s+(COLUMN\s+)?\w*\s*TO|SET\s+NOT\s+NULL)\b", re.IGNORECASE
)

_NAMELESS = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
_UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def impurity(path: str, text: str) -> list[str]:
    """No clock, chance, file or output in `domain/`: values come in as arguments."""
    if not path.startswith("domain/"):
        return []
    found = []
    for line, module, names in _imports(text):
        if module in _IMPURE_MODULES:
            found.append((line, f"imports {module}"))
        found += [(line, f"imports {name}") for name in names if name in _IMPURE_NAMES]
    for call in _calls(text):
        if isinstance(call.func, ast.Name) and call.func.id in _IMPURE_FUNCTIONS:
            found.append((call.lineno, f"calls {call.func.id}()"))
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            name = (call.func.value.id, call.func.attr)
            if name in _IMPURE_METHODS:
                found.append((call.lineno, f"calls {'.'.join(name)}()"))
    remedy = "the domain has no clock, chance or I/O: take the value as an argument"
    return [f"{path}:{line}: {what}; {remedy}" for line, what in found]


def sessions_without_tenant(path: str, text: str) -> list[str]:
    """Only `infra/db/engine.py` makes sessions, since it gives each its tenant."""
    if path in _SESSION_HOMES:
        return []
    return [
        f"{path}:{line}: imports {name}; sessions come from Database.session(tenant_id) only"
        for line, module, names in _imports(text)
        for name in names
        if module.partition(".")[0] == "sqlalchemy" and name in _SESSION_MAKERS
    ]


def sql_outside_repositories(path: str, text: str) -> list[str]:
    """Only repositories speak SQL, so that each query's tenant can be seen in one place."""
    if path.startswith(_SQL_HOMES) or path in _SQL_FILES:
        return []
    found = [
        (line, f"imports {name} from {module}")
        for line, module, names in _imports(text)
        for name in (names or [module])
        if module.partition(".")[0] == "sqlalchemy"
        and module != "sqlalchemy.exc"
        and name not in _SQL_FREE_NAMES
    ]
    found += [
        (call.lineno, f"calls .{call.func.attr}()")
        for call in _calls(text)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _SQL_METHODS
    ]
    return [
        f"{path}:{line}: {what}; put the query into infra/db/repositories" for line, what in found
    ]


def workflow_imports(path: str, text: str) -> list[str]:
    """Workflows see activities by their interfaces: their sandbox must load no I/O."""
    if not path.startswith("workflows/"):
        return []
    wrong = []
    for line, module, names in _imports(text):
        top = module.partition(".")[0]
        interfaces = module == "activities.interfaces" or (
            module == "activities" and set(names) == {"interfaces"}
        )
        if top in {"api", "app", "infra"} or (top == "activities" and not interfaces):
            wrong.append(f"{path}:{line}: imports {module}; import activities.interfaces only")
    return wrong


def container_imports(path: str, text: str) -> list[str]:
    """Only entry points import the container; all others are given what they need."""
    if path.startswith((*_ENTRY_POINTS, *_UNCOUNTED)):
        return []
    return [
        f"{path}:{line}: imports app.container; take what you need as an argument"
        for line, module, names in _imports(text)
        if module == "app.container" or (module == "app" and "container" in names)
    ]


def workflow_starts(path: str, text: str) -> list[str]:
    """Routes and adapters start no workflow: that is a use case, so it is in `app/services`.

    An interceptor passes the call on to `super()`.
    """
    if not path.startswith(("api/", "infra/")):
        return []
    return [
        f"{path}:{call.lineno}: calls .{call.func.attr}(); put the use case into app/services"
        for call in _calls(text)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in _STARTS
        and ast.unparse(call.func.value) != "super()"
    ]


def named_by_string(path: str, text: str) -> list[str]:
    """Temporal is called with the workflow's or activity's method, so that mypy checks the call."""
    if path.startswith(_UNCOUNTED):
        return []
    return [
        f"{path}:{call.lineno}: names what it calls by a string; pass the method itself"
        for call, strings in _calls_with_strings(ast.parse(text))
        if _called(call.func) in _NAMED_BY_METHOD
        and ast.unparse(call.func) not in _NO_TEMPORAL
        and any(_is_string(each, strings) for each in _names_in(call))
    ]


def unchecked_copies(path: str, text: str) -> list[str]:
    """No `model_copy(update=...)` in `domain/`: it checks neither names nor types."""
    if not path.startswith("domain/"):
        return []
    return [
        f"{path}:{call.lineno}: copies without a check; use a named method or dataclasses.replace"
        for call in _calls(text)
        if _called(call.func) == "model_copy" and any(key.arg == "update" for key in call.keywords)
    ]


def activity_docstrings(path: str, text: str) -> list[str]:
    """An activity is documented in `activities/interfaces.py` and nowhere else."""
    if not path.startswith("activities/"):
        return []
    is_interface = path == "activities/interfaces.py"
    complaint = "has no docstring" if is_interface else "repeats the docstring of its interface"
    return [
        f"{path}:{node.lineno}: the activity {node.name} {complaint}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.AsyncFunctionDef)
        and any(ast.unparse(each).startswith("activity.defn") for each in node.decorator_list)
        and (ast.get_docstring(node) is None) == is_interface
    ]


def _names_in(call: ast.Call) -> list[ast.expr]:
    """Return the arguments of a call to Temporal that name a workflow, signal or activity."""
    return [*call.args[:1], *(each.value for each in call.keywords if each.arg == "start_signal")]


def _is_string(name: ast.expr, strings: set[str]) -> bool:
    if isinstance(name, ast.Name):
        return name.id in strings or name.id.isupper()
    return isinstance(name, ast.JoinedStr) or (
        isinstance(name, ast.Constant) and isinstance(name.value, str)
    )


def _calls_with_strings(tree: ast.Module) -> Iterator[tuple[ast.Call, set[str]]]:
    """Yield each call, with the arguments of the functions around it that are strings."""

    def visit(node: ast.AST, strings: set[str]) -> Iterator[tuple[ast.Call, set[str]]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            strings = strings | {
                each.arg
                for each in arguments
                if each.annotation is not None and ast.unparse(each.annotation) == "str"
            }
        if isinstance(node, ast.Call):
            yield node, strings
        for child in ast.iter_child_nodes(node):
            yield from visit(child, strings)

    yield from visit(tree, set())


def _called(function: ast.expr) -> str | None:
    """Return the name of the function or method that is called."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def contracting_migrations(path: str, text: str) -> list[str]:
    """A revision only adds, so that the release before it still works on the new schema.

    One that takes something away says why that is safe by `CONTRACT = "..."`, and comes a release
    after the code stopped using it. Revisions up to 0031 are older than the rule.
    """
    revision = PurePosixPath(path).stem.partition("_")[0]
    if not path.startswith("migrations/versions/") or revision <= _LAST_FREE_REVISION:
        return []
    tree = ast.parse(text)
    if any(isinstance(each, ast.Assign) and _assigns(each, "CONTRACT") for each in tree.body):
        return []
    upgrades = [
        each
        for each in tree.body
        if not (isinstance(each, ast.FunctionDef) and each.name == "downgrade")
    ]
    found = [
        (call.lineno, what)
        for each in upgrades
        for call in ast.walk(each)
        if isinstance(call, ast.Call) and (what := _contraction(call))
    ]
    return [
        f"{path}:{line}: {what}, which the release before still uses: add only, or mark the "
        "revision as CONTRACT (docs/releases.md)"
        for line, what in found
    ]


def _assigns(statement: ast.Assign, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in statement.targets)


def _contraction(call: ast.Call) -> str | None:
    """Return what a call of a revision takes away from the release before, if anything."""
    name = _called(call.func)
    options = {each.arg: each.value for each in call.keywords}
    if name in {"drop_column", "drop_table", "rename_table"}:
        return f"calls {name}()"
    if name == "alter_column":
        narrowed = options.keys() & {"new_column_name", "type_"}
        is_required = _is_false(options.get("nullable"))
        return "renames or narrows a column" if narrowed or is_required else None
    if name == "add_column" and isinstance(call.args[-1], ast.Call):
        column = {each.arg: each.value for each in call.args[-1].keywords}
        kinds = {_called(each.func) for each in call.args[-1].args if isinstance(each, ast.Call)}
        has_value = "server_default" in column or kinds & {"Computed", "Identity"}
        return (
            None
            if has_value or not _is_false(column.get("nullable"))
            else ("adds a column that is NOT NULL without a default")
        )
    if name == "execute":
        texts = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
        words = " ".join(each for each in texts if isinstance(each, str))
        return "executes DDL that takes something away" if _CONTRACTING.search(words) else None
    return None


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def nameless_file(path: str, _text: str) -> list[str]:
    """A file is named for its idea."""
    words = set(re.split(r"[_.]", PurePosixPath(path).stem)) | set(PurePosixPath(path).parts[:-1])
    return [f"{path}: {word!r} names no idea: say what is in it" for word in words & _NAMELESS]


def unfinished(path: str, text: str) -> list[str]:
    """What is left to do belongs to the tracker, where it is seen."""
    return [
        f"{path}:{number}: {found.group()} in the source; do it, or file it"
        for number, line in enumerate(_comments(path, text), 1)
        if (found := _UNFINISHED.search(line))
    ]


def _comments(path: str, text: str) -> Iterator[str]:
    """Yield for each line what of it is told to people: in Python, comments and texts."""
    if not path.endswith(".py"):
        yield from (line.partition("#")[2] for line in text.splitlines())
        return
    told = [""] * (text.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING}:
            for offset, line in enumerate(token.string.splitlines()):
                told[token.start[0] - 1 + offset] += line
    yield from told


def _calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def _imports(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line, module and imported names; no names where the module itself is imported."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", [alias.name for alias in node.names]
