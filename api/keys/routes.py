"""Routes of API keys, for the tenant's administrators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Administrator, AuditActor, ClientAddress, require_address
from api.errors.problems import (
    AddressNotAllowedProblem,
    FieldProblem,
    InvalidCursorProblem,
    InvalidRequestProblem,
    KeyEndedProblem,
    KeyNotFoundProblem,
    KeyReplacedProblem,
    LastAdministratorProblem,
    OwnAddressExcludedProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.keys.schemas import (
    CreatedKey,
    CreateKeyRequest,
    KeyModel,
    RotateKeyRequest,
    UpdateKeyRequest,
)
from api.middleware.json_content import require_json
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.services import ServicesDependency
from app.services import api_keys as key_service
from app.services.api_keys import MadeKey
from domain.tenants.keys import KeyEndedError, KeyReplacedError, LastAdministratorError
from infra.db.errors import RecordMissingError
from infra.db.repositories import api_keys
from infra.db.repositories.idempotency import StoredResponse

_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.post(
    "",
    operation_id="createKey",
    status_code=201,
    response_model=CreatedKey,
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, *IDEMPOTENT),
)
async def create_key(
    body: CreateKeyRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Create a key. This response is the only one that contains it.

    Only a hash is stored. A retry with the same `Idempotency-Key` creates no second key; its
    response has `key` null.
    """

    async def create(session: AsyncSession, key_id: UUID) -> Created:
        _require_future(body.expires_at)
        made = await key_service.make(
            session,
            body.wanted(),
            tenant_id=caller.tenant_id,
            secret=services.key_secret,
            actor=actor,
            key_id=key_id,
        )
        return _shown_once(made)

    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="createKey", body=body
    )
    return await once.respond(services.database, create)


@router.get("", operation_id="listKeys", responses=documented(*WITH_KEY, InvalidCursorProblem))
async def list_keys(
    caller: Administrator, services: ServicesDependency, limit: Limit = 50, cursor: Cursor = None
) -> Page[KeyModel]:
    """List keys, newest first, including expired and revoked ones."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await api_keys.list_page(
            session, tenant_id=caller.tenant_id, after=after, limit=limit + 1
        )
    return Page(
        data=[KeyModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get("/{key_id}", operation_id="getKey", responses=documented(*WITH_KEY, KeyNotFoundProblem))
async def get_key(key_id: UUID, caller: Administrator, services: ServicesDependency) -> KeyModel:
    """Read a key's scopes, expiry and last use."""
    async with services.database.session(caller.tenant_id) as session:
        row = await api_keys.get(session, tenant_id=caller.tenant_id, key_id=key_id)
    if row is None:
        raise KeyNotFoundProblem
    return KeyModel.of(row)


@router.patch(
    "/{key_id}",
    operation_id="updateKey",
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        KeyNotFoundProblem,
        KeyEndedProblem,
        OwnAddressExcludedProblem,
        LastAdministratorProblem,
    ),
)
async def update_key(
    *,
    key_id: UUID,
    body: UpdateKeyRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    address: ClientAddress,
) -> KeyModel:
    """Change a key's name, addresses or expiry. Omitted fields stay unchanged.

    At least one key with the scope `admin` must remain valid for 30 days, or for as long as before,
    and usable from the address of this request.
    """
    _require_future(body.expires_at)
    if key_id == caller.key_id:
        try:
            require_address(body.allowed_ips, address)
        except AddressNotAllowedProblem as error:
            raise OwnAddressExcludedProblem from error
    with _refusals_as_problems(), services.keys.changing(key_id):
        async with services.database.session(caller.tenant_id) as session:
            row = await key_service.change(
                session, key_id, body.changes(), tenant_id=caller.tenant_id, actor=actor
            )
    return KeyModel.of(row)


@router.post(
    "/{key_id}/rotate",
    operation_id="rotateKey",
    status_code=201,
    response_model=CreatedKey,
    dependencies=[Depends(require_json)],
    responses=documented(
        *WITH_KEY,
        *WITH_BODY,
        *IDEMPOTENT,
        KeyNotFoundProblem,
        KeyEndedProblem,
        KeyReplacedProblem,
        LastAdministratorProblem,
    ),
)
async def rotate_key(
    *,
    key_id: UUID,
    body: RotateKeyRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Create a key that replaces this one, with the same name, scopes and addresses.

    The old key stays valid for `overlap` seconds, so that you can switch without downtime. This
    response is the only one that contains the new key.
    """

    async def create(session: AsyncSession, successor_id: UUID) -> Created:
        _require_future(body.expires_at)
        made = await key_service.rotate(
            session,
            key_id,
            tenant_id=caller.tenant_id,
            secret=services.key_secret,
            actor=actor,
            overlap=timedelta(seconds=body.overlap),
            expires_at=body.expires_at,
            successor_id=successor_id,
        )
        return _shown_once(made)

    once = IdempotentRequest(
        tenant_id=caller.tenant_id,
        key=idempotency_key,
        operation=f"rotateKey {key_id}",
        body=body,
    )
    with _refusals_as_problems(), services.keys.changing(key_id):
        return await once.respond(services.database, create)


@router.post(
    "/{key_id}/revoke",
    operation_id="revokeKey",
    responses=documented(*WITH_KEY, KeyNotFoundProblem, LastAdministratorProblem),
)
async def revoke_key(
    key_id: UUID, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> KeyModel:
    """Revoke a key, immediately and permanently. Idempotent.

    At least one key with the scope `admin` must remain valid for 30 days, or for as long as before,
    and usable from the address of this request: you cannot lock yourself out.
    """
    with _refusals_as_problems(), services.keys.changing(key_id):
        async with services.database.session(caller.tenant_id) as session:
            row = await key_service.revoke(session, key_id, tenant_id=caller.tenant_id, actor=actor)
    return KeyModel.of(row)


@contextmanager
def _refusals_as_problems() -> Iterator[None]:
    try:
        yield
    except RecordMissingError as error:
        raise KeyNotFoundProblem from error
    except KeyEndedError as error:
        raise KeyEndedProblem(f"{error} {KeyEndedProblem.advice}") from error
    except KeyReplacedError as error:
        raise KeyReplacedProblem(f"{error} {KeyReplacedProblem.advice}") from error
    except LastAdministratorError as error:
        raise LastAdministratorProblem from error


def _require_future(end: datetime | None) -> None:
    if end is not None and end <= datetime.now(UTC):
        detail = "Must be in the future; to end a key now, revoke it."
        raise InvalidRequestProblem(errors=[FieldProblem(pointer="/expires_at", detail=detail)])


def _answer(created: CreatedKey) -> StoredResponse:
    return StoredResponse(
        status=201,
        headers={"Location": f"/v1/keys/{created.id}"},
        body=created.model_dump(mode="json"),
    )


def _shown_once(made: MadeKey) -> Created:
    created = CreatedKey.made(made)
    return Created(response=_answer(created), stored=_answer(created.repeated()))
