"""What all groups of settings share."""

from __future__ import annotations

from typing import ClassVar

from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsSection(BaseSettings):
    """A group of settings under one heading of the documentation."""

    model_config = SettingsConfigDict(
        env_prefix="HIGHLIGHTS_",
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # which may be a URL with a password in it
    )
    heading: ClassVar[str]
