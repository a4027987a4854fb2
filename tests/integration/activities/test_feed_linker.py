"""Events of feeds are linked beside `follow_stream`, which never waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

from activities.feed import FeedLinker
from app.services.feed.feed_service import FeedService
from domain.analysis.messages import AnalyzeWindowResult
from domain.feed.messages import LinkFeedInput, LinkFeedResult
from domain.ingest.messages import IngestCursor, IngestProgress
from domain.streams.messages import AnalyzedWindows, FollowProgress


class RecordedFeed(FeedService):
    """Records what is to be linked, and links once it may."""

    def __init__(self, *, fails: bool = False) -> None:
        self.requests: list[LinkFeedInput] = []
        self.may_link = asyncio.Event()
        self.fails = fails

    async def link(self, request: LinkFeedInput) -> LinkFeedResult:
        self.requests.append(request)
        if self.fails:
            raise RuntimeError("no database")
        await self.may_link.wait()
        return LinkFeedResult()


def reached(position: float, analyzed: float | None) -> FollowProgress:
    done = AnalyzedWindows(
        count=1,
        result=AnalyzeWindowResult(watermark=analyzed or 0.0),
        analyzed_at=datetime(2026, 5, 2, tzinfo=UTC),
    )
    return FollowProgress(
        window=IngestProgress.begin(IngestCursor(position=position)),
        analyses=() if analyzed is None else (done,),
    )


def new_key() -> tuple[UUID, UUID]:
    return uuid4(), uuid4()


async def test_events_are_linked_up_to_what_is_analyzed_and_retractions_are_left() -> None:
    feed = RecordedFeed()
    linker, key = FeedLinker(feed), new_key()
    linker.note(key, reached(12.0, 8.0))
    await asyncio.sleep(0)
    (request,) = feed.requests
    assert (request.tenant_id, request.stream_id) == key
    assert (request.media_end, request.analyzed, request.takes_back) == (12.0, 8.0, False)


async def test_nothing_is_linked_before_anything_is_analyzed() -> None:
    feed = RecordedFeed()
    FeedLinker(feed).note(new_key(), reached(12.0, None))
    await asyncio.sleep(0)
    assert feed.requests == []


async def test_a_pass_that_takes_long_holds_up_neither_its_stream_nor_others() -> None:
    feed = RecordedFeed()
    linker, slow, other = FeedLinker(feed, interval=0.0), new_key(), new_key()
    for position in range(10):
        linker.note(slow, reached(float(position), 1.0))
    linker.note(other, reached(1.0, 1.0))
    await asyncio.sleep(0)
    assert [each.stream_id for each in feed.requests] == [slow[1], other[1]]


async def test_a_pass_that_fails_is_made_again() -> None:
    feed = RecordedFeed(fails=True)
    linker, key = FeedLinker(feed, interval=0.0), new_key()
    for _ in range(2):
        linker.note(key, reached(12.0, 8.0))
        await asyncio.sleep(0.01)
    assert len(feed.requests) == 2
