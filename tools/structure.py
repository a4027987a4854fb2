"""Print how the product's code is arranged: files, imports, folders, names and circles.

Usage: python tools/structure.py [--json] [ROOT]
"""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGES = ("activities", "api", "app", "domain", "infra", "migrations", "workflows")
MANY_MODULES = 18


def main(arguments: list[str]) -> None:
    """Read the checkout at ROOT, by default this one."""
    root = Path(next((each for each in arguments if not each.startswith("-")), "."))
    found = measure(root)
    if "--json" in arguments:
        print(json.dumps(found, indent=2))  # noqa: T201
        return
    for name, value in found.items():
        print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")  # noqa: T201


def measure(root: Path) -> dict[str, object]:
    """Return the counts by name."""
    files = {
        path: path.read_text("utf-8")
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
    trees = {path: ast.parse(text) for path, text in files.items()}
    lines = sum(text.count("\n") for text in files.values())
    imported = {path: _imported_modules(tree, root) for path, tree in trees.items()}
    importers = Counter(target for targets in imported.values() for target in targets)
    modules = [path for path in files if path.name != "__init__.py"]
    return {
        "product files": len(files),
        "lines per file": round(lines / len(files)),
        "imports, percent of lines": round(
            100 * sum(map(_import_lines, trees.values())) / lines, 1
        ),
        "files of fewer than 100 lines with one importer": sum(
            importers[path] == 1 and files[path].count("\n") < 100  # noqa: PLR2004
            for path in modules
        ),
        "folders of many modules": [
            f"{folder.relative_to(root)} ({count})"
            for folder, count in sorted(Counter(path.parent for path in modules).items())
            if count > MANY_MODULES
        ],
        "class names that exist twice": _repeated_classes(trees),
        "a circle of files": " -> ".join(str(path.relative_to(root)) for path in _circle(imported))
        or "none",
        "model_copy(update=...) in domain": sum(
            text.count("model_copy(update=")
            for path, text in files.items()
            if path.is_relative_to(root / "domain")
        ),
    }


def _import_lines(tree: ast.Module) -> int:
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def _imported_modules(tree: ast.Module, root: Path) -> set[Path]:
    """Return the product's files that a file imports at its top level."""
    found = set()
    for node in tree.body:
        names: Iterable[str] = ()
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        for name in names:
            path = root / f"{name.replace('.', '/')}.py"
            if name.partition(".")[0] in PACKAGES and path.is_file():
                found.add(path)
    return found


def _repeated_classes(trees: dict[Path, ast.Module]) -> list[str]:
    homes: dict[str, set[Path]] = defaultdict(set)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(path)
    return sorted(f"{name} ({len(paths)})" for name, paths in homes.items() if len(paths) > 1)


def _circle(imported: dict[Path, set[Path]]) -> list[Path]:
    """Return files that import each other in a circle, the first one found; none is the aim."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


if __name__ == "__main__":
    main(sys.argv[1:])
