"""URLs that carry their own permission: path, tenant, expiry, and a signature over all three."""

from __future__ import annotations

import base64
import hmac
from enum import StrEnum
from uuid import UUID


class Verdict(StrEnum):
    """What a signature is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    FORGED = "forged"


class UrlSigner:
    """Signs paths and checks them (HMAC-SHA256).

    Args:
        secret: the installation's signing secret; the purpose is mixed in, so that nothing else
            that is signed with it opens a URL.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, path: str, *, tenant_id: UUID, expires: int) -> str:
        """Return `path` with a query that lets anybody read it.

        Args:
            path: absolute, without a query.
            tenant_id: whose it is; part of the query, since no key will say so.
            expires: Unix time in seconds after which it is refused.
        """
        tenant = str(tenant_id)
        signature = self._signature(path, tenant, expires)
        # No part has a character that a query would have to escape.
        return f"{path}?tenant={tenant}&expires={expires}&signature={signature}"

    def check(
        self, path: str, *, tenant_id: UUID, expires: int, signature: str, now: float
    ) -> Verdict:
        """Judge a signature, in constant time; `now` is Unix time in seconds."""
        expected = self._signature(path, str(tenant_id), expires).encode()
        if not hmac.compare_digest(expected, signature.encode(errors="replace")):
            return Verdict.FORGED
        return Verdict.EXPIRED if now > expires else Verdict.VALID

    def _signature(self, path: str, tenant: str, expires: int) -> str:
        message = f"signed-url:{tenant}:{expires}:{path}".encode()
        digest = hmac.digest(self._secret, message, "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
