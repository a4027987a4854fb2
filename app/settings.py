"""Settings of one command: the environment's, completed by a `highlights dev` that runs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError
from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from infra.errors import InvalidSettingError, NotConfiguredError
from infra.redaction import register
from infra.settings import Settings
from infra.settings.base import PREFIX
from infra.state_directory import StateDirectory

_PAGE: Final = "docs/configuration.md describes every setting."
_OF_CLIENTS: Final = frozenset({"HIGHLIGHTS_URL", "HIGHLIGHTS_KEY"})
"""Variables that our guides give to clients of the API."""
_MISTYPED: Final = 2  # letters, at most
_FIELD: Final = re.compile(r'field "(\w+)"')


def read_settings(**options: object) -> Settings:
    """The environment's settings, with those of the command line above them.

    Raises:
        InvalidSettingError: a setting has a value that it cannot have, or a variable is mistyped.
            The message names each variable and never its value.
    """
    problems = list(_mistyped(os.environ))
    try:
        settings = Settings()
    except (ValidationError, SettingsError) as error:
        problems += _wrong_values(error)
    if problems:
        raise InvalidSettingError("\n".join(problems), remedy=_PAGE)
    return settings.model_copy(update=options)


def require_temporal(settings: Settings) -> Settings:
    """Settings that name a Temporal server; when they do not, that of the running `highlights dev`.

    Raises:
        NotConfiguredError: neither is there.
    """
    if settings.temporal_address is not None:
        return settings
    running = StateDirectory(settings.state_path()).running()
    if running is None:
        raise NotConfiguredError(
            "No Temporal server is configured, and no `highlights dev` is running.",
            remedy="Set TEMPORAL_ADDRESS, or start everything with `highlights dev`.",
        )
    return settings.model_copy(
        update={
            "temporal_address": running.temporal_address,
            "temporal_namespace": running.temporal_namespace,
        }
    )


def require_database(settings: Settings) -> Settings:
    """Settings that name a database; when they do not, those of the running `highlights dev`.

    Raises:
        NotConfiguredError: neither is there.
    """
    if settings.database_url is not None:
        return settings
    running = StateDirectory(settings.state_path()).running()
    if running is None:
        raise NotConfiguredError(
            "No database is configured, and no `highlights dev` is running.",
            remedy="Set DATABASE_URL, or start everything with `highlights dev`.",
        )
    owner = running.database_owner_url
    register(running.database_url, owner)  # a copy of settings is not validated
    return settings.model_copy(
        update={
            "database_url": SecretStr(running.database_url),
            "database_owner_url": SecretStr(owner) if owner else None,
            "temporal_address": settings.temporal_address or running.temporal_address,
        }
    )


def _mistyped(environment: Collection[str]) -> Iterator[str]:
    """Name the variables that look like a setting of ours and are none.

    All that begin with our prefix must be settings. Of the well-known ones, such as `DATABASE_URL`,
    a neighbor is taken for a mistake only where the right one is missing.
    """
    known = {name for names in Settings.variables().values() for name in names}
    given = {name.upper() for name in environment}
    for name in sorted(given - known - _OF_CLIENTS):
        if name.startswith(PREFIX):
            closest = process.extractOne(name, known, score_cutoff=75)
            hint = f" Did you mean {closest[0]}?" if closest else ""
            yield f"{name} is no setting.{hint}"
            continue
        for other in sorted(known - given):
            far = DamerauLevenshtein.distance(name, other, score_cutoff=_MISTYPED)
            if not other.startswith(PREFIX) and far <= _MISTYPED:
                yield f"{name} is no setting. Did you mean {other}?"


def _wrong_values(error: ValidationError | SettingsError) -> Iterator[str]:
    variables = Settings.variables()
    if isinstance(error, SettingsError):  # a value that had to be JSON
        found = _FIELD.search(str(error))
        name = variables.get(found[1], (found[1],))[0] if found else "A setting"
        yield f"{name} is wrong: it must be valid JSON."
        return
    for each in error.errors(include_url=False, include_input=False):
        first, *rest = (str(part) for part in each["loc"])
        name = variables.get(first, (first,))[0]
        place = f" ({'.'.join(rest)})" if rest else ""
        yield f"{name} is wrong{place}: {_sentence(each)}."


def _sentence(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    if problem["type"] == "missing":
        return "it must be given"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message.replace("should be", "must be").rstrip(".")
