"""Streams: start an analysis, look at it, stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tldrtv_highlights._endpoint import Identity, Sent, given, keyed
from tldrtv_highlights._events import stream_event
from tldrtv_highlights._resource import Resource, Transport, following, listing, operation
from tldrtv_highlights.models import ChapterList, Page, Stream, StreamDetail, StreamResults


class Streams(Resource[Transport]):
    """Live streams being analyzed."""

    @operation("POST /v1/streams/analyze", Stream, creates=True)
    def analyze(
        self,
        url: str,
        *,
        game: str | None = None,
        title: str | None = None,
        language: str | None = None,
        languages: Sequence[str] | None = None,
        criteria: str | None = None,
        external_id: str | None = None,
        policy: Mapping[str, Any] | None = None,
        max_height: int | None = None,
        window_duration: float | None = None,
        start_timeout: float | None = None,
        stall_timeout: float | None = None,
        captions: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Start to find highlights in a live HLS stream.

        Args:
            url: the playlist, master or media.
            game: game, sport or league as people call it; decides the profile.
            title: for people; looked at where no game is given.
            language: such as `en`, so that the search finds words in all forms.
            languages: up to 8 (BCP 47), in which highlights get titles and tags.
            criteria: which moments to show, in a sentence: "goals and cards, no replays".
            external_id: your own id of the stream.
            max_height: follow the best variant of at most this height, in pixels.
            window_duration: seconds of media analysed at a time.
            start_timeout: seconds to wait for the first segment.
            stall_timeout: seconds without a segment after which the stream ends.
            captions: whether to follow the stream's captions, where it has some.
            policy: what may be shown of the highlights; the rest is that of your own policy.
            idempotency_key: by default a new one, so that a lost answer starts nothing twice.
        """
        options = given(
            max_height=max_height,
            window_duration=window_duration,
            start_timeout=start_timeout,
            stall_timeout=stall_timeout,
            captions=captions,
        )
        return Sent(
            body=given(
                url=url,
                game=game,
                title=title,
                language=language,
                languages=languages,
                criteria=criteria,
                external_id=external_id,
                policy=policy,
                options=options or None,
            ),
            headers=keyed(idempotency_key),
        )

    @listing("GET /v1/streams", Page[Stream])
    def list(
        self,
        *,
        status: str | None = None,
        game: str | None = None,
        external_id: str | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over streams, newest first; `limit` is the size of a page."""
        return Sent(
            query={"status": status, "game": game, "external_id": external_id, "limit": limit}
        )

    @operation("GET /v1/streams/{stream_id}", StreamDetail)
    def get(self, stream_id: Identity) -> Sent:
        """Read a stream with its gaps."""
        return Sent(path={"stream_id": stream_id})

    @operation("PATCH /v1/streams/{stream_id}", Stream)
    def update(self, stream_id: Identity, *, policy: Mapping[str, Any]) -> Sent:
        """Change the publication policy of a stream and its highlights.

        Args:
            stream_id: the stream.
            policy: fields to change, such as `{"valid_until": None}`; None clears a field.
        """
        return Sent(path={"stream_id": stream_id}, body={"policy": dict(policy)})

    @operation("POST /v1/streams/{stream_id}/stop", Stream)
    def stop(self, stream_id: Identity) -> Sent:
        """Stop following a stream. Its last windows are still analyzed."""
        return Sent(path={"stream_id": stream_id})

    @operation("POST /v1/streams/batch-stop", StreamResults)
    def batch_stop(self, ids: Sequence[Identity]) -> Sent:
        """Stop up to 50 streams. A failure of one does not affect the others."""
        return Sent(body={"ids": ids})

    @operation("DELETE /v1/streams/{stream_id}", type(None), repeatable=False)
    def delete(self, stream_id: Identity) -> Sent:
        """Delete a stream, its highlights, feedback and clips, files included."""
        return Sent(path={"stream_id": stream_id})

    @operation("GET /v1/streams/{stream_id}/chapters", ChapterList)
    def chapters(
        self, stream_id: Identity, *, min_score: float | None = None, language: str | None = None
    ) -> Sent:
        """Read a stream's highlights, and what lies between them, as chapters.

        Titles and tags are in `language`, if it is one of the stream's `languages`.
        """
        query = {"min_score": min_score, "language": language}
        return Sent(path={"stream_id": stream_id}, query=query)

    @operation("GET /v1/streams/{stream_id}/timeline", bytes)
    def timeline(
        self,
        stream_id: Identity,
        format: str,  # noqa: A002 - the parameter's name
        *,
        rate: str | None = None,
        layout: str | None = None,
        media: str | None = None,
        min_score: float | None = None,
        language: str | None = None,
    ) -> Sent:
        """Return a stream's highlights as a file for editing programs.

        Args:
            stream_id: the stream.
            format: `edl`, `otio`, `fcpxml` or `csv`.
            rate: frame rate of your recording, such as `29.97`; only `csv` needs none.
            layout: `stream` leaves the gaps between highlights, `cut` does not.
            media: file name or URL of your recording.
            min_score: leaves out highlights with a lower score.
            language: of titles and tags, one of the stream's `languages`.
        """
        query = {"format": format, "rate": rate, "layout": layout, "media": media}
        return Sent(
            path={"stream_id": stream_id},
            query={**query, "min_score": min_score, "language": language},
            headers={"Accept": "*/*"},
        )

    @following("GET /v1/streams/{stream_id}/events", stream_event)
    def follow(self, stream_id: Identity, *, last_event_id: str | None = None) -> Sent:
        """Iterate over a stream's events as they happen, until it ends.

        A lost connection is made again. The same change may then be told twice. When the API ends
        the connection for good, as after the key was revoked, the error is raised that a request
        with this key would raise.

        Args:
            stream_id: the stream.
            last_event_id: of the last event seen earlier; by default all highlights are told first.
        """
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        return Sent(path={"stream_id": stream_id}, headers=headers)
