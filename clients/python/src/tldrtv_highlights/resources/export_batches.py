"""Export batches: many exports at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tldrtv_highlights._endpoint import Identity, Sent, given, keyed
from tldrtv_highlights._resource import Resource, Transport, downloads, listing, operation
from tldrtv_highlights._transport import File
from tldrtv_highlights.models import ExportBatch, ExportBatchManifest, Page


class ExportBatches(Resource[Transport]):
    """Exports of many highlights, with their files as a manifest and as a ZIP file."""

    @operation("POST /v1/export-batches", ExportBatch, creates=True)
    def create(
        self,
        renditions: Sequence[Mapping[str, Any]],
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 - the field's name
        highlight_ids: Sequence[Identity] | None = None,
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
        """Start a batch: one export per highlight, all with the same renditions.

        Args:
            renditions: such as `{"format": "mp4", "preset": "tiktok"}`, up to 50.
            filter: such as `{"stream_id": …, "tags": ["goal"], "min_score": 0.5, "limit": 10}`,
                also `market`, `subject`, `state`, `period`, `from` and `to`.
            highlight_ids: instead of a filter.
            watermark: such as `{"text": "tldrtv", "position": "top_left"}`.
            lower_third: such as `{"seconds": 4}`; what it leaves out is that of each highlight.
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
                renditions=renditions,
                filter=filter,
                highlight_ids=highlight_ids,
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

    @listing("GET /v1/export-batches", Page[ExportBatch])
    def list(self, *, limit: int | None = None) -> Sent:
        """Iterate over batches, newest first; `limit` is the size of a page."""
        return Sent(query={"limit": limit})

    @operation("GET /v1/export-batches/{batch_id}", ExportBatch)
    def get(self, batch_id: Identity) -> Sent:
        """Read a batch with its progress."""
        return Sent(path={"batch_id": batch_id})

    @operation("GET /v1/export-batches/{batch_id}/manifest", ExportBatchManifest)
    def manifest(self, batch_id: Identity) -> Sent:
        """List the files that are ready, with fresh links."""
        return Sent(path={"batch_id": batch_id})

    @operation("POST /v1/export-batches/{batch_id}/cancel", ExportBatch)
    def cancel(self, batch_id: Identity) -> Sent:
        """Start no further exports. Those that run finish."""
        return Sent(path={"batch_id": batch_id})

    @operation("POST /v1/export-batches/{batch_id}/resume", ExportBatch)
    def resume(self, batch_id: Identity) -> Sent:
        """Start the remaining exports of a canceled batch."""
        return Sent(path={"batch_id": batch_id})

    @operation("DELETE /v1/export-batches/{batch_id}", type(None), repeatable=False)
    def delete(self, batch_id: Identity) -> Sent:
        """Delete a batch with its exports and their files."""
        return Sent(path={"batch_id": batch_id})

    @downloads("GET /v1/export-batches/{batch_id}/files.zip")
    def download(self, batch: ExportBatch, path: str | PathLike[str]) -> File:
        """Download all files that are ready as a ZIP file to `path`, whole or not at all.

        Raises:
            DownloadError: it was cut off.
            PermissionDeniedError: its link has expired; read the batch again.
        """
        return File(url=batch.zip_url, path=Path(path))
