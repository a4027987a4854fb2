"""Exports: files of clips and streams in other formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tldrtv_highlights._endpoint import Identity, Sent, given, keyed
from tldrtv_highlights._resource import Resource, Transport, downloads, listing, operation
from tldrtv_highlights._transport import File
from tldrtv_highlights.errors import DownloadError
from tldrtv_highlights.models import Export, ExportRendition, Page


class Exports(Resource[Transport]):
    """Files of clips and streams in other formats, shapes and sizes."""

    @operation("POST /v1/exports", Export, creates=True)
    def create(
        self,
        source: Mapping[str, Any],
        renditions: Sequence[Mapping[str, Any]],
        *,
        watermark: Mapping[str, Any] | None = None,
        lower_third: Mapping[str, Any] | None = None,
        caption_style: Mapping[str, Any] | None = None,
        intro: Mapping[str, Any] | None = None,
        outro: Mapping[str, Any] | None = None,
        end_card: Mapping[str, Any] | None = None,
        territory: str | None = None,
        branding: str | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Start an export.

        Args:
            source: `{"highlight_id": …}`, `{"clip_id": …}`, a `stream_id` with `from` and `to` in
                seconds of media time, or `{"reel": {"stream_id": …, "seconds": 60}}`.
            renditions: such as `{"format": "mp4", "preset": "tiktok"}`, up to 50.
            watermark: such as `{"text": "tldrtv", "position": "top_left"}`.
            lower_third: such as `{"title": "2-1", "seconds": 4}`; what it leaves out is that of
                the highlight.
            caption_style: such as `{"position": "top", "color": "#FFE000"}`.
            intro: such as `{"image": …, "seconds": 3}` with a PNG or JPEG in base64.
            outro: the same after the source.
            end_card: such as `{"default": {"image": …}, "territories": {"DE": {"image": …}}}`.
            territory: such as `DE` (ISO 3166-1 alpha-2), which chooses the end card.
            branding: `none` leaves out the default branding.
            idempotency_key: by default a new one, so that a lost answer starts nothing twice.
        """
        return Sent(
            body=given(
                source=source,
                renditions=renditions,
                watermark=watermark,
                lower_third=lower_third,
                caption_style=caption_style,
                intro=intro,
                outro=outro,
                end_card=end_card,
                territory=territory,
                branding=branding,
            ),
            headers=keyed(idempotency_key),
        )

    @listing("GET /v1/exports", Page[Export])
    def list(
        self,
        *,
        status: str | None = None,
        stream_id: Identity | None = None,
        batch_id: Identity | None = None,
        limit: int | None = None,
    ) -> Sent:
        """Iterate over exports, newest first; `limit` is the size of a page."""
        query = {"status": status, "stream_id": stream_id, "batch_id": batch_id}
        return Sent(query={**query, "limit": limit})

    @operation("GET /v1/exports/{export_id}", Export)
    def get(self, export_id: Identity) -> Sent:
        """Read an export with fresh links."""
        return Sent(path={"export_id": export_id})

    @operation("POST /v1/exports/{export_id}/cancel", Export)
    def cancel(self, export_id: Identity) -> Sent:
        """Cancel an export; one that has finished stays as it is."""
        return Sent(path={"export_id": export_id})

    @operation("DELETE /v1/exports/{export_id}", type(None), repeatable=False)
    def delete(self, export_id: Identity) -> Sent:
        """Delete an export and its files."""
        return Sent(path={"export_id": export_id})

    @downloads("GET /v1/exports/{export_id}/renditions/{number}/download")
    def download(self, rendition: ExportRendition, path: str | PathLike[str]) -> File:
        """Download a rendition's file to `path`, whole or not at all.

        Raises:
            DownloadError: it is not ready, or was cut off.
            PermissionDeniedError: its link has expired; read the export again.
        """
        if rendition.url is None:
            raise DownloadError(f"Rendition {rendition.number} is {rendition.status}.")
        return File(
            url=rendition.url, path=Path(path), size=rendition.size, sha256=rendition.sha256
        )

    @downloads("GET /v1/exports/{export_id}/renditions/{number}/index")
    def download_index(self, rendition: ExportRendition, path: str | PathLike[str]) -> File:
        """Download a rendition's HLS playlist or WebVTT to `path`; players read its URL instead.

        Raises:
            DownloadError: it has none, or was cut off.
            PermissionDeniedError: its link has expired; read the export again.
        """
        if rendition.index_url is None:
            raise DownloadError(f"Rendition {rendition.number} has no index.")
        return File(url=rendition.index_url, path=Path(path))
