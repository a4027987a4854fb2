"""A tenant marks a moment in the playlist, and it comes out as a highlight that says so."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analysis.local import LocalAnalysis
from activities.selection import SelectionActivities
from demo.origin import LiveOrigin, Mark, OriginOptions
from domain.analysis.messages import AnalyzeWindowInput, AnalyzeWindowResult
from domain.highlights.selection import SelectHighlightsInput, SelectionState
from domain.profiles.model import GameProfile
from infra.db.engine import Database
from infra.db.tables import Highlight
from infra.media.pool import MediaPool
from infra.profiles.store import ProfileStore
from tests.factories.rows import new_stream, shown_highlights
from tests.integration.ingest.harness import IngestHarness, Story

pytestmark = pytest.mark.timeout(60)

PACE = 8.0
GOAL = {"highlight": {"label": "goal", "importance": 0.9, "offset": -2}}
BROKEN = {"highlight": {"importance": 2}}


async def analyze(ingest: IngestHarness, story: Story, pool: MediaPool) -> AnalyzeWindowResult:
    request = AnalyzeWindowInput(
        tenant_id=ingest.tenant_id,
        stream_id=ingest.stream_id,
        windows=tuple(result.window for result in story.results if result.window),
        profile_id="soccer",
        profile_version="1",
        last=True,
    )
    analysis = LocalAnalysis(segments=ingest.store, pool=pool)
    return await ActivityEnvironment().run(analysis.analyze_window, request)


async def select(
    database: Database, ingest: IngestHarness, found: AnalyzeWindowResult, soccer: GameProfile
) -> list[Highlight]:
    selection = SelectionActivities(database=database, profiles=ProfileStore())
    await selection.select_highlights(
        SelectHighlightsInput(
            tenant_id=ingest.tenant_id,
            stream_id=ingest.stream_id,
            profile_id=soccer.id,
            profile_version=soccer.version,
            state=SelectionState(),
            candidates=found.candidates,
            watermark=found.watermark,
            ended=True,
        )
    )
    return await shown_highlights(database, ingest.tenant_id)


async def test_a_mark_in_the_playlist_becomes_a_highlight_with_its_tag_and_its_reason(
    ingest: IngestHarness, video: Path, media_pool: MediaPool, database: Database, tenant: UUID
) -> None:
    ingest.tenant_id, ingest.stream_id = tenant, await new_stream(database, tenant, game="soccer")
    options = OriginOptions(
        pace=PACE,
        segment_duration=1.0,
        marks=(
            Mark(at=4.0, payload=json.dumps(BROKEN)),
            Mark(at=8.0, payload=json.dumps(GOAL)),
        ),
    )
    async with LiveOrigin(video, options) as origin:
        story = await ingest.follow(origin.master_url)
    assert len(story.metadata) == 2

    found = await analyze(ingest, story, media_pool)
    (highlight,) = await select(database, ingest, found, ProfileStore().catalog.get("soccer"))

    assert highlight.peak == pytest.approx(6.0, abs=0.3)
    assert "goal" in highlight.tags
    assert "marked by the tenant: goal (importance 0.9)" in [
        each["words"] for each in highlight.evidence
    ]
    assert "mark" in [each["code"] for each in highlight.reasons]
