"""The Python client and the OpenAPI document agree, in both directions."""

from __future__ import annotations

import inspect
import string
import types
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import tldrtv_highlights.client
from domain.score import DIMENSIONS
from tests.openapi import Documented, operations, resolved
from tldrtv_highlights import AsyncHighlightsClient, HighlightsClient
from tldrtv_highlights._endpoint import Endpoint, Sent
from tldrtv_highlights._resource import Download, Listing, Method, Resource
from tldrtv_highlights._transport import File
from tldrtv_highlights.models import Clip, ExportBatch, ExportRendition

# What 100ms sends us is not for tenants to send, and instant clips are for players.
FOREIGN = {
    *("receiveConnectionEvent", "receiveWorkspaceEvent"),
    *("playHighlight", "playClip", "downloadSegment"),
}
CLIP = Clip.model_validate(
    {"id": "c", "status": "ready", "start": 0, "end": 1, "duration": 1}
    | dict.fromkeys(("url", "thumbnail_url"), "http://x/")
    | dict.fromkeys(("ready_at", "width", "height", "size"))
)
RENDITION = ExportRendition.model_validate(
    dict.fromkeys(ExportRendition.model_fields)
    | {"number": 1, "format": "hls", "aspect": "source", "fit": "crop"}
    | dict.fromkeys(("watermark", "lower_third", "captions", "cards"), False)
    | {"status": "ready", "url": "http://x/", "index_url": "http://x/", "message": ""}
)
BATCH = ExportBatch.model_validate(
    dict.fromkeys(("exports", "queued", "running", "ready", "failed", "cancelled"), 1)
    | {"id": "b", "status": "ready", "zip_url": "http://x/", "message": "", "finished_at": None}
    | dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
)
POLICY: dict[str, Any] = dict.fromkeys(
    ("review", "review_hours", "audience", "valid_until", "commercial")
) | {"territories": {"allow": ["GB"], "deny": []}}
CARD = dict.fromkeys(("image", "seconds", "background"))
# Where the type does not say which keys there are.
ARGUMENTS: dict[str, object] = {
    "checks": dict.fromkeys(
        (
            *("source", "secret_header", "signature", "sources", "header_name"),
            *("timestamp_tolerance", "trusted_proxies"),
        )
    ),
    "source": dict.fromkeys(
        ("highlight_id", "clip_id", "stream_id", "from", "to", "exact", "reel")
    ),
    "renditions": [
        dict.fromkeys(
            (
                *("format", "aspect", "fit", "resolution", "loudness"),
                *("preset", "watermark", "lower_third", "captions", "cards"),
            )
        )
    ],
    "watermark": dict.fromkeys(("text", "image", "position", "opacity", "margin", "scale")),
    "caption_style": dict.fromkeys(("position", "scale", "color", "background")),
    "intro": CARD,
    "outro": CARD,
    "end_card": {"default": CARD, "territories": {"DE": CARD}},
    "lower_third": dict.fromkeys(("title", "language", "score", "tags", "start", "seconds")),
    "filter": dict.fromkeys(
        (
            *("stream_id", "tags", "market", "subject", "state", "period"),
            *("min_score", "from", "to", "limit"),
        )
    ),
    "events": [
        dict.fromkeys(
            (
                *("id", "revision", "kind", "at", "label", "importance", "offset", "market"),
                *("selection", "odds", "state", "result", "subjects", "retracts"),
            )
        )
    ],
    "policy": POLICY,
    "territories": POLICY["territories"],
    "correction": {"start": 1.0, "end": 2.0},
    "management": {"access_key": "x", "secret": "x"},
    "min_dimensions": dict.fromkeys(DIMENSIONS, 0.5),
}
VALUES: dict[Any, Any] = {
    str: "x",
    int: 1,
    float: 1.0,
    bool: True,
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    Path: Path("film.mp4"),
    Clip: CLIP,
    ExportRendition: RENDITION,
    ExportBatch: BATCH,
}


def members(kind: type) -> Iterator[tuple[str, Method[Any, Any]]]:
    for resource in vars(kind(base_url="http://x", api_key="x")).values():
        if isinstance(resource, Resource):
            for name, member in vars(type(resource)).items():
                if isinstance(member, Method):
                    yield f"{type(resource).__name__}.{name}", member


METHODS = dict(members(HighlightsClient))
IDS = {f"{each.method} {each.path}": each.id for each in operations().values()}
CALLS: dict[str, Method[Any, Any]] = {
    IDS[member.endpoint.route]: member
    for member in METHODS.values()
    if not isinstance(member, Download)
}


def value_of(annotation: object) -> object:
    """Return some value that an argument takes."""
    if annotation in VALUES:
        return VALUES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return value_of(arguments[0])
    if origin is Literal:
        return arguments[0]
    return {"x": 1} if origin is Mapping else ["x"]


def sent_by(member: Method[Any, Any]) -> Sent:
    """Return what a method sends that is given every argument it takes."""
    hints = get_type_hints(member.build)
    names = list(inspect.signature(member.build).parameters)[1:]
    arguments = {name: ARGUMENTS.get(name, value_of(hints[name])) for name in names}
    sent = member.build(None, **arguments)
    assert isinstance(sent, Sent)
    return sent


