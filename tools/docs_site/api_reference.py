"""The API reference: one page per resource, in Markdown, from the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

DIRECTORY: Final = "api"
_TYPES: Final = "types.md"
_METHODS: Final = ("get", "post", "put", "patch", "delete")

_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)
"""A line of the section `Attributes` of a docstring, which is the description of a type."""

Document = dict[str, Any]


def reference_pages(document: Document) -> dict[str, str]:
    """Return the pages of the reference by their paths, the index first."""
    tags = [(tag["name"], tag["description"]) for tag in document["tags"]]
    operations = {
        name: [each for each in _operations(document) if name in each[2].get("tags", ())]
        for name, _ in tags
    }
    used = [(name, description) for name, description in tags if operations[name]]
    pages = {f"{DIRECTORY}/README.md": _index(document, used, operations)}
    for name, description in used:
        parts = [f"# {_title(name)}", description]
        for method, path, spec in operations[name]:
            parts += _operation(document, method, path, spec)
        pages[f"{DIRECTORY}/{page_name(name)}"] = "\n\n".join(parts) + "\n"
    pages[f"{DIRECTORY}/{_TYPES}"] = _types(document)
    return pages


def page_name(tag: str) -> str:
    """Return the file name of a tag's page."""
    return f"{tag}.md"


def _title(tag: str) -> str:
    return tag if tag[0].isdigit() else tag.capitalize()


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def _index(document: Document, tags: list[tuple[str, str]], operations: Document) -> str:
    parts = [
        "# API reference",
        "Generated from the OpenAPI document, which every API serves at `/openapi.json`.",
        document["info"]["description"],
    ]
    for name, description in tags:
        rows = [
            (f"`{method} {path}`", f"[{spec['summary']}]({page_name(name)}#{_anchor(spec)})")
            for method, path, spec in operations[name]
        ]
        parts += [f"## {_title(name)}", description, _table(("request", "what it does"), rows)]
    return "\n\n".join(parts) + "\n"


def _anchor(spec: Document) -> str:
    return str(spec["operationId"])


def _operation(document: Document, method: str, path: str, spec: Document) -> Iterator[str]:
    yield f"## {spec['summary']} {{ #{_anchor(spec)} }}"
    yield f"`{method} {path}`"
    if description := spec.get("description"):
        yield description
    parameters = [_resolved(document, each) for each in spec.get("parameters", ())]
    if parameters:
        yield _table(
            ("parameter", "in", "type", "meaning"),
            [
                (
                    f"`{each['name']}`" + (", required" if each.get("required") else ""),
                    each["in"],
                    _type(each.get("schema", {})),
                    each.get("description", ""),
                )
                for each in parameters
            ],
        )
    for content_type, media in spec.get("requestBody", {}).get("content", {}).items():
        yield f"**Request body** (`{content_type}`)"
        yield from _schema(document, media)
    rows = [
        (f"`{status}`", _response_type(response), _with_links(response.get("description", "")))
        for status, response in sorted(spec["responses"].items())
    ]
    yield "**Responses**"
    yield _table(("status", "body", "meaning"), rows)
    for status, response in spec["responses"].items():
        media = response.get("content", {}).get("application/json", {})
        if status.startswith("2") and media.get("schema"):
            yield f"**Fields of the response `{status}`**"
            yield from _schema(document, media)


def _with_links(description: str) -> str:
    """Link the codes of errors to their rows in the list of all errors."""
    return re.sub(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", r"[`\1`](../errors.md#\1)", description)


def _types(document: Document) -> str:
    parts = ["# Types", "The objects that requests and responses contain."]
    for name, schema in sorted(document["components"]["schemas"].items()):
        description = schema.get("description", "").partition("\n\nAttributes:")[0]
        parts += [f"## {name} {{ #{name} }}", description]
        if "enum" in schema:
            parts.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
        parts += _fields(schema)
    return "\n\n".join(filter(None, parts)) + "\n"


def _schema(document: Document, media: Document) -> Iterator[str]:
    schema = _resolved(document, media.get("schema", {}))
    yield from _fields(schema)
    example = media.get("example") or next(iter(schema.get("examples", ())), None)
    if example is not None:
        yield f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```"


def _fields(schema: Document) -> Iterator[str]:
    required = set(schema.get("required", ()))
    attributes = dict(_ATTRIBUTE.findall(schema.get("description", "")))
    rows = [
        (
            f"`{name}`" + (", required" if name in required else ""),
            _type(each),
            each.get("description") or attributes.get(name, ""),
        )
        for name, each in schema.get("properties", {}).items()
    ]
    if rows:
        yield _table(("field", "type", "meaning"), rows)


def _resolved(document: Document, schema: Document) -> Document:
    """Follow a reference, through a choice between a type and null too."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        return _resolved(document, choices[0])
    if "$ref" not in schema:
        return schema
    found: Any = document
    for name in schema["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return _resolved(document, found)


def _response_type(response: Document) -> str:
    content: Document = response.get("content", {})
    return next((_type(media.get("schema", {})) or kind for kind, media in content.items()), "")


def _type(schema: Document) -> str:
    """Return a short name of a type, such as `string (uuid)`, with a link to what is an object."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}]({_TYPES}#{name})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[choice]))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    kind = str(schema.get("type", ""))
    if kind == "array":
        return f"array of {_type(schema.get('items', {})) or 'values'}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()
