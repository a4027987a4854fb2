"""Request ids, logging context, security headers, and the last error handler."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import InternalProblem
from infra.telemetry.metrics import API_SECONDS
from infra.telemetry.traces import request_span

HEADER: Final = "X-Request-Id"
_STATE_KEY: Final = "request_id"
_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)


def assign_request_id(scope: Scope) -> str:
    """Return the client's request id if it is safe to log, else a new one."""
    given = Headers(scope=scope).get(HEADER, "")
    request_id = given if _ACCEPTABLE.fullmatch(given) else f"req_{secrets.token_hex(12)}"
    scope.setdefault("state", {})[_STATE_KEY] = request_id
    return request_id


def request_id_of(scope: Scope) -> str:
    """Return the id of the current request."""
    identity: str = scope["state"][_STATE_KEY]
    return identity


_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_TRANSPORT_SECURITY: Final = "max-age=31536000; includeSubDomains"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger(__name__)


class RequestContext:
    """The outermost ASGI middleware of ours.

    The request id is returned in the response, added to every log line, and passed on to workflows.

    Args:
        app: the wrapped application.
        https: whether clients use HTTPS only; adds HSTS.
    """

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = _SECURITY_HEADERS | (
            {"Strict-Transport-Security": _TRANSPORT_SECURITY} if https else {}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = assign_request_id(scope)
        answer = _Answer(send, {HEADER: request_id, **self._headers})
        with (
            structlog.contextvars.bound_contextvars(
                request_id=request_id, correlation_id=request_id
            ),
            request_span(scope["method"]) as span,
        ):
            began = time.perf_counter()
            try:
                await self._app(scope, receive, answer)
            except Exception:
                _log.exception("request failed", method=scope["method"], path=scope["path"])
                if answer.status is not None:
                    raise  # the response has started: let the server close the connection
                await InternalProblem().response(request_id)(scope, receive, answer)
            seconds = time.perf_counter() - began
            method, route = _operation(scope)
            span.update_name(f"{method} {route}")
            span.set_attribute("http.response.status_code", answer.status or 0)
            if not answer.is_stream:  # which lasts as long as its client wants
                API_SECONDS.labels(method, route, str(answer.status or 0)).observe(seconds)
            _log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=answer.status,
                seconds=round(seconds, 4),
            )


def _operation(scope: Scope) -> tuple[str, str]:
    """Return method and path template of a request, without text of its sender."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    return method, getattr(scope.get("route"), "path", "unmatched")


class _Answer:
    """Adds our headers to a response, unless the route has set them."""

    def __init__(self, send: Send, headers: dict[str, Any]) -> None:
        self._send = send
        self._headers = headers
        self.status: int | None = None
        self.is_stream = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            self.is_stream = headers.get("content-type", "").startswith("text/event-stream")
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)
