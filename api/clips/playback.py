"""Routes that play clips at once: HLS playlists over stored segments, and the segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.errors.problems import (
    ClipNotFoundProblem,
    HighlightNotFoundProblem,
    MediaGoneProblem,
    MediaNotReadyProblem,
)
from api.errors.reference import documented
from api.files import (
    FILE_PROBLEMS,
    Expires,
    Signature,
    SignedFileResponse,
    Tenant,
    check_signature,
    redirect_to,
    remaining,
)
from api.middleware.request_context import request_id_of
from api.middleware.routing import WITHOUT_KEY
from api.publication import PUBLICATION_PROBLEMS, ViewerPlace, readable_until
from api.services import Services, ServicesDependency
from domain.clips.instant import PlayableSegment, clip_playlist, continues, initialization_size
from domain.clips.models import ClipStatus
from domain.clips.tracker import LONGEST_LEAD_IN, segments_around
from domain.highlights.selection import DecisionStatus
from domain.ingest.window import media_prefix
from domain.media.segments import SegmentRef
from domain.streams.status import TERMINAL
from infra.db.repositories import clips, highlights, streams
from infra.storage.segment_index import StoredSegments
from infra.storage.segments import UnknownKeyError
from infra.storage.signed_urls import clip_path, highlight_playlist_path, segment_path

router = APIRouter(tags=["clips"])

_MEDIA_TYPE: Final = "application/vnd.apple.mpegurl"
_ROUNDING: Final = 0.01
_SHOWN: Final = frozenset({DecisionStatus.PENDING, DecisionStatus.CONFIRMED})
_PLAYLIST: Final[dict[int | str, dict[str, object]]] = {
    200: {
        "description": "The playlist.",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}
_SEGMENT: Final[dict[int | str, dict[str, object]]] = {
    200: {
        "description": "The segment.",
        "content": {"video/mp2t": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The requested range."},
    307: {"description": "The segment is in S3: `Location` reads it."},
}


@router.get(
    "/v1/highlights/{highlight_id}/clip.m3u8",
    operation_id="playHighlight",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=_PLAYLIST
    | documented(
        HighlightNotFoundProblem,
        *PUBLICATION_PROBLEMS,
        MediaGoneProblem,
        MediaNotReadyProblem,
        *FILE_PROBLEMS,
    ),
)
async def play_highlight(
    *,
    highlight_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
) -> Response:
    """Play a highlight at once, by its signed URL. No API key is needed.

    An HLS playlist of the stored segments around the moment. While the last seconds of the clip are
    awaited it has the type `EVENT` and grows; then it is `VOD`.
    """
    path = highlight_playlist_path(highlight_id)
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    async with services.database.session(tenant) as session:
        row = await highlights.get(session, tenant_id=tenant, highlight_id=highlight_id)
        if row is None or row.status not in _SHOWN:
            raise HighlightNotFoundProblem
        valid_until = readable_until(row, place)
        stream = await streams.get(session, tenant_id=tenant, stream_id=row.stream_id)
    segments = await _stored(services, tenant, row.stream_id, row.clip_start, row.clip_end)
    ended = stream is None or stream.status in TERMINAL
    found = segments_around(row.peak, segments, start=row.clip_start, end=row.clip_end)
    if found is None:
        raise MediaGoneProblem if ended or segments else MediaNotReadyProblem
    return await _playlist(
        services,
        found.segments,
        start=found.start,
        is_complete=ended or segments[-1].end >= row.clip_end - _ROUNDING,
        tenant=tenant,
        expires=min(expires, valid_until),
    )


@router.get(
    "/v1/clips/{clip_id}/clip.m3u8",
    operation_id="playClip",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=_PLAYLIST
    | documented(ClipNotFoundProblem, *PUBLICATION_PROBLEMS, MediaGoneProblem, *FILE_PROBLEMS),
)
async def play_clip(
    *,
    clip_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
) -> Response:
    """Play a clip while it is rendered, by its signed URL. No API key is needed.

    An HLS playlist of the stored segments that contain the clip.
    """
    path = clip_path(clip_id, "clip.m3u8")
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    async with services.database.session(tenant) as session:
        row = await clips.get(session, tenant_id=tenant, clip_id=clip_id)
        if row is None or row.status == ClipStatus.DELETED:
            raise ClipNotFoundProblem
        about = None
        if row.highlight_id is not None:
            about = await highlights.get(session, tenant_id=tenant, highlight_id=row.highlight_id)
    valid_until = readable_until(about, place)
    end = row.start + row.duration
    segments = await _stored(services, tenant, row.stream_id, row.start, end)
    middle = row.start + row.duration / 2
    found = segments_around(middle, segments, start=row.start, end=end)
    if found is None:
        raise MediaGoneProblem
    return await _playlist(
        services,
        found.segments,
        start=found.start,
        is_complete=True,
        tenant=tenant,
        expires=min(expires, valid_until),
    )


@router.head("/v1/streams/{stream_id}/media/{variant}/{name}", include_in_schema=False)
@router.get(
    "/v1/streams/{stream_id}/media/{variant}/{name}",
    operation_id="downloadSegment",
    response_class=Response,
    openapi_extra=WITHOUT_KEY,
    responses=_SEGMENT | documented(MediaGoneProblem, *FILE_PROBLEMS),
)
async def download_segment(
    *,
    stream_id: UUID,
    variant: str,
    name: str,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    request: Request,
) -> Response:
    """Download a segment of an instant clip, by the signed URL in its playlist."""
    key = f"{media_prefix(tenant_id=tenant, stream_id=stream_id)}{variant}/{name}"
    # The signature is checked first: no other name than one that we signed reaches the store.
    check_signature(
        services, segment_path(key), tenant=tenant, expires=expires, signature=signature
    )
    try:
        path = await services.segments.locate(key, expires=expires)
    except UnknownKeyError:
        raise MediaGoneProblem from None
    if isinstance(path, str):
        return redirect_to(path, expires=expires)
    return SignedFileResponse(
        path,
        request_id_of(request.scope),
        headers={
            "Cache-Control": f"private, max-age={remaining(expires)}, immutable",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
        stat_result=path.stat(),
        name=path.stem,
    )


async def _stored(
    services: Services, tenant: UUID, stream_id: UUID, start: float, end: float
) -> Sequence[SegmentRef]:
    """Return the stored segments of a clip, and those before it that it may depend on."""
    index = StoredSegments(services.segments, tenant_id=tenant, stream_id=stream_id)
    return await index.covering(max(0.0, start - LONGEST_LEAD_IN), end)


async def _playlist(
    services: Services,
    segments: Sequence[SegmentRef],
    *,
    start: float,
    is_complete: bool,
    tenant: UUID,
    expires: int,
) -> Response:
    playable: list[PlayableSegment] = []
    for ref in segments:
        if playable and continues(playable[-1].ref, ref):
            initialization = playable[-1].initialization
        else:
            initialization = await _initialization(services, ref)
        url = await _segment_url(services, ref.key, tenant=tenant, expires=expires)
        playable.append(PlayableSegment(ref=ref, url=url, initialization=initialization))
    return Response(
        clip_playlist(playable, start=start, is_complete=is_complete),
        media_type=_MEDIA_TYPE,
        headers={
            "Cache-Control": f"private, max-age={min(60, remaining(expires))}"
            if is_complete
            else "no-store",
            "Cross-Origin-Resource-Policy": "cross-origin",
        },
    )


async def _initialization(services: Services, ref: SegmentRef) -> int:
    if not ref.key.endswith(".mp4"):
        return 0
    try:
        return initialization_size(await services.segments.read(ref.key))
    except UnknownKeyError:
        raise MediaGoneProblem from None


async def _segment_url(services: Services, key: str, *, tenant: UUID, expires: int) -> str:
    """Return the URL of a segment: of S3 if it is there, else of our own."""
    try:
        found = await services.segments.locate(key, expires=expires)
    except UnknownKeyError:
        raise MediaGoneProblem from None
    if isinstance(found, str):
        return found
    return services.links.sign_until(segment_path(key), tenant_id=tenant, expires=expires)
