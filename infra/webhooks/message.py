"""An event as receivers read it."""

from __future__ import annotations

import json
from typing import Any

from domain.webhooks.events import PAYLOADS, VERSION, ClipPayload, Event
from infra.storage.signed_urls import ClipLinks


def message_of(event: Event, links: ClipLinks) -> str:
    """Return the body of a webhook, or of a message to a broker: the event as JSON.

    Links to clips are signed anew, so that they work for as long as they promise, however late
    the message is.
    """
    document = {
        "id": str(event.id),
        "type": event.type.value,
        "version": VERSION,
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "data": _with_links(event, links),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _with_links(event: Event, links: ClipLinks) -> dict[str, Any]:
    if PAYLOADS[event.type] is not ClipPayload:
        return event.data
    signed = {
        name: links.sign(event.data[name], tenant_id=event.tenant_id)
        for name in ("url", "thumbnail_url")
        if event.data.get(name)
    }
    return event.data | signed
