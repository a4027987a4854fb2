"""Answers without a body say nothing of a body's type (RFC 9110, 8.3)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from fastapi.routing import APIRoute

from infra.db.engine import Database
from tests.factories.rows import (
    new_endpoint,
    new_export,
    new_export_batch,
    new_highlight,
    new_requested_clip,
    new_stream,
)
from tests.integration.api.conftest import Account
from tests.integration.api.test_isolation import RESOURCES

EMPTY = {
    "deleteConnection": "/v1/connections/{connection_id}",
    "deleteWebhook": "/v1/webhooks/{endpoint_id}",
    "deleteProfileOverride": "/v1/profiles/soccer/override",
    "resetProfileTaste": "/v1/profiles/soccer/taste",
    "deleteBudget": "/v1/usage/budgets/analyzed_seconds",
    "deleteBranding": "/v1/branding",
    "deleteClip": "/v1/clips/{clip_id}",
    "deleteExport": "/v1/exports/{export_id}",
    "deleteExportBatch": "/v1/export-batches/{batch_id}",
    "deleteFeedClock": "/v1/streams/{stream_id}/feed-clock",
    "deleteSubject": "/v1/subjects/bet:8841",
    "deleteStream": "/v1/streams/{stream_id}",
    "deleteStreamLegalHold": "/v1/streams/{stream_id}/legal-hold",
    "deleteHighlightLegalHold": "/v1/highlights/{highlight_id}/legal-hold",
}


def test_every_operation_with_an_empty_answer_is_looked_at_here() -> None:
    found = {
        route.operation_id
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute) and route.status_code == 204
    }
    assert found == EMPTY.keys()


@pytest.mark.parametrize("operation", EMPTY)
async def test_an_empty_answer_has_no_type_and_is_given_whatever_is_accepted(
    account: Account, database: Database, operation: str
) -> None:
    http = account.http
    await http.put("/v1/profiles/soccer/override", json={"selection": {"per_window": 3}})
    await http.put("/v1/usage/budgets/analyzed_seconds", json={"monthly": 5})
    connection = (await http.post("/v1/connections", json={"name": str(uuid4())})).json()
    stream = await new_stream(database, account.tenant_id)
    path = EMPTY[operation].format(
        clip_id=await new_requested_clip(database, account.tenant_id, stream),
        export_id=await new_export(database, account.tenant_id, stream),
        batch_id=await new_export_batch(database, account.tenant_id, stream),
        connection_id=connection["id"],
        endpoint_id=await new_endpoint(database, account.tenant_id),
        stream_id=stream,
        highlight_id=await new_highlight(database, account.tenant_id, stream),
    )
    headers = {"If-Match": "*", "Accept": "text/plain"}
    response = await http.delete(path, headers=headers)
    assert (response.status_code, response.content) == (204, b""), response.text
    assert "content-type" not in response.headers
