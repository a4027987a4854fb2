"""Print how the product's code is arranged: files, imports, folders, names, cycles and walks.

Usage: python tools/structure.py [--json] [--before REVISION] [ROOT]

ROOT is a checkout, by default this one. With --before, the same counts of a Git revision are
printed beside those of the checkout; its files are read from Git, so no second checkout is needed.

A walk is the list of places that a reader opens to follow one thing through the code: a playlist
URL to its record, an event of 100ms, a candidate to its clip. The lists are in `tools/walks.toml`,
one symbol per step in reading order: `function`, `Class`, `Class.method` or `module.function`. The
rule for a list: a place belongs to it if it decides about the thing, changes it, stores it or hands
it on. Types that only carry the thing, logging, settings and identifiers do not belong to it. The
count of a walk is the number of distinct files in which its symbols are defined. Every symbol must
exist exactly once, and every step must be linked to the steps before it: one of their files uses
the name of the symbol or imports its module, or the other way round. A step may therefore not be
left out where the code does not lead directly from one file to the next. `tools/walks.before.toml`
holds the lists as they were before the folders were rearranged (issue 12), for --before; a step
that ends in `?` is skipped in revisions that do not have it.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("activities", "api", "app", "domain", "infra", "migrations", "workflows")
MAX_MODULES = 18
MAX_LINES = 800
WALKS = Path(__file__).with_name("walks.toml")
WALKS_BEFORE = Path(__file__).with_name("walks.before.toml")
SMALL = 100

Counts = dict[str, object]


class WalkError(Exception):
    """A walk names a symbol that does not exist once, or that no earlier step leads to."""


def main(arguments: list[str]) -> None:
    """Print the counts of a checkout, and those of an earlier revision beside them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", nargs="?", default=".", type=Path, metavar="ROOT")
    parser.add_argument("--before", metavar="REVISION", help="compare with a Git revision")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    columns = {"now": measure(read_checkout(options.root))}
    if options.before:
        columns = {
            options.before: measure(
                read_revision(options.root, options.before), walks=WALKS_BEFORE
            ),
            **columns,
        }
    if options.json:
        print(json.dumps(columns, indent=2))  # noqa: T201
        return
    for name in columns["now"]:
        print(name)  # noqa: T201
        for column, counts in columns.items():
            print(f"  {column}: {_text(counts[name])}")  # noqa: T201


def read_checkout(root: Path) -> dict[str, str]:
    """Return the text of each product file of a checkout, by path."""
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }


