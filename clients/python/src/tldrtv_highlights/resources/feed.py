"""Events of feeds, feed clocks, and the highlights of subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tldrtv_highlights._endpoint import Identity, Sent, given, keyed
from tldrtv_highlights._resource import Resource, Transport, listing, operation
from tldrtv_highlights.models import FeedClock, FeedEvent, FeedEventResults, Highlight, Page


class Feed(Resource[Transport]):
    """Scores, odds and bets of your feed, as evidence for highlights."""

    @operation("POST /v1/streams/{stream_id}/events", FeedEventResults, creates=True)
    def send(
        self,
        stream_id: Identity,
        events: Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send up to 100 events; of an `id`, the highest `revision` counts."""
        return Sent(
            path={"stream_id": stream_id},
            body={"events": list(events)},
            headers=keyed(idempotency_key),
        )

    @listing("GET /v1/streams/{stream_id}/feed-events", Page[FeedEvent])
    def list(
        self, stream_id: Identity, *, outcome: str | None = None, limit: int | None = None
    ) -> Sent:
        """Iterate over the events of a stream, newest first; `limit` is the size of a page."""
        return Sent(path={"stream_id": stream_id}, query={"outcome": outcome, "limit": limit})

    @operation("GET /v1/streams/{stream_id}/feed-clock", FeedClock)
    def clock(self, stream_id: Identity) -> Sent:
        """Read the offset between a stream's feed and its picture."""
        return Sent(path={"stream_id": stream_id})

    @operation("PUT /v1/streams/{stream_id}/feed-clock", FeedClock)
    def set_clock(self, stream_id: Identity, offset: float, *, error: float | None = None) -> Sent:
        """Set the offset, in seconds, that is added to the feed's time."""
        return Sent(path={"stream_id": stream_id}, body=given(offset=offset, error=error))

    @operation("DELETE /v1/streams/{stream_id}/feed-clock", type(None))
    def forget_clock(self, stream_id: Identity) -> Sent:
        """Forget the feed clock, which is then estimated again."""
        return Sent(path={"stream_id": stream_id})

    @listing("GET /v1/subjects/{subject}/highlights", Page[Highlight])
    def highlights_of(self, subject: str, *, limit: int | None = None) -> Sent:
        """Iterate over the highlights of a subject, such as a bet, newest first."""
        return Sent(path={"subject": subject}, query={"limit": limit})

    @operation("DELETE /v1/subjects/{subject}", type(None))
    def forget_subject(self, subject: str) -> Sent:
        """Delete a reference from all events; highlights stay."""
        return Sent(path={"subject": subject})
