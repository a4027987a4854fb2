"""What is told of a stream that is followed."""

from __future__ import annotations

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.highlights import Highlight
from tldrtv_highlights.models.streams import Stream


class StreamEvent(Model):
    """A change of a stream: of a `highlight` or its clip, of the `stream`, or its `end`.

    A highlight is told again whenever it has changed; the latest `updated_at` counts. `reason` is
    why it ended: `ended` or `deleted`.
    """

    type: str
    id: str | None = None
    highlight: Highlight | None = None
    stream: Stream | None = None
    reason: str | None = None


class TenantEvent(Model):
    """An event of a tenant, with the body of the request that webhook endpoints receive.

    `webhooks.WebhookEvent.model_validate_json(body)` reads it. The same event may come twice, with
    the same `id` in its body. Each connection begins with one of the type `open` without content.
    """

    type: str
    id: str | None = None
    body: str
