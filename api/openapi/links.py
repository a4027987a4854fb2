"""What can be done with what an operation answers: the links of the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Link:
    """A value of the answer that another operation takes as a parameter.

    Args:
        to: the other operation.
        parameter: its parameter.
        pointer: where the value stands in the body, as a JSON pointer.
    """

    to: str
    parameter: str
    pointer: str

    def document(self) -> dict[str, Any]:
        """Return this as the OpenAPI document says it."""
        expression = f"$response.body#{self.pointer}"
        return {"operationId": self.to, "parameters": {self.parameter: expression}}


_STREAM: Final = (
    Link("getStream", "stream_id", "/id"),
    Link("stopStream", "stream_id", "/id"),
    Link("listHighlights", "stream_id", "/id"),
    Link("deleteStream", "stream_id", "/id"),
)
_KEY: Final = (
    Link("getKey", "key_id", "/id"),
    Link("updateKey", "key_id", "/id"),
    Link("rotateKey", "key_id", "/id"),
    Link("revokeKey", "key_id", "/id"),
)
_HIGHLIGHT: Final = (
    Link("getStream", "stream_id", "/stream_id"),
    Link("getClip", "clip_id", "/clip/id"),
    Link("similarHighlights", "highlight_id", "/id"),
    Link("giveFeedback", "highlight_id", "/id"),
    Link("listFeedback", "highlight_id", "/id"),
)
_OVERRIDE: Final = (
    Link("getProfile", "profile_id", "/profile_id"),
    Link("getProfileOverride", "profile_id", "/profile_id"),
    Link("listProfileOverrideRevisions", "profile_id", "/profile_id"),
)
_ENDPOINT: Final = (
    Link("getWebhook", "endpoint_id", "/id"),
    Link("updateWebhook", "endpoint_id", "/id"),
    Link("rotateWebhookSecret", "endpoint_id", "/id"),
    Link("testWebhook", "endpoint_id", "/id"),
    Link("replayEvents", "endpoint_id", "/id"),
    Link("listWebhookDeliveries", "endpoint_id", "/id"),
    Link("deleteWebhook", "endpoint_id", "/id"),
)
_DELIVERY: Final = (
    Link("getDelivery", "delivery_id", "/id"),
    Link("redeliver", "delivery_id", "/id"),
)
_CONNECTION: Final = (
    Link("getConnection", "connection_id", "/id"),
    Link("updateConnection", "connection_id", "/id"),
    Link("rotateConnectionSecrets", "connection_id", "/id"),
    Link("listConnectionEvents", "connection_id", "/id"),
    Link("deleteConnection", "connection_id", "/id"),
)
LINKS: Final[dict[tuple[str, str], tuple[Link, ...]]] = {
    ("analyzeStream", "201"): _STREAM,
    ("listStreams", "200"): (
        Link("getStream", "stream_id", "/data/0/id"),
        Link("listStreams", "cursor", "/next_cursor"),
    ),
    ("listHighlights", "200"): (
        Link("getHighlight", "highlight_id", "/data/0/id"),
        Link("listHighlights", "cursor", "/next_cursor"),
    ),
    ("searchHighlights", "200"): (
        Link("getHighlight", "highlight_id", "/data/0/highlight/id"),
        Link("searchHighlights", "cursor", "/next_cursor"),
    ),
    ("getHighlight", "200"): _HIGHLIGHT,
    ("getClip", "200"): (Link("getHighlight", "highlight_id", "/highlight_id"),),
    ("listProfiles", "200"): (Link("getProfile", "profile_id", "/data/0/id"),),
    ("matchProfile", "200"): (Link("getProfile", "profile_id", "/profile_id"),),
    ("putProfileOverride", "201"): _OVERRIDE,
    ("putProfileOverride", "200"): _OVERRIDE,
    ("createKey", "201"): _KEY,
    ("rotateKey", "201"): _KEY,
    ("listKeys", "200"): (
        Link("getKey", "key_id", "/data/0/id"),
        Link("listKeys", "cursor", "/next_cursor"),
    ),
    ("giveFeedback", "200"): (Link("getHighlight", "highlight_id", "/highlight_id"),),
    ("subscribeWebhook", "201"): _ENDPOINT,
    ("testWebhook", "202"): _DELIVERY,
    ("listDeliveries", "200"): (Link("getDelivery", "delivery_id", "/data/0/id"),),
    ("putBudget", "200"): (Link("deleteBudget", "kind", "/kind"),),
    ("createConnection", "201"): _CONNECTION,
    ("listAuditEntries", "200"): (Link("listAuditEntries", "cursor", "/next_cursor"),),
}
"""By operation and status of its answer."""


def add_links(operation: dict[str, Any]) -> None:
    """Give the answers of an operation of the OpenAPI document their links."""
    for status, response in operation["responses"].items():
        links = LINKS.get((operation["operationId"], status), ())
        if links:
            response["links"] = {link.to: link.document() for link in links}
