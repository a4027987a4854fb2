"""URLs that carry their own permission: those of the API, and those of CloudFront."""

from __future__ import annotations

import base64
import hmac
import math
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal
from urllib.parse import quote
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class UrlVerdict(StrEnum):
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
        """Return `path` with a query that lets anyone read it.

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
    ) -> UrlVerdict:
        """Judge a signature, in constant time; `now` is Unix time in seconds."""
        expected = self._signature(path, str(tenant_id), expires).encode()
        if not hmac.compare_digest(expected, signature.encode(errors="replace")):
            return UrlVerdict.FORGED
        return UrlVerdict.EXPIRED if now > expires else UrlVerdict.VALID

    def _signature(self, path: str, tenant: str, expires: int) -> str:
        message = f"signed-url:{tenant}:{expires}:{path}".encode()
        digest = hmac.digest(self._secret, message, "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


ClipFile = Literal["download", "thumbnail", "clip.m3u8"]


_STEP: Final = 300


def clip_path(clip_id: UUID, file: ClipFile) -> str:
    """Return the path under which a clip's file is served."""
    return f"/v1/clips/{clip_id}/{file}"


def highlight_playlist_path(highlight_id: UUID) -> str:
    """Return the path of the playlist of a highlight's instant clip."""
    return f"/v1/highlights/{highlight_id}/clip.m3u8"


def segment_path(key: str) -> str:
    """Return the path under which a stored segment is served.

    Raises:
        ValueError: `key` is none of a segment (`domain.ingest.window.segment_key`).
    """
    _, stream, folder, variant, name = key.split("/")
    return f"/v1/streams/{stream}/{folder}/{variant}/{name}"


ExportFile = Literal["download", "index"]


def export_path(export_id: UUID, number: int, file: ExportFile) -> str:
    """Return the path under which a rendition's file or index is served."""
    return f"/v1/exports/{export_id}/renditions/{number}/{file}"


def batch_zip_path(batch_id: UUID) -> str:
    """Return the path of the ZIP file with all files of a batch of exports."""
    return f"/v1/export-batches/{batch_id}/files.zip"


class ClipLinks:
    """Makes URLs that let anyone read a clip's file for a while.

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
        return self.sign_until(path, tenant_id=tenant_id, expires=expires)

    def sign_until(self, path: str, *, tenant_id: UUID, expires: int) -> str:
        """Return the URL of a file, given its path, that works until a Unix time (s)."""
        return self._base_url + self._signer.sign(path, tenant_id=tenant_id, expires=expires)


_MINIMUM_RSA_BITS: Final = 2048


def read_rsa_key(pem: str) -> RSAPrivateKey:
    """Read a private key.

    Raises:
        ValueError: it is none that CloudFront takes; the message says what is.
    """
    form = "must be an unencrypted RSA private key of 2048 bits or more as PEM"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, ValueError):  # a password is missing; it is no PEM
        raise ValueError(form) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _MINIMUM_RSA_BITS:
        raise ValueError(form)
    return key


class CloudFrontLinks:
    """Makes URLs of a CloudFront distribution that let anyone read a file for a while.

    Args:
        base_url: of the distribution, and of the path below which the files are.
        key_id: of the public key in the distribution's trusted key group.
        private_key: that belongs to it; RSA, PEM.
    """

    def __init__(self, *, base_url: str, key_id: str, private_key: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._key_id = key_id
        self._key = read_rsa_key(private_key)

    def sign(self, name: str, *, expires: int) -> str:
        """Return the URL of a file, for GET and HEAD, until the Unix time `expires` (s).

        The same arguments give the same URL, so that caches work.
        """
        from botocore.signers import CloudFrontSigner

        signer = CloudFrontSigner(self._key_id, self._signature)
        url = f"{self._base_url}/{quote(name)}"
        signed: str = signer.generate_presigned_url(
            url, date_less_than=datetime.fromtimestamp(expires, UTC)
        )
        return signed

    def _signature(self, policy: bytes) -> bytes:
        # CloudFront's default; it protects a policy that no one else can influence.
        return self._key.sign(policy, PKCS1v15(), SHA1())  # noqa: S303
