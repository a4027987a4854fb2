"""The endpoints that receive 100ms's events: check the sender, store the event, answer with 200.

Only 200 counts as received at 100ms, which tries four times in 14 seconds and never again. So an
event is answered once it is durable in the database and the workflow of its session was signaled,
if that takes milliseconds. Whether it could be signaled makes no difference to the answer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.errors.problems import (
    BodyTooLargeProblem,
    ConnectionNotFoundProblem,
    FieldProblem,
    InvalidRequestProblem,
    MalformedJsonProblem,
    Problem,
    RateLimitedProblem,
    UnavailableProblem,
    WebhookSecretProblem,
    WebhookSignatureProblem,
    WebhookSourceProblem,
    WebhookTimestampProblem,
)
from api.errors.reference import documented
from api.services import Services, ServicesDependency
from app.services.connections import CachedConnection
from domain.hms.admission import (
    SIGNATURE_HEADER,
    FailedCheck,
    PresentedCredentials,
    failed_check,
    is_timely,
    serves,
)
from domain.hms.events import HmsEvent, NotAnEventError, parse_event
from domain.tenants.addresses import IPAddress, client_address
from infra.db.errors import RecordMissingError

PREFIX: Final = "/v1/webhooks/100ms"
NAMES: Final = frozenset({"receive_connection_event", "receive_workspace_event"})
"""Functions whose URLs may carry anything in their query, as people mark webhooks with."""

MAX_BODY_BYTES: Final = 256 << 10
"""100ms's largest events are lists of recordings, some kilobytes."""

_PROBLEMS: Final[dict[FailedCheck, type[Problem]]] = {
    FailedCheck.SOURCE: WebhookSourceProblem,
    FailedCheck.SECRET: WebhookSecretProblem,
    FailedCheck.SIGNATURE: WebhookSignatureProblem,
    FailedCheck.TIMESTAMP: WebhookTimestampProblem,
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
    RateLimitedProblem,
    UnavailableProblem,
)
_EXAMPLE: Final[dict[str, Any]] = {
    "version": "2.0",
    "id": "8ac5b1f0-3f1c-4a57-9d3b-5b0b6a2d7f44",
    "account_id": "60b8e13a6eb86d8101b57354",
    "timestamp": "2026-05-02T19:00:00.123456789Z",
    "type": "hls.started.success",
    "data": {
        "beam_id": "627cf8d9e8d3c6a4f2b1a0c7",
        "room_id": "627cf8ba11e25ab3a04a2d10",
        "session_id": "627cf8d1f7c59e2a1b3d4e5f",
        "url": "https://cdn.100ms.live/beam/60b8e13a/627cf8ba/20260502/1777748400000/master.m3u8",
        "started_at": "2026-05-02T19:00:00Z",
    },
}
_BODY: Final[dict[str, Any]] = {
    "security": [],  # the connection defines how its sender authenticates
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}, "example": _EXAMPLE}},
    },
}
_log = structlog.get_logger(__name__)
router = APIRouter(prefix="/v1/webhooks", tags=["100ms"])


class Receipt(BaseModel):
    """The event is stored."""

    id: str = Field(description="The event's id, else a hash of its body.")
    is_new: bool = Field(description="False when it had been received before.")


