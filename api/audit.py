"""The audit log: who changed what, when, and from where."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Administrator
from api.errors.problems import (
    InvalidCursorProblem,
)
from api.errors.reference import WITH_KEY, documented
from api.pagination import Cursor, Limit, Page, decode, next_cursor
from api.request_model import Timestamp
from api.services import ServicesDependency
from domain.tenants.audit import ActorKind, AuditAction, AuditTarget
from domain.text import Name
from infra.db.repositories import audit
from infra.db.repositories.audit import AuditFilter
from infra.db.tables import AuditEntry

_NEWEST: Final = "-at"
router = APIRouter(prefix="/v1/audit", tags=["audit"])


class AuditActorModel(BaseModel):
    """Who made the change."""

    kind: ActorKind
    id: UUID | None = Field(description="The API key, if the actor is one.")


class AuditTargetModel(BaseModel):
    """What was changed."""

    kind: str = Field(examples=["key"])
    id: str


class AuditEntryModel(BaseModel):
    """An audit entry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "5b2f7a52-0f0e-4b0a-9a53-51f5b9e6a0c1",
                    "at": "2026-05-02T19:00:00Z",
                    "actor": {"kind": "api_key", "id": "7b0a1c1e-6f52-4c8e-9b0e-9f2b6a2f7f51"},
                    "action": "key.revoked",
                    "target": {"kind": "key", "id": "0c7f3f0e-8c55-4f0e-9a55-2b7f6d2f1a11"},
                    "details": {"name": "scoreboard"},
                    "request_id": "req_8h3kq0",
                    "client_address": "203.0.113.9",
                }
            ]
        }
    )

    id: UUID
    at: datetime
    actor: AuditActorModel
    action: str = Field(examples=["key.revoked"])
    target: AuditTargetModel
    details: dict[str, Any] = Field(description="What changed; the format depends on the action.")
    request_id: str | None = Field(
        description="`X-Request-Id` of the request, if the change was one."
    )
    client_address: str | None

    @classmethod
    def of(cls, row: AuditEntry) -> Self:
        """Return an entry."""
        return cls(
            id=row.id,
            at=row.at,
            actor=AuditActorModel(kind=ActorKind(row.actor_kind), id=row.actor_id),
            action=row.action,
            target=AuditTargetModel(kind=row.target_kind, id=row.target_id),
            details=row.details,
            request_id=row.request_id,
            client_address=row.client_address,
        )


@router.get(
    "",
    operation_id="listAuditEntries",
    responses=documented(
        *WITH_KEY,
        InvalidCursorProblem,
    ),
)
async def list_audit_entries(
    *,
    caller: Administrator,
    services: ServicesDependency,
    action: AuditAction | None = None,
    target_kind: AuditTarget | None = None,
    target_id: Annotated[
        Name | None, Query(description="Such as a key id or a profile id.")
    ] = None,
    since: Annotated[Timestamp | None, Query(description="Entries at or after this time.")] = None,
    until: Annotated[Timestamp | None, Query(description="Entries before this time.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditEntryModel]:
    """List audit entries that match all filters, newest first. Entries are never changed."""
    after = decode(cursor, sort=_NEWEST, by_time=True)
    async with services.database.session(caller.tenant_id) as session:
        rows = await audit.list_page(
            session,
            tenant_id=caller.tenant_id,
            criteria=AuditFilter(
                action=action,
                target_kind=target_kind,
                target_id=target_id,
                since=since,
                until=until,
            ),
            after=after,
            limit=limit + 1,
        )
    return Page(
        data=[AuditEntryModel.of(row) for row in rows[:limit]],
        next_cursor=next_cursor(rows, limit=limit, column="at", sort=_NEWEST),
    )
