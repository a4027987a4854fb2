"""The OpenAPI document and the documentation pages, which work offline.

Adds to FastAPI's document: common responses and headers, parameter examples, links between
operations, and the webhook events.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar
from uuid import UUID

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, create_model
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from api.errors.problems import InvalidRequestProblem, NotAcceptableProblem, RateLimitedProblem
from api.errors.reference import documented, problem_schemas, reference_page
from api.middleware.rate_limits import is_limited
from api.openapi.names import name_schemas
from domain.webhooks.events import MEANINGS, PAYLOADS, EventType

_ASSETS: Final = "/docs/assets"
# Swagger UI's page has an inline script and styles, and pictures as data URLs.
_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)
_REFERENCE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_UNCHANGED: Final[dict[str, Any]] = {
    "description": "Unchanged since the `ETag` in `If-None-Match`."
}
_LIMIT_HEADERS: Final = {
    "RateLimit-Policy": {
        "description": "Quota `q` in a window of `w` seconds, of each limit.",
        "schema": {"type": "string"},
        "example": '"default";q=6000;w=60, "key";q=3000;w=60',
    },
    "RateLimit": {
        "description": "What remains, `r`, and the seconds until more does, `t`.",
        "schema": {"type": "string"},
        "example": '"default";r=5990;t=60, "key";r=2990;t=60',
    },
}


def complete_document(app: FastAPI) -> None:
    """Add to the OpenAPI document what FastAPI leaves out, once.

    These are responses common to all operations, the schemas of problem documents, parameter
    examples, links between operations, and null properties in examples: FastAPI drops them, which
    makes examples violate their own schema.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            schemas = document["components"]["schemas"]
            schemas |= problem_schemas()
            for schema in schemas.values():
                for example in schema.get("examples", ()):
                    _restore_nulls(example, schema, schemas)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    add_parameter_examples(operation)
                    add_links(operation)
                    if is_limited(path):
                        _document_manners(method, operation["responses"])
            name_schemas(document)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]


def _restore_nulls(example: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> None:  # noqa: ANN401 - JSON
    """Add missing required properties to an example, recursively."""
    schema = _resolved(schema, schemas)
    if isinstance(example, list):
        for item in example:
            _restore_nulls(item, schema.get("items", {}), schemas)
    elif isinstance(example, dict):
        for name in schema.get("required", ()):
            example.setdefault(name, None)
        for name, value in example.items():
            _restore_nulls(value, schema.get("properties", {}).get(name, {}), schemas)


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference, also one that may be null."""
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return _resolved(choice, schemas)
    if "$ref" in schema:
        target: dict[str, Any] = schemas[schema["$ref"].rpartition("/")[2]]
        return target
    return schema


def _document_manners(method: str, responses: dict[str, Any]) -> None:
    always = (InvalidRequestProblem, NotAcceptableProblem, RateLimitedProblem)
    for status, response in documented(*always).items():
        responses.setdefault(str(status), response)
    if method == "get":
        responses.setdefault("304", _UNCHANGED)
    for response in responses.values():
        response.setdefault("headers", {}).update(_LIMIT_HEADERS)


def add_documentation(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs` and the error reference at `/errors`.

    The files of Swagger UI come from the package `fastapi-offline`.
    """
    directory = Path(str(resources.files("fastapi_offline"))) / "static"
    app.add_api_route("/docs", _documentation_page, include_in_schema=False)
    app.add_api_route("/errors", _error_reference, include_in_schema=False)
    app.mount(_ASSETS, StaticFiles(directory=directory), name="documentation-assets")


async def _documentation_page(request: Request) -> HTMLResponse:
    html = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
    )
    html.headers["Content-Security-Policy"] = _POLICY
    return html


async def _error_reference() -> HTMLResponse:
    return HTMLResponse(reference_page(), headers={"Content-Security-Policy": _REFERENCE_POLICY})


