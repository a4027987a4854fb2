"""Events of a feed are answered once each, though worker and API are killed in mid-batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from demo.match import Match
from demo.origin import LiveOrigin, OriginOptions
from domain.streams.status import StreamStatus
from tests.e2e.conftest import Stack
from tests.e2e.tenant import Tenant

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PACE, WINDOW = 4.0, 60  # the playlist lists 30 s, in which a killed worker is back
BATCHES, SIZE = 10, 20
LIMIT = 120.0
FINAL = {"raised", "marked", "linked", "unused", "too_late"}


def batch(number: int) -> list[dict[str, Any]]:
    """Return settlements and goals all over the match."""
    return [
        {
            "id": f"e{number}-{each}",
            "kind": "custom" if each % 2 else "settled",
            "at": {"media": 8.0 * number + each / 4},
            "subjects": [f"bet:{number}.{each}"],
        }
        for each in range(SIZE)
    ]


async def test_each_event_is_answered_once(stack: Stack, tenant: Tenant, match: Match) -> None:
    options = OriginOptions(pace=PACE, window=WINDOW, autostart=False)
    async with LiveOrigin(match.video, options) as origin:
        stream_id = await tenant.analyze(origin.master_url)
        await origin.wait_requested()
        origin.begin()
        await origin.wait_published(4)
        first = await tenant.send_events(stream_id, batch(0), key=f"{stream_id}-0")
        sending = [
            asyncio.create_task(
                tenant.send_events(stream_id, batch(number), key=f"{stream_id}-{number}")
            )
            for number in range(1, BATCHES)
        ]
        await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        stack.kill_api()
        stack.kill_worker()
        answers = [first, *await asyncio.wait_for(asyncio.gather(*sending), LIMIT)]
        stream = await tenant.until_over(stream_id, seconds=LIMIT)

    sent = {each["id"] for number in range(BATCHES) for each in batch(number)}
    assert Counter(each["id"] for answer in answers for each in answer) == Counter(sent)
    assert (stream.status, stream.missed) == (StreamStatus.COMPLETED, 0)
    rows = await asyncio.wait_for(decided(tenant, stream_id), LIMIT)
    assert Counter(row["id"] for row in rows) == Counter(sent)


async def decided(tenant: Tenant, stream_id: str) -> list[dict[str, Any]]:
    """Return the events once all of them have their outcome."""
    while True:
        rows = await tenant.feed_events(stream_id)
        if all(row["outcome"] in FINAL for row in rows):
            return rows
        await asyncio.sleep(0.2)
