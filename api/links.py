"""Signed links to a clip's files."""

from __future__ import annotations

import math
import time
from typing import Final, Literal
from uuid import UUID

from api.services import Services

ClipFile = Literal["download", "thumbnail"]
_STEP: Final = 300


def clip_path(clip_id: UUID, file: ClipFile) -> str:
    """Return the path under which a clip's file is served."""
    return f"/v1/clips/{clip_id}/{file}"


def clip_url(services: Services, *, tenant_id: UUID, clip_id: UUID, file: ClipFile) -> str:
    """Return a URL that lets anybody read a clip's file for a while.

    Expiries are rounded up to five minutes, so that a list read twice gives the same URLs and
    browsers' caches work.
    """
    expires = time.time() + services.settings.clip_url_lifetime
    rounded = math.ceil(expires / _STEP) * _STEP
    signed = services.signer.sign(clip_path(clip_id, file), tenant_id=tenant_id, expires=rounded)
    return services.settings.base_url() + signed
