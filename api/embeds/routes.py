"""Routes of embedded players."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Administrator, AuditActor, Reader
from api.embeds.page import frame, player_page
from api.embeds.schemas import EmbedPolicyModel, EmbedPolicyRequest, HighlightEmbed, OEmbedVideo
from api.errors.problems import (
    EmbeddingDisabledProblem,
    HighlightNotFoundProblem,
    HighlightWithheldProblem,
    InvalidSignatureProblem,
    OEmbedFormatProblem,
)
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.files import Expires, Signature, Tenant, check_signature
from api.middleware.json_content import require_json
from api.publication import ViewerPlace, require_territory
from api.services import Services, ServicesDependency
from app.services.highlights import withheld_reason
from app.services.tenants import change_embed_policy
from domain.clips.models import ClipStatus
from domain.highlights.explanation import headline
from domain.highlights.publication import WITHHELD
from domain.highlights.selection import DecisionStatus
from domain.tenants.usage import UsageKind, usage_event
from infra.db.repositories import clips, highlights, tenants, usage
from infra.db.repositories.clips import ClipRow
from infra.db.repositories.highlights import HighlightRow
from infra.db.tables import EmbedPolicy, Highlight
from infra.storage.signed_urls import clip_path

router = APIRouter(tags=["embeds"])

_SHOWN: Final = frozenset({DecisionStatus.PENDING, DecisionStatus.CONFIRMED})
_DAY: Final = 86_400
_LIFETIME: Final = 365 * _DAY
"""Seconds for which the link to a page works; up to a day more, so that it is the same all day."""

_PLAY_LIFETIME: Final = 6 * 3600
"""Seconds after its page was loaded in which a play counts."""

_WIDTH: Final = 1280
_HEIGHT: Final = 720
_PAGE_PATH: Final = re.compile(r"/embed/([0-9a-f-]{36})")


@dataclass(frozen=True, kw_only=True)
class Embeddable:
    """A highlight that may be embedded, and its clip if it is ready."""

    highlight: Highlight | HighlightRow
    clip: ClipRow | None
    policy: EmbedPolicy | None

    @property
    def title(self) -> str:
        """Return what it is called."""
        row = self.highlight
        return headline(row.title, game=row.game, tags=row.tags, peak=row.peak)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the player in pixels."""
        if self.clip is None or not self.clip.width or not self.clip.height:
            return _WIDTH, _HEIGHT
        return self.clip.width, self.clip.height


@router.get("/v1/embed-policy", operation_id="getEmbedPolicy", responses=documented(*WITH_KEY))
async def get_embed_policy(caller: Reader, services: ServicesDependency) -> EmbedPolicyModel:
    """Read who may embed your highlights."""
    async with services.database.session(caller.tenant_id) as session:
        row = await tenants.embed_policy(session, tenant_id=caller.tenant_id)
    return EmbedPolicyModel.of(row)


