"""Segments as ingest stores and indexes them."""

from __future__ import annotations

from uuid import UUID

from domain.ingest.playlist import ListedSegment, Resource
from domain.ingest.window import FetchedMedia, segment_key
from domain.media.segments import SegmentRef
from infra.storage.segment_index import StoredSegment
from tests.factories.clips import WHEN

MEDIA = b"media"


def stored_segment(
    number: int, *, tenant_id: UUID, stream_id: UUID, start: float | None = None
) -> StoredSegment:
    """Segment `number`, two seconds of `MEDIA` from `start`, else from where its number puts it."""
    key = segment_key(
        tenant_id=tenant_id,
        stream_id=stream_id,
        variant="720p",
        discontinuity=0,
        sequence=number,
        suffix="ts",
    )
    return StoredSegment(
        listed=ListedSegment(
            sequence=number,
            resource=Resource(url=f"https://cdn.example/{number}.ts"),
            duration=2.0,
        ),
        media=FetchedMedia(
            first_timestamp=0.0, duration=2.0, has_video=True, has_audio=True, size=len(MEDIA)
        ),
        ref=SegmentRef(
            media_sequence=number,
            start=2.0 * number if start is None else start,
            duration=2.0,
            first_timestamp=0.0,
            key=key,
            size=len(MEDIA),
            published_at=WHEN,
        ),
    )
