"""A lifecycle event as a message; `docs/amqp.md` is its contract."""

from __future__ import annotations

from typing import Final

from aio_pika import DeliveryMode, Message

from domain.events import Event
from infra.clip_links import ClipLinks
from infra.webhook_message import message_of

EXCHANGE: Final = "highlights.events"


def routing_key(event: Event) -> str:
    """Return `<type>.<tenant>`, which is three words: `clip.ready.5f0c…`."""
    return f"{event.type.value}.{event.tenant_id}"


def message(event: Event, links: ClipLinks) -> Message:
    """Return a persistent message that carries an event as webhook endpoints get it."""
    return Message(
        message_of(event, links).encode(),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=str(event.id),
        type=event.type.value,
        timestamp=event.created_at,
        app_id="highlights",
        headers={"tenant-id": str(event.tenant_id), "ordering-key": event.ordering_key},
    )
