"""Chapters and timelines of a stream, over the API."""

from __future__ import annotations

from uuid import UUID

import opentimelineio as otio
import pytest

from domain.highlights.selection import DecisionStatus
from infra.db.engine import Database
from tests.factories.rows import new_highlight, new_stream
from tests.integration.api.conftest import Account
from tests.integration.api.problems import assert_problem


@pytest.fixture
async def stream(account: Account, database: Database) -> UUID:
    tenant = account.tenant_id
    made = await new_stream(database, tenant)
    await new_highlight(database, tenant, made, peak=60.0, title="Tor 🏆", score=0.9)
    await new_highlight(database, tenant, made, peak=120.0, title="", tags=("goal",), score=0.6)
    hidden = DecisionStatus.REJECTED
    await new_highlight(database, tenant, made, peak=180.0, title="Hidden", status=hidden)
    retracted = DecisionStatus.RETRACTED
    await new_highlight(database, tenant, made, peak=240.0, title="Retracted", status=retracted)
    return made


async def test_chapters_are_the_highlights_that_are_shown(account: Account, stream: UUID) -> None:
    found = (await account.http.get(f"/v1/streams/{stream}/chapters")).json()["data"]
    assert [(each["start"], each["end"], each["title"]) for each in found] == [
        (0.0, 55.0, ""),
        (55.0, 65.0, "Tor 🏆"),
        (65.0, 115.0, ""),
        (115.0, 125.0, "Goal at 2:00"),
    ]
    best = await account.http.get(f"/v1/streams/{stream}/chapters", params={"min_score": 0.8})
    assert [each["kind"] for each in best.json()["data"]] == ["between", "highlight"]


async def test_a_timeline_opens_in_an_editor(account: Account, stream: UUID) -> None:
    path = f"/v1/streams/{stream}/timeline"
    response = await account.http.get(path, params={"format": "otio", "rate": "25"})
    assert response.headers["content-disposition"] == f'attachment; filename="{stream}.otio"'
    read = otio.adapters.read_from_string(response.text, "otio_json")
    assert [each.name for each in read.find_clips()] == ["Tor 🏆", "Goal at 2:00"]


async def test_a_timeline_in_frames_needs_a_rate(account: Account, stream: UUID) -> None:
    path = f"/v1/streams/{stream}/timeline"
    response = await account.http.get(path, params={"format": "edl"})
    assert_problem(response, 422, "invalid_request")
    assert response.json()["errors"][0]["pointer"] == "query/rate"
    assert (await account.http.get(path, params={"format": "csv"})).status_code == 200


async def test_another_tenants_timeline_is_not_found(other_account: Account, stream: UUID) -> None:
    path = f"/v1/streams/{stream}/timeline"
    response = await other_account.http.get(path, params={"format": "csv"})
    assert_problem(response, 404, "stream_not_found")
