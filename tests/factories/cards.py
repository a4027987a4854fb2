"""Pictures of one color for intros, outros and end cards."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image


def image(
    color: str | tuple[int, ...], form: str = "PNG", size: tuple[int, int] = (160, 160)
) -> str:
    """Return a picture in base64; its color is a name, or red, green, blue and, if any, alpha."""
    target = io.BytesIO()
    has_alpha = not isinstance(color, str) and len(color) > 3
    Image.new("RGBA" if has_alpha else "RGB", size, color).save(target, form)
    return base64.b64encode(target.getvalue()).decode()


def card(color: str, seconds: float = 2.0) -> dict[str, Any]:
    """Return a card of a request."""
    return {"image": image(color), "seconds": seconds}


def broken_card() -> dict[str, Any]:
    """Return a card whose picture is cut off."""
    whole = base64.b64decode(image("red"))
    return {"image": base64.b64encode(whole[:60]).decode()}
