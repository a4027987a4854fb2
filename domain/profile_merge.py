"""How one layer of a profile is laid over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value as JSON knows it: what profiles are made of before they are validated."""


def merge_patch(target: Mapping[str, Json], patch: Mapping[str, Json]) -> dict[str, Json]:
    """Return `target` with `patch` laid over it, by JSON Merge Patch (RFC 7396).

    Mappings merge key by key, anything else (lists too) is replaced, and null takes a key away.
    Neither argument is changed. Merging is idempotent, and an empty patch changes nothing.
    """
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            before = merged.get(key)
            merged[key] = merge_patch(before if isinstance(before, dict) else {}, value)
        else:
            merged[key] = value
    return merged
