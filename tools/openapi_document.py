"""The OpenAPI document as the clients use it: `clients/openapi.json`, written by `make openapi`.

What changes nothing for a program and would double its size is left out: examples, links, and the
titles of fields.

Usage: python -m tools.openapi_document [types PROGRAM]

Without an argument it writes the document. With `types` it has openapi-typescript, whose script
PROGRAM is, write the TypeScript types.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.openapi import document

PATH: Final = Path(__file__).parents[1] / "clients" / "openapi.json"
TYPES: Final = PATH.with_name("typescript") / "src" / "schema.ts"
_TYPE_OPTIONS: Final = (
    "--default-non-nullable=false",
    "--empty-objects-unknown",
    "--root-types",
    "--root-types-no-schema-prefix",
)
"""How openapi-typescript is called."""
_LEFT_OUT: Final = frozenset({"example", "examples", "links", "title"})
_NAMES: Final = frozenset({"properties", "schemas"})
"""Members whose keys are names of the API, not words of OpenAPI."""
_WIDTH: Final = 100


def current() -> dict[str, Any]:
    """Return the document of this checkout without what is left out."""
    whole = document()
    slim: dict[str, Any] = _slim(whole)
    return {**slim, "info": whole["info"]}


def render(value: object, indent: str = "") -> str:
    """Return the value as JSON, what fits in a line on one line, so that diffs are readable."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH:
        return line
    deeper = f"{indent} "
    if isinstance(value, dict):
        members = [f"{json.dumps(name)}: {render(each, deeper)}" for name, each in value.items()]
        return "{\n" + ",\n".join(deeper + each for each in members) + f"\n{indent}}}"
    if isinstance(value, list):
        items = [deeper + render(each, deeper) for each in value]
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    return line


def for_types(slim: dict[str, Any]) -> dict[str, Any]:
    """Return what the types of a client are generated from.

    Errors and headers are left out: all errors have one shape, and a client reads them itself. The
    API always sends a field with a default, so that in schemas of answers it is required.
    """
    paths = {
        path: {
            method: {
                **operation,
                "responses": {
                    status: {name: each for name, each in response.items() if name != "headers"}
                    for status, response in operation["responses"].items()
                    if status < "400"
                },
            }
            for method, operation in methods.items()
        }
        for path, methods in slim["paths"].items()
    }
    schemas = slim["components"]["schemas"]
    requested = _reachable(
        [
            operation["requestBody"]
            for methods in slim["paths"].values()
            for operation in methods.values()
            if "requestBody" in operation
        ],
        schemas,
    )
    answered = {
        name: schema if name in requested else _with_defaults_required(schema)
        for name, schema in schemas.items()
    }
    return {**slim, "paths": paths, "components": {**slim["components"], "schemas": answered}}


def _with_defaults_required(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    required = schema.get("required", [])
    always = [name for name in fields if name in required or "default" in fields[name]]
    return {**schema, "required": always} if always else schema


def _reachable(value: object, schemas: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that a value refers to, directly or through others."""
    found: set[str] = set()
    pending = [value]
    while pending:
        match pending.pop():
            case {"$ref": str(reference)}:
                name = reference.rpartition("/")[2]
                if name not in found:
                    found.add(name)
                    pending.append(schemas[name])
            case dict() as members:
                pending.extend(members.values())
            case list() as items:
                pending.extend(items)
    return found


def _slim(value: Any, *, names: bool = False) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {
            name: _slim(each, names=name in _NAMES and not names)
            for name, each in value.items()
            if names or name not in _LEFT_OUT
        }
    if isinstance(value, list):
        return [_slim(each) for each in value]
    return value


def write_types(program: Path, path: Path = TYPES) -> None:
    """Write the TypeScript types of the committed document."""
    with TemporaryDirectory(prefix="openapi-") as folder:
        source = Path(folder, "openapi.json")
        source.write_text(json.dumps(for_types(json.loads(PATH.read_bytes()))), "utf-8")
        subprocess.run(
            ["node", program, source, *_TYPE_OPTIONS, f"--output={path}"],  # noqa: S607
            stdout=subprocess.DEVNULL,
            check=True,
        )


def main(arguments: list[str]) -> None:
    """Write the document, or the types."""
    match arguments:
        case ["types", program]:
            write_types(Path(program))
        case _:
            PATH.write_text(render(current()) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
