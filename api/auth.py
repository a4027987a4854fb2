"""Authentication and authorization of requests, and the actor for the audit log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.errors.problems import (
    AddressNotAllowedProblem,
    MissingScopeProblem,
    UnauthenticatedProblem,
)
from api.middleware.request_context import request_id_of
from api.middleware.routing import require_declared
from api.services import Services, ServicesDependency
from app.services.api_keys import CachedKey, KeyCache
from domain.tenants.addresses import IPAddress, client_address, is_within, network
from domain.tenants.audit import Actor, ActorKind
from domain.tenants.keys import Scope, permits
from infra import api_keys
from infra.db.repositories import api_keys as stored_keys

_FORWARDED_FOR: Final = "X-Forwarded-For"


async def client_address_of(request: Request, services: ServicesDependency) -> IPAddress | None:
    """Return the client's address, or None if there is none, such as on a Unix socket."""
    if request.client is None:
        return None
    try:
        return client_address(
            request.client.host,
            request.headers.getlist(_FORWARDED_FOR),
            services.settings.trusted_proxies,
        )
    except ValueError:
        return None


ClientAddress = Annotated[IPAddress | None, Depends(client_address_of)]
_LAST_USED_INTERVAL: Final = timedelta(minutes=1)
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="hl_live_… or hl_test_…",
    description="An API key. `highlights keys create` makes the first one.",
)


@dataclass(frozen=True, kw_only=True)
class KeyAuthorization:
    """A key and the address it is used from, to check authorization again on long responses."""

    keys: KeyCache
    key_hash: bytes
    address: IPAddress | None

    async def known_key(self) -> CachedKey:
        """Return the key as it is now, or at most `KEY_LIFETIME` seconds ago.

        Raises:
            UnauthenticatedProblem: the key is unknown, revoked or expired.
            AddressNotAllowedProblem: it may not be used from this address.
            DatabaseUnavailableError: the database is unavailable.
        """
        known = await self.keys.find_usable(self.key_hash)
        if known is None:
            raise UnauthenticatedProblem("The API key is unknown, revoked or expired.")
        require_address(known.allowed_ips, self.address)
        return known

    async def require(self, scope: Scope) -> None:
        """Check that the key still has a scope.

        Raises:
            MissingScopeProblem: it lacks the scope.
            UnauthenticatedProblem: see `known_key`.
            AddressNotAllowedProblem: see `known_key`.
            DatabaseUnavailableError: see `known_key`.
        """
        require_scope((await self.known_key()).scopes, scope)


@dataclass(frozen=True)
class Caller:
    """The tenant and the scopes of the request's API key.

    Attributes:
        authorization: to check the key again during a long response.
    """

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[Scope]
    authorization: KeyAuthorization


async def authenticate(
    request: Request,
    services: ServicesDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    address: ClientAddress,
) -> Caller:
    """Return the caller of the request.

    Raises:
        UnauthenticatedProblem: the key is missing, malformed, unknown, revoked or expired; the
            response does not say which of the last three.
        AddressNotAllowedProblem: the key may not be used from this address.
        RateLimitedProblem: the key or its tenant exceeds its rate limit.
    """
    if credentials is None:
        raise UnauthenticatedProblem
    key = api_keys.parse(credentials.credentials)
    if key is None:
        raise UnauthenticatedProblem(
            "The API key is malformed: check that it was copied completely."
        )
    key_hash = api_keys.hash_key(key, secret=services.key_secret)
    authorization = KeyAuthorization(keys=services.keys, key_hash=key_hash, address=address)
    known = await authorization.known_key()
    structlog.contextvars.bind_contextvars(tenant_id=str(known.tenant_id))
    await services.limits.charge_caller(request.scope, tenant_id=known.tenant_id, key_id=known.id)
    services.meter.count(known.tenant_id)
    await _note_use(services, known, key_hash)
    return Caller(
        tenant_id=known.tenant_id, key_id=known.id, scopes=known.scopes, authorization=authorization
    )


async def charge_file(request: Request, services: ServicesDependency) -> None:
    """Charge a request for a signed URL to its address. `authenticate` charges all others.

    Raises:
        RateLimitedProblem: the address exceeds its rate limit.
        UnavailableProblem: the rate limiter is unavailable and configured to fail closed.
    """
    await services.limits.charge_file(request.scope)


def require_scope(granted: frozenset[Scope], scope: Scope) -> None:
    """Check that a scope is granted.

    Raises:
        MissingScopeProblem: neither the scope nor `admin` is granted.
    """
    if not permits(granted, scope):
        raise MissingScopeProblem(f"This operation needs a key with the scope `{scope}`.")


def require_address(allowed: Sequence[str], address: IPAddress | None) -> None:
    """Check that an address is in one of the allowed networks; an empty list allows all.

    Raises:
        AddressNotAllowedProblem: it is in none of them, or unknown.
    """
    if not allowed or (address is not None and is_within(address, map(network, allowed))):
        return
    raise AddressNotAllowedProblem(
        f"The key may not be used from {address or 'a connection without an address'}. "
        + AddressNotAllowedProblem.advice
    )


async def _note_use(services: Services, known: CachedKey, key_hash: bytes) -> None:
    now = datetime.now(UTC)
    if known.last_used_at is not None and now - known.last_used_at < _LAST_USED_INTERVAL:
        return
    async with services.database.session(known.tenant_id) as session:
        await stored_keys.touch(
            session, tenant_id=known.tenant_id, key_id=known.id, interval=_LAST_USED_INTERVAL
        )
    services.keys.note_use(key_hash, now)


def _requiring(scope: Scope) -> Any:  # noqa: ANN401 - FastAPI's own type of a dependency
    async def caller(request: Request, caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        require_scope(caller.scopes, scope)
        require_declared(request)
        return caller

    return Depends(caller)


Reader = Annotated[Caller, _requiring(Scope.READ)]
Writer = Annotated[Caller, _requiring(Scope.WRITE)]
WebhookManager = Annotated[Caller, _requiring(Scope.WEBHOOKS)]
Administrator = Annotated[Caller, _requiring(Scope.ADMIN)]


async def _in_turn(caller: Reader, services: ServicesDependency) -> AsyncIterator[Caller]:
    async with services.turns.slot(caller.tenant_id):
        yield caller


SearchReader = Annotated[Caller, Depends(_in_turn, scope="function")]
"""A reader whose request costs much: the tenant's others of this kind have their turns too."""


async def actor_of(
    request: Request, caller: Annotated[Caller, Depends(authenticate)], address: ClientAddress
) -> Actor:
    """Return the caller as an actor of the audit log."""
    return Actor(
        kind=ActorKind.API_KEY,
        id=caller.key_id,
        request_id=request_id_of(request.scope),
        client_address=None if address is None else str(address),
    )


AuditActor = Annotated[Actor, Depends(actor_of)]
