"""The OpenAPI document as data, made without any database or server."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

from pydantic import SecretStr

from app.serve import build_app
from infra.settings import Settings

_URL = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


@dataclass(frozen=True)
class Documented:
    """One operation of the document."""

    id: str
    method: str
    path: str
    spec: dict[str, Any]

    def parameters(self, place: str) -> dict[str, dict[str, Any]]:
        """Return its parameters in `path`, `query` or `header`, by name."""
        return {
            each["name"]: each for each in self.spec.get("parameters", ()) if each["in"] == place
        }

    def body_schema(self) -> dict[str, Any] | None:
        """Return the schema of its JSON body, None when it takes none."""
        content = self.spec.get("requestBody", {}).get("content", {})
        schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return schema

    @property
    def takes_file(self) -> bool:
        """True if its body is a file."""
        return "application/octet-stream" in self.spec.get("requestBody", {}).get("content", {})

    def body_example(self) -> object:
        """Return the first example of its JSON body, None when there is none."""
        content = self.spec.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            return content["example"]
        return next(iter(resolved(content.get("schema", {})).get("examples", ())), None)

    def success(self) -> dict[str, dict[str, Any]]:
        """Return its successful responses by status."""
        return {
            status: response
            for status, response in self.spec["responses"].items()
            if status.startswith("2")
        }


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    with mock.patch.dict(os.environ, clear=True):
        settings = Settings(database_url=SecretStr(_URL), signing_secret=SecretStr("s" * 32))
        made: dict[str, Any] = build_app(settings).openapi()
    return made


@cache
def operations() -> dict[str, Documented]:
    """Return all operations by id."""
    found = [
        Documented(id=spec["operationId"], method=method.upper(), path=path, spec=spec)
        for path, methods in document()["paths"].items()
        for method, spec in methods.items()
    ]
    return {each.id: each for each in found}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, through a choice between a type and null too."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        return resolved(choices[0])
    if "$ref" in schema:
        return resolved(document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    return schema
