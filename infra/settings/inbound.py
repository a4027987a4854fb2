"""100ms: where its API is, and how often we look after what its webhooks brought."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from infra.settings.section import SettingsSection
from infra.settings.values import HttpUrl


class InboundSettings(SettingsSection):
    """100ms: its API, and how often we look after what its webhooks brought."""

    heading = "100ms"

    hms_api_url: HttpUrl = Field(
        default="https://api.100ms.live",
        description="100ms's server-side API, asked for live streams where a connection has a "
        "management key.",
    )
    inbound_patience: PositiveFloat = Field(
        default=0.02,
        description="Seconds that the answer to an event waits for its stream to be told; what "
        "takes longer goes on after the answer.",
    )
    relay_interval: PositiveFloat = Field(
        default=10.0,
        description="Seconds between passes that deliver events which could not be delivered when "
        "they came.",
    )
    reconcile_interval: PositiveFloat = Field(
        default=60.0, description="Seconds between comparisons of our streams with 100ms's list."
    )
