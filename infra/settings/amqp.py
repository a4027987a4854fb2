"""The message broker that the platform shares; without a URL there is none."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, SecretStr

from infra.settings.section import SettingsSection

_SCHEMES: Final = ("amqp://", "amqps://")


def _is_amqp(url: SecretStr) -> SecretStr:
    # Refused here, once and by name, rather than by the worker for ever.
    if not url.get_secret_value().startswith(_SCHEMES):
        raise ValueError("the broker's URL must begin with amqp:// or amqps://")
    return url


class AmqpSettings(SettingsSection):
    """The message broker that the platform shares; without a URL there is none."""

    heading = "Broker"

    amqp_url: Annotated[SecretStr, AfterValidator(_is_amqp)] | None = Field(
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
