"""Highlights: the moments found, with why they were chosen."""

from __future__ import annotations

from collections.abc import Sequence

from tldrtv_highlights._endpoint import Endpoint, Identity, Sent
from tldrtv_highlights._resource import Resource, Transport, listing, operation
from tldrtv_highlights.models import Highlight, HighlightDetail, Page


class Highlights(Resource[Transport]):
    """The moments found in streams."""

    @listing(
        Endpoint(
            operation_id="listHighlights",
            method="GET",
            path="/v1/highlights/list",
            answer=Page[Highlight],
        )
    )
    def list(
        self,
        *,
        stream_id: Identity | None = None,
        status: Sequence[str] | None = None,
        game: str | None = None,
        tag: str | None = None,
        min_score: float | None = None,
        peak_from: float | None = None,
        peak_to: float | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over the highlights that match all filters given.

        Args:
            stream_id: those of one stream.
            status: by default all but the held and the rejected.
            game: a profile's id, such as `soccer`.
            tag: such as `goal`.
            min_score: from 0 to 1.
            peak_from: seconds of media time.
            peak_to: seconds of media time.
            sort: such as `-score`, where a minus sign means descending; by default newest first.
            limit: the size of a page.
        """
        return Sent(
            query={
                "stream_id": stream_id,
                "status": status,
                "game": game,
                "tag": tag,
                "min_score": min_score,
                "peak_from": peak_from,
                "peak_to": peak_to,
                "sort": sort,
                "limit": limit,
            }
        )

    @operation(
        Endpoint(
            operation_id="getHighlight",
            method="GET",
            path="/v1/highlights/{highlight_id}",
            answer=HighlightDetail,
        )
    )
    def get(self, highlight_id: Identity) -> Sent:
        """Read a highlight with its clip, and why it was decided so, in words."""
        return Sent(path={"highlight_id": highlight_id})
