"""What all groups of settings share."""

from __future__ import annotations

from typing import ClassVar, Final

from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "HIGHLIGHTS_"


class SettingsSection(BaseSettings):
    """A group of settings under one heading of the documentation."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # which may be a URL with a password in it
        allow_inf_nan=False,
        str_strip_whitespace=True,  # a secret from a file ends in a line break
    )
    heading: ClassVar[str]
