"""The message broker that the platform shares; without a URL there is none."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from infra.settings.section import SettingsSection
from infra.settings.values import AmqpUrl


class AmqpSettings(SettingsSection):
    """The message broker that the platform shares; without a URL there is none."""

    heading = "Broker"

    amqp_url: AmqpUrl | None = Field(
        default=None,
        validation_alias="AMQP_URL",
        description="Broker (`amqp://…` or `amqps://…`) to which workers publish lifecycle events, "
        "and from which they take jobs.",
    )
    amqp_poll_interval: PositiveFloat = Field(
        default=0.5, description="Seconds between looks into the outbox when it was empty."
    )
    amqp_publish_timeout: PositiveFloat = Field(
        default=10.0, description="Seconds that the broker has to confirm an event."
    )
    amqp_prefetch: PositiveInt = Field(
        default=8, description="Jobs that a worker takes from the broker at a time."
    )
