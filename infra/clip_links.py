"""Links to a clip's files, as the API serves them: signed, so that no key is needed."""

from __future__ import annotations

import math
import time
from typing import Final, Literal
from uuid import UUID

from infra.signed_urls import UrlSigner

ClipFile = Literal["download", "thumbnail"]
_STEP: Final = 300


def clip_path(clip_id: UUID, file: ClipFile) -> str:
    """Return the path under which a clip's file is served."""
    return f"/v1/clips/{clip_id}/{file}"


class ClipLinks:
    """Makes URLs that let anybody read a clip's file for a while.

    Args:
        signer: signs them.
        base_url: under which clients reach the API, without a trailing slash.
        lifetime: seconds for which they work at least.
    """

    def __init__(self, signer: UrlSigner, *, base_url: str, lifetime: float) -> None:
        self._signer = signer
        self._base_url = base_url
        self._lifetime = lifetime

    def sign(self, path: str, *, tenant_id: UUID) -> str:
        """Return the URL of a clip's file, given its path.

        Expiries are rounded up to five minutes, so that a list read twice gives the same URLs and
        browsers' caches work.
        """
        expires = math.ceil((time.time() + self._lifetime) / _STEP) * _STEP
        return self._base_url + self._signer.sign(path, tenant_id=tenant_id, expires=expires)
