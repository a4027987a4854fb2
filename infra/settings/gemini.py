"""The multimodal analyzer; without a key the local one works alone."""

from __future__ import annotations

from typing import Final

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr

from domain.gemini.choice import Choice
from domain.gemini.cost import ModelPrice
from domain.gemini.models import DEFAULT_MODEL, FALLBACK_PRICE, PriceTable, bare_name
from infra.settings.section import SettingsSection
from infra.settings.values import HttpUrl

_MODEL_NAME: Final = r"^(models/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


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
        default=DEFAULT_MODEL,
        pattern=_MODEL_NAME,
        description="Model that watches. `highlights doctor` says if it is retired or unknown.",
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
        '`{"soccer": {"model": "gemini-3.8-flash", "temperature": 0.2, "language": "Spanish"}}`.',
    )
    gemini_prices: dict[str, ModelPrice] = Field(
        default_factory=dict,
        description="Dollars for a million tokens by model, as JSON, in place of the list prices "
        'that are built in: `{"gemini-3.8-flash": {"text": 0.75, "audio": 0.75, "output": 3.75}}`.',
    )
    gemini_fallback_price: ModelPrice = Field(
        default=FALLBACK_PRICE,
        description="Price assumed for a model whose price is not known, as JSON in the same form.",
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

    def gemini_price_table(self) -> PriceTable:
        """Prices of models: the built-in ones, and the operator's above them."""
        return PriceTable(overrides=self.gemini_prices, fallback=self.gemini_fallback_price)

    def gemini_models(self) -> tuple[str, ...]:
        """All models that may be asked, without repetitions."""
        chosen = [each.model for each in self.gemini_by_profile.values() if each.model]
        return tuple(dict.fromkeys(map(bare_name, (self.gemini_model, *chosen))))
