"""Routes of 100ms connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.auth import Administrator, AuditActor
from api.connections.schemas import (
    ConnectionModel,
    ConnectionPatch,
    ConnectionRequest,
    InboundEventList,
    InboundEventModel,
    invalid_checks_as_problem,
    management_columns,
    plain_columns,
)
from api.errors.problems import (
    ConnectionNotFoundProblem,
    InvalidCursorProblem,
)
from api.errors.reference import IDEMPOTENT, WITH_BODY, WITH_KEY, documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.pagination import MAX_LIMIT, Cursor, Limit, Page, decode, next_cursor
from api.services import Services, ServicesDependency
from app.services.connections import ConnectionService, revised
from domain.hms.admission import Checks
from infra.db.errors import RecordMissingError
from infra.db.repositories import connections, inbound_events
from infra.db.repositories.idempotency import StoredResponse
from infra.db.tables import Connection
from infra.encryption import PlainSecrets

_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1/connections", tags=["connections"])


@router.post(
    "",
    operation_id="createConnection",
    status_code=201,
    response_model=ConnectionModel,
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, *IDEMPOTENT),
)
async def create_connection(
    body: ConnectionRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Connect a 100ms workspace.

    The response contains the secrets. They cannot be read again, not even by a retry with the same
    `Idempotency-Key`; if you lose them, rotate them.
    """
    with invalid_checks_as_problem():
        checks = revised(Checks().model_dump(), body.checks.given() if body.checks else {})

    async def create(session: AsyncSession, connection_id: UUID) -> Created:
        row, secrets = await _service(services).create(
            session,
            connection_id,
            plain_columns(body)
            | management_columns(body, services.connection_secrets, connection_id=connection_id),
            tenant_id=caller.tenant_id,
            checks=checks,
            actor=actor,
        )
        return Created(
            response=_answer(row, services, secrets=secrets), stored=_answer(row, services)
        )

    once = IdempotentRequest(
        tenant_id=caller.tenant_id, key=idempotency_key, operation="createConnection", body=body
    )
    answer = await once.respond(services.database, create)
    services.connections.forget_workspaces()
    return answer


@router.get(
    "", operation_id="listConnections", responses=documented(*WITH_KEY, InvalidCursorProblem)
)
async def list_connections(
    caller: Administrator,
    services: ServicesDependency,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ConnectionModel]:
    """List connections, newest first."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await connections.list_page(
            session, tenant_id=caller.tenant_id, after=after, limit=limit + 1
        )
    base_url = services.settings.base_url()
    return Page(
        data=[ConnectionModel.of(row, base_url=base_url) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="created_at", sort=_NEWEST),
    )


@router.get(
    "/{connection_id}",
    operation_id="getConnection",
    responses=documented(*WITH_KEY, ConnectionNotFoundProblem),
)
async def get_connection(
    connection_id: UUID, caller: Administrator, services: ServicesDependency
) -> ConnectionModel:
    """Read a connection, without its secrets."""
    async with services.database.session(caller.tenant_id) as session:
        row = await connections.get(
            session, tenant_id=caller.tenant_id, connection_id=connection_id
        )
    if row is None:
        raise ConnectionNotFoundProblem
    return ConnectionModel.of(row, base_url=services.settings.base_url())


@router.patch(
    "/{connection_id}",
    operation_id="updateConnection",
    dependencies=[Depends(require_json)],
    responses=documented(*WITH_KEY, *WITH_BODY, ConnectionNotFoundProblem),
)
async def update_connection(
    connection_id: UUID,
    body: ConnectionPatch,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> ConnectionModel:
    """Change a connection. The change applies to events received from now on."""
    with _missing_as_problem(), invalid_checks_as_problem():
        changed = await _service(services).update(
            connection_id,
            plain_columns(body)
            | management_columns(body, services.connection_secrets, connection_id=connection_id),
            tenant_id=caller.tenant_id,
            checks=None if body.checks is None else body.checks.given(),
            actor=actor,
        )
    return ConnectionModel.of(changed, base_url=services.settings.base_url())


@router.delete(
    "/{connection_id}",
    operation_id="deleteConnection",
    status_code=204,
    response_class=Response,
    responses=documented(*WITH_KEY, ConnectionNotFoundProblem),
)
async def delete_connection(
    connection_id: UUID, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> None:
    """Delete a connection and its stored events. Streams it started are unaffected."""
    with _missing_as_problem():
        await _service(services).delete(connection_id, tenant_id=caller.tenant_id, actor=actor)


@router.post(
    "/{connection_id}/rotate",
    operation_id="rotateConnectionSecrets",
    responses=documented(*WITH_KEY, ConnectionNotFoundProblem),
)
async def rotate_secrets(
    connection_id: UUID,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> ConnectionModel:
    """Generate new secrets. The previous ones stay valid for 24 hours."""
    with _missing_as_problem():
        row, secrets = await _service(services).rotate(
            connection_id, tenant_id=caller.tenant_id, actor=actor
        )
    return ConnectionModel.of(row, base_url=services.settings.base_url(), secrets=secrets)


@router.get(
    "/{connection_id}/events",
    operation_id="listConnectionEvents",
    responses=documented(*WITH_KEY, ConnectionNotFoundProblem),
)
async def list_events(
    connection_id: UUID,
    caller: Administrator,
    services: ServicesDependency,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Maximum number of events.")] = 50,
) -> InboundEventList:
    """List a connection's latest events with their outcomes, newest first."""
    async with services.database.session(caller.tenant_id) as session:
        row = await connections.get(
            session, tenant_id=caller.tenant_id, connection_id=connection_id
        )
        if row is None:
            raise ConnectionNotFoundProblem
        rows = await inbound_events.list_newest(
            session, tenant_id=caller.tenant_id, connection_id=connection_id, limit=limit
        )
    return InboundEventList(data=[InboundEventModel.of(each) for each in rows])


def _answer(
    row: Connection, services: Services, *, secrets: PlainSecrets | None = None
) -> StoredResponse:
    model = ConnectionModel.of(row, base_url=services.settings.base_url(), secrets=secrets)
    return StoredResponse(
        status=201,
        headers={"Location": f"/v1/connections/{row.id}"},
        body=model.model_dump(mode="json"),
    )


def _service(services: Services) -> ConnectionService:
    return ConnectionService(services.database, services.connection_secrets, services.connections)


@contextmanager
def _missing_as_problem() -> Iterator[None]:
    try:
        yield
    except RecordMissingError as error:
        raise ConnectionNotFoundProblem from error
