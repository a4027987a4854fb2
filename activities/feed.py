"""Activity `link_feed_events`: links events of feeds to highlights."""

from __future__ import annotations

from temporalio import activity

from activities.interfaces import FeedLinking
from app.services.feed.feed_service import FeedService
from domain.feed.messages import LinkFeedInput, LinkFeedResult


class FeedActivities(FeedLinking):
    """Links events as `FeedService` does."""

    def __init__(self, feed: FeedService) -> None:
        self._feed = feed

    @activity.defn(name="link_feed_events")
    async def link_feed_events(self, request: LinkFeedInput) -> LinkFeedResult:
        return await self._feed.link(request)
