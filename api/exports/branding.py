"""Routes of a tenant's default branding."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Self

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Administrator, AuditActor, Reader
from api.errors.reference import WITH_BODY, WITH_KEY, documented
from api.exports.schemas import (
    EXAMPLE_IMAGE,
    CaptionStyleRequest,
    CardRequest,
    EndCardRequest,
    LowerThirdRequest,
    WatermarkRequest,
)
from api.middleware.json_content import require_json
from api.request_model import RequestModel
from api.services import ServicesDependency
from app.services import exports as export_service
from domain.exports.cards import Card, EndCard
from domain.exports.models import Branding, CaptionStyle, LowerThird, Watermark
from infra.db.repositories import exports
from infra.db.tables import BrandingRow

router = APIRouter(prefix="/v1/branding", tags=["exports"])
MAX_BODY_BYTES: Final = 2 << 20
"""Of requests with pictures: an intro, an outro, an end card for every territory, a watermark."""

_EXAMPLE: Final[dict[str, Any]] = {
    "watermark": {"text": "tldrtv", "position": "top_right", "opacity": 0.7},
    "lower_third": {"seconds": 4},
    "caption_style": {"position": "top", "color": "#FFE000"},
    "intro": {"image": EXAMPLE_IMAGE, "seconds": 2, "background": "#101820"},
    "end_card": {
        "default": {"image": EXAMPLE_IMAGE},
        "territories": {"DE": {"image": EXAMPLE_IMAGE, "seconds": 4}},
    },
}


class BrandingRequest(RequestModel):
    """What your exports show unless their request says otherwise."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    watermark: WatermarkRequest | None = None
    lower_third: LowerThirdRequest | None = Field(
        default=None,
        description="What it leaves out is that of the highlight. Without a title, it is shown in "
        "exports of highlights only.",
    )
    caption_style: CaptionStyleRequest | None = Field(
        default=None, description="How captions are drawn, where a rendition has `captions`."
    )
    intro: CardRequest | None = Field(default=None, description="Before the source, in movies.")
    outro: CardRequest | None = Field(default=None, description="After the source, in movies.")
    end_card: EndCardRequest | None = Field(
        default=None,
        description="After the outro, in movies; that of the `territory` of each export.",
    )


class BrandingModel(BaseModel):
    """What your exports show by default."""

    version: int = Field(description="Rises with each change; 0 before the first.")
    watermark: Watermark | None
    lower_third: LowerThird | None
    caption_style: CaptionStyle | None
    intro: Card | None
    outro: Card | None
    end_card: EndCard | None
    updated_at: datetime | None = Field(description="Null before the first change.")

    @classmethod
    def of(cls, row: BrandingRow | None) -> Self:
        """Return the branding; an empty one if nothing is stored."""
        branding = exports.branding_of(row)
        return cls(
            version=0 if row is None else row.version,
            watermark=branding.watermark,
            lower_third=branding.lower_third,
            caption_style=branding.caption_style,
            intro=branding.intro,
            outro=branding.outro,
            end_card=branding.end_card,
            updated_at=None if row is None else row.updated_at,
        )


@router.get("", operation_id="getBranding", responses=documented(*WITH_KEY))
async def get_branding(caller: Reader, services: ServicesDependency) -> BrandingModel:
    """Read your default branding; it is empty if you set none."""
    async with services.database.session(caller.tenant_id) as session:
        return BrandingModel.of(await exports.get_branding(session, tenant_id=caller.tenant_id))


@router.put(
    "",
    operation_id="putBranding",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY),
)
async def put_branding(
    body: BrandingRequest, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> BrandingModel:
    """Replace your default branding.

    It applies to exports, batches and reels that are asked for from now on. Those that exist keep
    the branding that they were asked for with.
    """
    branding = Branding(
        watermark=body.watermark,
        lower_third=body.lower_third,
        caption_style=body.caption_style,
        intro=body.intro,
        outro=body.outro,
        end_card=body.end_card,
    )
    async with services.database.session(caller.tenant_id) as session:
        row = await export_service.put_branding(
            session, tenant_id=caller.tenant_id, branding=branding, actor=actor
        )
    return BrandingModel.of(row)


@router.delete(
    "",
    operation_id="deleteBranding",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY),
)
async def delete_branding(
    caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> None:
    """Export without default branding from now on. Does nothing if you have none."""
    async with services.database.session(caller.tenant_id) as session:
        await export_service.delete_branding(session, tenant_id=caller.tenant_id, actor=actor)