@dataclass(frozen=True)
class Link:
    """A value of the response that another operation takes as a parameter.

    Args:
        to: operation id of the other operation.
        parameter: its parameter.
        pointer: JSON pointer to the value in the body.
    """

    to: str
    parameter: str
    pointer: str

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI link object."""
        expression = f"$response.body#{self.pointer}"
        return {"operationId": self.to, "parameters": {self.parameter: expression}}


_STREAM: Final = (
    Link("getStream", "stream_id", "/id"),
    Link("stopStream", "stream_id", "/id"),
    Link("listHighlights", "stream_id", "/id"),
    Link("listStreamChapters", "stream_id", "/id"),
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
    ("analyzeRecording", "201"): _STREAM,
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
    ("listFeedEvents", "200"): (
        Link("getHighlight", "highlight_id", "/data/0/highlight_id"),
        Link("listFeedEvents", "cursor", "/next_cursor"),
    ),
    ("listSubjectHighlights", "200"): (
        Link("getHighlight", "highlight_id", "/data/0/id"),
        Link("listSubjectHighlights", "cursor", "/next_cursor"),
    ),
    ("getHighlight", "200"): _HIGHLIGHT,
    ("createClip", "201"): (
        Link("getClip", "clip_id", "/data/0/id"),
        Link("deleteClip", "clip_id", "/data/0/id"),
    ),
    ("listStreamClips", "200"): (
        Link("getClip", "clip_id", "/data/0/id"),
        Link("listStreamClips", "cursor", "/next_cursor"),
    ),
    ("getClip", "200"): (Link("getHighlight", "highlight_id", "/highlight_id"),),
    ("listProfiles", "200"): (Link("getProfile", "profile_id", "/data/0/id"),),
    ("matchProfile", "200"): (Link("getProfile", "profile_id", "/profile_id"),),
    ("previewProfileOverride", "200"): (Link("getStream", "stream_id", "/stream/stream_id"),),
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
    """Add links to the responses of an operation."""
    for status, response in operation["responses"].items():
        links = LINKS.get((operation["operationId"], status), ())
        if links:
            response["links"] = {link.to: link.document() for link in links}


EXAMPLES: Final[dict[str, Any]] = {
    "Idempotency-Key": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "If-Match": '"3"',
    "action": "key.revoked",
    "batch_id": "c4a7e1d2-90b3-4c5e-8f16-2d3e4f5a6b7c",
    "before": 3,
    "bucket": "day",
    "by_stream": True,
    "clip_id": "5f0c2a1e-5f4e-5d0b-8b67-1f6b0c9d7e21",
    "connection_id": "3f1b1a54-8c1e-4f6e-9d57-0a5a7f0c9b11",
    "created_from": "2026-05-02T18:00:00Z",
    "created_to": "2026-05-02T20:00:00Z",
    "cursor": "eyJzIjoiLWNyZWF0ZWRfYXQiLCJ0IjoiMjAyNi0wNS0wMlQxOTowMDowMFoiLCJpIjoiMGM3ZjNmMGUtOGM1"
    "NS00ZjBlLTlhNTUtMmI3ZjZkMmYxYTExIn0",
    "criteria": "goals and cards, no replays",
    "deletion_id": "1f0d9c3b-7a52-5e41-8d6f-0b9a8c7d6e5f",
    "delivery_id": "9c1f0a2e-7d3b-4b6a-8f21-5e2d7c9b0a43",
    "endpoint_id": "6a0e7c52-1d4f-4e0b-b7c9-2f8d3a5b6c71",
    "event_type": "clip.ready",
    "expires": 1777752331,
    "export_id": "8b1d6f0a-2c4e-4f7a-9d35-6e1f0a7b2c93",
    "external_id": "match-4711",
    "format": "edl",
    "game": "soccer",
    "happened_from": "2026-05-02T18:00:00Z",
    "happened_to": "2026-05-02T20:00:00Z",
    "highlight_id": "2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21",
    "key_id": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "language": "en",
    "languages": ["en", "es"],
    "last-event-id": "1777748707400000",
    "layout": "stream",
    "limit": 20,
    "max_score": 1.0,
    "media": "match-4711.mp4",
    "min_emotional_intensity": 0.5,
    "min_game_impact": 0.5,
    "min_momentum_shift": 0.5,
    "min_narrative_value": 0.5,
    "min_rarity": 0.5,
    "min_score": 0.8,
    "min_skill_execution": 0.5,
    "min_timing_importance": 0.5,
    "min_visual_spectacle": 0.5,
    "name": "00000-0000000152.ts",
    "number": 1,
    "peak_from": 300.0,
    "peak_to": 600.0,
    "profile_id": "soccer",
    "q": "late goal or penalty",
    "rate": "29.97",
    "signature": "q0Xq1mJ2b8n2Jm1uQe7yq0Xq1mJ2b8n2Jm1uQe7yq0X",
    "since": "2026-05-02T18:00:00Z",
    "sort": "-score",
    "review": "approved",
    "stream_id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11",
    "subject": "bet:8841",
    "tag": "goal",
    "target_id": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51",
    "target_kind": "key",
    "tenant": "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
    "text": "crowd",
    "title": "Cup final",
    "variant": "720p",
    "types": ["clip.ready"],
    "until": "2026-05-02T20:00:00Z",
}
_MATCH: Final = {"market": "next goal", "state": "2-1", "period": "2nd"}
# Parameters whose meaning depends on the operation.
_BY_OPERATION: Final[dict[str, dict[str, Any]]] = {
    "deleteBudget": {"kind": "analyzed_seconds"},
    "getUsage": {"kind": ["analyzed_seconds"]},
    "listDeliveries": {"status": "succeeded"},
    "listHighlights": {"status": ["confirmed"], **_MATCH},
    "listFeedEvents": {"outcome": "waiting"},
    "searchHighlights": {"status": ["confirmed"], **_MATCH},
    "listExports": {"status": "ready"},
    "listStreams": {"status": "live"},
    "listWebhookDeliveries": {"status": "succeeded"},
    "putBudget": {"kind": "analyzed_seconds"},
}


def add_parameter_examples(operation: dict[str, Any]) -> None:
    """Add examples to the parameters of an operation."""
    own = _BY_OPERATION.get(operation["operationId"], {})
    for parameter in operation.get("parameters", ()):
        name = parameter["name"]
        if name in own or name in EXAMPLES:
            parameter.setdefault("example", own.get(name, EXAMPLES.get(name)))


T = TypeVar("T")
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "Received. Any 2xx status confirms the event."},
    410: {"description": "Gone: the endpoint is disabled and receives no more events."},
    "4XX": {
        "description": "Not received: the event is retried, as after any other status or a timeout."
    },
}


class EventMessage(BaseModel, Generic[T]):
    """A webhook message, signed according to Standard Webhooks."""

    id: UUID = Field(description="Same as `webhook-id`; use it to discard duplicates.")
    type: EventType
    version: Literal["1"] = Field(description="Within a version, fields are only added.")
    timestamp: datetime = Field(description="Time of the event.")
    data: T


def document_events(app: FastAPI) -> None:
    """Add the webhook events to the OpenAPI document."""
    app.webhooks.routes.extend(_event_routes())


@cache
def _event_routes() -> Sequence[BaseRoute]:
    """Return a route for each event. All apps of a process share them: making them takes time."""
    router = APIRouter()
    for kind in EventType:
        router.add_api_route(
            kind.value,
            _receiver(kind),
            methods=["POST"],
            operation_id=f"on{_pascal(kind)}",
            summary=kind.value,
            description=MEANINGS[kind],
            status_code=204,
            tags=["webhooks"],
            responses=_ANSWERS,
            openapi_extra={"security": []},  # signed by us, with no key of the API's
        )
    return tuple(router.routes)


def message_of(kind: EventType) -> type[BaseModel]:
    """Return the message model of an event type, such as `ClipReadyEvent`."""
    base: type[BaseModel] = EventMessage.__class_getitem__(PAYLOADS[kind])  # type: ignore[assignment]
    constant: Any = Literal[kind.value]
    message: type[BaseModel] = create_model(
        f"{_pascal(kind)}Event",
        __base__=base,
        __doc__=f"{MEANINGS[kind]} Signed by the rules of Standard Webhooks.",
        type=(constant, ...),
    )
    return message


def _pascal(kind: EventType) -> str:
    return "".join(part.capitalize() for part in re.split(r"[._]", kind.value))


def _receiver(kind: EventType) -> Callable[..., Awaitable[None]]:
    async def receive(body: Any) -> None:  # noqa: ANN401 - annotated below, by its type
        """Document a tenant's endpoint."""

    receive.__annotations__["body"] = message_of(kind)
    return receive
