"""Deletions of streams with their proof, and legal holds."""

from __future__ import annotations

from tldrtv_highlights._endpoint import Identity, Sent, given
from tldrtv_highlights._resource import Resource, Transport, listing, operation
from tldrtv_highlights.models import Deletion, LegalHold, Page


class Deletions(Resource[Transport]):
    """Deleted streams, and what holds streams and highlights against deletion."""

    @operation("POST /v1/deletions", Deletion)
    def create(self, stream_id: Identity, *, reason: str | None = None) -> Sent:
        """Delete a stream; `reason` is kept with the proof. Asking again returns its deletion."""
        return Sent(body=given(stream_id=stream_id, reason=reason))

    @listing("GET /v1/deletions", Page[Deletion])
    def list(self, *, limit: int | None = None) -> Sent:
        """Iterate over deletions, newest first; `limit` is the size of a page."""
        return Sent(query={"limit": limit})

    @operation("GET /v1/deletions/{deletion_id}", Deletion)
    def get(self, deletion_id: Identity) -> Sent:
        """Read what was deleted of a stream, and when."""
        return Sent(path={"deletion_id": deletion_id})

    @operation("PUT /v1/streams/{stream_id}/legal-hold", LegalHold)
    def hold_stream(self, stream_id: Identity, reason: str) -> Sent:
        """Hold a stream, so that it cannot be deleted."""
        return Sent(path={"stream_id": stream_id}, body={"reason": reason})

    @operation("DELETE /v1/streams/{stream_id}/legal-hold", type(None))
    def release_stream(self, stream_id: Identity) -> Sent:
        """Release a stream's hold."""
        return Sent(path={"stream_id": stream_id})

    @operation("PUT /v1/highlights/{highlight_id}/legal-hold", LegalHold)
    def hold_highlight(self, highlight_id: Identity, reason: str) -> Sent:
        """Hold a highlight, so that it cannot be deleted."""
        return Sent(path={"highlight_id": highlight_id}, body={"reason": reason})

    @operation("DELETE /v1/highlights/{highlight_id}/legal-hold", type(None))
    def release_highlight(self, highlight_id: Identity) -> Sent:
        """Release a highlight's hold."""
        return Sent(path={"highlight_id": highlight_id})
