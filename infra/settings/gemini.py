"""The multimodal analyzer; without a key the local one works alone."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr

from domain.gemini.choice import Choice
from domain.gemini.cost import ModelPrice
from infra.settings.section import SettingsSection
from infra.settings.values import HttpUrl


def _prices() -> dict[str, ModelPrice]:
    """Return the list prices of the paid tier (ai.google.dev/gemini-api/docs/pricing, 2026)."""
    return {
        "gemini-2.5-flash": ModelPrice(text=0.30, audio=1.00, output=2.50),
        "gemini-3-flash-preview": ModelPrice(text=0.50, audio=1.00, output=3.00),
    }


class GeminiSettings(SettingsSection):
    """The multimodal analyzer; without a key the local one works alone."""

    heading = "Gemini"

    gemini_api_key: SecretStr | None = Field(
        default=None, validation_alias="GEMINI_API_KEY", description="Key of the Gemini API."
    )
    gemini_base_url: HttpUrl | None = Field(
        default=None, description="Where the Gemini API is, if not at Google."
    )
    gemini_model: str = Field(
        default="gemini-2.5-flash", description="Model that watches; its price must be known."
    )
    gemini_temperature: NonNegativeFloat | None = Field(
        default=None, le=2.0, description="Its temperature; by default the model's own."
    )
    gemini_language: str = Field(
        default="English", max_length=40, description="Language of titles and descriptions."
    )
    gemini_by_profile: dict[str, Choice] = Field(
        default_factory=dict,
        description="Other choices for single profiles, as JSON: "
        '`{"soccer": {"model": "gemini-3-flash-preview", "temperature": 0.2, "language": '
        '"Spanish"}}`.',
    )
    gemini_prices: dict[str, ModelPrice] = Field(
        default_factory=_prices,
        description="Dollars for a million tokens by model, as JSON: "
        '`{"gemini-2.5-flash": {"text": 0.3, "audio": 1.0, "output": 2.5}}` (the default has the '
        "list prices of 2026 of the models we know).",
    )
    gemini_call_deadline: PositiveFloat = Field(
        default=30.0, description="Seconds that one call may take."
    )
    gemini_inline_bytes: PositiveInt = Field(
        default=4 << 20,
        le=14 << 20,
        description="Bytes up to which a video is sent inline; a bigger one is uploaded once for "
        "all questions about it.",
    )
    gemini_dollars_per_stream_hour: NonNegativeFloat = Field(
        default=0.25, description="Dollars that a stream may cost for each of its hours."
    )
    gemini_dollars_per_tenant_hour: NonNegativeFloat = Field(
        default=5.0, description="Dollars that all streams of a tenant may cost in an hour of UTC."
    )
    gemini_dollars_per_tenant_month: NonNegativeFloat = Field(
        default=500.0,
        description="Dollars that all streams of a tenant may cost in a month of UTC.",
    )
    gemini_video_share: float = Field(
        default=0.35, gt=0.0, le=1.0, description="Share of a stream that may be watched at most."
    )
    gemini_requests_per_minute: PositiveInt = Field(
        default=150, description="Requests a minute that the project's quota allows."
    )
    gemini_tokens_per_minute: PositiveInt = Field(
        default=1_000_000, description="Tokens a minute that the project's quota allows."
    )
    gemini_tenant_share: float = Field(
        default=0.5, gt=0.0, le=1.0, description="Share of the quota that one tenant may take."
    )
