"""No route shows or changes anything of another tenant's."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from fastapi.routing import APIRoute

from api import clips, connections, highlights, hms_webhooks, profiles, streams
from infra.database import Database
from tests.integration.api.conftest import Account
from tests.integration.rows import new_clip, new_highlight, new_stream

BY_ID = [
    ("GET", "/v1/streams/{stream_id}"),
    ("POST", "/v1/streams/{stream_id}/stop"),
    ("GET", "/v1/highlights/{highlight_id}"),
    ("GET", "/v1/clips/{clip_id}"),
    ("GET", "/v1/connections/{connection_id}"),
    ("GET", "/v1/connections/{connection_id}/events"),
    ("POST", "/v1/connections/{connection_id}/rotate"),
]
LISTS = [("GET", "/v1/streams"), ("GET", "/v1/highlights/list"), ("GET", "/v1/connections")]
# By signature instead of a key (test_clips.py), or creating only.
OTHERS = [
    ("GET", "/v1/clips/{clip_id}/download"),
    ("HEAD", "/v1/clips/{clip_id}/download"),
    ("GET", "/v1/clips/{clip_id}/thumbnail"),
    ("HEAD", "/v1/clips/{clip_id}/thumbnail"),
    ("POST", "/v1/streams/analyze"),
]
# By the names of games, which tenants share (test_profiles.py).
PROFILES = [
    ("GET", "/v1/profiles"),
    ("POST", "/v1/profiles/match"),
    ("GET", "/v1/profiles/{profile_id}"),
    ("GET", "/v1/profiles/{profile_id}/override"),
    ("PUT", "/v1/profiles/{profile_id}/override"),
    ("DELETE", "/v1/profiles/{profile_id}/override"),
    ("GET", "/v1/profiles/{profile_id}/override/history"),
]
# By a body, or once only (test_connections.py), and by a secret (test_hms_webhooks.py).
CONNECTIONS = [
    ("POST", "/v1/connections"),
    ("PATCH", "/v1/connections/{connection_id}"),
    ("DELETE", "/v1/connections/{connection_id}"),
    ("POST", "/v1/webhooks/100ms"),
    ("POST", "/v1/webhooks/100ms/{connection_id}"),
]


@pytest.fixture
async def owned(other_account: Account, database: Database, clip_root: Path) -> dict[str, UUID]:
    """Another tenant's stream, highlight, clip and connection."""
    tenant = other_account.tenant_id
    stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    clip = await new_clip(database, tenant, stream, highlight)
    connection = (await other_account.http.post("/v1/connections", json={"name": "C"})).json()
    return {
        "stream_id": stream,
        "highlight_id": highlight,
        "clip_id": clip,
        "connection_id": UUID(connection["id"]),
    }


def test_every_route_is_looked_at_here() -> None:
    routes = {
        (method, route.path)
        for resource in (streams, highlights, clips, profiles, connections, hms_webhooks)
        for route in resource.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert routes == {*BY_ID, *LISTS, *OTHERS, *PROFILES, *CONNECTIONS}


@pytest.mark.parametrize(("method", "path"), BY_ID)
async def test_another_tenants_id_is_not_found(
    account: Account,
    other_account: Account,
    owned: dict[str, UUID],
    method: str,
    path: str,
) -> None:
    target = path.format(**owned)
    assert (await account.http.request(method, target)).status_code == 404
    assert (await other_account.http.request(method, target)).status_code in {200, 202}


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


async def test_filtering_by_another_tenants_stream_finds_nothing(
    account: Account, owned: dict[str, UUID]
) -> None:
    response = await account.http.get(
        "/v1/highlights/list", params={"stream_id": str(owned["stream_id"])}
    )
    assert response.json()["data"] == []
