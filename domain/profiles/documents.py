"""Profile documents: layers, inheritance, validation, JSON Schema and tenants' overrides.

Documents are merged (JSON Merge Patch) along `extends:` and validated; problems are reported so
that authors can fix them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, cast, get_args, get_origin
from uuid import UUID

from pydantic import PositiveInt, ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import fuzz, process

from domain.model import Model
from domain.profiles.model import DEFAULT_PROFILE, GameProfile

_NEAR: Final = 55.0
"""RapidFuzz ratio (0 to 100) from which a valid key is offered as what was meant."""


Path = tuple[str | int, ...]


class ProfileProblem(Model):
    """One problem of a profile: document (`source`), `path` in it, and message.

    `line` counts from 1 and is set for documents read from a file.
    """

    source: str
    path: Path = ()
    words: str
    line: int | None = None

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        place = ".".join(map(str, self.path))
        return f"{where}: {place}: {self.words}" if place else f"{where}: {self.words}"


class InvalidProfilesError(Exception):
    """Profiles are invalid; carries all their problems."""

    code: Final = "profile_invalid"

    def __init__(self, problems: Iterable[ProfileProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def problems_of(error: ValidationError) -> list[tuple[Path, str]]:
    """Return the problems of a validation of `GameProfile` as path and message."""
    return [_explain(details) for details in error.errors(include_url=False)]


def nearest_key(key: str, valid: Iterable[str]) -> str:
    """Return a hint which of the `valid` keys was meant by `key`."""
    choices = sorted(valid)
    if not choices:
        return "nothing may stand here"
    match = process.extractOne(key, choices, scorer=fuzz.ratio, score_cutoff=_NEAR)
    return f"did you mean `{match[0]}`?" if match else f"valid here: {', '.join(choices)}"


def valid_keys(path: Path) -> tuple[str, ...]:
    """Return the keys that the schema allows at the last element of `path`."""
    kind: Any = GameProfile
    for key in path[:-1]:
        kind = _child(kind, key)
    if isinstance(kind, type) and issubclass(kind, Model):
        return tuple(name for name in kind.model_fields if name not in COMPUTED)
    return ()


def _explain(details: ErrorDetails) -> tuple[Path, str]:
    context = details.get("ctx", {})
    path = tuple(key for key in details["loc"] if key != "[key]")
    match details["type"]:
        case "extra_forbidden":
            key = str(path[-1])
            return path, f"unknown key `{key}`; {nearest_key(key, valid_keys(path))}"
        case "unknown_key":
            advice = nearest_key(context["key"], context["valid"])
            return context["path"], f"{details['msg']}; {advice}"
        case "weights_incomplete" | "weights_sum" | "markets_missing":
            return context["path"], details["msg"]
        case "thresholds_unordered" | "limits_contradict" | "lengths_contradict":
            return path, details["msg"]
        case "lengths_unordered" | "missing" | "box_outside" | "regions_overlap":
            return path, details["msg"]
    message = details["msg"].removeprefix("Input ")
    return path, f"{message}; it is {str(details['input'])[:60]!r}"


def _child(kind: Any, key: str | int) -> Any:  # noqa: ANN401 - any annotation of the schema
    if isinstance(kind, type) and issubclass(kind, Model):
        field = kind.model_fields.get(str(key))
        return field.annotation if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if arguments else None


Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value as JSON knows it: what profiles are made of before they are validated."""


def merge_patch(target: Mapping[str, Json], patch: Mapping[str, Json]) -> dict[str, Json]:
    """Return `target` with `patch` applied, by JSON Merge Patch (RFC 7396).

    Mappings are merged key by key, anything else (lists too) is replaced, and null removes a key.
    The arguments are not modified. Merging is idempotent, and an empty patch changes nothing.
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


MAX_DEPTH: Final = 5
"""Maximum depth of inheritance; deeper chains are hard to understand."""


VERSION_LENGTH: Final = 12
"""Hexadecimal digits of a version: 48 bits, ample for the handful of versions of one profile."""


_OWN: Final = frozenset({"name", "kind", "description", "aliases", "extends"})


REQUIRED: Final = ("name", "kind")


COMPUTED: Final = ("id", "version", "criteria")


class Layer(Model):
    """One author's part of a profile; `source` names the file or override."""

    source: str
    data: dict[str, object]


