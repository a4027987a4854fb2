"""Files behind signed URLs: served from disk with ranges, or redirected to S3 or a CDN."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from api.errors.problems import (
    ExpiredSignatureProblem,
    InvalidRequestProblem,
    InvalidSignatureProblem,
    Problem,
    RangeNotSatisfiableProblem,
    UnavailableProblem,
)
from api.errors.reference import documented
from api.middleware.conditional import matches
from api.middleware.request_context import request_id_of
from api.services import Services
from infra.storage.media_types import media_type
from infra.storage.signed_urls import UrlVerdict

_REDIRECT_CACHED: Final = 60
"""Seconds for which a client may reuse a redirect, and read a file that was deleted meanwhile."""

_REFUSALS: Final = frozenset({400, 416})

FILE_PROBLEMS: Final = (
    ExpiredSignatureProblem,
    InvalidSignatureProblem,
    InvalidRequestProblem,
    RangeNotSatisfiableProblem,
    UnavailableProblem,
)
"""Problems of every file behind a signed URL."""

Tenant = Annotated[UUID, Query(description="From the signed URL.")]
Expires = Annotated[int, Query(ge=0, le=1 << 40, description="From the signed URL.")]
Signature = Annotated[str, Query(max_length=64, description="From the signed URL.")]


def file_responses(
    media_types: str | tuple[str, ...], missing: type[Problem], *others: type[Problem]
) -> dict[int | str, dict[str, object]]:
    """Return the documented responses of a file's route; `missing` is its 404."""
    types = (media_types,) if isinstance(media_types, str) else media_types
    binary = {each: {"schema": {"type": "string", "format": "binary"}} for each in types}
    return {
        200: {"description": "The file.", "content": binary},
        206: {"description": "The requested range.", "content": binary},
        304: {"description": "Unchanged since the `ETag` in `If-None-Match`."},
        307: {
            "description": "The file is in S3 or a CDN: `Location` reads it, with ranges, until "
            "the signed URL expires or for seven days. Follow it; do not store it.",
        },
        **documented(missing, *others, *FILE_PROBLEMS),
    }


def check_signature(
    services: Services, path: str, *, tenant: UUID, expires: int, signature: str
) -> None:
    """Check that a path was signed for a tenant and has not expired.

    Raises:
        InvalidSignatureProblem: the signature is not ours.
        ExpiredSignatureProblem: it is too old.
    """
    verdict = services.signer.check(
        path, tenant_id=tenant, expires=expires, signature=signature, now=time.time()
    )
    if verdict is UrlVerdict.FORGED:
        raise InvalidSignatureProblem
    if verdict is UrlVerdict.EXPIRED:
        raise ExpiredSignatureProblem


async def serve_file(
    services: Services,
    key: str | None,
    request: Request,
    *,
    name: str,
    etag: str | None,
    expires: int,
    missing: type[Problem],
) -> Response:
    """Respond with a file of the clip store.

    Args:
        services: the services.
        key: in the clip store; None is no file.
        request: the client's.
        name: of the file for the client, without a suffix.
        etag: that changes with the file; None for one of its size and time.
        expires: Unix time (s) at which the signed URL expires.
        missing: the problem if there is no such file.
    """
    if key is None:
        raise missing
    path = await services.clips.locate(key, expires=expires, head=request.method == "HEAD")
    if isinstance(path, str):
        return redirect_to(path, expires=expires)
    try:
        found = await asyncio.to_thread(path.stat)
    except OSError:
        raise missing("The file was deleted.") from None
    headers = {
        "Cache-Control": f"private, max-age={remaining(expires)}, immutable",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if etag is not None:
        headers["ETag"] = f'"{etag}"'
    response = SignedFileResponse(
        path, request_id_of(request.scope), headers=headers, stat_result=found, name=name
    )
    if matches(request.headers.get("if-none-match"), response.headers["etag"]):
        kept = {name: response.headers[name] for name in ("etag", "cache-control")}
        return Response(status_code=304, headers=kept)
    return response


def redirect_to(url: str, *, expires: int) -> Response:
    """Send a client to S3 or the CDN; the bytes never pass through us."""
    headers = {
        "Location": url,
        "Cache-Control": f"private, max-age={min(_REDIRECT_CACHED, remaining(expires))}",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
    }
    return Response(status_code=307, headers=headers)


def remaining(expires: int) -> int:
    """Return the seconds until a Unix time."""
    return max(0, expires - int(time.time()))


class SignedFileResponse(FileResponse):
    """A file response with ranges, whose errors are problem documents."""

    def __init__(
        self,
        path: Path,
        request_id: str,
        *,
        headers: dict[str, str],
        stat_result: os.stat_result,
        name: str,
    ) -> None:
        super().__init__(
            path,
            headers=headers,
            media_type=media_type(path.name),
            filename=f"{name}{path.suffix}",
            content_disposition_type="inline",
            stat_result=stat_result,
        )
        self._request_id = request_id
        self._size = stat_result.st_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file or the requested range."""
        refused: list[int] = []

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                refused.append(message["status"])
            if not refused:
                await send(message)

        await super().__call__(scope, receive, watch)
        if refused:
            # RFC 9110, 14.2: a malformed Range may be ignored, but a client that meant one would
            # then download everything, so it is rejected instead.
            problem = RangeNotSatisfiableProblem(headers={"Content-Range": f"bytes */{self._size}"})
            await problem.response(self._request_id)(scope, receive, send)
