"""A moment can be followed from its detection to its delivery in one trace."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.testing import ActivityEnvironment

from activities.records import RecordActivities
from activities.selection import SelectionActivities
from domain.clips.models import ClipStatus
from domain.highlights.selection import SelectHighlightsInput, SelectionState
from infra.profiles.store import ProfileStore
from tests.factories.rows import candidate, clip_record, new_stream
from tests.fakes.otlp import Collector
from tests.fakes.webhook_receiver import receiver
from tests.integration.webhooks.conftest import Post


async def test_detection_and_deliveries_are_spans_of_the_moments_trace(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles, tenant = ProfileStore(), post.tenant_id
    stream = await new_stream(post.database, tenant)
    moment = candidate(tenant, stream)
    request = SelectHighlightsInput(
        tenant_id=tenant,
        stream_id=stream,
        profile_id="default",
        profile_version=profiles.catalog.get("default").version,
        state=SelectionState(),
        candidates=(moment,),
        watermark=70.0,
    )
    selection = SelectionActivities(
        database=post.database, profiles=profiles, dispatcher=post.dispatcher
    )
    records = RecordActivities(post.database, post.dispatcher)
    ready = clip_record(tenant, stream, moment.id, status=ClipStatus.READY)
    with Collector(monkeypatch) as collector:
        async with receiver() as hook:
            await post.endpoint(hook.url)
            await ActivityEnvironment().run(selection.select_highlights, request)
            await ActivityEnvironment().run(records.record_clip, ready)
            await hook.until(2)
            async with asyncio.timeout(60):
                # A span ends after its request.
                while len(spans := collector.spans()) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    (root,) = (each for each in spans if each.name == "moment")
    assert {each.name for each in spans} == {
        "moment",
        "deliver highlight.pending",
        "deliver clip.ready",
    }
    assert {each.trace_id for each in spans} == {moment.id.bytes}
    assert {each.parent_span_id for each in spans} == {b"", root.span_id}
