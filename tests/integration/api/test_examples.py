"""Every operation has an example, and what the document shows is what happens.

The examples are sent as they stand. Only what cannot be known beforehand is replaced: ids by those
of rows that exist, cursors and revisions by those that the API has given, signatures by ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import jsonschema_rs
import pytest
from sqlalchemy import update
from temporalio.client import Client

from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from infra.db.engine import Database
from infra.db.repositories import streams
from infra.db.tables import Highlight
from infra.settings import Settings
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import LocalSegmentStore
from infra.storage.signed_urls import ClipLinks, UrlSigner
from tests.factories.rows import (
    new_clip,
    new_deletion,
    new_export,
    new_export_batch,
    new_highlight,
    new_stream,
)
from tests.factories.segments import stored_segment
from tests.integration.api.conftest import BASE_URL, SECRET, Account
from tests.openapi import Documented, document, operations

MEDIA = b"not really a film"
CONNECTION = {
    "name": "Cup",
    "account_id": "60b8e13a6eb86d8101b57354",
    "checks": {"source": False, "secret_header": True},
}


@dataclass(frozen=True)
class Scene:
    """A tenant with one of everything, and what stands for ids, revisions and signatures.

    `sender` is what 100ms sends along.
    """

    account: Account
    known: dict[str, str] = field(default_factory=dict)
    sender: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    # Events of a tenant do not end.
    return settings.model_copy(update={"events_lifetime": 0.1, "events_interval": 0.05})


@pytest.fixture
async def scene(
    account: Account, database: Database, clip_root: Path, segment_root: Path, workflows: Client
) -> Scene:
    tenant, http = account.tenant_id, account.http
    stream = await new_stream(database, tenant)
    # Where the example of a correction lies.
    highlight = await new_highlight(database, tenant, stream, peak=310.0)
    clip = await new_clip(database, tenant, stream, highlight)
    for suffix in ("mp4", "jpg"):
        file = clip_root / str(tenant) / str(stream) / f"{clip}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(MEDIA)
    await keep_media(account, database, stream, segment_root)
    export = await new_export(database, tenant, stream)
    file = clip_root / str(tenant) / str(stream) / "exports" / str(export) / "1.mp4"
    file.parent.mkdir(parents=True)
    file.write_bytes(MEDIA)
    key = await created(http.post("/v1/keys", json={"name": "other", "scopes": ["read"]}))
    patch = operations()["putProfileOverride"].body_example()
    override = await http.put("/v1/profiles/soccer/override", json=patch)
    connection = await created(http.post("/v1/connections", json=CONNECTION))
    secret = connection["secrets"]
    subscription = operations()["subscribeWebhook"].body_example()
    endpoint = await created(http.post("/v1/webhooks/subscribe", json=subscription))
    delivery = (await http.post(f"/v1/webhooks/{endpoint['id']}/test")).json()
    budget = operations()["putBudget"].body_example()
    await http.put("/v1/usage/budgets/analyzed_seconds", json=budget)
    known = {"stream_id": stream, "highlight_id": highlight, "clip_id": clip, "key_id": key["id"]}
    known |= {"deletion_id": await new_deletion(database, tenant)}
    known |= {"export_id": export, "batch_id": await new_export_batch(database, tenant, stream)}
    known |= {"connection_id": connection["id"], "endpoint_id": endpoint["id"]}
    known |= {"delivery_id": delivery["id"]}
    return Scene(
        account=account,
        known={name: str(value) for name, value in known.items()}
        | {"If-Match": override.headers["ETag"]},
        sender={secret["header_name"]: secret["header_value"]},
    )


async def keep_media(account: Account, database: Database, stream: UUID, root: Path) -> None:
    """Store the seconds 290 to 350 of a live stream, of which the examples ask for clips."""
    store = LocalSegmentStore(root)
    index = StoredSegments(store, tenant_id=account.tenant_id, stream_id=stream)
    for number in range(145, 175):
        segment = stored_segment(number, tenant_id=account.tenant_id, stream_id=stream)
        await store.put(segment.ref.key, MEDIA)
        await index.note(segment)
    await index.flush()
    record = StreamRecord(
        tenant_id=account.tenant_id,
        stream_id=stream,
        progress=StreamProgress(status=StreamStatus.LIVE, position=350.0),
    )
    async with database.session(account.tenant_id) as session:
        await streams.record_stream(session, record)


async def created(asked: Any) -> dict[str, Any]:  # noqa: ANN401 - an awaitable of httpx's
    response: httpx.Response = await asked
    assert response.status_code == httpx.codes.CREATED, response.text
    body: dict[str, Any] = response.json()
    return body


def example_of(parameter: dict[str, Any]) -> object:
    assert "example" in parameter, f"no example in api/openapi/document.py: {parameter['name']}"
    return parameter["example"]


def examples(operation: Documented, place: str) -> dict[str, Any]:
    return {name: example_of(each) for name, each in operation.parameters(place).items()}


def body_example(operation: Documented) -> object:
    if operation.body_schema() is None:
        return None
    found = operation.body_example()
    assert found is not None, f"no example in the model of the body of {operation.id}"
    return found


async def request(scene: Scene, operation: Documented) -> httpx.Request:
    path, query, headers = (examples(operation, place) for place in ("path", "query", "header"))
    for parameters in (path, query, headers):
        parameters |= {name: scene.known[name] for name in parameters if name in scene.known}
    if operation.path.startswith("/v1/webhooks/100ms"):
        headers |= scene.sender
    url = operation.path.format_map(path)
    http = scene.account.http
    if operation.takes_file:
        headers |= {"Content-Type": "application/octet-stream"}
        return http.build_request(
            operation.method, url, params=query, headers=headers, content=b"film"
        )
    if {"tenant", "expires", "signature"} <= query.keys():
        query = signed(scene, url)
    if "cursor" in query:
        first = {**query, "limit": 1}
        del first["cursor"], query["cursor"]
        after = (await http.get(url, params=first)).raise_for_status().json()["next_cursor"]
        query |= {} if after is None else {"cursor": after}
    return http.build_request(
        operation.method,
        url,
        params=query,
        headers=headers,
        json=_with_known(body_example(operation), scene),
    )


def _with_known(body: Any, scene: Scene) -> Any:  # noqa: ANN401 - JSON
    """Return a body whose ids are those of rows that exist."""
    if not isinstance(body, dict):
        return body
    return {
        name: scene.known[name]
        if name in scene.known and isinstance(value, str)
        else _with_known(value, scene)
        for name, value in body.items()
    }


def signed(scene: Scene, path: str) -> dict[str, Any]:
    links = ClipLinks(UrlSigner(SECRET.encode()), base_url=BASE_URL, lifetime=3600.0)
    query = parse_qs(urlsplit(links.sign(path, tenant_id=scene.account.tenant_id)).query)
    return {name: values[0] for name, values in query.items()}


@pytest.mark.parametrize("operation", operations().values(), ids=operations().keys())
async def test_the_example_of_an_operation_is_answered_as_documented(
    scene: Scene, operation: Documented, database: Database
) -> None:
    if operation.id in {"approveHighlight", "rejectHighlight"}:
        async with database.session(scene.account.tenant_id) as session:
            await session.execute(update(Highlight).values(review="awaiting"))
    if operation.id in {"playClip", "deleteClip"}:
        # Of a clip on demand that is not ready yet.
        asked = await request(scene, operations()["createClip"])
        (clip,) = (await scene.account.http.send(asked)).json()["data"]
        scene.known["clip_id"] = clip["id"]
    response = await scene.account.http.send(await request(scene, operation))
    assert str(response.status_code) in operation.success(), response.text
    content = operation.success()[str(response.status_code)].get("content", {})
    if not content:
        assert response.content == b""
        return
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in content
    if media_type == "application/json":
        schema = {**content[media_type]["schema"], "components": document()["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        assert [error.message for error in validator.iter_errors(response.json())] == []


def test_an_operation_without_example_is_seen() -> None:
    operation = Documented(
        id="x", method="GET", path="/x", spec={"parameters": [{"name": "y", "in": "query"}]}
    )
    with pytest.raises(AssertionError, match=re.escape("api/openapi/document.py: y")):
        examples(operation, "query")
