"""Server-sent events."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat

from infra.settings.section import SettingsSection


class EventSettings(SettingsSection):
    """Server-sent events."""

    heading = "Server-sent events"

    events_per_tenant: NonNegativeInt = Field(
        default=50, description="Connections of one tenant to one API process at a time."
    )
    events_interval: PositiveFloat = Field(
        default=1.0, description="Seconds between two looks at what is new, for each connection."
    )
    events_keep_alive: PositiveFloat = Field(
        default=15.0, description="Seconds of silence after which a comment is sent."
    )
    events_lifetime: PositiveFloat = Field(
        default=3600.0,
        description="Seconds after which a connection is closed; clients go on where they were, "
        "if their key still holds.",
    )
