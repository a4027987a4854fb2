"""Clients that three generators make of the OpenAPI document compile, and have every type."""

from __future__ import annotations

import ast
import compileall
import json
import re
import sys
from pathlib import Path

from tests.external.conftest import run
from tests.openapi import document

PUBLIC_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
SCHEMAS = document()["components"]["schemas"]
OBJECTS = {name for name, schema in SCHEMAS.items() if schema.get("type") == "object"}
# Of media types of files the Python generator knows only this one.
FILES = dict.fromkeys(
    ("application/vnd.apple.mpegurl", "application/zip", "image/jpeg", "video/mp2t", "video/mp4"),
    "application/octet-stream",
)
STRICT = ("--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom,dom.iterable")


def test_public_schema_names_are_words_without_our_modules() -> None:
    wrong = {name for name in SCHEMAS if not PUBLIC_NAME.fullmatch(name)}
    assert wrong == set()


def test_the_python_generator_drops_nothing_and_its_client_compiles(
    openapi_file: Path, tmp_path: Path
) -> None:
    made, config = tmp_path / "highlights_client", tmp_path / "config.json"
    config.write_text(json.dumps({"content_type_overrides": FILES}), "utf-8")
    generated = run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", openapi_file, "--output-path", made, "--config", config),
        ]
    )
    said = generated.stdout + generated.stderr
    assert generated.returncode == 0, said
    # What it cannot make it warns of and leaves out; a missing formatter is no concern of ours.
    assert "removal of" not in said
    assert "WARNING parsing" not in said
    assert compileall.compile_dir(made, quiet=1)
    classes = {
        node.name
        for file in (made / "models").glob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    assert OBJECTS - classes == set()
    checked = run([sys.executable, "-m", "mypy", "--no-incremental", made], cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout


def test_the_types_for_typescript_compile(
    node: str, tools: Path, openapi_file: Path, tmp_path: Path
) -> None:
    types = tmp_path / "types.ts"
    cli = tools / "node_modules/openapi-typescript/bin/cli.js"
    generated = run([node, cli, openapi_file, "-o", types])
    assert generated.returncode == 0, generated.stderr
    compiled = run([node, tools / "node_modules/typescript/bin/tsc", *STRICT, types])
    assert compiled.returncode == 0, compiled.stdout
    text = types.read_text("utf-8")
    assert {name for name in SCHEMAS if f"        {name}: " not in text} == set()


def test_the_client_for_typescript_compiles(
    node: str, tools: Path, openapi_file: Path, tmp_path: Path
) -> None:
    made = tmp_path / "client"
    cli = tools / "node_modules/@hey-api/openapi-ts/bin/run.js"
    generated = run([node, cli, "-i", openapi_file, "-o", made], cwd=tools)
    assert generated.returncode == 0, generated.stdout + generated.stderr
    bundler = ("--module", "esnext", "--moduleResolution", "bundler")
    tsc = tools / "node_modules/typescript/bin/tsc"
    compiled = run([node, tsc, *STRICT, *bundler, made / "index.ts"])
    assert compiled.returncode == 0, compiled.stdout
    text = (made / "types.gen.ts").read_text("utf-8")
    assert {name for name in SCHEMAS if f"export type {name} " not in text} == set()