def read_revision(root: Path, revision: str) -> dict[str, str]:
    """Return the text of each product file of a Git revision, by path."""
    archive = subprocess.run(
        ["git", "-C", str(root), "archive", revision, *PACKAGES],  # noqa: S607
        capture_output=True,
        check=True,
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        return {
            member.name: content.read().decode()
            for member in files
            if member.name.endswith(".py") and (content := files.extractfile(member))
        }


def measure(files: Mapping[str, str], *, walks: Path = WALKS) -> Counts:
    """Return the counts by name."""
    trees = {path: ast.parse(text) for path, text in files.items()}
    lines = sum(text.count("\n") for text in files.values())
    imported = {path: _imported_modules(tree, files) for path, tree in trees.items()}
    importers = Counter(target for targets in imported.values() for target in targets)
    modules = [path for path in files if not path.endswith("/__init__.py")]
    return {
        "product files": len(modules),
        "product files with __init__.py": len(files),
        "lines per file": round(lines / len(files)),
        "imports, percent of lines": round(
            100 * sum(map(_import_lines, trees.values())) / lines, 1
        ),
        "files of fewer than 100 lines with one importer": sum(
            importers[path] == 1 and files[path].count("\n") < SMALL for path in modules
        ),
        f"files of more than {MAX_LINES} lines": [
            f"{path} ({count})"
            for path, text in files.items()
            if (count := text.count("\n")) > MAX_LINES
        ],
        f"folders of more than {MAX_MODULES} modules": [
            f"{folder} ({count})" for folder, count in crowded_folders(modules)
        ],
        "public class names defined more than once": [
            f"{name} ({len(paths)})" for name, paths in repeated_classes(trees).items()
        ],
        "an import cycle": " -> ".join(_cycle(imported)) or "none",
        "model_copy(update=...) in domain": sum(
            _unchecked_copies(tree) for path, tree in trees.items() if path.startswith("domain/")
        ),
        **_walks(trees, imported, walks),
    }


def crowded_folders(modules: Iterable[str]) -> list[tuple[str, int]]:
    """Return the folders that hold too many modules, with their number; revisions only grow."""
    counts = Counter(path.rpartition("/")[0] for path in modules if "/versions/" not in path)
    return [(folder, count) for folder, count in sorted(counts.items()) if count > MAX_MODULES]


def repeated_classes(trees: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """Return the public class names that more than one file defines, with these files."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(path)
    return {name: paths for name, paths in sorted(homes.items()) if len(paths) > 1}


def walk(
    name: str,
    steps: Iterable[str],
    trees: Mapping[str, ast.Module],
    imported: Mapping[str, set[str]],
) -> list[str]:
    """Return the distinct files of a walk, in the order in which they are opened.

    Raises:
        WalkError: a symbol does not exist exactly once, or no earlier file leads to it.
    """
    homes = _symbols(trees)
    opened: list[str] = []
    passed: list[str] = []
    for step in steps:
        found = homes.get(step.removesuffix("?"), [])
        if not found and step.endswith("?"):
            continue
        if len(found) != 1:
            message = f"walk {name}: {step} is defined in {len(found)} files: {', '.join(found)}"
            raise WalkError(message)
        path = found[0]
        if path not in opened:
            if opened and not any(
                path in imported[other]
                or other in imported[path]
                or _mentions(trees[other], step)
                or _mentions(trees[path], before)
                for other, before in zip(opened, passed, strict=True)
            ):
                message = f"walk {name}: no earlier step leads to {step} in {path}"
                raise WalkError(message)
            opened.append(path)
            passed.append(step)
    return opened


def _walks(trees: Mapping[str, ast.Module], imported: Mapping[str, set[str]], file: Path) -> Counts:
    found: Counts = {}
    for name, steps in read_walks(file).items():
        try:
            opened = walk(name, steps, trees, imported)
        except WalkError as error:
            found[f"walk {name}, files"] = f"not counted: {error}"
        else:
            found[f"walk {name}, files"] = len(opened)
    return found


def read_walks(file: Path) -> dict[str, list[str]]:
    """Return the symbols of each walk; one that names another in `before` goes before that one."""
    walks = tomllib.loads(file.read_text("utf-8"))
    return {
        name: [*each["steps"], *(walks[each["before"]]["steps"] if "before" in each else ())]
        for name, each in walks.items()
    }


def _symbols(trees: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    homes: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        module = path.rpartition("/")[2].removesuffix(".py")
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                homes[node.name].append(path)
                homes[f"{module}.{node.name}"].append(path)
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                        homes[f"{node.name}.{method.name}"].append(path)
    return homes


def _mentions(tree: ast.Module, symbol: str) -> bool:
    """Return True if the code names a symbol or its class, in a string too (a dynamic call)."""
    names = set(symbol.split(".")) if symbol[0].isupper() else {symbol.rpartition(".")[2]}
    return any(
        name in names
        for node in ast.walk(tree)
        for name in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "value", ""))
        if isinstance(name, str)
    )


def _unchecked_copies(tree: ast.Module) -> int:
    return sum(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "model_copy"
        and any(each.arg == "update" for each in node.keywords)
        for node in ast.walk(tree)
    )


def _import_lines(tree: ast.Module) -> int:
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def _imported_modules(tree: ast.Module, files: Mapping[str, str]) -> set[str]:
    """Return the product's files that a file imports at its top level."""
    found = set()
    for node in _top_level(tree):
        names: Iterable[str] = ()
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        for name in names:
            path = f"{name.replace('.', '/')}.py"
            if path in files:
                found.add(path)
    return found


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those of its `with` blocks included (workflows)."""
    for node in tree.body:
        if isinstance(node, ast.With):
            yield from node.body
        else:
            yield node


def _cycle(imported: Mapping[str, set[str]]) -> list[str]:
    """Return the first import cycle that is found, empty if there is none."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _text(value: object) -> str:
    return (", ".join(value) or "none") if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
