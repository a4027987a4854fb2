"""Receiving webhooks: what comes is verified before it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime
from standardwebhooks import Webhook, WebhookVerificationError

from tldrtv_highlights.models import Model

__all__ = ["WebhookEvent", "WebhookVerificationError", "verify"]


class WebhookEvent(Model):
    """An event. `id` is the same in every repetition of it; `type` says what `data` holds."""

    id: str
    type: str
    version: str = "1"
    timestamp: AwareDatetime
    data: dict[str, Any]


def verify(body: bytes, headers: Mapping[str, str], *, secret: str) -> WebhookEvent:
    """Return the event that a request carries, if we have sent it within the last five minutes.

    Args:
        body: exactly as received.
        headers: of the request, in any case.
        secret: of the endpoint, `whsec_…`. During a rotation the former and the new one are good.

    Raises:
        WebhookVerificationError: it is not from us, was changed, or is old: answer 400.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    Webhook(secret).verify(body, lowered)
    return WebhookEvent.model_validate({"id": lowered["webhook-id"], **json.loads(body)})
