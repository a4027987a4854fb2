"""Activity `link_feed_events`, and linking beside `follow_stream`."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from cachetools import TTLCache
from temporalio import activity

from activities.ingest.activity import StreamKey
from activities.interfaces import FeedLinking
from app.services.feed.feed_service import FeedService
from domain.feed.messages import LinkFeedInput, LinkFeedResult
from domain.media.timestamps import latest_anchor
from domain.streams.messages import FollowProgress
from domain.streams.status import StreamProgress

_log = structlog.get_logger(__name__)

_INTERVAL: Final = 5.0
_TIMEOUT: Final = 15.0
_MOST_STREAMS: Final = 10_000


class FeedActivities(FeedLinking):
    """Links events as `FeedService` does."""

    def __init__(self, feed: FeedService) -> None:
        self._feed = feed

    @activity.defn(name="link_feed_events")
    async def link_feed_events(self, request: LinkFeedInput) -> LinkFeedResult:
        return await self._feed.link(request)


class FeedLinker:
    """Links the events of running streams in the background, at no cost to their histories.

    What fails is left to the next pass. Events that others take back are left to the workflow.

    Args:
        feed: links them.
        interval: seconds between two passes for one stream.
    """

    def __init__(self, feed: FeedService, *, interval: float = _INTERVAL) -> None:
        self._feed = feed
        self._linked: TTLCache[StreamKey, bool] = TTLCache(_MOST_STREAMS, ttl=interval)
        self._linking: dict[StreamKey, asyncio.Task[None]] = {}

    def note(self, key: StreamKey, progress: FollowProgress) -> None:
        """Link a stream's events in the background, if that is due and not under way."""
        if key in self._linked or key in self._linking or not progress.analyses:
            return
        self._linked[key] = True
        reached = progress.added_to(StreamProgress())
        tenant_id, stream_id = key
        segments = [segment for window in progress.windows for segment in window.segments]
        request = LinkFeedInput(
            tenant_id=tenant_id,
            stream_id=stream_id,
            anchor=latest_anchor(segments),
            media_end=reached.position,
            analyzed=reached.analyzed,
            takes_back=False,
        )
        task = asyncio.create_task(self._link(request), name="link-feed-events")
        self._linking[key] = task
        task.add_done_callback(lambda _: self._linking.pop(key, None))

    async def _link(self, request: LinkFeedInput) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._feed.link(request)
        except Exception as error:  # noqa: BLE001 following must not fail for it
            _log.info("feed_not_linked", stream_id=str(request.stream_id), error=str(error)[:200])
