"""Answers in the form that the request's schema asks for, from what was watched."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tests.fakes.gemini.watching import Seen, Watched

_TOP_DECIBELS = 24.0
_CHARACTERS_A_TOKEN = 4
_FLAGS = {"speech", "picture"}  # of a crowd that roars there is nothing to object to
_VOCABULARY = (
    *("amber", "brisk", "crowd", "dazzling", "echoing", "fierce", "gale", "hush", "iron", "jolt"),
    *("keen", "lunge", "murmur", "net", "outcry", "pounce", "quake", "roar", "surge", "thunder"),
    *("uproar", "volley", "whirl", "yell", "zeal"),
)


def answer(schema: dict[str, Any] | None, watched: Watched) -> str:
    """Return what the model says: text, or JSON that keeps to the schema."""
    if schema is None:
        return f"{len(watched.moments)} moments in {watched.seconds:.0f} seconds."
    return json.dumps(_object(schema, watched, _best(watched)))


def tokens_of(text: str) -> int:
    return max(1, len(text) // _CHARACTERS_A_TOKEN)


def _best(watched: Watched) -> Seen | None:
    return max(watched.moments, key=lambda seen: seen.decibels, default=None)


def _object(schema: dict[str, Any], watched: Watched, seen: Seen | None) -> dict[str, Any]:
    required = schema.get("required", [])
    return {
        name: _value(name, part, watched, seen)
        for name, part in schema["properties"].items()
        if seen is not None or name in required
    }


def _value(name: str, schema: dict[str, Any], watched: Watched, seen: Seen | None) -> Any:  # noqa: ANN401
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, watched, seen)
    if kind == "array":
        return _list(schema["items"], watched, None if name in _FLAGS else seen)
    if kind in {"boolean", "number", "integer"}:
        return seen is not None if kind == "boolean" else round(_strength(seen), 3)
    if "enum" in schema:
        return schema["enum"][0]
    if name in {"start", "peak", "end"}:
        return _clock(getattr(seen, name) if seen is not None else 0.0)
    return _words(seen) if seen is not None else "Nothing happens"


def _list(items: dict[str, Any], watched: Watched, seen: Seen | None) -> list[Any]:
    if items.get("type") == "object":
        return [_object(items, watched, moment) for moment in watched.moments]
    if seen is None:
        return []
    return items["enum"][:1] if "enum" in items else [_words(seen)]


def _words(seen: Seen) -> str:
    """Tell what was heard, in words that differ from one moment to the next as a model's do."""
    digest = hashlib.sha256(f"{seen.decibels:.2f}".encode()).digest()
    chosen = " ".join(_VOCABULARY[byte % len(_VOCABULARY)] for byte in digest[:4])
    return f"{chosen} at {seen.decibels:.0f} dB"


def _strength(seen: Seen | None) -> float:
    return 0.05 if seen is None else min(1.0, max(0.0, seen.decibels / _TOP_DECIBELS))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:06.3f}"
