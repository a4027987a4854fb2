"""No route shows or changes anything of another tenant's."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from fastapi.routing import APIRoute

from api import audit, egress
from api.clips import on_demand, playback
from api.clips import routes as clips
from api.connections import hms_webhooks
from api.connections import routes as connections
from api.embeds import routes as embeds
from api.exports import batches as export_batches
from api.exports import branding
from api.exports import routes as exports
from api.feed import routes as feed
from api.highlights import feedback, review, search
from api.highlights import routes as highlights
from api.keys import routes as keys
from api.profiles import preview as profile_preview
from api.profiles import routes as profiles
from api.profiles import taste
from api.streams import chapters as stream_chapters
from api.streams import deletions, recordings
from api.streams import events as stream_events
from api.streams import routes as streams
from api.usage import routes as usage
from api.webhooks import deliveries
from api.webhooks import events as tenant_events
from api.webhooks import routes as webhooks
from infra.db.engine import Database
from tests.factories.rows import (
    new_clip,
    new_deletion,
    new_delivery,
    new_endpoint,
    new_export,
    new_export_batch,
    new_highlight,
    new_stream,
)
from tests.integration.api.conftest import Account

RESOURCES = (
    *(streams, stream_events, stream_chapters, deletions, recordings),
    *(
        search,
        highlights,
        feedback,
        review,
        clips,
        on_demand,
        playback,
        exports,
        export_batches,
        branding,
        profiles,
        profile_preview,
        taste,
        usage,
        feed,
    ),
    *(connections, hms_webhooks, webhooks, deliveries, tenant_events, keys, audit),
    *(egress, embeds),
)
BY_ID = [
    ("GET", "/v1/streams/{stream_id}"),
    ("PATCH", "/v1/streams/{stream_id}"),
    ("POST", "/v1/streams/{stream_id}/stop"),
    ("GET", "/v1/streams/{stream_id}/chapters"),
    ("POST", "/v1/streams/{stream_id}/events"),
    ("GET", "/v1/streams/{stream_id}/feed-events"),
    ("GET", "/v1/streams/{stream_id}/feed-clock"),
    ("PUT", "/v1/streams/{stream_id}/feed-clock"),
    ("DELETE", "/v1/streams/{stream_id}/feed-clock"),
    ("GET", "/v1/highlights/{highlight_id}"),
    ("GET", "/v1/highlights/{highlight_id}/similar"),
    ("GET", "/v1/highlights/{highlight_id}/embed"),
    ("GET", "/v1/highlights/{highlight_id}/feedback"),
    ("POST", "/v1/highlights/{highlight_id}/feedback"),
    ("GET", "/v1/clips/{clip_id}"),
    ("GET", "/v1/streams/{stream_id}/clips"),
    ("GET", "/v1/exports/{export_id}"),
    ("POST", "/v1/exports/{export_id}/cancel"),
    ("DELETE", "/v1/exports/{export_id}"),
    ("GET", "/v1/deletions/{deletion_id}"),
    ("PUT", "/v1/streams/{stream_id}/legal-hold"),
    ("DELETE", "/v1/streams/{stream_id}/legal-hold"),
    ("PUT", "/v1/highlights/{highlight_id}/legal-hold"),
    ("DELETE", "/v1/highlights/{highlight_id}/legal-hold"),
    ("GET", "/v1/export-batches/{batch_id}"),
    ("GET", "/v1/export-batches/{batch_id}/manifest"),
    ("POST", "/v1/export-batches/{batch_id}/cancel"),
    ("POST", "/v1/export-batches/{batch_id}/resume"),
    ("DELETE", "/v1/export-batches/{batch_id}"),
    ("GET", "/v1/webhooks/{endpoint_id}"),
    ("GET", "/v1/webhooks/{endpoint_id}/deliveries"),
    ("POST", "/v1/webhooks/{endpoint_id}/test"),
    ("GET", "/v1/webhooks/deliveries/{delivery_id}"),
    ("POST", "/v1/webhooks/deliveries/{delivery_id}/redeliver"),
    ("GET", "/v1/connections/{connection_id}"),
    ("GET", "/v1/connections/{connection_id}/events"),
    ("POST", "/v1/connections/{connection_id}/rotate"),
    ("DELETE", "/v1/streams/{stream_id}"),
]
BODIES = {
    "/v1/streams/{stream_id}": {"policy": {"commercial": True}},
    "/v1/highlights/{highlight_id}/feedback": {"verdict": "like"},
    "/v1/streams/{stream_id}/legal-hold": {"reason": "x"},
    "/v1/streams/{stream_id}/feed-clock": {"offset": -7.5},
    "/v1/streams/{stream_id}/events": {
        "events": [{"id": "g1", "kind": "score", "at": {"media": 60.0}}]
    },
    "/v1/highlights/{highlight_id}/legal-hold": {"reason": "x"},
}
LISTS = [
    ("GET", "/v1/streams"),
    ("GET", "/v1/highlights/list"),
    ("GET", "/v1/exports"),
    ("GET", "/v1/export-batches"),
    ("GET", "/v1/deletions"),
    ("GET", "/v1/webhooks"),
    ("GET", "/v1/webhooks/deliveries"),
    ("GET", "/v1/connections"),
]
# By words (test_highlight_search.py).
SEARCHES = [("GET", "/v1/highlights/search")]
# By signature instead of a key (test_clips.py, test_exports.py, test_instant_clips.py), or
# creating only.
OTHERS = [
    # By a reference, which tenants may share (test_feed_events.py).
    ("GET", "/v1/subjects/{subject}/highlights"),
    ("DELETE", "/v1/subjects/{subject}"),
    # With a format (test_chapters.py).
    ("GET", "/v1/streams/{stream_id}/timeline"),
    # With stored media, or on demand only (test_clips_on_demand.py).
    ("POST", "/v1/streams/{stream_id}/clips"),
    ("DELETE", "/v1/clips/{clip_id}"),
    ("GET", "/v1/highlights/{highlight_id}/clip.m3u8"),
    ("GET", "/v1/clips/{clip_id}/clip.m3u8"),
    ("GET", "/v1/streams/{stream_id}/media/{variant}/{name}"),
    ("HEAD", "/v1/streams/{stream_id}/media/{variant}/{name}"),
    ("GET", "/v1/clips/{clip_id}/download"),
    ("HEAD", "/v1/clips/{clip_id}/download"),
    ("GET", "/v1/clips/{clip_id}/thumbnail"),
    ("HEAD", "/v1/clips/{clip_id}/thumbnail"),
    ("GET", "/v1/exports/{export_id}/renditions/{number}/download"),
    ("HEAD", "/v1/exports/{export_id}/renditions/{number}/download"),
    ("GET", "/v1/exports/{export_id}/renditions/{number}/index"),
    ("POST", "/v1/exports"),
    # With a policy that requires it, and one for each tenant (test_review.py).
    ("POST", "/v1/highlights/{highlight_id}/approve"),
    ("POST", "/v1/highlights/{highlight_id}/reject"),
    ("GET", "/v1/policy"),
    ("PUT", "/v1/policy"),
    # One for each tenant (test_branding.py).
    ("GET", "/v1/branding"),
    ("PUT", "/v1/branding"),
    ("DELETE", "/v1/branding"),
    # By highlights (test_export_batches.py), and by signature.
    ("POST", "/v1/export-batches"),
    # Of a stream (test_deletions.py).
    ("POST", "/v1/deletions"),
    ("GET", "/v1/export-batches/{batch_id}/files.zip"),
    ("POST", "/v1/streams/analyze"),
    ("POST", "/v1/recordings"),
    ("POST", "/v1/recordings/upload"),
    ("POST", "/v1/webhooks/subscribe"),
    # Of the installation (test_egress.py).
    ("GET", "/v1/egress"),
    # One for each tenant, and by signature (test_embeds.py).
    ("GET", "/v1/embed-policy"),
    ("PUT", "/v1/embed-policy"),
    ("GET", "/embed/{highlight_id}"),
    ("POST", "/embed/{highlight_id}/plays/{play_id}"),
    ("GET", "/oembed"),
    # By server-sent events (test_listen.py).
    ("GET", "/v1/webhooks/events"),
]
# With a body (test_webhooks.py, test_deliveries.py).
CHANGES = [
    ("PATCH", "/v1/webhooks/{endpoint_id}"),
    ("POST", "/v1/webhooks/{endpoint_id}/rotate"),
    ("POST", "/v1/webhooks/{endpoint_id}/replay"),
    ("DELETE", "/v1/webhooks/{endpoint_id}"),
]
# By the names of games, which tenants share (test_profiles.py).
PROFILES = [
    ("GET", "/v1/profiles"),
    ("POST", "/v1/profiles/match"),
    ("GET", "/v1/profiles/{profile_id}"),
    ("GET", "/v1/profiles/{profile_id}/override"),
    ("PUT", "/v1/profiles/{profile_id}/override"),
    ("POST", "/v1/profiles/{profile_id}/override/preview"),
    ("DELETE", "/v1/profiles/{profile_id}/override"),
    ("GET", "/v1/profiles/{profile_id}/override/history"),
    # test_taste.py
    ("GET", "/v1/profiles/{profile_id}/taste"),
    ("PATCH", "/v1/profiles/{profile_id}/taste"),
    ("DELETE", "/v1/profiles/{profile_id}/taste"),
]
# By a body, or once only (test_connections.py), and by a secret (test_hms_webhooks.py).
CONNECTIONS = [
    ("POST", "/v1/connections"),
    ("PATCH", "/v1/connections/{connection_id}"),
    ("DELETE", "/v1/connections/{connection_id}"),
    ("POST", "/v1/webhooks/100ms"),
    ("POST", "/v1/webhooks/100ms/{connection_id}"),
]
# Of keys (test_keys.py) and of the audit log (test_audit.py): every tenant has one key at least.
KEYS = [
    ("POST", "/v1/keys"),
    ("GET", "/v1/keys"),
    ("GET", "/v1/keys/{key_id}"),
    ("PATCH", "/v1/keys/{key_id}"),
    ("POST", "/v1/keys/{key_id}/rotate"),
    ("POST", "/v1/keys/{key_id}/revoke"),
    ("GET", "/v1/audit"),
]

# By kinds of usage, which tenants share (test_usage.py).
USAGE = [
    ("GET", "/v1/usage/stats"),
    ("GET", "/v1/usage/budgets"),
    ("PUT", "/v1/usage/budgets/{kind}"),
    ("DELETE", "/v1/usage/budgets/{kind}"),
]

# Does not end while its stream lives (test_stream_events.py).
FOLLOWED = [("GET", "/v1/streams/{stream_id}/events")]
BATCHES = [("POST", "/v1/highlights/batch-get"), ("POST", "/v1/streams/batch-stop")]


@pytest.fixture
async def owned(other_account: Account, database: Database, clip_root: Path) -> dict[str, UUID]:
    """Another tenant's stream, highlight, clip, webhook endpoint, delivery and connection."""
    tenant = other_account.tenant_id
    stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    clip = await new_clip(database, tenant, stream, highlight)
    endpoint = await new_endpoint(database, tenant)
    delivery = await new_delivery(database, tenant, endpoint)
    export = await new_export(database, tenant, stream)
    connection = (await other_account.http.post("/v1/connections", json={"name": "C"})).json()
    return {
        "stream_id": stream,
        "highlight_id": highlight,
        "clip_id": clip,
        "export_id": export,
        "deletion_id": await new_deletion(database, tenant),
        "batch_id": await new_export_batch(database, tenant, stream, exports_in_it=0),
        "endpoint_id": endpoint,
        "delivery_id": delivery,
        "connection_id": UUID(connection["id"]),
    }


