"""What FastAPI calls for each request are coroutines: others would take a thread each."""

from __future__ import annotations

import ast
from pathlib import Path

API = Path(__file__).parents[3] / "api"


def nodes() -> list[ast.AST]:
    return [
        node
        for path in API.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def test_all_dependencies_are_coroutines() -> None:
    asked_for = {
        node.args[0].id
        for node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Depends"
        and isinstance(node.args[0], ast.Name)
    }
    coroutines = {node.name for node in nodes() if isinstance(node, ast.AsyncFunctionDef)}
    classes = {"_bearer"}  # FastAPI's own, which has `async def __call__`
    assert "authenticate" in asked_for
    assert asked_for - coroutines - classes == set()
