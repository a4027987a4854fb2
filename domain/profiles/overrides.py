"""A tenant's own changes to the shipped profiles."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import PositiveInt

from domain.model import Model
from domain.profiles.documents import InvalidProfilesError, Layer, Path, ProfileProblem

MAX_OVERRIDES: Final = 50
"""Most profiles that a tenant may change or add; all of them are resolved and searched together."""

MAX_NESTING: Final = 8
"""Most levels of a patch; a profile has four."""


class ProfileOverride(Model):
    """One revision of what a tenant says about one profile.

    `patch` is laid over the shipped document by JSON Merge Patch, so what extends that profile
    inherits the change too. An id that is not shipped makes a profile of the tenant's own.
    An empty patch takes earlier revisions back. `created_at` is UTC; `created_by` is the API key.
    """

    tenant_id: UUID
    profile_id: str
    revision: PositiveInt
    patch: dict[str, object]
    created_at: datetime
    created_by: UUID | None = None

    @property
    def source(self) -> str:
        """How problems name this override."""
        return f"override {self.profile_id} revision {self.revision}"

    def layer(self) -> Layer:
        """Return the override as a layer over the shipped document."""
        return Layer(source=self.source, data=self.patch)

    def check(self) -> None:
        """Refuse what no profile could hold, before anything is merged.

        Raises:
            InvalidProfilesError: the patch is empty, too deep, or has a number that is not finite
                or a text with control characters, which no store takes.
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
    """Yield paths and what is wrong there; no recursion, since the depth is the client's."""
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
    """Tell whether a text is free of control characters and of halves of surrogate pairs."""
    return not any(
        character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff"
        for character in text
    )
