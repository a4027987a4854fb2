"""No repository shows or changes anything of another tenant's, whatever ids it is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.dev.postgres import DatabaseUrls
from domain.exports.models import Branding
from domain.highlights.feedback import FeedbackVerdict
from domain.hms.effects import BeamRef, EndSession
from domain.profiles.documents import ProfileOverride
from domain.streams.messages import StreamRecord, WindowRecord
from domain.streams.status import StreamProgress, StreamStatus
from domain.tenants.audit import SYSTEM, AuditAction
from domain.tenants.keys import Scope
from domain.tenants.usage import UsageKind
from infra.db.engine import Database
from infra.db.repositories import (
    api_keys,
    audit,
    beams,
    connections,
    deliveries,
    exports,
    highlights,
    idempotency,
    inbound_events,
    profiles,
    streams,
    tenants,
    usage,
)
from infra.db.repositories.deliveries import Attempt
from infra.db.repositories.feed import feed_events
from infra.db.repositories.inbound_events import NewEvent
from infra.db.repositories.profiles import ProfileOverrides, Tastes
from infra.db.tables import Base, EventRow
from tests.conftest import run_apart
from tests.factories.clips import gap
from tests.factories.rows import (
    PROFILE,
    new_clip,
    new_deletion,
    new_delivery,
    new_endpoint,
    new_export,
    new_export_batch,
    new_highlight,
    new_stream,
    new_tenant,
)
from tests.integration.infra.repositories.attacks import (
    ATTACKS,
    EXEMPT,
    FEED_EVENT,
    Attack,
    public_functions,
)
from tests.integration.infra.repositories.targets import WHEN, Target


@pytest.fixture(scope="module")
def victim(postgres: DatabaseUrls) -> Target:
    """A tenant that has something of everything; each test proves that it left it unchanged."""
    return run_apart(_new_victim(postgres))


async def _new_victim(urls: DatabaseUrls) -> Target:
    database = Database(urls.application, pool_size=1)
    try:
        return await _filled(database, await new_tenant(database))
    finally:
        await database.close()


async def _filled(database: Database, tenant: UUID) -> Target:
    stream = await new_stream(database, tenant)
    highlight = await new_highlight(database, tenant, stream)
    clip = await new_clip(database, tenant, stream, highlight)
    export = await new_export(database, tenant, stream)
    endpoint = await new_endpoint(database, tenant)
    delivery = await new_delivery(database, tenant, endpoint)
    connection, beam = uuid4(), uuid4().hex
    key_hash, profile, idempotency_key = uuid4().bytes, f"p-{uuid4().hex}", uuid4().hex
    async with database.session(tenant) as session:
        key = await api_keys.create(
            session, tenant_id=tenant, name="k", key_hash=key_hash, hint="h", scopes=[Scope.READ]
        )
        await audit.record(
            session,
            tenant_id=tenant,
            action=AuditAction.KEY_CREATED,
            target_id=key.id,
            actor=SYSTEM,
        )
        await deliveries.record_attempt(
            session,
            Attempt(at=WHEN, duration=0.1, succeeded=False, error="no answer"),
            tenant_id=tenant,
            delivery_id=delivery,
            next_attempt_at=WHEN,
        )
        await usage.put_budget(
            session, tenant_id=tenant, kind=UsageKind.CLIP_RENDERED, monthly=Decimal(9)
        )
        await _record(session, tenant, stream)
        await highlights.put_feedback(
            session,
            tenant_id=tenant,
            highlight_id=highlight,
            author="a",
            verdict=FeedbackVerdict.LIKE,
            correction=None,
            note="",
        )
        await Tastes(session).lock(tenant, profile)
        await idempotency.claim(
            session,
            tenant_id=tenant,
            key=idempotency_key,
            request_hash=b"y",
            resource_id=stream,
            lease=timedelta(seconds=30),
        )
        pinned = PROFILE.model_copy(update={"id": profile})
        await profiles.pin(session, tenant_id=tenant, profile=pinned)
        await ProfileOverrides(session).append(
            ProfileOverride(
                tenant_id=tenant,
                profile_id=profile,
                revision=1,
                patch={"clip": {}},
                created_at=WHEN,
                created_by=key.id,
            )
        )
        await feed_events.put(session, tenant_id=tenant, stream_id=stream, events=[FEED_EVENT])
        await exports.put_branding(session, tenant_id=tenant, branding=Branding())
        await tenants.put_embed_policy(
            session, tenant_id=tenant, enabled=True, origins=["https://fans.example.com"]
        )
        await _connect(session, tenant, connection, beam)
        event = await session.scalar(select(EventRow.id).limit(1))
    assert event is not None
    return Target(
        tenant=tenant,
        stream=stream,
        highlight=highlight,
        clip=clip,
        export=export,
        batch=await new_export_batch(database, tenant, stream),
        deleted=await _deleted_stream(database, tenant),
        key=key.id,
        key_hash=key_hash,
        event=event,
        endpoint=endpoint,
        delivery=delivery,
        connection=connection,
        workspace=beam,
        beam=beam,
        idempotency_key=idempotency_key,
        profile=profile,
        author="a",
    )


async def _deleted_stream(database: Database, tenant: UUID) -> UUID:
    deletion = await new_deletion(database, tenant)
    async with database.session(tenant) as session:
        row = await streams.get_deletion(session, tenant_id=tenant, deletion_id=deletion)
    assert row is not None
    return row.stream_id


async def _connect(session: AsyncSession, tenant: UUID, connection: UUID, beam: str) -> None:
    """A workspace of 100ms, of which a beam has begun and a session has ended."""
    await connections.create(
        session,
        tenant_id=tenant,
        id=connection,
        name="c",
        account_id=beam,
        checks={},
        header_hash=b"h",
        signing_secret=b"s",
    )
    await beams.lock(session, tenant_id=tenant, connection_id=connection, ref=BeamRef(key=beam))
    await beams.close_session(session, tenant_id=tenant, connection_id=connection, session_id=beam)
    event = NewEvent(
        tenant_id=tenant,
        connection_id=connection,
        event_id=beam,
        type="session.close.success",
        effect=EndSession(session_id=beam, message="over"),
        partition=beam,
    )
    await inbound_events.record(session, [event])


async def _record(session: AsyncSession, tenant: UUID, stream: UUID) -> None:
    record = StreamRecord(
        tenant_id=tenant,
        stream_id=stream,
        progress=StreamProgress(status=StreamStatus.LIVE, position=12.0, analyzed=8.0),
        gaps=(gap(2.0, 2.0),),
        windows=(WindowRecord(index=0, start=0.0, end=4.0, segments=2, size=9),),
    )
    await streams.record_stream(session, record)


def nobody() -> Target:
    """Ids that nobody has."""
    return Target(
        tenant=uuid4(),
        stream=uuid4(),
        highlight=uuid4(),
        clip=uuid4(),
        export=uuid4(),
        batch=uuid4(),
        deleted=uuid4(),
        key=uuid4(),
        key_hash=uuid4().bytes,
        event=uuid4(),
        endpoint=uuid4(),
        delivery=uuid4(),
        connection=uuid4(),
        workspace=uuid4().hex,
        beam=uuid4().hex,
        idempotency_key=uuid4().hex,
        profile=uuid4().hex,
        author=uuid4().hex,
    )


async def everything(database: Database, tenant: UUID) -> dict[str, list[Any]]:
    """All rows of a tenant, as it sees them itself."""
    async with database.session(tenant) as session:
        return {
            table.name: sorted(
                map(repr, await session.execute(text(f"SELECT * FROM {table.name}")))  # noqa: S608
            )
            for table in Base.metadata.sorted_tables
        }


async def outcome(database: Database, attacker: UUID, attack: Attack, it: Target) -> object:
    """What an attacker learns: an answer, or which error."""
    try:
        async with database.session(attacker) as session:
            answer = await attack(session, it)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the attacker learns
        return type(error)
    if isinstance(answer, Base):
        return type(answer), getattr(answer, "tenant_id") == attacker  # noqa: B009
    return answer


def test_every_function_is_attacked() -> None:
    assert public_functions() == {*ATTACKS, *EXEMPT}


async def test_the_victim_has_something_in_every_table(database: Database, victim: Target) -> None:
    rows = await everything(database, victim.tenant)
    assert [name for name, found in rows.items() if not found] == []


@pytest.mark.parametrize("name", sorted(ATTACKS))
@pytest.mark.parametrize("claim", ["own", "victim"])
async def test_another_tenants_ids_are_like_unknown_ids(
    database: Database, tenant: UUID, victim: Target, name: str, claim: str
) -> None:
    """Whether the attacker claims to be the victim or itself, it learns and changes nothing."""
    before = await everything(database, victim.tenant)
    aimed, blind = victim, nobody()
    if claim == "own":
        aimed, blind = replace(victim, tenant=tenant), replace(blind, tenant=tenant)
    learnt = await outcome(database, tenant, ATTACKS[name], aimed)
    assert learnt == await outcome(database, tenant, ATTACKS[name], blind)
    assert await everything(database, victim.tenant) == before
