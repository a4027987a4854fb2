"""JSON schemas that bind Gemini's answers: what is not in them cannot be said."""

from __future__ import annotations

from typing import Any, Final

from domain.profile import GameProfile
from domain.score import DIMENSIONS

OTHER: Final = "other"
"""The kind of a moment that the profile does not know."""

MOST_MOMENTS: Final = 6
"""Moments that a piece may have."""

MOST_TAGS: Final = 5

_TIME: Final[dict[str, Any]] = {"type": "string", "description": "MM:SS.s"}
_UNIT: Final[dict[str, Any]] = {"type": "number", "minimum": 0, "maximum": 1}


def detect_schema(profile: GameProfile) -> dict[str, Any]:
    """Return the schema of a list of moments."""
    kinds = [*sorted(profile.moments), OTHER]
    moment = _object(
        {
            "start": _TIME,
            "peak": _TIME,
            "end": _TIME,
            "kind": {"type": "string", "enum": kinds},
            "certainty": _UNIT,
        }
    )
    moments = {"type": "array", "maxItems": MOST_MOMENTS, "items": moment}
    return _object({"moments": moments})


def refine_schema() -> dict[str, Any]:
    """Return the schema of one moment's exact times."""
    return _object({"present": {"type": "boolean"}, "start": _TIME, "peak": _TIME, "end": _TIME})


def score_schema(profile: GameProfile) -> dict[str, Any]:
    """Return the schema of one moment's worth; its tags are those of the profile's taxonomy."""
    properties: dict[str, Any] = dict.fromkeys(DIMENSIONS, _UNIT)
    properties["certainty"] = _UNIT
    known = sorted(profile.all_tags())
    if known:
        tag = {"type": "string", "enum": known}
        properties["tags"] = {"type": "array", "maxItems": MOST_TAGS, "items": tag}
    properties["title"] = {"type": "string"}
    properties["description"] = {"type": "string"}
    return _object(properties)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