def test_every_route_is_looked_at_here() -> None:
    routes = {
        (method, route.path)
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert routes == {
        *(*BY_ID, *LISTS, *OTHERS, *CHANGES, *PROFILES),
        *(*CONNECTIONS, *KEYS, *USAGE, *BATCHES, *FOLLOWED, *SEARCHES),
    }


@pytest.mark.parametrize(("method", "path"), BY_ID)
async def test_another_tenants_id_is_not_found(
    account: Account,
    other_account: Account,
    owned: dict[str, UUID],
    method: str,
    path: str,
) -> None:
    target = path.format(**owned)
    body = BODIES.get(path) if method in {"POST", "PUT", "PATCH"} else None
    assert (await account.http.request(method, target, json=body)).status_code == 404
    answer = await other_account.http.request(method, target, json=body)
    assert answer.status_code in {200, 202, 204}


@pytest.mark.parametrize(("method", "path"), LISTS)
async def test_lists_hold_nothing_of_another_tenants(
    account: Account,
    other_account: Account,
    owned: dict[str, UUID],
    method: str,
    path: str,
) -> None:
    assert (await account.http.request(method, path)).json()["data"] == []
    assert len((await other_account.http.request(method, path)).json()["data"]) == 1


@pytest.mark.parametrize(("method", "path"), FOLLOWED)
async def test_another_tenants_stream_cannot_be_followed(
    account: Account, owned: dict[str, UUID], method: str, path: str
) -> None:
    response = await account.http.request(method, path.format(**owned))
    assert (response.status_code, response.json()["code"]) == (404, "stream_not_found")


async def test_batches_answer_for_another_tenants_ids_as_for_none(
    account: Account, owned: dict[str, UUID]
) -> None:
    for (_, path), name in zip(BATCHES, ("highlight_id", "stream_id"), strict=True):
        response = await account.http.post(path, json={"ids": [str(owned[name])]})
        (result,) = response.json()["data"]
        assert result["problem"]["status"] == 404


async def test_filtering_by_another_tenants_stream_finds_nothing(
    account: Account, owned: dict[str, UUID]
) -> None:
    response = await account.http.get(
        "/v1/highlights/list", params={"stream_id": str(owned["stream_id"])}
    )
    assert response.json()["data"] == []
