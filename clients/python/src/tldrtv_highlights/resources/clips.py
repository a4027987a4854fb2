"""Clips: what is known of them, and their files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from tldrtv_highlights._endpoint import Endpoint, Identity, Sent
from tldrtv_highlights._resource import Resource, Transport, downloads, operation
from tldrtv_highlights._transport import File
from tldrtv_highlights.errors import DownloadError
from tldrtv_highlights.models import Clip, ClipDetail


class Clips(Resource[Transport]):
    """Video files of the moments."""

    @operation(
        Endpoint(
            operation_id="getClip", method="GET", path="/v1/clips/{clip_id}", answer=ClipDetail
        )
    )
    def get(self, clip_id: Identity) -> Sent:
        """Read a clip's properties and fresh links."""
        return Sent(path={"clip_id": clip_id})

    @downloads("downloadClip")
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

    @downloads("downloadThumbnail")
    def download_thumbnail(self, clip: Clip, path: str | PathLike[str]) -> File:
        """Download a clip's picture to `path`, whole or not at all.

        Raises:
            DownloadError: there is none, or it was cut off.
            PermissionDeniedError: its link has expired; read the clip again.
        """
        if clip.thumbnail_url is None:
            raise DownloadError(f"Clip {clip.id} has no picture; it is {clip.status}.")
        return File(url=clip.thumbnail_url, path=Path(path))
