"""Webhook endpoints, and deliveries to them."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class WebhookEndpoint(Model):
    """A webhook endpoint; without `event_types` it is told of everything."""

    id: str
    url: str
    description: str
    event_types: tuple[str, ...]
    status: str
    disabled_reason: str | None
    disabled_at: AwareDatetime | None
    failing_since: AwareDatetime | None
    previous_secret_until: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class WebhookEndpointWithSecret(WebhookEndpoint):
    """A webhook endpoint with its secret, which is shown once; None in a repeated answer."""

    secret: str | None = None


class Delivery(Model):
    """An event for one endpoint, and how far it has come."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    status: str
    attempts: int
    last_attempt_at: AwareDatetime | None
    next_attempt_at: AwareDatetime | None
    last_status_code: int | None
    last_error: str | None
    created_at: AwareDatetime
    finished_at: AwareDatetime | None


class DeliveryAttempt(Model):
    """One request to the endpoint; `duration` in seconds, `response` is how its answer began."""

    number: int
    at: AwareDatetime
    duration: float
    status_code: int | None
    error: str | None
    response: str


class DeliveryDetail(Delivery):
    """A delivery with what is sent and its latest attempts, newest first."""

    data: dict[str, Any] | None
    history: tuple[DeliveryAttempt, ...]


class EgressAddresses(Model):
    """Networks (CIDR) that requests to your servers come from; none are not fixed."""

    addresses: tuple[str, ...]


class ReplayResult(Model):
    """How many events are being sent once more."""

    deliveries: int
