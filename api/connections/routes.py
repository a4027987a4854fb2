"""100ms connections: which workspaces' events we follow, and how their senders are known."""

from __future__ import annotations

from datetime import UTC, datetime
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
    checks_after,
    management_columns,
    plain_columns,
)
from api.errors.problems import (
    BodyTooLargeProblem,
    ConnectionNotFoundProblem,
    IdempotencyMismatchProblem,
    InvalidCursorProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    MissingScopeProblem,
    RequestInProgressProblem,
    UnauthenticatedProblem,
    UnavailableProblem,
    UnsupportedMediaTypeProblem,
)
from api.errors.reference import documented
from api.idempotency import Created, IdempotencyKeyHeader, IdempotentRequest
from api.middleware.json_content import require_json
from api.pagination import MAX_LIMIT, Cursor, Limit, Page, decode, next_cursor
from api.services import Services, ServicesDependency
from domain.hms.admission import Checks
from domain.tenants.audit import AuditAction
from infra.connection_secrets import OVERLAP, PlainSecrets
from infra.db.repositories import audit, connections, inbound_events
from infra.db.repositories.idempotency import StoredResponse
from infra.db.tables import Connection

_NEWEST: Final = "-created_at"
router = APIRouter(prefix="/v1/connections", tags=["connections"])
_ALWAYS = (UnauthenticatedProblem, MissingScopeProblem, InvalidRequestProblem, UnavailableProblem)
_BODY = (MalformedJsonProblem, BodyTooLargeProblem, UnsupportedMediaTypeProblem)


@router.post(
    "",
    operation_id="createConnection",
    status_code=201,
    response_model=ConnectionModel,
    dependencies=[Depends(require_json)],
    responses=documented(*_ALWAYS, *_BODY, RequestInProgressProblem, IdempotencyMismatchProblem),
)
async def create_connection(
    body: ConnectionRequest,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
    idempotency_key: IdempotencyKeyHeader = None,
) -> JSONResponse:
    """Connect a 100ms workspace.

    The answer holds the secrets, which cannot be read again, not even by repeating the request
    under its `Idempotency-Key`: rotate them if they were lost.
    """
    checks = checks_after(body, Checks())

    async def create(session: AsyncSession, connection_id: UUID) -> Created:
        secrets = services.connection_secrets.generate()
        row = await connections.create(
            session,
            tenant_id=caller.tenant_id,
            id=connection_id,
            checks=checks.model_dump(mode="json"),
            **services.connection_secrets.stored(secrets, connection_id=connection_id),
            **management_columns(body, services.connection_secrets, connection_id=connection_id),
            **{"title": "", **plain_columns(body)},
        )
        await audit.record(
            session,
            tenant_id=caller.tenant_id,
            action=AuditAction.CONNECTION_CREATED,
            target_id=row.id,
            actor=actor,
            details={"name": row.name},
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
    "", operation_id="listConnections", responses=documented(*_ALWAYS, InvalidCursorProblem)
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
    responses=documented(*_ALWAYS, ConnectionNotFoundProblem),
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
    responses=documented(*_ALWAYS, *_BODY, ConnectionNotFoundProblem),
)
async def update_connection(
    connection_id: UUID,
    body: ConnectionPatch,
    caller: Administrator,
    actor: AuditActor,
    services: ServicesDependency,
) -> ConnectionModel:
    """Change a connection; events that come from now on are judged by it."""
    async with services.database.session(caller.tenant_id) as session:
        row = await connections.get(
            session, tenant_id=caller.tenant_id, connection_id=connection_id
        )
        if row is None:
            raise ConnectionNotFoundProblem
        values = plain_columns(body) | management_columns(
            body, services.connection_secrets, connection_id=connection_id
        )
        if body.checks is not None:
            checks = checks_after(body, Checks.model_validate(row.checks))
            values["checks"] = checks.model_dump(mode="json")
        changed = await connections.update(
            session, tenant_id=caller.tenant_id, connection_id=connection_id, values=values
        )
        if changed is None:
            raise ConnectionNotFoundProblem
        await audit.record(
            session,
            tenant_id=caller.tenant_id,
            action=AuditAction.CONNECTION_UPDATED,
            target_id=connection_id,
            actor=actor,
            details={"changed": sorted(values)},
        )
    services.connections.forget(connection_id)
    return ConnectionModel.of(changed, base_url=services.settings.base_url())


@router.delete(
    "/{connection_id}",
    operation_id="deleteConnection",
    status_code=204,
    response_class=Response,
    responses=documented(*_ALWAYS, ConnectionNotFoundProblem),
)
async def delete_connection(
    connection_id: UUID, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> None:
    """Delete a connection and what it brought; its streams stay, and go on."""
    async with services.database.session(caller.tenant_id) as session:
        removed = await connections.remove(
            session, tenant_id=caller.tenant_id, connection_id=connection_id
        )
        if not removed:
            raise ConnectionNotFoundProblem
        await audit.record(
            session,
            tenant_id=caller.tenant_id,
            action=AuditAction.CONNECTION_DELETED,
            target_id=connection_id,
            actor=actor,
        )
    services.connections.forget(connection_id)


@router.post(
    "/{connection_id}/rotate",
    operation_id="rotateConnectionSecrets",
    responses=documented(*_ALWAYS, ConnectionNotFoundProblem),
)
async def rotate_secrets(
    connection_id: UUID, caller: Administrator, actor: AuditActor, services: ServicesDependency
) -> ConnectionModel:
    """Make new secrets; those they replace stay good for 24 hours."""
    secrets = services.connection_secrets.generate()
    stored = services.connection_secrets.stored(secrets, connection_id=connection_id)
    async with services.database.session(caller.tenant_id) as session:
        row = await connections.rotate(
            session,
            tenant_id=caller.tenant_id,
            connection_id=connection_id,
            header_hash=stored["header_hash"],
            signing_secret=stored["signing_secret"],
            previous_until=datetime.now(UTC) + OVERLAP,
        )
        if row is None:
            raise ConnectionNotFoundProblem
        await audit.record(
            session,
            tenant_id=caller.tenant_id,
            action=AuditAction.CONNECTION_ROTATED,
            target_id=connection_id,
            actor=actor,
        )
    services.connections.forget(connection_id)
    return ConnectionModel.of(row, base_url=services.settings.base_url(), secrets=secrets)


@router.get(
    "/{connection_id}/events",
    operation_id="listConnectionEvents",
    responses=documented(*_ALWAYS, ConnectionNotFoundProblem),
)
async def list_events(
    connection_id: UUID,
    caller: Administrator,
    services: ServicesDependency,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Latest events to show.")] = 50,
) -> InboundEventList:
    """Show the latest events that a connection brought, and what came of each."""
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
