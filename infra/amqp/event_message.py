"""A lifecycle event as a message; `docs/amqp.md` is its contract."""

from __future__ import annotations

import json
from typing import Any, Final

from aio_pika import DeliveryMode, Message

from domain.events import VERSION, Event
from infra.clip_links import ClipLinks

EXCHANGE: Final = "highlights.events"
_CLIP_FILES: Final = ("url", "thumbnail_url")


def routing_key(event: Event) -> str:
    """Return `<type>.<tenant>`, which is three words: `clip.ready.5f0c…`."""
    return f"{event.type.value}.{event.tenant_id}"


def message(event: Event, links: ClipLinks) -> Message:
    """Return a persistent message that carries an event, with links to clips' files signed."""
    return Message(
        json.dumps(_content(event, links)).encode(),
        content_type="application/json",
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=str(event.id),
        type=event.type.value,
        timestamp=event.created_at,
        app_id="highlights",
        headers={"tenant-id": str(event.tenant_id), "ordering-key": event.ordering_key},
    )


def _content(event: Event, links: ClipLinks) -> dict[str, Any]:
    paths = {name: event.data[name] for name in _CLIP_FILES if event.data.get(name)}
    signed = (
        {name: links.sign(path, tenant_id=event.tenant_id) for name, path in paths.items()}
        if event.type.value.startswith("clip.")
        else {}
    )
    return {
        "version": VERSION,
        "id": str(event.id),
        "type": event.type.value,
        "tenant_id": str(event.tenant_id),
        "stream_id": str(event.stream_id) if event.stream_id else None,
        "subject": event.subject,
        "created_at": event.created_at.isoformat(),
        "data": event.data | signed,
    }
