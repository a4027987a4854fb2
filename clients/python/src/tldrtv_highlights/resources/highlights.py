"""Highlights: the moments found, with why they were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tldrtv_highlights._endpoint import Identity, Sent, given
from tldrtv_highlights._resource import Resource, Transport, listing, operation
from tldrtv_highlights.models import (
    EmbedPolicy,
    Feedback,
    FoundHighlight,
    Highlight,
    HighlightDetail,
    HighlightEmbed,
    HighlightResults,
    Page,
    Review,
    SimilarHighlights,
)


class Highlights(Resource[Transport]):
    """The moments found in streams."""

    @listing("GET /v1/highlights/list", Page[Highlight])
    def list(
        self,
        *,
        stream_id: Identity | None = None,
        status: Sequence[str] | None = None,
        review: str | None = None,
        game: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        market: str | None = None,
        subject: str | None = None,
        state: str | None = None,
        period: str | None = None,
        min_score: float | None = None,
        max_score: float | None = None,
        min_dimensions: Mapping[str, float] | None = None,
        peak_from: float | None = None,
        peak_to: float | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        happened_from: datetime | None = None,
        happened_to: datetime | None = None,
        sort: str | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over the highlights that match all filters given.

        Args:
            stream_id: those of one stream.
            status: by default all but the held and the rejected.
            review: `awaiting` for what is to be reviewed.
            game: a profile's id, such as `soccer`.
            tag: such as `goal`.
            text: words, whole and all of them, of title, description or tags.
            market: of a feed event that belongs to the highlight.
            subject: of such an event, such as `bet:8841`.
            state: the score after the moment as the screen shows it, such as `2-1`.
            period: such as `2nd`, `Q4` or `set 2`.
            min_score: from 0 to 1.
            max_score: from 0 to 1.
            min_dimensions: least values by dimension, such as `{"rarity": 0.8}`.
            peak_from: seconds of media time.
            peak_to: seconds of media time.
            created_from: found at this time or later.
            created_to: found before this time.
            happened_from: by the stream's own clock, where it says.
            happened_to: before this time.
            sort: such as `-score`, where a minus sign means descending; by default newest first.
            limit: the size of a page.
        """
        return Sent(
            query={
                "stream_id": stream_id,
                "status": status,
                "review": review,
                "game": game,
                "tag": tag,
                "text": text,
                "market": market,
                "subject": subject,
                "state": state,
                "period": period,
                "min_score": min_score,
                "max_score": max_score,
                **{f"min_{name}": least for name, least in (min_dimensions or {}).items()},
                "peak_from": peak_from,
                "peak_to": peak_to,
                "created_from": created_from,
                "created_to": created_to,
                "happened_from": happened_from,
                "happened_to": happened_to,
                "sort": sort,
                "limit": limit,
            }
        )

    @listing("GET /v1/highlights/search", Page[FoundHighlight])
    def search(
        self,
        q: str,
        *,
        stream_id: Identity | None = None,
        status: Sequence[str] | None = None,
        review: str | None = None,
        game: str | None = None,
        tag: str | None = None,
        text: str | None = None,
        market: str | None = None,
        subject: str | None = None,
        state: str | None = None,
        period: str | None = None,
        min_score: float | None = None,
        max_score: float | None = None,
        min_dimensions: Mapping[str, float] | None = None,
        peak_from: float | None = None,
        peak_to: float | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        happened_from: datetime | None = None,
        happened_to: datetime | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over the highlights that words find, the most relevant first.

        Misspelt words count for the nearest that there are.

        Args:
            q: words; "a phrase" in quotes, `or` between alternatives, a minus sign for not.
            stream_id: those of one stream.
            status: by default all but the held and the rejected.
            review: `awaiting` for what is to be reviewed.
            game: a profile's id, such as `soccer`.
            tag: such as `goal`.
            text: words as in `list`.
            market: of a feed event that belongs to the highlight.
            subject: of such an event, such as `bet:8841`.
            state: the score after the moment as the screen shows it, such as `2-1`.
            period: such as `2nd`, `Q4` or `set 2`.
            min_score: from 0 to 1.
            max_score: from 0 to 1.
            min_dimensions: least values by dimension, such as `{"rarity": 0.8}`.
            peak_from: seconds of media time.
            peak_to: seconds of media time.
            created_from: found at this time or later.
            created_to: found before this time.
            happened_from: by the stream's own clock, where it says.
            happened_to: before this time.
            limit: the size of a page.
        """
        return Sent(
            query={
                "q": q,
                "stream_id": stream_id,
                "status": status,
                "review": review,
                "game": game,
                "tag": tag,
                "text": text,
                "market": market,
                "subject": subject,
                "state": state,
                "period": period,
                "min_score": min_score,
                "max_score": max_score,
                **{f"min_{name}": least for name, least in (min_dimensions or {}).items()},
                "peak_from": peak_from,
                "peak_to": peak_to,
                "created_from": created_from,
                "created_to": created_to,
                "happened_from": happened_from,
                "happened_to": happened_to,
                "limit": limit,
            }
        )

    @operation("GET /v1/highlights/{highlight_id}", HighlightDetail)
    def get(self, highlight_id: Identity) -> Sent:
        """Read a highlight with its clip and the reasons of its decision."""
        return Sent(path={"highlight_id": highlight_id})

    @operation("GET /v1/highlights/{highlight_id}/similar", SimilarHighlights)
    def similar(self, highlight_id: Identity, *, limit: int | None = None) -> Sent:
        """Find highlights that look like this one or have the words of its title."""
        return Sent(path={"highlight_id": highlight_id}, query={"limit": limit})

    @operation("GET /v1/highlights/{highlight_id}/embed", HighlightEmbed)
    def embed(self, highlight_id: Identity) -> Sent:
        """Get a player of a highlight for your pages."""
        return Sent(path={"highlight_id": highlight_id})

    @operation("GET /v1/embed-policy", EmbedPolicy)
    def embed_policy(self) -> Sent:
        """Read who may embed your highlights."""
        return Sent()

    @operation("PUT /v1/embed-policy", EmbedPolicy)
    def put_embed_policy(self, *, enabled: bool, origins: Sequence[str] | None = None) -> Sent:
        """Say who may embed your highlights, at once; without `origins` every page may."""
        return Sent(body=given(enabled=enabled, origins=origins))

    @operation("POST /v1/highlights/batch-get", HighlightResults)
    def batch_get(self, ids: Sequence[Identity]) -> Sent:
        """Read up to 100 highlights, with their clips, in one request."""
        return Sent(body={"ids": ids})

    @operation("POST /v1/highlights/{highlight_id}/feedback", Feedback)
    def give_feedback(
        self,
        highlight_id: Identity,
        *,
        user: str | None = None,
        verdict: str | None = None,
        correction: Mapping[str, float] | None = None,
        note: str | None = None,
    ) -> Sent:
        """Give feedback on a highlight. It replaces earlier feedback of the same user.

        Args:
            highlight_id: the highlight.
            user: your own name for who says so; by default the key.
            verdict: `like` or `dislike`.
            correction: where it really has its `start` and `end`, in seconds of media time. While
                its media is stored, another clip is cut like that.
            note: for people.
        """
        return Sent(
            path={"highlight_id": highlight_id},
            body=given(user=user, verdict=verdict, correction=correction, note=note),
        )

    @operation("POST /v1/highlights/{highlight_id}/approve", Review)
    def approve(
        self, highlight_id: Identity, *, user: str | None = None, note: str | None = None
    ) -> Sent:
        """Release a highlight that awaits review: its webhooks are sent, its clips get links."""
        return Sent(path={"highlight_id": highlight_id}, body=given(user=user, note=note))

    @operation("POST /v1/highlights/{highlight_id}/reject", Review)
    def reject(
        self, highlight_id: Identity, *, user: str | None = None, note: str | None = None
    ) -> Sent:
        """Retract a highlight for good, also one that was approved."""
        return Sent(path={"highlight_id": highlight_id}, body=given(user=user, note=note))

    @listing("GET /v1/highlights/{highlight_id}/feedback", Page[Feedback])
    def feedback(self, highlight_id: Identity, *, limit: int | None = None) -> Sent:
        """Iterate over the feedback on a highlight, newest first."""
        return Sent(path={"highlight_id": highlight_id}, query={"limit": limit})
