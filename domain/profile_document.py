"""From what authors and tenants write to complete profiles: layers, inheritance, validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import ValidationError

from domain.model import Model
from domain.profile import DEFAULT_PROFILE, GameProfile
from domain.profile_merge import Json, merge_patch
from domain.profile_problem import (
    InvalidProfilesError,
    Path,
    ProfileProblem,
    nearest_key,
    problems_of,
)

MAX_DEPTH: Final = 5
"""Most profiles in one line of inheritance; deeper ones nobody can follow."""

VERSION_LENGTH: Final = 12
"""Hexadecimal digits of a version: 48 bits, ample for the handful of versions of one profile."""

_OWN: Final = frozenset({"name", "kind", "description", "aliases", "extends"})
REQUIRED: Final = ("name", "kind")
COMPUTED: Final = ("id", "version")


class Layer(Model):
    """What one author says about a profile; `source` names the file or override it came from."""

    source: str
    data: dict[str, object]


Documents = Mapping[str, tuple[Layer, ...]]
"""By profile id, the layers written about it: the shipped one first, then overrides."""


def resolve_documents(documents: Documents) -> dict[str, GameProfile]:
    """Return every profile complete: its ancestors' layers merged under its own, and validated.

    Raises:
        InvalidProfilesError: with every problem of every document, each said once.
    """
    profiles: dict[str, GameProfile] = {}
    problems: dict[tuple[str, Path, str], ProfileProblem] = {}
    if DEFAULT_PROFILE not in documents:
        missing = ProfileProblem(
            source=DEFAULT_PROFILE, words="there must be a profile `default`, the fallback"
        )
        problems[missing.source, (), missing.words] = missing
    for profile_id in sorted(documents):
        try:
            profiles[profile_id] = _resolve(profile_id, documents)
        except InvalidProfilesError as error:
            problems.update({(p.source, p.path, p.words): p for p in error.problems})
    if problems:
        raise InvalidProfilesError(problems.values())
    return profiles


def content_version(content: Mapping[str, object]) -> str:
    """Return the version of a profile's content: SHA-256 of its canonical JSON, shortened."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:VERSION_LENGTH]


def _resolve(profile_id: str, documents: Documents) -> GameProfile:
    lineage = _lineage(profile_id, documents)
    layers = [layer for ancestor in lineage for layer in documents[ancestor]]
    own = documents[profile_id]
    _refuse_computed(own)
    content: dict[str, Json] = {}
    for ancestor in lineage:
        content = {key: value for key, value in content.items() if key not in _OWN}
        for layer in documents[ancestor]:
            content = merge_patch(content, {key: _json(v) for key, v in layer.data.items()})
    missing = [key for key in REQUIRED if key not in content]
    if missing:
        words = f"{' and '.join(f'`{key}`' for key in missing)} must be given"
        raise InvalidProfilesError([ProfileProblem(source=own[-1].source, words=words)])
    try:
        profile = GameProfile.model_validate_json(
            json.dumps({**content, "id": profile_id, "version": ""}), strict=True, extra="forbid"
        )
    except ValidationError as error:
        raise InvalidProfilesError(
            ProfileProblem(source=_author(path, layers), path=path, words=words)
            for path, words in problems_of(error)
        ) from None
    version = content_version(profile.model_dump(mode="json", exclude={"version"}))
    return profile.model_copy(update={"version": version})


def _lineage(profile_id: str, documents: Documents) -> list[str]:
    """Return the ids from the oldest ancestor down to the profile itself."""
    line = [profile_id]
    while (parent := _parent(documents[line[-1]])) is not None:
        source = documents[line[-1]][-1].source
        words = ""
        if parent in line:
            words = f"inherits from itself: {' -> '.join([*line, parent])}"
        elif parent not in documents:
            words = f"there is no profile `{parent}`; {nearest_key(parent, documents)}"
        elif len(line) == MAX_DEPTH:
            words = f"inherits through more than {MAX_DEPTH} profiles: {' -> '.join(line)}"
        if words:
            raise InvalidProfilesError(
                [ProfileProblem(source=source, path=("extends",), words=words)]
            )
        line.append(parent)
    return line[::-1]


def _parent(layers: tuple[Layer, ...]) -> str | None:
    for layer in reversed(layers):
        if "extends" in layer.data:
            value = layer.data["extends"]
            return None if value is None else str(value)
    return None


def _refuse_computed(layers: tuple[Layer, ...]) -> None:
    problems = [
        ProfileProblem(
            source=layer.source,
            path=(key,),
            words=f"`{key}` is not written but derived "
            "(the id from the file's name, the version from the content): remove it",
        )
        for layer in layers
        for key in COMPUTED
        if key in layer.data
    ]
    if problems:
        raise InvalidProfilesError(problems)


def _author(path: Path, layers: list[Layer]) -> str:
    """Return the source of the last layer that speaks of `path`, or of as much of it as any."""
    for length in range(len(path), 0, -1):
        for layer in reversed(layers):
            if _has(layer.data, path[:length]):
                return layer.source
    return layers[-1].source


def _has(value: object, path: Path) -> bool:
    for key in path:
        try:
            value = cast("Any", value)[key]
        except (IndexError, KeyError, TypeError):
            return False
    return True


def _json(value: object) -> Json:
    """Return the value as plain JSON; what JSON does not know becomes text."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
