"""Rate limits of keys, tenants and addresses, and limits of concurrent requests.

`_COSTS` has the cost of each route by function name; other routes cost one unit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Final, TypeVar
from uuid import UUID

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import (
    Problem,
    RateLimitedProblem,
    TooManyConnectionsProblem,
    UnavailableProblem,
)
from api.middleware.request_context import request_id_of
from app.services.tenants import TenantPlans, feed_limit
from domain.tenants.addresses import client_address
from infra.rate_limit import (
    Limit,
    RateLimitBucket,
    RateLimiter,
    RateLimiterUnavailableError,
    RateLimitStatus,
)
from infra.settings import Settings

_COSTS: Final[Mapping[str, int]] = {
    "analyze_stream": 10,  # starts a workflow that may run for hours
    "analyze_recording": 10,
    "upload_recording": 10,
    "send_feed_events": 2,  # stores up to a hundred rows
    "create_clip": 5,  # renders
    "create_export_batch": 10,  # starts many of them
    "create_export": 10,  # starts encoders that run for minutes
    "match_profile": 5,  # searches all names of all games
    "preview_override": 5,  # validates all profiles, decides on up to 5,000 candidates
    "put_override": 5,  # validates all profiles
    "find_similar_highlights": 5,  # compares up to a thousand
    "search_highlights": 5,  # ranks up to a thousand
}
# Served by signed URL without a key: the client is known by address only.
BY_ADDRESS: Final = frozenset(
    {
        *("download_clip", "download_thumbnail", "play_highlight", "play_clip", "download_segment"),
        *("download_rendition", "download_rendition_index", "download_export_batch"),
        *("show_player", "count_play", "describe_embed"),
    }
)
# 100ms sends the events of all tenants from a few addresses and gives up after three attempts
# (docs.100ms.live, webhooks): one tenant's wrong secret must not block the others.
UNLIMITED_PREFIXES: Final = ("/v1/webhooks/100ms",)
LIMITED_PREFIXES: Final = ("/v1/", "/embed/", "/oembed")


def cost_of(route: str) -> int:
    """Return the cost of a route in units."""
    return _COSTS.get(route, 1)


def is_limited(path: str) -> bool:
    """Return True if a path is rate limited; health checks and documentation are not."""
    return path.startswith(LIMITED_PREFIXES) and not path.startswith(UNLIMITED_PREFIXES)


def routes_with_costs() -> frozenset[str]:
    """Return the names of all routes with a cost of their own."""
    return frozenset(_COSTS)


def highest_cost() -> int:
    """Return the highest cost, which every plan must allow."""
    return max(_COSTS.values())


T = TypeVar("T")
_STATE_KEY: Final = "rate_limits"
# RFC 6177: a site has a /64 or more, so that changing a single IPv6 address is free.
_IPV6_SITE: Final = 64
_UNKNOWN_ADDRESS: Final = "unknown"


@dataclass
class Account:
    """What the current request was charged, for its response headers."""

    statuses: tuple[RateLimitStatus, ...] = ()
    paid: bool = False


class RateLimits:
    """Charges requests to keys, tenants and addresses.

    Args:
        limiter: the counters.
        plans: the tenants' plans.
        settings: the limits of addresses.
    """

    def __init__(self, limiter: RateLimiter, plans: TenantPlans, settings: Settings) -> None:
        self._limiter = limiter
        self._plans = plans
        self._trusted_proxies = settings.trusted_proxies
        self._refusals = Limit(name="address", quota=settings.address_refusals_per_minute)
        self._inbound = Limit(name="inbound", quota=settings.address_refusals_per_minute)
        self._lookups = Limit(name="lookups", quota=settings.address_refusals_per_minute)
        self._files = Limit(name="files", quota=settings.address_files_per_minute)

    async def charge_caller(self, scope: Scope, *, tenant_id: UUID, key_id: UUID) -> None:
        """Charge a request to its key and tenant.

        Raises:
            RateLimitedProblem: one of them exceeds its limit.
            UnavailableProblem: the rate limiter is unavailable and configured to fail closed.
        """
        plan = await self._plans.of(tenant_id)
        tenant = Limit(name="default", quota=plan.requests_per_minute)
        key = Limit(name="key", quota=plan.key_requests_per_minute)
        # The key first: requests it is refused do not count against the tenant's other keys.
        await self._charge(
            scope,
            RateLimitBucket(key, f"{tenant_id}/{key_id}"),
            RateLimitBucket(tenant, str(tenant_id)),
            cost=cost_of(scope["route"].name),
        )

    async def charge_feed_events(
        self, scope: Scope, *, tenant_id: UUID, stream_id: UUID, events: int
    ) -> None:
        """Charge feed events to their stream, besides the request to its key and tenant.

        Raises:
            RateLimitedProblem: the stream's limit has too little left for all of them.
            UnavailableProblem: the rate limiter is unavailable and configured to fail closed.
        """
        plan = await self._plans.of(tenant_id)
        limit = feed_limit(plan)
        bucket = RateLimitBucket(limit, f"{tenant_id}/{stream_id}")
        verdict = await self._counted(self._limiter.take([bucket], cost=events))
        account = account_of(scope)
        account.statuses = (*account.statuses, *verdict.statuses)
        if (status := verdict.refused_by) is not None:
            raise RateLimitedProblem(
                f"A stream takes {limit.quota} feed events in {limit.window} s. This request has "
                f"{events}, and {status.remaining} are left: none of them was stored. Send the "
                "request again after the seconds in `Retry-After`.",
                retry_after=status.reset,
            )

    async def charge_file(self, scope: Scope) -> None:
        """Charge a request for a signed URL to its address; ignore other requests.

        Raises:
            RateLimitedProblem: the address exceeds its limit.
            UnavailableProblem: the rate limiter is unavailable and configured to fail closed.
        """
        name = scope["route"].name
        if name in BY_ADDRESS:
            await self._charge(
                scope, RateLimitBucket(self._files, self._address(scope)), cost=cost_of(name)
            )

    async def admit_address(self, scope: Scope) -> None:
        """Check, before the key is read, that the address was not refused too often.

        Raises:
            RateLimitedProblem: the address has to wait.
            UnavailableProblem: the rate limiter is unavailable and configured to fail closed.
        """
        account = account_of(scope)
        status = await self._counted(
            self._limiter.look(RateLimitBucket(self._refusals, self._address(scope)))
        )
        account.statuses = (status,)
        if status.remaining == 0:
            raise _refusal(status)

    async def note_refusal(self, scope: Scope) -> None:
        """Charge a refused request to its address, unless a key was charged."""
        account = account_of(scope)
        if account.paid:
            return
        try:
            verdict = await self._limiter.take(
                [RateLimitBucket(self._refusals, self._address(scope))], cost=1
            )
        except RateLimiterUnavailableError:
            return  # the answer is a refusal in any case
        account.statuses = verdict.statuses

    async def admit_lookup(self, scope: Scope) -> None:
        """Check that an address may look up a 100ms connection that is not cached.

        Other refusals do not count: one tenant's wrong secret must not block 100ms's addresses for
        others.

        Raises:
            RateLimitedProblem: it has looked up too many unknown connections.
            UnavailableProblem: the rate limiter is unavailable and configured to fail closed.
        """
        bucket = RateLimitBucket(self._lookups, self._address(scope))
        status = await self._counted(self._limiter.look(bucket))
        if status is not None and status.remaining == 0:
            raise _refusal(status)

    async def note_unknown(self, scope: Scope) -> None:
        """Charge a lookup that found no connection to its address."""
        with suppress(RateLimiterUnavailableError):
            await self._limiter.take([RateLimitBucket(self._lookups, self._address(scope))], cost=1)

    async def refused_inbound(self, scope: Scope, problem: Problem) -> Problem:
        """Charge a refused 100ms event to its address; return the problem to respond with.

        This limit never rejects a valid event; it only changes the response to invalid ones.
        `admit_lookup` may reject one, from an address that asks for unknown connections.
        """
        try:
            verdict = await self._limiter.take(
                [RateLimitBucket(self._inbound, self._address(scope))], cost=1
            )
        except RateLimiterUnavailableError:
            return problem
        return problem if verdict.refused_by is None else _refusal(verdict.refused_by)

    async def _charge(self, scope: Scope, *buckets: RateLimitBucket, cost: int) -> None:
        account = account_of(scope)
        account.paid = True
        verdict = await self._counted(self._limiter.take(buckets, cost=cost))
        # Clients read the first one, if only one: the tenant's, which all its keys share.
        account.statuses = verdict.statuses[::-1]
        if verdict.refused_by is not None:
            raise _refusal(verdict.refused_by)

    async def _counted(self, count: Awaitable[T]) -> T:
        try:
            return await count
        except RateLimiterUnavailableError as error:
            raise UnavailableProblem(
                "Rate limits cannot be checked. " + UnavailableProblem.advice
            ) from error

    def _address(self, scope: Scope) -> str:
        try:
            address = client_address(
                scope["client"][0],
                Headers(scope=scope).getlist("x-forwarded-for"),
                self._trusted_proxies,
            )
        except (ValueError, TypeError):  # a Unix socket has none
            return _UNKNOWN_ADDRESS
        if isinstance(address, IPv6Address):
            return str(ip_network((address, _IPV6_SITE), strict=False))
        return str(address)


def account_of(scope: Scope) -> Account:
    """Return the account of the current request."""
    account: Account = scope.setdefault("state", {}).setdefault(_STATE_KEY, Account())
    return account


def _refusal(status: RateLimitStatus) -> RateLimitedProblem:
    limit = status.limit
    return RateLimitedProblem(
        f"Of the limit `{limit.name}`, {limit.quota} in {limit.window} s, too little is left. "
        + RateLimitedProblem.advice,
        retry_after=status.reset,
    )


POLICY_HEADER: Final = "RateLimit-Policy"
LIMIT_HEADER: Final = "RateLimit"
_REFUSALS: Final = range(400, 500)


class RateLimiting:
    """ASGI middleware that rejects addresses refused too often and adds rate limit headers.

    The headers follow draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` has the quota and
    window of each limit, `RateLimit` the remaining quota and the seconds until it resets.

    Args:
        app: the wrapped application.
        limits: the rate limits.
    """

    def __init__(self, app: ASGIApp, *, limits: RateLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, or reject it."""
        if scope["type"] != "http" or not is_limited(scope["path"]):
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in _REFUSALS:
                    await self._limits.note_refusal(scope)
                _add_headers(message, account_of(scope).statuses)
            await send(message)

        try:
            await self._limits.admit_address(scope)
        except Problem as problem:
            account_of(scope).paid = True  # waiting longer for having asked would never end
            await problem.response(request_id_of(scope))(scope, receive, answer)
            return
        await self._app(scope, receive, answer)


def policies(statuses: tuple[RateLimitStatus, ...]) -> str:
    """Return the value of `RateLimit-Policy`."""
    limits = [status.limit for status in statuses]
    return ", ".join(f'"{limit.name}";q={limit.quota};w={limit.window}' for limit in limits)


def remainders(statuses: tuple[RateLimitStatus, ...]) -> str:
    """Return the value of `RateLimit`."""
    return ", ".join(
        f'"{status.limit.name}";r={status.remaining};t={status.reset}' for status in statuses
    )


def _add_headers(message: Message, statuses: tuple[RateLimitStatus, ...]) -> None:
    if statuses:
        headers = MutableHeaders(scope=message)
        headers[POLICY_HEADER] = policies(statuses)
        headers[LIMIT_HEADER] = remainders(statuses)


AT_A_TIME: Final = 4
"""Costly reads of one tenant that this process does at once, fewer than it has connections."""


MOST_WAITING: Final = 256
"""Further ones that wait, in order; what comes on top of these is refused."""


class TenantConcurrency:
    """Limits the concurrent expensive reads of each tenant; others wait in order."""

    def __init__(self, *, at_a_time: int = AT_A_TIME, most_waiting: int = MOST_WAITING) -> None:
        self._at_a_time = at_a_time
        self._most = at_a_time + most_waiting
        self._turns: dict[UUID, asyncio.Semaphore] = {}
        self._present: dict[UUID, int] = {}

    @asynccontextmanager
    async def slot(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Wait for a free slot and hold it.

        Raises:
            RateLimitedProblem: too many requests are waiting.
        """
        present = self._present.get(tenant_id, 0)
        if present >= self._most:
            raise RateLimitedProblem(
                f"{present} of your searches are queued. {RateLimitedProblem.advice}",
                retry_after=1,
            )
        self._present[tenant_id] = present + 1
        turns = self._turns.setdefault(tenant_id, asyncio.Semaphore(self._at_a_time))
        try:
            async with turns:
                yield
        finally:
            self._present[tenant_id] -= 1
            if not self._present[tenant_id]:
                del self._present[tenant_id], self._turns[tenant_id]


class ConnectionLimiter:
    """Limits the open SSE connections of each tenant in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[UUID] = Counter()

    @contextmanager
    def hold(self, tenant_id: UUID) -> Iterator[None]:
        """Hold one connection.

        Raises:
            TooManyConnectionsProblem: the tenant has the maximum number.
        """
        if self._open[tenant_id] >= self._limit:
            raise TooManyConnectionsProblem
        self._open[tenant_id] += 1
        try:
            yield
        finally:
            self._open[tenant_id] -= 1
            if not self._open[tenant_id]:
                del self._open[tenant_id]
