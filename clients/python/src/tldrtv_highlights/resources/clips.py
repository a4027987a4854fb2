"""Clips: ask for them, read them, download their files."""

from __future__ import annotations

from datetime import datetime
from os import PathLike
from pathlib import Path

from tldrtv_highlights._endpoint import Identity, Sent, given, keyed
from tldrtv_highlights._resource import Resource, Transport, downloads, listing, operation
from tldrtv_highlights._transport import File
from tldrtv_highlights.errors import DownloadError
from tldrtv_highlights.models import Clip, ClipDetail, CreatedClips, Page


class Clips(Resource[Transport]):
    """Video files of the moments."""

    @operation("GET /v1/clips/{clip_id}", ClipDetail)
    def get(self, clip_id: Identity) -> Sent:
        """Read a clip's properties and fresh links."""
        return Sent(path={"clip_id": clip_id})

    @operation("POST /v1/streams/{stream_id}/clips", CreatedClips, creates=True)
    def create(
        self,
        stream_id: Identity,
        *,
        start: float | None = None,
        end: float | None = None,
        last: float | None = None,
        at: datetime | None = None,
        before: float | None = None,
        after: float | None = None,
        title: str | None = None,
        on_gap: str | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Make a clip of any part of a stream whose media is kept.

        Give either `start` with `end`, or `last`, or `at`.

        Args:
            stream_id: the stream.
            start: seconds of media time at which it begins.
            end: seconds of media time at which it ends.
            last: the latest seconds of the stream.
            at: an instant of the stream's wall clock.
            before: seconds before `at`.
            after: seconds after `at`.
            title: for people.
            on_gap: `refuse`, or `split` into one clip per part where media is missing.
            idempotency_key: by default a new one, so that a lost answer makes nothing twice.
        """
        body = {
            "from": start,
            "to": end,
            "last": last,
            "at": at,
            "before": before,
            "after": after,
            "title": title,
            "on_gap": on_gap,
        }
        return Sent(
            path={"stream_id": stream_id}, body=given(**body), headers=keyed(idempotency_key)
        )

    @listing("GET /v1/streams/{stream_id}/clips", Page[ClipDetail])
    def list(self, stream_id: Identity, *, limit: int | None = None) -> Sent:
        """Iterate over a stream's clips, newest first; `limit` is the size of a page."""
        return Sent(path={"stream_id": stream_id}, query={"limit": limit})

    @operation("DELETE /v1/clips/{clip_id}", type(None))
    def delete(self, clip_id: Identity) -> Sent:
        """Delete a clip on demand with its files."""
        return Sent(path={"clip_id": clip_id})

    @downloads("GET /v1/clips/{clip_id}/download")
    def download(self, clip: Clip, path: str | PathLike[str]) -> File:
        """Download a clip's file to `path`, whole or not at all.

        Raises:
            DownloadError: it is not ready, or was cut off.
            PermissionDeniedError: its link has expired; read the clip again.
        """
        if clip.url is None:
            raise DownloadError(f"Clip {clip.id} is {clip.status}; wait until it is ready.")
        sha256 = clip.sha256 if isinstance(clip, ClipDetail) else None
        return File(url=clip.url, path=Path(path), size=clip.size, sha256=sha256)

    @downloads("GET /v1/clips/{clip_id}/thumbnail")
    def download_thumbnail(self, clip: Clip, path: str | PathLike[str]) -> File:
        """Download a clip's picture to `path`, whole or not at all.

        Raises:
            DownloadError: there is none, or it was cut off.
            PermissionDeniedError: its link has expired; read the clip again.
        """
        if clip.thumbnail_url is None:
            raise DownloadError(f"Clip {clip.id} has no picture; it is {clip.status}.")
        return File(url=clip.thumbnail_url, path=Path(path))
