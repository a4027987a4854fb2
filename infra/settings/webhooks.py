"""Events sent to tenants."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from infra.settings.section import SettingsSection


class WebhookSettings(SettingsSection):
    """Events sent to tenants' webhook endpoints."""

    heading = "Webhooks"

    webhook_endpoints: PositiveInt = Field(
        default=20, description="Endpoints that a tenant may have."
    )
    webhook_timeout: PositiveFloat = Field(
        default=15.0,
        le=45.0,
        description="Seconds for one request to an endpoint, its answer included.",
    )
    webhook_concurrency: PositiveInt = Field(
        default=50, description="Requests to endpoints that a worker makes at a time."
    )
    webhook_endpoint_concurrency: PositiveInt = Field(
        default=4, description="Of these, requests to one and the same endpoint."
    )
    webhook_relay_interval: PositiveFloat = Field(
        default=10.0,
        description="Seconds between two looks for events that were written but not sent on, "
        "because a process died or Temporal was away.",
    )
