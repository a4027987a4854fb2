"""The address that a request comes from.

Who asks, and whether they may.

Who makes a change, for the audit log.
"""

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
from api.middleware.parameters import require_declared
from api.middleware.request_id import request_id_of
from api.services import Services, ServicesDependency
from app.services.api_keys import CachedKey, KeyCache
from domain.tenants.addresses import IPAddress, client_address, is_within, network
from domain.tenants.audit import Actor, ActorKind
from domain.tenants.keys import Scope, permits
from infra import api_keys
from infra.db.repositories import api_keys as stored_keys

_FORWARDED_FOR: Final = "X-Forwarded-For"


async def client_address_of(request: Request, services: ServicesDependency) -> IPAddress | None:
    """Return the client's address, or None when there is none, as on a Unix socket."""
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
class Permit:
    """A key, and the address that it is used from: whether they are let in can be asked again."""

    keys: KeyCache
    key_hash: bytes
    address: IPAddress | None

    async def known_key(self) -> CachedKey:
        """Return the key as it is now, or at most `key_cache.LIFETIME` seconds ago.

        Raises:
            UnauthenticatedProblem: it is unknown, revoked or has expired.
            AddressNotAllowedProblem: it may not be used from this address.
            DatabaseUnavailableError: the database is away.
        """
        known = await self.keys.find_usable(self.key_hash)
        if known is None:
            raise UnauthenticatedProblem("The API key is unknown, revoked or expired.")
        require_address(known.allowed_ips, self.address)
        return known

    async def require(self, scope: Scope) -> None:
        """Refuse a key that may no longer do what needs `scope`.

        Raises:
            MissingScopeProblem: it has not, or no longer, the scope.
            UnauthenticatedProblem: see `known_key`.
            AddressNotAllowedProblem: see `known_key`.
            DatabaseUnavailableError: see `known_key`.
        """
        require_scope((await self.known_key()).scopes, scope)


@dataclass(frozen=True)
class Caller:
    """The tenant on whose behalf a request is made, and what its key may do.

    Attributes:
        permit: what the key was let in by, to be asked again while an answer lasts.
    """

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[Scope]
    permit: Permit


async def authenticate(
    request: Request,
    services: ServicesDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    address: ClientAddress,
) -> Caller:
    """Return the caller whose key the request carries.

    Raises:
        UnauthenticatedProblem: no key, or one that is malformed, unknown, revoked or expired;
            which of them is not told.
        AddressNotAllowedProblem: the key is good, but not from this address.
        RateLimitedProblem: the key or its tenant has asked for too much.
    """
    if credentials is None:
        raise UnauthenticatedProblem
    key = api_keys.parse(credentials.credentials)
    if key is None:
        raise UnauthenticatedProblem(
            "The API key is malformed: check that it was copied whole and unchanged."
        )
    key_hash = api_keys.hash_key(key, secret=services.key_secret)
    permit = Permit(keys=services.keys, key_hash=key_hash, address=address)
    known = await permit.known_key()
    structlog.contextvars.bind_contextvars(tenant_id=str(known.tenant_id))
    await services.limits.charge_caller(request.scope, tenant_id=known.tenant_id, key_id=known.id)
    services.meter.count(known.tenant_id)
    await _note_use(services, known, key_hash)
    return Caller(tenant_id=known.tenant_id, key_id=known.id, scopes=known.scopes, permit=permit)


def require_scope(granted: frozenset[Scope], scope: Scope) -> None:
    """Refuse a key without a scope.

    Raises:
        MissingScopeProblem: it has neither the scope nor `admin`.
    """
    if not permits(granted, scope):
        raise MissingScopeProblem(f"This operation needs a key with the scope `{scope}`.")


def require_address(allowed: Sequence[str], address: IPAddress | None) -> None:
    """Let a key be used from the networks that it allows; from anywhere if it names none.

    Raises:
        AddressNotAllowedProblem: the address lies in none of them, or is not known.
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


WebhookKeeper = Annotated[Caller, _requiring(Scope.WEBHOOKS)]


Administrator = Annotated[Caller, _requiring(Scope.ADMIN)]


async def _in_turn(caller: Reader, services: ServicesDependency) -> AsyncIterator[Caller]:
    async with services.turns.turn(caller.tenant_id):
        yield caller


ReaderInTurn = Annotated[Caller, Depends(_in_turn, scope="function")]
"""A reader whose request costs much: the tenant's others of this kind have their turns too."""


async def actor_of(
    request: Request, caller: Annotated[Caller, Depends(authenticate)], address: ClientAddress
) -> Actor:
    """Return the caller as the audit log names it."""
    return Actor(
        kind=ActorKind.API_KEY,
        id=caller.key_id,
        request_id=request_id_of(request.scope),
        client_address=None if address is None else str(address),
    )


AuditActor = Annotated[Actor, Depends(actor_of)]
