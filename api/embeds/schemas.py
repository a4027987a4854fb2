"""Request and response models of embedded players."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.request_model import RequestModel
from infra.db.tables import EmbedPolicy

_POLICY: Final[dict[str, Any]] = {"enabled": True, "origins": ["https://www.example.com"]}
_EMBED: Final[dict[str, Any]] = {
    "url": "https://highlights.example.com/embed/2d6c7f0a-3d0e-5a77-9b0f-0e6d5c4b3a21?tenant=…",
    "oembed_url": "https://highlights.example.com/oembed?url=…",
    "html": '<iframe src="https://highlights.example.com/embed/…"></iframe>',
    "width": 1280,
    "height": 720,
}


def _origin(value: str) -> str:
    """Return an origin as browsers compare it.

    Raises:
        ValueError: it is none, or no https one.
    """
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    name = parts.hostname or ""
    plain = f"https://{name}" + ("" if port is None else f":{port}")
    # In a Content-Security-Policy, other characters would begin another directive.
    if (
        not name.isascii()
        or not name.replace("-", "").replace(".", "").isalnum()
        or (value.lower() != plain)
    ):
        raise ValueError("must be an origin such as `https://www.example.com`, without a path")
    return plain


class EmbedPolicyRequest(RequestModel):
    """Who may embed your highlights."""

    model_config = ConfigDict(json_schema_extra={"examples": [_POLICY]})

    enabled: bool = Field(description="False refuses every embedded player, at once.")
    origins: list[Annotated[str, Field(max_length=255), AfterValidator(_origin)]] = Field(
        default=[],
        max_length=50,
        description="Origins of the pages that may embed them; empty allows every page.",
    )


class EmbedPolicyModel(BaseModel):
    """Who may embed your highlights."""

    enabled: bool
    origins: list[str] = Field(description="Empty allows every page.")
    updated_at: datetime | None = Field(description="Null before the first change.")

    @classmethod
    def of(cls, row: EmbedPolicy | None) -> Self:
        """Return the policy; everyone may embed if nothing is stored."""
        if row is None:
            return cls(enabled=True, origins=[], updated_at=None)
        return cls(enabled=row.enabled, origins=row.origins, updated_at=row.updated_at)


class HighlightEmbed(BaseModel):
    """An embedded player of a highlight."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EMBED]})

    url: str = Field(description="Page with the player; needs no API key for a year.")
    oembed_url: str = Field(description="The same for oEmbed consumers.")
    html: str = Field(description="An `iframe` to paste into a page.")
    width: int
    height: int


class OEmbedVideo(BaseModel):
    """A player as oEmbed describes it (https://oembed.com, type `video`)."""

    version: Literal["1.0"] = "1.0"
    type: Literal["video"] = "video"
    provider_name: str = "tldrtv"
    title: str
    html: str
    width: int
    height: int
    thumbnail_url: str | None = None
    thumbnail_width: int | None = None
    thumbnail_height: int | None = None
