"""Rate limits around the application: before a key is looked at, and on every answer."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import Problem
from api.middleware.rate_limits import RateLimits, account_of, is_limited
from api.middleware.request_id import request_id_of
from infra.rate_limit import Standing

POLICY_HEADER: Final = "RateLimit-Policy"
LIMIT_HEADER: Final = "RateLimit"
_REFUSALS: Final = range(400, 500)


class RateLimiting:
    """ASGI middleware that keeps out addresses refused too often, and tells clients their limits.

    The headers are those of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` has quota
    and window of each limit, `RateLimit` what remains and the seconds until more does.

    Args:
        app: the application within.
        limits: the limits.
    """

    def __init__(self, app: ASGIApp, *, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, or refuse it."""
        if scope["type"] != "http" or not is_limited(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in _REFUSALS:
                    await self._limits.note_refusal(scope)
                _add_headers(message, account_of(scope).standings)
            await send(message)

        try:
            await self._limits.admit_address(scope)
        except Problem as problem:
            account_of(scope).paid = True  # waiting longer for having asked would never end
            await problem.response(request_id_of(scope))(scope, receive, answer)
            return
        await self._app(scope, receive, answer)


def policies(standings: tuple[Standing, ...]) -> str:
    """Return the value of `RateLimit-Policy`."""
    limits = [standing.limit for standing in standings]
    return ", ".join(f'"{limit.name}";q={limit.quota};w={limit.window}' for limit in limits)


def remainders(standings: tuple[Standing, ...]) -> str:
    """Return the value of `RateLimit`."""
    return ", ".join(
        f'"{standing.limit.name}";r={standing.remaining};t={standing.reset}'
        for standing in standings
    )


def _add_headers(message: Message, standings: tuple[Standing, ...]) -> None:
    if standings:
        headers = MutableHeaders(scope=message)
        headers[POLICY_HEADER] = policies(standings)
        headers[LIMIT_HEADER] = remainders(standings)
