"""The JSON Schema by which editors complete and check profile files."""

from __future__ import annotations

from typing import Any, Final

from domain.profile import GameProfile
from domain.profile_document import COMPUTED, REQUIRED

_NULLABLE_VALUES: Final = frozenset({"moments", "tags", "markets", "terms"})
"""Mappings from which a child takes an inherited entry away by giving null (RFC 7396)."""


def profile_json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of what may be written in one profile file.

    A file states only what differs from its parent, so nothing below the top is required and no
    default is shown; unknown keys are errors.
    """
    schema = GameProfile.model_json_schema(mode="validation")
    for name in COMPUTED:
        del schema["properties"][name]
    for part in (schema, *schema["$defs"].values()):
        _loosen(part)
    schema["required"] = list(REQUIRED)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Game profile",
    }


def _loosen(part: dict[str, Any]) -> None:
    if part.get("type") != "object" or "properties" not in part:
        return
    part["additionalProperties"] = False
    part.pop("required", None)
    for name, field in part["properties"].items():
        field.pop("default", None)
        if name in _NULLABLE_VALUES:
            _allow_null(field)


def _allow_null(field: dict[str, Any]) -> None:
    if isinstance(field.get("additionalProperties"), dict):
        field["additionalProperties"] = _or_null(field["additionalProperties"])
    for pattern, value in field.get("patternProperties", {}).items():
        field["patternProperties"][pattern] = _or_null(value)
        field["additionalProperties"] = False


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