Documents = Mapping[str, tuple[Layer, ...]]
"""By profile id, the layers written about it: the shipped one first, then overrides."""


def resolve_documents(documents: Documents) -> dict[str, GameProfile]:
    """Return all profiles, merged with their ancestors and validated.

    Raises:
        InvalidProfilesError: with the problems of all documents, without duplicates.
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
    """Return the version of a profile's content: truncated SHA-256 of its canonical JSON."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:VERSION_LENGTH]


def versioned(profile: GameProfile) -> GameProfile:
    """Return a profile with the version of its content.

    What a profile of an older release cannot have counts only where it is given, so that the
    versions of profiles without it stay.
    """
    given = profile.model_dump(mode="json", exclude={"version"})
    later: dict[str, object] = {"languages": [], "criteria": None}
    content = {key: value for key, value in given.items() if later.get(key, ...) != value}
    return profile.with_version(content_version(content))


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
    return versioned(profile)


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
            "(the id from the file's name, the version from the content, the criteria from the "
            "stream's request): remove it",
        )
        for layer in layers
        for key in COMPUTED
        if key in layer.data
    ]
    if problems:
        raise InvalidProfilesError(problems)


def _author(path: Path, layers: list[Layer]) -> str:
    """Return the source of the last layer that sets `path`, or its longest prefix."""
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
    """Return the value as plain JSON; values that JSON does not support become text."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


_NULLABLE_VALUES: Final = frozenset({"moments", "tags", "markets", "terms", "regions", "words"})
"""Mappings from which a child takes an inherited entry away by giving null (RFC 7396)."""


def profile_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a profile file.

    A file contains only what differs from its parent, so nothing below the top level is required
    and no default is shown. Unknown keys are errors.
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


MAX_OVERRIDES: Final = 50
"""Most profiles that a tenant may change or add; all of them are resolved and searched together."""


MAX_NESTING: Final = 8
"""Most levels of a patch; a profile has five."""


class ProfileOverride(Model):
    """One revision of a tenant's override of one profile.

    `patch` is applied to the shipped document by JSON Merge Patch, so profiles that extend it
    inherit the change. An id that is not shipped defines a profile of the tenant's own. An empty
    patch reverts earlier revisions. `created_at` is UTC; `created_by` is the API key.
    """

    tenant_id: UUID
    profile_id: str
    revision: PositiveInt
    patch: dict[str, object]
    created_at: datetime
    created_by: UUID | None = None

    @property
    def source(self) -> str:
        """Name of this override in problems."""
        return f"override {self.profile_id} revision {self.revision}"

    def layer(self) -> Layer:
        """Return the override as a layer over the shipped document."""
        return Layer(source=self.source, data=self.patch)

    def check(self) -> None:
        """Validate the patch itself, before it is merged.

        Raises:
            InvalidProfilesError: the patch is empty or too deep, or contains a number that is not
                finite or text with control characters, which cannot be stored.
        """
        problems = [
            ProfileProblem(source=self.source, path=path, words=words)
            for path, words in _unusable(self.patch)
        ]
        if not self.patch:
            words = "changes nothing: say what differs, or delete the override"
            problems = [ProfileProblem(source=self.source, words=words)]
        if problems:
            raise InvalidProfilesError(problems)


def _unusable(patch: Mapping[str, object]) -> Iterator[tuple[Path, str]]:
    """Yield paths and their problems; iterative, since the client determines the depth."""
    waiting: list[tuple[Path, object]] = [((), patch)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict | list):
            if len(path) >= MAX_NESTING:
                yield path, f"is nested more than {MAX_NESTING} levels deep"
                continue
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if isinstance(key, str) and not _is_storable(key):
                    yield path, "has a key with control characters"
                else:
                    waiting.append(((*path, key), item))
        elif isinstance(value, float) and not math.isfinite(value):
            yield path, "must be a finite number"
        elif isinstance(value, str) and not _is_storable(value):
            yield path, "has control characters: remove them"


def _is_storable(text: str) -> bool:
    """Return True if the text has no control characters and no unpaired surrogates."""
    return not any(
        character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff"
        for character in text
    )
