"""What an attack of `attacks` aims at: ids, and rows made of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import make_transient_to_detached

from domain.clips.models import ClipSpec
from domain.exports.batches import BatchRef
from domain.exports.models import (
    ExportSource,
    ExportSpec,
    RenditionFormat,
    RenditionSpec,
)
from domain.highlights.selection import DecisionStatus
from domain.hms.effects import EndSession
from domain.hms.messages import SessionRef
from domain.media.segments import GapStatus
from domain.profiles.documents import ProfileOverride
from domain.score import DIMENSIONS
from domain.streams.backfill.messages import BackfillRecord
from domain.streams.backfill.planning import GapOutcome
from domain.streams.status import StreamProgress
from domain.tenants.usage import UsageKind
from domain.webhooks.events import (
    EndpointStatus,
    Event,
    EventType,
    UsagePayload,
    event,
)
from infra.db.repositories import (
    api_keys,
    connections,
    exports,
    highlights,
    idempotency,
    inbound_events,
    tenants,
)
from infra.db.repositories.inbound_events import NewEvent
from infra.db.repositories.search import TextQuery
from infra.db.tables import (
    ApiKey,
    Clip,
    Export,
    ExportBatch,
    Highlight,
    Stream,
    UsageBudget,
    WebhookEndpoint,
)
from tests.factories.rows import PROFILE, candidate, decision

WHEN = datetime(2026, 5, 2, tzinfo=UTC)
EVER = timedelta(days=9999)
CROWD = TextQuery(tsquery="'crowd'", needed=(frozenset({"crowd"}),))


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom the attacker claims to be, and what it asks for."""

    tenant: UUID
    stream: UUID
    highlight: UUID
    clip: UUID
    export: UUID
    batch: UUID
    deleted: UUID
    key: UUID
    key_hash: bytes
    event: UUID
    endpoint: UUID
    delivery: UUID
    connection: UUID
    workspace: str
    beam: str
    idempotency_key: str
    profile: str
    author: str


async def record_decision(session: AsyncSession, it: Target) -> object:
    about = candidate(it.tenant, it.stream).model_copy(update={"id": it.highlight})
    again = decision(about, status=DecisionStatus.RETRACTED, decided_at=1e6)
    return await highlights.record_decisions(
        session,
        tenant_id=it.tenant,
        stream_id=it.stream,
        profile=PROFILE,
        candidates=[about],
        decisions=[again],
    )


def override(it: Target) -> ProfileOverride:
    return ProfileOverride(
        tenant_id=it.tenant,
        profile_id=it.profile,
        revision=2,
        patch={},
        created_at=WHEN,
        created_by=it.key,
    )


def webhook_event(it: Target) -> Event:
    payload = UsagePayload(kind="x", period="2026-05", percent=50, used=1, budget=2)
    return event(
        EventType.USAGE_THRESHOLD,
        payload,
        tenant_id=it.tenant,
        subject="usage/x",
        revision=1,
        created_at=WHEN,
    ).model_copy(update={"id": it.event})


async def claim_key(session: AsyncSession, it: Target) -> object:
    claim = await idempotency.claim(
        session,
        tenant_id=it.tenant,
        key=it.idempotency_key,
        request_hash=b"x",
        resource_id=it.stream,
        lease=timedelta(seconds=9),
    )
    return claim.resource_id == it.stream, claim.response


def stream_row(it: Target) -> Stream:
    return Stream(tenant_id=it.tenant, id=it.stream, status="live", segments=1, revision=1)


def highlight_row(it: Target) -> Highlight:
    return Highlight(
        tenant_id=it.tenant,
        id=it.highlight,
        stream_id=it.stream,
        game="g",
        status="pending",
        tier="standard",
        tags=[],
        revision=1,
        **dict.fromkeys(("title", "description"), ""),
        **dict.fromkeys(("score", "confidence", "start", "peak", "end"), 0.5),
        **dict.fromkeys(DIMENSIONS, 0.5),
        updated_at=WHEN,
    )


