"""Webhook endpoints and what is delivered to them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.webhooks.events import EventType

SUBSCRIBABLE: Final = frozenset(EventType) - {EventType.ENDPOINT_TEST}
"""What an endpoint can ask for; a test goes to the endpoint that is tested, whatever it asks."""


class EndpointStatus(StrEnum):
    """Whether an endpoint is called."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is not called."""

    TENANT = "tenant"  # its owner said so
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # a delivery failed to its last attempt, and nothing succeeded meanwhile


class DeliveryStatus(StrEnum):
    """What has become of an event for one endpoint."""

    PENDING = "pending"  # to be sent, for the first time or again
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # its last attempt failed
    CANCELLED = "cancelled"  # its endpoint was disabled before it could be delivered


def wants(subscribed: Collection[str], kind: EventType) -> bool:
    """Tell whether an endpoint that asked for the types `subscribed` gets events of a type.

    Who names none gets all.
    """
    return kind in SUBSCRIBABLE and (not subscribed or kind in subscribed)


def fails_lastingly(*, failing_since: datetime | None, first_attempt_at: datetime) -> bool:
    """Tell whether an endpoint is to be disabled when a delivery has failed its last attempt.

    Args:
        failing_since: the first failed attempt after the endpoint's last success; None if its
            last attempt succeeded.
        first_attempt_at: when the delivery was first attempted.
    """
    return failing_since is not None and failing_since <= first_attempt_at
