"""The multimodal analyzer; without a key the local one works alone."""

from __future__ import annotations

from pydantic import Field, SecretStr

from infra.settings.section import SettingsSection


class GeminiSettings(SettingsSection):
    """The multimodal analyzer; without a key the local one works alone."""

    heading = "Gemini"

    gemini_api_key: SecretStr | None = Field(
        default=None, validation_alias="GEMINI_API_KEY", description="Key of the Gemini API."
    )
