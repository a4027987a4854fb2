"""What is wrong with a profile, said so that its author can put it right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rapidfuzz import fuzz, process

from domain.model import Model
from domain.profile import GameProfile

_NEAR: Final = 55.0
"""RapidFuzz ratio (0 to 100) from which a valid key is offered as what was meant."""

Path = tuple[str | int, ...]


class ProfileProblem(Model):
    """One thing wrong: where (`source` names the document, `path` the place in it), and what.

    `line` counts from 1 and is known for documents read from a file.
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
    """Profiles that cannot be used, with everything that is wrong with them."""

    code: Final = "profile_invalid"

    def __init__(self, problems: Iterable[ProfileProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def problems_of(error: ValidationError) -> list[tuple[Path, str]]:
    """Return each problem of a validation of `GameProfile` as a path and a sentence."""
    return [_explain(details) for details in error.errors(include_url=False)]


def nearest_key(key: str, valid: Iterable[str]) -> str:
    """Return advice on what was meant by `key`, given the keys that are valid in its place."""
    choices = sorted(valid)
    if not choices:
        return "nothing may stand here"
    match = process.extractOne(key, choices, scorer=fuzz.ratio, score_cutoff=_NEAR)
    return f"did you mean `{match[0]}`?" if match else f"valid here: {', '.join(choices)}"


def valid_keys(path: Path) -> tuple[str, ...]:
    """Return the keys that the schema allows beside the last one of `path`."""
    kind: Any = GameProfile
    for key in path[:-1]:
        kind = _child(kind, key)
    if isinstance(kind, type) and issubclass(kind, Model):
        return tuple(name for name in kind.model_fields if name not in {"id", "version"})
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
        case "lengths_unordered" | "missing":
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
