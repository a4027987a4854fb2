"""`highlights codec-server`: decrypts payloads for the Temporal UI and the `temporal` CLI.

It decrypts the payloads of every tenant, so it is a separate process for operators, and no part
of the API. By default it listens on the machine's own address only, where the browser that shows
the UI reaches it.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Final

import uvicorn
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads

from infra.errors import NotConfiguredError
from infra.settings import Settings
from infra.temporal.codec import PayloadDecryptionError, PayloadEncryption

MAX_BODY_BYTES: Final = 16 << 20
"""Of a request: the payloads of one page of a history, base64."""

_OWN_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]")

_Handler = Callable[[Request], Awaitable[Response]]
_Convert = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def build_codec_server(settings: Settings) -> Starlette:
    """Return the application: `POST /decode` and `POST /encode`, as Temporal's clients call them.

    Raises:
        NotConfiguredError: there are no keys, or other machines could use it without a token.
    """
    keys = settings.payload_keys()
    if not keys:
        raise NotConfiguredError(
            "The codec server has no keys.",
            remedy="Set HIGHLIGHTS_TEMPORAL_KEYS to those of the workers.",
        )
    host = settings.codec_address.rpartition(":")[0]
    token = settings.codec_token
    is_local = _is_loopback(host)
    if token is None and not is_local:
        raise NotConfiguredError(
            f"The codec server would decrypt for every machine that reaches {host}.",
            remedy="Set HIGHLIGHTS_CODEC_TOKEN, or HIGHLIGHTS_CODEC_ADDRESS to 127.0.0.1:8234.",
        )
    origins = settings.codec_origins
    middleware = [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["POST"],
            allow_headers=["*"],
            allow_credentials=True,
            allow_private_network=True,
        )
    ]
    if is_local:
        # A page whose name resolves to this machine names itself in `Host`.
        middleware.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=_OWN_HOSTS))
    codec = PayloadEncryption(keys)
    secret = token.get_secret_value() if token is not None else None

    def route(path: str, convert: _Convert) -> Route:
        return Route(
            path, _guarded(_converting(convert), origins=origins, token=secret), methods=["POST"]
        )

    return Starlette(
        routes=[route("/decode", codec.decode), route("/encode", codec.encode)],
        middleware=middleware,
    )


def run_codec_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        NotConfiguredError: there are no keys, or other machines could use it without a token.
    """
    host, _, port = settings.codec_address.rpartition(":")
    uvicorn.run(
        build_codec_server(settings),
        host=host.strip("[]"),
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _guarded(handler: _Handler, *, origins: Sequence[str], token: str | None) -> _Handler:
    async def answer(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and origin not in origins and "*" not in origins:
            return _refusal(
                403, f"The origin {origin} is not allowed. Add it to HIGHLIGHTS_CODEC_ORIGINS."
            )
        given = request.headers.get("authorization", "")
        if token is not None and not hmac.compare_digest(
            given.encode(errors="replace"), f"Bearer {token}".encode()
        ):
            return _refusal(
                401, "Send the token of HIGHLIGHTS_CODEC_TOKEN as `Authorization: Bearer TOKEN`."
            )
        return await handler(request)

    return answer


def _converting(convert: _Convert) -> _Handler:
    async def answer(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return _refusal(413, f"The request is larger than {MAX_BODY_BYTES} bytes.")
        try:
            given = Parse(bytes(body), Payloads(), ignore_unknown_fields=True)
            converted = Payloads(payloads=await convert(given.payloads))
        except (ParseError, UnicodeDecodeError):
            return _refusal(400, 'The body must be JSON such as {"payloads": [...]}.')
        except PayloadDecryptionError as error:
            return _refusal(422, str(error))
        return Response(MessageToJson(converted), media_type="application/json")

    return answer


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)
