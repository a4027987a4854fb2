"""CloudFront: a CDN before a bucket that reads signed URLs, and the API that invalidates."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import fromstring

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_FROM_URL: Final = str.maketrans("-_~", "+=/")
_NAMESPACE: Final = "{http://cloudfront.amazonaws.com/doc/2020-05-31/}"
_PASSED_ON: Final = ("content-type", "content-range", "content-disposition", "cache-control")


class CloudFront:
    """Serves the objects of a bucket, with the policy SimpleCORS, to those who have a signed URL.

    Args:
        client: reads the bucket, as origin access control lets a distribution do.
        bucket: its name.
        key_id: of the key pair that is trusted.
        key: its public key.
    """

    def __init__(self, client: S3Client, bucket: str, *, key_id: str, key: RSAPublicKey) -> None:
        self._client = client
        self._bucket = bucket
        self._key_id = key_id
        self._key = key

    @property
    def app(self) -> Starlette:
        """The application that serves it."""
        return Starlette(routes=[Route("/{key:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        if not self._is_signed(request):
            return Response("Access denied", status_code=403)
        return await asyncio.to_thread(
            self._read, request.path_params["key"], request.headers.get("range", "")
        )

    def _is_signed(self, request: Request) -> bool:
        query = request.query_params
        expires = query.get("Expires", "0")
        resource = str(request.url.replace(query=""))
        condition = {"DateLessThan": {"AWS:EpochTime": int(expires)}}
        policy = {"Statement": [{"Resource": resource, "Condition": condition}]}
        signature = base64.b64decode(query.get("Signature", "").translate(_FROM_URL))
        try:
            self._key.verify(
                signature,
                json.dumps(policy, separators=(",", ":")).encode(),
                PKCS1v15(),
                SHA1(),  # noqa: S303 CloudFront's
            )
        except InvalidSignature:
            return False
        return query.get("Key-Pair-Id") == self._key_id and time.time() < int(expires)

    def _read(self, key: str, part: str) -> Response:
        ranged = {"Range": part} if part else {}
        found = self._client.get_object(Bucket=self._bucket, Key=key, **ranged)  # type: ignore[arg-type]
        metadata = found["ResponseMetadata"]
        headers = {name: metadata["HTTPHeaders"].get(name, "") for name in _PASSED_ON}
        return Response(
            found["Body"].read(),
            status_code=metadata["HTTPStatusCode"],
            headers={name: value for name, value in headers.items() if value}
            | {"Accept-Ranges": "bytes", "Access-Control-Allow-Origin": "*"},
        )


class CloudFrontControl:
    """The part of CloudFront's API that invalidates, in its protocol (REST with XML).

    An invalidation is in progress when it is made, and completed when it is asked for again.

    Args:
        distribution_id: of the only distribution.
    """

    def __init__(self, distribution_id: str) -> None:
        self._path = f"/2020-05-31/distribution/{distribution_id}/invalidation"
        self.invalidations: dict[str, tuple[str, ...]] = {}
        """Paths by caller reference, in the order in which they were made."""

    @property
    def app(self) -> Starlette:
        """The application that serves it."""
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            return _error(403, "MissingAuthenticationToken")
        if request.url.path != self._path:
            return _error(404, "NoSuchDistribution")
        batch = fromstring(await request.body())  # noqa: S314 - from boto3
        reference = batch.findtext(f"{_NAMESPACE}CallerReference") or ""
        paths = tuple(each.text or "" for each in batch.iter(f"{_NAMESPACE}Path"))
        status = "Completed" if reference in self.invalidations else "InProgress"
        if self.invalidations.setdefault(reference, paths) != paths:
            return _error(400, "InvalidArgument")
        number = list(self.invalidations).index(reference) + 1
        return Response(
            f'<Invalidation xmlns="{_NAMESPACE[1:-1]}"><Id>I{number}</Id><Status>{status}</Status>'
            "</Invalidation>",
            status_code=201,
            media_type="text/xml",
        )


def _error(status: int, code: str) -> Response:
    return Response(
        f'<ErrorResponse xmlns="{_NAMESPACE[1:-1]}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{code}</Message></Error><RequestId>1</RequestId></ErrorResponse>",
        status_code=status,
        media_type="text/xml",
    )
