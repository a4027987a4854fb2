"""Settings of one command: the environment's, completed by a `highlights dev` that runs."""

from __future__ import annotations

from pydantic import SecretStr, ValidationError

from infra.embedded.home import StateDirectory
from infra.errors import NotConfiguredError
from infra.redaction import register
from infra.settings import Settings


def read_settings(**options: object) -> Settings:
    """The environment's settings, with those of the command line above them.

    Raises:
        NotConfiguredError: a setting has a value that it cannot have.
    """
    try:
        return Settings().model_copy(update=options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise NotConfiguredError(
            f"The setting {name} is wrong: {first['msg']}.",
            remedy="docs/configuration.md describes every setting.",
        ) from error


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
