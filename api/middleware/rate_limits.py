"""What each request costs of a limit: this one table, by the name of the route's function.

Whatever is not named costs one unit.

Who pays for a request: the key and its tenant, or the address that it came from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network
from typing import Final, TypeVar
from uuid import UUID

from starlette.datastructures import Headers
from starlette.types import Scope

from api.errors.problems import Problem, RateLimitedProblem, UnavailableProblem
from app.services.tenants import TenantPlans
from domain.tenants.addresses import client_address
from infra.rate_limit import Bucket, Limit, LimiterAwayError, RateLimiter, Standing
from infra.settings import Settings

_COSTS: Final[Mapping[str, int]] = {
    "analyze_stream": 10,  # a workflow, and media for hours
    "match_profile": 5,  # a search through all names of all games
    "put_override": 5,  # validates all profiles
    "find_similar_highlights": 5,  # compares up to a thousand
    "search_highlights": 5,  # ranks up to a thousand
}


# Served by a signed URL instead of a key: who asks is known by address only.
BY_ADDRESS: Final = frozenset({"download_clip", "download_thumbnail"})


# 100ms sends the events of all tenants from a few addresses and gives up after three attempts
# (docs.100ms.live, webhooks): one tenant's wrong secret must not silence the others.
UNLIMITED_PREFIXES: Final = ("/v1/webhooks/100ms",)


LIMITED_PREFIX: Final = "/v1/"


def cost_of(route: str) -> int:
    """Return the units that a request to the route of this name uses."""
    return _COSTS.get(route, 1)


def is_limited(path: str) -> bool:
    """Tell whether requests to a path are limited; health and documentation are not."""
    return path.startswith(LIMITED_PREFIX) and not path.startswith(UNLIMITED_PREFIXES)


def routes_with_costs() -> frozenset[str]:
    """Return all names in the table."""
    return frozenset(_COSTS)


def highest_cost() -> int:
    """Return the cost of the dearest request, which every plan has to allow."""
    return max(_COSTS.values())


T = TypeVar("T")


_STATE_KEY: Final = "rate_limits"


# RFC 6177: a site has a /64 or more, so that single IPv6 addresses cost nothing to change.
_IPV6_SITE: Final = 64


_UNKNOWN_ADDRESS: Final = "unknown"


@dataclass
class Account:
    """What a request under way has used, for the headers of its answer."""

    standings: tuple[Standing, ...] = ()
    paid: bool = False


class RateLimits:
    """The limits of the API.

    Args:
        limiter: counts.
        plans: what each tenant may.
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
            RateLimitedProblem: one of them has too little left.
            UnavailableProblem: nobody counts, and then nothing is to be served.
        """
        plan = await self._plans.of(tenant_id)
        tenant = Limit(name="default", quota=plan.requests_per_minute)
        key = Limit(name="key", quota=plan.key_requests_per_minute)
        # The key first: what its own limit refuses costs the tenant's other keys nothing.
        await self._charge(
            scope,
            Bucket(key, f"{tenant_id}/{key_id}"),
            Bucket(tenant, str(tenant_id)),
            cost=cost_of(scope["route"].name),
        )

    async def charge_file(self, scope: Scope) -> None:
        """Charge a request by signed URL to its address; other requests are left alone.

        Raises:
            RateLimitedProblem: the address has too little left.
            UnavailableProblem: nobody counts, and then nothing is to be served.
        """
        name = scope["route"].name
        if name in BY_ADDRESS:
            await self._charge(scope, Bucket(self._files, self._address(scope)), cost=cost_of(name))

    async def admit_address(self, scope: Scope) -> None:
        """Let in whoever has not been refused too often of late, before a key is looked at.

        Raises:
            RateLimitedProblem: the address has to wait.
            UnavailableProblem: nobody counts, and then nothing is to be served.
        """
        account = account_of(scope)
        standing = await self._counted(
            self._limiter.look(Bucket(self._refusals, self._address(scope)))
        )
        account.standings = (standing,)
        if standing.remaining == 0:
            raise _refusal(standing)

    async def note_refusal(self, scope: Scope) -> None:
        """Charge a refused request that nobody has paid for to its address."""
        account = account_of(scope)
        if account.paid:
            return
        try:
            verdict = await self._limiter.take(
                [Bucket(self._refusals, self._address(scope))], cost=1
            )
        except LimiterAwayError:
            return  # the answer is a refusal in any case
        account.standings = verdict.standings

    async def admit_lookup(self, scope: Scope) -> None:
        """Let an address ask for a 100ms connection that is not remembered.

        What it was refused for otherwise does not count: one tenant's wrong secret must not keep
        100ms's addresses from reaching another's connection.

        Raises:
            RateLimitedProblem: it has asked for too many that there are not.
            UnavailableProblem: nobody counts, and then nothing is to be served.
        """
        bucket = Bucket(self._lookups, self._address(scope))
        standing = await self._counted(self._limiter.look(bucket))
        if standing is not None and standing.remaining == 0:
            raise _refusal(standing)

    async def note_unknown(self, scope: Scope) -> None:
        """Charge a look-up that found no connection to its address."""
        with suppress(LimiterAwayError):
            await self._limiter.take([Bucket(self._lookups, self._address(scope))], cost=1)

    async def refused_inbound(self, scope: Scope, problem: Problem) -> Problem:
        """Charge a refused event of 100ms to its address; return what to answer.

        This limit never keeps out an event that would be accepted: only the answer to others
        changes. `admit_lookup` may, for an address that asks for unknown connections.
        """
        try:
            verdict = await self._limiter.take(
                [Bucket(self._inbound, self._address(scope))], cost=1
            )
        except LimiterAwayError:
            return problem
        return problem if verdict.refused_by is None else _refusal(verdict.refused_by)

    async def close(self) -> None:
        """Close the connections."""
        await self._limiter.close()

    async def _charge(self, scope: Scope, *buckets: Bucket, cost: int) -> None:
        account = account_of(scope)
        account.paid = True
        verdict = await self._counted(self._limiter.take(buckets, cost=cost))
        # Clients read the first one, if only one: the tenant's, which all its keys share.
        account.standings = verdict.standings[::-1]
        if verdict.refused_by is not None:
            raise _refusal(verdict.refused_by)

    async def _counted(self, count: Awaitable[T]) -> T:
        try:
            return await count
        except LimiterAwayError as error:
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
    """Return what the request under way has used."""
    account: Account = scope.setdefault("state", {}).setdefault(_STATE_KEY, Account())
    return account


def _refusal(standing: Standing) -> RateLimitedProblem:
    limit = standing.limit
    return RateLimitedProblem(
        f"Of the limit `{limit.name}`, {limit.quota} in {limit.window} s, too little is left. "
        + RateLimitedProblem.advice,
        retry_after=standing.reset,
    )