def clip_row(it: Target) -> Clip:
    return Clip(
        tenant_id=it.tenant,
        id=it.clip,
        stream_id=it.stream,
        highlight_id=it.highlight,
        status="failed",
        message="",
        revision=1,
        **dict.fromkeys(("start", "duration"), 0.5),
        updated_at=WHEN,
    )


def export_spec(it: Target, export_id: UUID) -> ExportSpec:
    return ExportSpec(
        id=export_id,
        tenant_id=it.tenant,
        source=ExportSource(stream_id=it.stream, start=0.0, end=4.0),
        renditions=(RenditionSpec(format=RenditionFormat.MP4),),
    )


def export_row(it: Target) -> Export:
    return Export(
        tenant_id=it.tenant,
        id=it.export,
        stream_id=it.stream,
        status="failed",
        spec=export_spec(it, it.export).model_dump(mode="json"),
        results=[],
        message="",
        revision=1,
        updated_at=WHEN,
    )


def batch_ref(it: Target) -> BatchRef:
    return BatchRef(tenant_id=it.tenant, batch_id=it.batch)


async def batch_counts(session: AsyncSession, it: Target) -> object:
    found = await exports.batch_counts(session, tenant_id=it.tenant, batch_ids=[it.batch])
    return list(found.values())


def batch_row(it: Target) -> ExportBatch:
    return ExportBatch(
        tenant_id=it.tenant,
        id=it.batch,
        status="failed",
        request={},
        exports=1,
        message="",
        revision=1,
        updated_at=WHEN,
    )


def requested_clip(it: Target) -> ClipSpec:
    return ClipSpec(
        id=uuid4(),
        tenant_id=it.tenant,
        stream_id=it.stream,
        highlight_id=None,
        start=0.0,
        end=2.0,
        peak=1.0,
        segments=(),
    )


def budget_row(it: Target) -> UsageBudget:
    kind = UsageKind.CLIP_RENDERED.value
    return UsageBudget(tenant_id=it.tenant, kind=kind, monthly=Decimal(1), updated_at=WHEN)


def key_row(session: AsyncSession, it: Target) -> ApiKey:
    """Return a key as if the session had read it."""
    row = ApiKey(tenant_id=it.tenant, id=it.key, name="k", revoked_at=None)
    make_transient_to_detached(row)
    session.add(row)
    return row


def endpoint_row(session: AsyncSession, it: Target) -> WebhookEndpoint:
    """Return an endpoint as if the session had read it."""
    row = WebhookEndpoint(
        tenant_id=it.tenant,
        id=it.endpoint,
        url="https://attacker.example.com/",
        description="",
        event_types=[],
        secret=b"x",
        status=EndpointStatus.ENABLED,
        failing_since=None,
        revision=1,
        updated_at=WHEN,
    )
    make_transient_to_detached(row)
    session.add(row)
    return row


async def read_tenant(session: AsyncSession, it: Target) -> object:
    row = await tenants.get(session, tenant_id=it.tenant)
    return None if row is None else row.slug


async def lock_keys(session: AsyncSession, it: Target) -> None:
    await api_keys.lock(session, it.tenant)  # the time it returns is no secret


async def new_connection(session: AsyncSession, it: Target) -> object:
    return await connections.create(
        session,
        tenant_id=it.tenant,
        id=it.connection,
        name="x",
        checks={},
        header_hash=b"x",
        signing_secret=b"x",
    )


def inbound_event(it: Target) -> NewEvent:
    return NewEvent(
        tenant_id=it.tenant,
        connection_id=it.connection,
        event_id=it.beam,
        type="x",
        effect=EndSession(session_id=it.beam, message="x"),
        partition=it.beam,
    )


def gap_outcomes(it: Target) -> BackfillRecord:
    lost = GapOutcome(start=2.0, first_sequence=0, status=GapStatus.LOST, resolution="x")
    return BackfillRecord(
        tenant_id=it.tenant, stream_id=it.stream, progress=StreamProgress(), outcomes=(lost,)
    )


async def pending_delivery(session: AsyncSession, it: Target) -> object:
    ref = SessionRef(tenant_id=it.tenant, connection_id=it.connection, partition=it.beam)
    return await inbound_events.pending(session, ref=ref)