@router.put(
    "/v1/embed-policy",
    operation_id="putEmbedPolicy",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def put_embed_policy(
    body: EmbedPolicyRequest, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> EmbedPolicyModel:
    """Say who may embed your highlights. It applies at once, also to links that you gave away."""
    async with services.database.session(caller.tenant_id) as session:
        row = await change_embed_policy(
            session,
            tenant_id=caller.tenant_id,
            enabled=body.enabled,
            origins=body.origins,
            actor=actor,
        )
    return EmbedPolicyModel.of(row)


@router.get(
    "/v1/highlights/{highlight_id}/embed",
    operation_id="getHighlightEmbed",
    responses=documented(
        *WITH_KEY, HighlightNotFoundProblem, HighlightWithheldProblem, EmbeddingDisabledProblem
    ),
)
async def get_highlight_embed(
    highlight_id: UUID, caller: Reader, services: ServicesDependency
) -> HighlightEmbed:
    """Get a player of a highlight for your pages. Everyone with its link can watch the clip."""
    tenant = caller.tenant_id
    async with services.database.session(tenant) as session:
        found = await _embeddable(session, tenant, highlight_id)
    url = _page_url(services, tenant, highlight_id)
    width, height = found.size
    return HighlightEmbed(
        url=url,
        oembed_url=_oembed_url(services, url),
        html=frame(url, title=found.title, width=width, height=height),
        width=width,
        height=height,
    )


@router.get("/embed/{highlight_id}", response_class=HTMLResponse, include_in_schema=False)
async def show_player(
    *,
    highlight_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
) -> HTMLResponse:
    """Show the player of a highlight, by its signed URL."""
    path = _page_path(highlight_id)
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    async with services.database.session(tenant) as session:
        found = await _embeddable(session, tenant, highlight_id)
        require_territory(found.highlight, place)
    page = services.links.sign_until(path, tenant_id=tenant, expires=expires)
    video, poster = _links(services, tenant, found.clip)
    return player_page(
        title=found.title,
        oembed_url=_oembed_url(services, page),
        origins=[] if found.policy is None else found.policy.origins,
        video_url=video,
        poster_url=poster,
        plays_url=services.links.sign_until(
            _play_path(highlight_id, uuid4()),
            tenant_id=tenant,
            expires=int(time.time()) + _PLAY_LIFETIME,
        ),
    )


@router.post("/embed/{highlight_id}/plays/{play_id}", include_in_schema=False)
async def count_play(
    *,
    highlight_id: UUID,
    play_id: UUID,
    tenant: Tenant,
    expires: Expires,
    signature: Signature,
    services: ServicesDependency,
    place: ViewerPlace,
) -> Response:
    """Count a play in the tenant's usage, once for each page that was loaded."""
    path = _play_path(highlight_id, play_id)
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    async with services.database.session(tenant) as session:
        found = await _embeddable(session, tenant, highlight_id)
        require_territory(found.highlight, place)
        played = usage_event(
            UsageKind.EMBED_PLAY, 1, subject=str(play_id), stream_id=found.highlight.stream_id
        )
        await usage.meter(session, tenant_id=tenant, events=[played])
    return Response(status_code=204)


@router.get("/oembed", include_in_schema=False)
async def describe_embed(
    *,
    url: Annotated[str, Query(max_length=2048)],
    services: ServicesDependency,
    maxwidth: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    maxheight: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    wanted: Annotated[str, Query(alias="format", max_length=16)] = "json",
) -> OEmbedVideo:
    """Describe the page of a player by the rules of oEmbed."""
    if wanted != "json":
        raise OEmbedFormatProblem
    tenant, highlight_id = _signed_page(services, url)
    async with services.database.session(tenant) as session:
        found = await _embeddable(session, tenant, highlight_id)
    width, height = found.size
    scale = min(1.0, (maxwidth or width) / width, (maxheight or height) / height)
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    _, poster = _links(services, tenant, found.clip)
    return OEmbedVideo(
        title=found.title,
        html=frame(url, title=found.title, width=width, height=height),
        width=width,
        height=height,
        thumbnail_url=poster,
        # The specification wants all three or none; players scale the picture to theirs.
        thumbnail_width=None if poster is None else width,
        thumbnail_height=None if poster is None else height,
    )


async def _embeddable(session: AsyncSession, tenant: UUID, highlight_id: UUID) -> Embeddable:
    policy = await tenants.embed_policy(session, tenant_id=tenant)
    if policy is not None and not policy.enabled:
        raise EmbeddingDisabledProblem
    row = await highlights.get(session, tenant_id=tenant, highlight_id=highlight_id)
    if row is None or row.status not in _SHOWN:
        raise HighlightNotFoundProblem
    if (reason := withheld_reason(row)) is not None:
        raise HighlightWithheldProblem(WITHHELD[reason].format(highlight_id=row.id))
    newest = await clips.latest_by_highlight(
        session, tenant_id=tenant, highlight_ids=[highlight_id]
    )
    clip = newest.get(highlight_id)
    is_ready = clip is not None and clip.status == ClipStatus.READY and clip.key is not None
    return Embeddable(highlight=row, clip=clip if is_ready else None, policy=policy)


def _links(services: Services, tenant: UUID, clip: ClipRow | None) -> tuple[str | None, str | None]:
    if clip is None:
        return None, None
    sign = services.links.sign
    poster = None
    if clip.thumbnail_key is not None:
        poster = sign(clip_path(clip.id, "thumbnail"), tenant_id=tenant)
    return sign(clip_path(clip.id, "download"), tenant_id=tenant), poster


def _signed_page(services: Services, url: str) -> tuple[UUID, UUID]:
    """Return tenant and highlight of the page at a URL.

    Raises:
        InvalidSignatureProblem: it is not a page of ours.
        ExpiredSignatureProblem: its link has expired.
    """
    try:
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        matched = _PAGE_PATH.fullmatch(parts.path)
        if matched is None:
            raise InvalidSignatureProblem
        highlight_id, tenant = UUID(matched[1]), UUID(query["tenant"])
        expires, signature = int(query["expires"]), query["signature"]
    except (KeyError, ValueError):
        raise InvalidSignatureProblem from None
    path = _page_path(highlight_id)
    check_signature(services, path, tenant=tenant, expires=expires, signature=signature)
    if url != services.links.sign_until(path, tenant_id=tenant, expires=expires):
        raise InvalidSignatureProblem
    return tenant, highlight_id


def _page_path(highlight_id: UUID) -> str:
    return f"/embed/{highlight_id}"


def _play_path(highlight_id: UUID, play_id: UUID) -> str:
    return f"/embed/{highlight_id}/plays/{play_id}"


def _page_url(services: Services, tenant: UUID, highlight_id: UUID) -> str:
    expires = (int(time.time()) // _DAY + 1) * _DAY + _LIFETIME
    return services.links.sign_until(_page_path(highlight_id), tenant_id=tenant, expires=expires)


def _oembed_url(services: Services, page: str) -> str:
    return f"{services.settings.base_url()}/oembed?url={quote(page, safe='')}"
