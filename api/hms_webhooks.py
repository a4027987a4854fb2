"""Where 100ms sends its events: judged, recorded, brought to their streams, answered with 200.

Only 200 counts as received at 100ms, which tries four times in 14 seconds and never again. So an
event is answered as soon as it is in the database; whether its stream could be told at once makes
no difference to the sender.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from api.problem_reference import documented
from api.problems import (
    BodyTooLargeProblem,
    ConnectionNotFoundProblem,
    FieldProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    Problem,
    UnavailableProblem,
    WebhookSecretProblem,
    WebhookSignatureProblem,
    WebhookSourceProblem,
    WebhookTimestampProblem,
)
from api.services import Services, ServicesDependency
from domain.client_address import IPAddress, client_address, network
from domain.hms.admission import (
    SIGNATURE_HEADER,
    Checks,
    Presented,
    Refusal,
    is_timely,
    refusal,
    serves,
)
from domain.hms.events import HmsEvent, NotAnEventError, parse_event
from infra.repositories import connections
from infra.schema import Connection

PREFIX: Final = "/v1/webhooks/100ms"
MAX_BODY_BYTES: Final = 256 << 10
"""100ms's largest events are lists of recordings, some kilobytes."""

_PATIENCE: Final = 1.0
"""Seconds that an answer waits for the stream to be told; the relay does what takes longer."""

_PROBLEMS: Final[dict[Refusal, type[Problem]]] = {
    Refusal.SOURCE: WebhookSourceProblem,
    Refusal.SECRET: WebhookSecretProblem,
    Refusal.SIGNATURE: WebhookSignatureProblem,
    Refusal.TIMESTAMP: WebhookTimestampProblem,
}
_RESPONSES: Final = documented(
    MalformedJsonProblem,
    WebhookSourceProblem,
    WebhookSecretProblem,
    WebhookSignatureProblem,
    WebhookTimestampProblem,
    ConnectionNotFoundProblem,
    BodyTooLargeProblem,
    InvalidRequestProblem,
    UnavailableProblem,
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/webhooks", tags=["100ms"])


class Receipt(BaseModel):
    """An event is safe with us."""

    id: str = Field(description="The event's id, else a hash of its body.")
    is_new: bool = Field(description="False when it had been received before.")


@router.post(
    "/100ms/{connection_id}",
    operation_id="receiveConnectionEvent",
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def receive_connection_event(
    connection_id: UUID, request: Request, services: ServicesDependency
) -> Receipt:
    """Receive an event of one connection from 100ms; see the guide to 100ms's webhooks."""
    body = await request.body()
    async with services.database.connection_session(connection_id) as session:
        connection = await connections.find(session, connection_id=connection_id)
    if connection is None:
        raise _refused(ConnectionNotFoundProblem())
    failed = _judge(services, request, connection, body)
    if failed is not None:
        raise _refused(_PROBLEMS[failed](), connection)
    event = _parse(body)
    _require_timely(connection, event)
    return await _receive(services, connection, event, body)


@router.post(
    "/100ms",
    operation_id="receiveWorkspaceEvent",
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def receive_workspace_event(request: Request, services: ServicesDependency) -> Receipt:
    """Receive an event from 100ms; its account and app say which connection it belongs to.

    Only connections that check a secret or a signature are looked at, since an account can be named
    by anybody, and 100ms's addresses are the same for all.
    """
    body = await request.body()
    event = _parse(body)
    found = await _candidates(services, event)
    if not found:
        raise _refused(ConnectionNotFoundProblem())
    failures: list[Refusal] = []
    for connection in found:
        failed = _judge(services, request, connection, body)
        if failed is None:
            _require_timely(connection, event)
            return await _receive(services, connection, event, body)
        failures.append(failed)
    raise _refused(_PROBLEMS[failures[0]]())


async def _candidates(services: Services, event: HmsEvent) -> list[Connection]:
    found: dict[UUID, Connection] = {}
    for workspace in (event.app_id, event.account_id):
        if workspace is not None:
            async with services.database.workspace_session(workspace) as session:
                for row in await connections.find_by_workspace(session, workspace=workspace):
                    found[row.id] = row
    return [
        row
        for row in found.values()
        if Checks.model_validate(row.checks).tell_tenants_apart
        and serves(event, account_id=row.account_id, app_id=row.app_id)
    ]


def _judge(
    services: Services, request: Request, connection: Connection, body: bytes
) -> Refusal | None:
    checks = Checks.model_validate(connection.checks)
    secrets = services.connection_secrets
    value = request.headers.get(checks.header_name)
    presented = Presented(
        source=_source(services, request, checks),
        header_hash=None if value is None else secrets.hash_header(value),
        signature=request.headers.get(SIGNATURE_HEADER),
        body=body,
    )
    return refusal(checks, secrets.accepted(connection), presented)


def _source(services: Services, request: Request, checks: Checks) -> IPAddress | None:
    if request.client is None:
        return None
    trusted = [network(each) for each in checks.trusted_proxies]
    try:
        return client_address(
            request.client.host,
            request.headers.getlist("X-Forwarded-For"),
            [*services.settings.trusted_proxies, *trusted],
        )
    except ValueError:
        return None


def _parse(body: bytes) -> HmsEvent:
    try:
        return parse_event(body)
    except NotAnEventError as error:
        if not error.is_json:
            raise _refused(MalformedJsonProblem()) from None
        problem = InvalidRequestProblem(errors=[FieldProblem(pointer="", detail=str(error))])
        raise _refused(problem) from None


def _require_timely(connection: Connection, event: HmsEvent) -> None:
    checks = Checks.model_validate(connection.checks)
    if not is_timely(
        checks, timestamp=event.timestamp, is_replay=event.is_replay, now=datetime.now(UTC)
    ):
        raise _refused(_PROBLEMS[Refusal.TIMESTAMP](), connection)


async def _receive(
    services: Services, connection: Connection, event: HmsEvent, body: bytes
) -> Receipt:
    recorded = await services.inbound.record(
        event, tenant_id=connection.tenant_id, connection_id=connection.id, body=body
    )
    _log.info(
        "inbound_event",
        tenant_id=str(connection.tenant_id),
        connection_id=str(connection.id),
        # A type that we do not know is whatever a stranger wrote.
        type=event.type if event.is_known else "unknown",
        is_new=recorded.is_new,
    )
    if recorded.lane is not None:
        await services.inbound.deliver_soon(connection.tenant_id, recorded.lane, patience=_PATIENCE)
    return Receipt(id=event.id, is_new=recorded.is_new)


def _refused(problem: Problem, connection: Connection | None = None) -> Problem:
    """Say in the log what is refused, in our own words only."""
    named = {} if connection is None else {"connection_id": str(connection.id)}
    _log.warning("inbound_refused", code=problem.code, **named)
    return problem
