"""Who asks, and whether they may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import MissingScopeProblem, UnauthenticatedProblem
from api.services import Services, ServicesDependency
from domain.access import Scope, permits
from infra import api_keys
from infra.repositories import api_keys as stored_keys
from infra.schema import ApiKey

_LAST_USED_INTERVAL: Final = timedelta(minutes=1)
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="hl_live_… or hl_test_…",
    description="An API key. `highlights keys create` makes the first one.",
)


@dataclass(frozen=True)
class Caller:
    """The tenant on whose behalf a request is made, and what its key may do."""

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[Scope]


async def authenticate(
    services: ServicesDependency,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Return the caller whose key the request carries.

    Raises:
        UnauthenticatedProblem: no key, or one that is malformed, unknown, revoked or expired;
            which of them is not told.
    """
    if credentials is None:
        raise UnauthenticatedProblem
    key = api_keys.parse(credentials.credentials)
    if key is None:
        raise UnauthenticatedProblem(
            "The API key is malformed: check that it was copied whole and unchanged."
        )
    key_hash = api_keys.hash_key(key, secret=services.key_secret)
    async with services.database.key_session(key_hash) as session:
        row = await stored_keys.find_usable(session, key_hash=key_hash)
    if row is None:
        raise UnauthenticatedProblem("The API key is unknown, revoked or expired.")
    structlog.contextvars.bind_contextvars(tenant_id=str(row.tenant_id))
    await _note_use(services, row)
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return Caller(tenant_id=row.tenant_id, key_id=row.id, scopes=scopes)


async def _note_use(services: Services, row: ApiKey) -> None:
    last_used = row.last_used_at
    if last_used is not None and datetime.now(UTC) - last_used < _LAST_USED_INTERVAL:
        return
    async with services.database.session(row.tenant_id) as session:
        await stored_keys.touch(
            session, tenant_id=row.tenant_id, key_id=row.id, interval=_LAST_USED_INTERVAL
        )


def _requiring(scope: Scope) -> Any:  # noqa: ANN401 - FastAPI's own type of a dependency
    async def caller(caller: Annotated[Caller, Depends(authenticate)]) -> Caller:
        if not permits(caller.scopes, scope):
            raise MissingScopeProblem(f"This operation needs a key with the scope `{scope}`.")
        return caller

    return Depends(caller)


Reader = Annotated[Caller, _requiring(Scope.READ)]
Writer = Annotated[Caller, _requiring(Scope.WRITE)]
WebhookKeeper = Annotated[Caller, _requiring(Scope.WEBHOOKS)]
Administrator = Annotated[Caller, _requiring(Scope.ADMIN)]