def test_both_clients_have_the_same_resources() -> None:
    assert dict(members(AsyncHighlightsClient)) == METHODS


def test_every_operation_of_the_document_has_one_method_and_no_method_another_operation() -> None:
    covered = sorted(member.endpoint.route for member in METHODS.values())
    assert covered == sorted(route for route, name in IDS.items() if name not in FOREIGN)


@pytest.mark.parametrize("operation_id", sorted(CALLS))
class TestCall:
    def documented(self, operation_id: str) -> Documented:
        return operations()[operation_id]

    def endpoint(self, operation_id: str) -> Endpoint[Any]:
        return CALLS[operation_id].endpoint

    def test_every_name_of_the_path_is_given(self, operation_id: str) -> None:
        path = self.documented(operation_id).path
        named = {name for _, name, _, _ in string.Formatter().parse(path) if name}
        assert sent_by(CALLS[operation_id]).path.keys() == named

    def test_every_parameter_of_the_query_can_be_given_and_no_other(
        self, operation_id: str
    ) -> None:
        sent, documented = sent_by(CALLS[operation_id]), self.documented(operation_id)
        assert sent.query.keys() == documented.parameters("query").keys() - {"cursor"}

    def test_every_header_can_be_given_and_no_other(self, operation_id: str) -> None:
        sent, documented = sent_by(CALLS[operation_id]), self.documented(operation_id)
        names = {name.lower() for name in sent.headers} - {"accept"}
        assert names == {name.lower() for name in documented.parameters("header")}
        assert self.endpoint(operation_id).creates == ("Idempotency-Key" in sent.headers)

    def test_every_field_of_the_body_can_be_given_and_no_other(self, operation_id: str) -> None:
        sent, schema = sent_by(CALLS[operation_id]), self.documented(operation_id).body_schema()
        assert (sent.body is None) == (schema is None)
        assert_fields(sent.body, schema or {})

    def test_lists_are_gone_through_by_cursor(self, operation_id: str) -> None:
        has_cursor = "cursor" in self.documented(operation_id).parameters("query")
        assert isinstance(CALLS[operation_id], Listing) == has_cursor

    def test_every_field_of_the_answer_is_one_of_the_documents(self, operation_id: str) -> None:
        answer = self.endpoint(operation_id).answer
        success = self.documented(operation_id).success()
        assert {int(status) for status in success} <= self.endpoint(operation_id).statuses
        for response in success.values():
            schema = response.get("content", {}).get("application/json", {}).get("schema")
            assert (schema is None) == (answer in {type(None), bytes})
            assert list(strangers(answer, schema or {})) == []


def assert_fields(body: object, schema: dict[str, Any]) -> None:
    schema = resolved(schema)
    if "properties" in schema and isinstance(body, dict):
        assert body.keys() == schema["properties"].keys()
        for name, value in body.items():
            assert_fields(value, schema["properties"][name])


def strangers(answer: object, schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Yield the fields of a type that the schema does not promise."""
    schema = resolved(schema)
    origin, arguments = get_origin(answer), get_args(answer)
    if isinstance(answer, type) and issubclass(answer, BaseModel):
        for name, field in answer.model_fields.items():
            if name not in schema.get("properties", {}):
                yield f"{at}.{name}: unknown to the document"
            else:
                yield from broken_promises(name, field, schema, at)
                yield from strangers(field.annotation, schema["properties"][name], f"{at}.{name}")
    elif origin in {Union, types.UnionType}:
        for choice in arguments:
            if choice is not type(None):
                yield from strangers(choice, schema, at)
    elif origin is tuple:
        yield from strangers(arguments[0], schema.get("items", {}), f"{at}[]")
    elif origin is dict and isinstance(schema.get("additionalProperties"), dict):
        yield from strangers(arguments[1], schema["additionalProperties"], f"{at}{{}}")


def broken_promises(name: str, field: FieldInfo, schema: dict[str, Any], at: str) -> Iterator[str]:
    if field.is_required() and name not in schema.get("required", ()):
        yield f"{at}.{name}: may be missing in the document"
    if is_nullable(schema["properties"][name]) and type(None) not in get_args(field.annotation):
        yield f"{at}.{name}: may be null in the document"


def is_nullable(schema: dict[str, Any]) -> bool:
    return any(choice.get("type") == "null" for choice in schema.get("anyOf", ()))


def test_downloads_go_to_the_signed_url_that_the_clip_carries() -> None:
    files = {
        IDS[member.endpoint.route]: member.build(
            None, VALUES[next(iter(get_type_hints(member.build).values()))], "x.mp4"
        )
        for member in METHODS.values()
        if isinstance(member, Download)
    }
    assert files["downloadClip"] == File(url="http://x/", path=Path("x.mp4"))
    assert files["downloadExportBatch"] == File(url="http://x/", path=Path("x.mp4"))
    assert files["downloadRendition"] == File(url="http://x/", path=Path("x.mp4"))
    assert files["downloadRenditionIndex"] == File(url="http://x/", path=Path("x.mp4"))
    assert files["downloadThumbnail"] == File(url="http://x/", path=Path("x.mp4"))


def test_what_is_exported_is_documented() -> None:
    for name, member in METHODS.items():
        assert (member.__doc__ or "").strip(), name
    assert tldrtv_highlights.client.__doc__