@router.post(
    "/100ms/{connection_id}",
    operation_id="receiveConnectionEvent",
    response_model=Receipt,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def receive_connection_event(
    connection_id: UUID, request: Request, services: ServicesDependency
) -> Response:
    """Receive an event of one connection from 100ms; see the guide to 100ms's webhooks."""
    body = await request.body()
    try:
        return await _receive_for(services, request, connection_id, body)
    except _RefusedError as refused:
        raise await _answer(services, request, refused) from None


@router.post(
    "/100ms",
    operation_id="receiveWorkspaceEvent",
    response_model=Receipt,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def receive_workspace_event(request: Request, services: ServicesDependency) -> Response:
    """Receive an event from 100ms and find its connection by account and app.

    Only connections that check a secret or a signature are considered: any sender can state an
    account, and the addresses of 100ms are the same for all of its customers.
    """
    body = await request.body()
    try:
        return await _receive_for_workspace(services, request, body)
    except _RefusedError as refused:
        raise await _answer(services, request, refused) from None


async def _receive_for(
    services: Services, request: Request, connection_id: UUID, body: bytes
) -> Response:
    is_new = not services.connections.remembers(connection_id)
    if is_new:
        await services.limits.admit_lookup(request.scope)
    connection = await services.connections.find(connection_id)
    if connection is None:
        if is_new:
            await services.limits.note_unknown(request.scope)
        raise _RefusedError(ConnectionNotFoundProblem())
    failed = _judge(services, request, connection, body)
    if failed is not None:
        raise _RefusedError(_PROBLEMS[failed](), connection)
    event = _parse(body)
    _require_timely(connection, event)
    return await _receive(services, connection, event, body)


async def _receive_for_workspace(services: Services, request: Request, body: bytes) -> Response:
    event = _parse(body)
    found = await _candidates(services, request, event)
    if not found:
        raise _RefusedError(ConnectionNotFoundProblem())
    failures: list[FailedCheck] = []
    for connection in found:
        failed = _judge(services, request, connection, body)
        if failed is None:
            _require_timely(connection, event)
            return await _receive(services, connection, event, body)
        failures.append(failed)
    raise _RefusedError(_PROBLEMS[failures[0]]())


async def _candidates(
    services: Services, request: Request, event: HmsEvent
) -> list[CachedConnection]:
    found: dict[UUID, CachedConnection] = {}
    named = [each for each in (event.app_id, event.account_id) if each is not None]
    is_new = not all(services.connections.remembers(each) for each in named)
    if is_new:
        await services.limits.admit_lookup(request.scope)
    for workspace in named:
        for each in await services.connections.find_by_workspace(workspace):
            found[each.id] = each
    if is_new and not found:
        await services.limits.note_unknown(request.scope)
    return [
        each
        for each in found.values()
        if each.checks.tell_tenants_apart
        and serves(event, account_id=each.account_id, app_id=each.app_id)
    ]


def _judge(
    services: Services, request: Request, connection: CachedConnection, body: bytes
) -> FailedCheck | None:
    checks = connection.checks
    value = request.headers.get(checks.header_name)
    presented = PresentedCredentials(
        source=_source(services, request, connection),
        header_hash=None if value is None else services.connection_secrets.hash_header(value),
        signature=request.headers.get(SIGNATURE_HEADER),
        body=body,
    )
    if connection.secrets is None:
        return FailedCheck.SIGNATURE
    return failed_check(checks, connection.secrets, presented)


def _source(services: Services, request: Request, connection: CachedConnection) -> IPAddress | None:
    if request.client is None:
        return None
    try:
        return client_address(
            request.client.host,
            request.headers.getlist("X-Forwarded-For"),
            [*services.settings.trusted_proxies, *connection.trusted_proxies],
        )
    except ValueError:
        return None


def _parse(body: bytes) -> HmsEvent:
    try:
        return parse_event(body)
    except NotAnEventError as error:
        if not error.is_json:
            raise _RefusedError(MalformedJsonProblem()) from None
        problem = InvalidRequestProblem(errors=[FieldProblem(pointer="", detail=str(error))])
        raise _RefusedError(problem) from None


def _require_timely(connection: CachedConnection, event: HmsEvent) -> None:
    if not is_timely(
        connection.checks,
        timestamp=event.timestamp,
        is_replay=event.is_replay,
        now=datetime.now(UTC),
    ):
        raise _RefusedError(_PROBLEMS[FailedCheck.TIMESTAMP](), connection)


async def _receive(
    services: Services, connection: CachedConnection, event: HmsEvent, body: bytes
) -> Response:
    try:
        stored = await services.event_writer.store(
            event, tenant_id=connection.tenant_id, connection_id=connection.id, body=body
        )
    except RecordMissingError:
        services.connections.forget(connection.id)
        raise _RefusedError(ConnectionNotFoundProblem(), connection) from None
    # The log line of the request names the event: one line per event is enough.
    structlog.contextvars.bind_contextvars(
        tenant_id=str(connection.tenant_id),
        connection_id=str(connection.id),
        # An unknown type is untrusted text.
        type=event.type if event.is_known else "unknown",
        is_new=stored.is_new,
        **({} if stored.correlation_id is None else {"correlation_id": stored.correlation_id}),
    )
    if stored.session is not None:
        await services.event_dispatcher.dispatch(
            stored.session, ack_timeout=services.settings.inbound_ack_timeout
        )
    receipt = Receipt(id=event.id, is_new=stored.is_new)
    # A response of our own is sent as it is: the framework would validate the receipt once more.
    return Response(receipt.model_dump_json(), media_type="application/json")


class _RefusedError(Exception):
    """An event is refused with a problem, perhaps by the checks of a connection."""

    def __init__(self, problem: Problem, connection: CachedConnection | None = None) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.connection_id = None if connection is None else str(connection.id)


async def _answer(services: Services, request: Request, refused: _RefusedError) -> Problem:
    """Log a refusal without text of the sender; return the response."""
    named = {} if refused.connection_id is None else {"connection_id": refused.connection_id}
    _log.warning("inbound_refused", code=refused.problem.code, **named)
    return await services.limits.refused_inbound(request.scope, refused.problem)
