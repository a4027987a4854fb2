"""Default branding: what exports show unless their request says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tldrtv_highlights._endpoint import Sent, given
from tldrtv_highlights._resource import Resource, Transport, operation
from tldrtv_highlights.models import Branding


class DefaultBranding(Resource[Transport]):
    """What exports, batches and reels show unless their request says otherwise."""

    @operation("GET /v1/branding", Branding)
    def get(self) -> Sent:
        """Read the default branding; it is empty if none was set."""
        return Sent()

    @operation("PUT /v1/branding", Branding)
    def put(
        self,
        *,
        watermark: Mapping[str, Any] | None = None,
        lower_third: Mapping[str, Any] | None = None,
        caption_style: Mapping[str, Any] | None = None,
        intro: Mapping[str, Any] | None = None,
        outro: Mapping[str, Any] | None = None,
        end_card: Mapping[str, Any] | None = None,
    ) -> Sent:
        """Replace the default branding; exports that exist keep theirs.

        Args:
            watermark: such as `{"text": "tldrtv", "position": "top_left"}`.
            lower_third: such as `{"seconds": 4}`; what it leaves out is that of each highlight.
            caption_style: such as `{"position": "top", "color": "#FFE000"}`.
            intro: such as `{"image": …, "seconds": 3}` with a PNG or JPEG in base64.
            outro: the same after the source.
            end_card: such as `{"default": {"image": …}, "territories": {"DE": {"image": …}}}`.
        """
        return Sent(
            body=given(
                watermark=watermark,
                lower_third=lower_third,
                caption_style=caption_style,
                intro=intro,
                outro=outro,
                end_card=end_card,
            )
        )

    @operation("DELETE /v1/branding", type(None), repeatable=False)
    def delete(self) -> Sent:
        """Export without default branding from now on."""
        return Sent()
