"""A tenant's endpoint is told of a whole stream, though the worker dies in the middle of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from domain.highlights.selection import DecisionStatus
from tests.e2e.conftest import Stack
from tests.e2e.tenant import Tenant
from tests.fakes.webhook_receiver import Receiver, receiver

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PACE = 3.0
KILL = 15
LIMIT = 180.0


async def test_every_highlight_and_clip_is_delivered_signed_and_in_order(
    stack: Stack, tenant: Tenant, match: Match
) -> None:
    async with (
        receiver() as hook,
        LiveOrigin(match.video, OriginOptions(pace=PACE, autostart=False)) as origin,
    ):
        secret = await tenant.subscribe(hook.url)
        stream_id = await tenant.analyze(origin.master_url)
        await origin.wait_requested()
        origin.begin()
        await origin.wait_published(KILL)
        stack.kill_worker()
        await tenant.until_over(stream_id, seconds=LIMIT)
        highlights = await tenant.highlights(stream_id)
        confirmed = {str(h.id) for h in highlights if h.status is DecisionStatus.CONFIRMED}
        assert confirmed
        await hook.until_true(
            lambda: (
                confirmed <= about(hook, stream_id, "clip.ready")
                and stream_id in told_of(hook, "stream.ended")
            ),
            seconds=LIMIT,
        )
        messages = [each.verify(secret) for each in hook.received]
    once = {message["id"]: message for message in messages}
    of_stream = [each for each in once.values() if each["data"].get("stream_id") == stream_id]
    assert_each_is_told_once(of_stream)
    for highlight in confirmed:
        told = [each for each in of_stream if each["data"].get("highlight_id") == highlight]
        types = [each["type"] for each in told]
        # An exceptional one is confirmed at once, without having been pending.
        assert [kind for kind in types if kind != "clip.ready"] in (
            ["highlight.pending", "highlight.confirmed"],
            ["highlight.confirmed"],
        )
        assert types[0] != "clip.ready"
        await assert_clip_opens_without_a_key(told[types.index("clip.ready")])


def told_of(hook: Receiver, kind: str) -> set[str]:
    return {each.data["stream_id"] for each in hook.received if each.type == kind}


def about(hook: Receiver, stream_id: str, kind: str) -> set[str]:
    return {
        each.data["highlight_id"]
        for each in hook.received
        if each.type == kind and each.data["stream_id"] == stream_id
    }


def assert_each_is_told_once(messages: list[dict[str, Any]]) -> None:
    told = [
        (each["type"], each["data"].get("clip_id") or each["data"].get("highlight_id"))
        for each in messages
    ]
    assert len(told) == len(set(told))
    assert {"stream.started", "stream.ended"} <= {kind for kind, _ in told}


async def assert_clip_opens_without_a_key(message: dict[str, Any]) -> None:
    async with httpx.AsyncClient() as anybody:
        clip = await anybody.get(message["data"]["url"])
    assert len(clip.raise_for_status().content) == message["data"]["size"]
