"""What usage costs."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final

from pydantic import Field

from domain.usage import UsageKind
from infra.settings.section import SettingsSection

# What a provider bills us is in dollars already.
_PASSED_ON: Final = {UsageKind.GEMINI_COST_USD: Decimal(1)}


class UsageSettings(SettingsSection):
    """What usage costs."""

    heading = "Usage"

    usage_prices: dict[UsageKind, Annotated[Decimal, Field(ge=0)]] | None = Field(
        default=None,
        description="Price in US dollars of one unit of each kind of usage, as a JSON object: "
        '`{"analyzed_seconds": 0.0005, "clip_rendered": 0.01}`. What is not named costs nothing; '
        'by default `{"gemini_cost_usd": 1}`.',
    )

    usage_flush_interval: float = Field(
        default=5.0,
        ge=0.1,
        le=300,
        description="Seconds between two writings of the requests that a process of the API has "
        "counted. One that is killed loses those since the last.",
    )

    def price_table(self) -> Mapping[UsageKind, Decimal]:
        """The price in US dollars of a unit of each kind that has one."""
        return _PASSED_ON if self.usage_prices is None else self.usage_prices
