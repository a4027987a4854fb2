"""Every function of the repositories, called with ids that may be another tenant's.

A function that is not in `ATTACKS` fails the test that uses it: say here how it would be misused.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import true
from sqlalchemy.ext.asyncio import AsyncSession

import infra.db.repositories as package
from domain.exports.batches import BatchCounts, NextExportsInput
from domain.exports.models import (
    Branding,
    ExportRecord,
    ExportStatus,
)
from domain.feed.clock import FeedClock
from domain.feed.evidence import FeedPlace
from domain.feed.linking import FeedRuling
from domain.feed.models import FeedEvent, FeedOutcome
from domain.highlights.feedback import FeedbackVerdict
from domain.highlights.publication import PublicationPolicy, Release, ReviewStatus
from domain.highlights.selection import Reason
from domain.highlights.taste import Taste
from domain.hms.beam import Outcome
from domain.hms.effects import BeamRef, EndSession
from domain.ids import deletion_id, feed_event_id
from domain.streams.backfill.messages import AnalyzedMedia, BackfillRecord, StreamRef
from domain.streams.messages import StreamRecord
from domain.streams.status import StreamProgress, StreamStatus
from domain.tenants.audit import SYSTEM, AuditAction
from domain.tenants.keys import Scope
from domain.tenants.retention import RecordKind
from domain.tenants.usage import PlanName, UsageKind, usage_event
from domain.webhooks.events import (
    SUBSCRIBABLE,
    DisabledReason,
)
from infra.db.repositories import (
    api_keys,
    audit,
    backfills,
    beams,
    clips,
    connections,
    deliveries,
    endpoints,
    events,
    exports,
    highlights,
    idempotency,
    inbound_events,
    profiles,
    search,
    streams,
    tenants,
    usage,
)
from infra.db.repositories.audit import AuditFilter
from infra.db.repositories.backfills import DeliveryQueueRef
from infra.db.repositories.consistency import stream_facts
from infra.db.repositories.deliveries import Attempt, DeliveryFilter, WaitingDelivery
from infra.db.repositories.feed import feed_events
from infra.db.repositories.highlights import HighlightFilter
from infra.db.repositories.idempotency import StoredResponse
from infra.db.repositories.profiles import ProfileOverrides, Tastes
from infra.db.repositories.publication import corrections, policies, reviews
from infra.db.tables import FeedEventRow
from tests.factories.rows import PICTURE, PROFILE, URL, clip_record
from tests.integration.infra.repositories import targets
from tests.integration.infra.repositories.targets import CROWD, EVER, WHEN, Target

Attack = Callable[[AsyncSession, Target], Awaitable[Any]]

FEED_EVENT = FeedEvent.model_validate(
    {
        "id": "g1",
        "kind": "score",
        "at": {"media": 60.0},
        "market": "1x2",
        "subjects": ["bet:1"],
    }
)


def _fed(it: Target) -> UUID:
    return feed_event_id(stream_id=it.stream, event=FEED_EVENT.id)


def _fed_row(it: Target) -> FeedEventRow:
    return FeedEventRow(
        tenant_id=it.tenant, id=_fed(it), event_id="g1", kind="score", updated_at=WHEN
    )


async def _decide(session: AsyncSession, it: Target) -> None:
    row = await reviews.lock(session, tenant_id=it.tenant, highlight_id=it.highlight)
    if row is not None:
        release = Release(by="me", at=WHEN)
        await reviews.decide(session, row, status=ReviewStatus.APPROVED, release=release)


ATTACKS: dict[str, Attack] = {
    "backfills.load_stream": lambda s, it: backfills.load_stream(
        s, StreamRef(tenant_id=it.tenant, stream_id=it.stream)
    ),
    "backfills.record_outcomes": lambda s, it: backfills.record_outcomes(
        s, targets.gap_outcomes(it)
    ),
    "beams.lock": lambda s, it: beams.lock(
        s, tenant_id=it.tenant, connection_id=it.connection, ref=BeamRef(key=it.beam)
    ),
    "beams.stream_of": lambda s, it: beams.stream_of(
        s, tenant_id=it.tenant, connection_id=it.connection, ref=BeamRef(key=it.beam)
    ),
    "beams.recording_of": lambda s, it: beams.recording_of(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "beams.is_session_closed": lambda s, it: beams.is_session_closed(
        s, tenant_id=it.tenant, connection_id=it.connection, session_id=it.beam
    ),
    "beams.close_session": lambda s, it: beams.close_session(
        s, tenant_id=it.tenant, connection_id=it.connection, session_id="another"
    ),
    "beams.unfinished": lambda s, it: beams.unfinished(
        s,
        tenant_id=it.tenant,
        connection_id=it.connection,
        effect=EndSession(session_id=it.beam, message="x"),
    ),
    "beams.known": lambda s, it: beams.known(s, tenant_id=it.tenant, connection_id=it.connection),
    "connections.create": targets.new_connection,
    "connections.get": lambda s, it: connections.get(
        s, tenant_id=it.tenant, connection_id=it.connection
    ),
    "connections.find": lambda s, it: connections.find(s, connection_id=it.connection),
    "connections.find_by_workspace": lambda s, it: connections.find_by_workspace(
        s, workspace=it.workspace
    ),
    "connections.list_page": lambda s, it: connections.list_page(s, tenant_id=it.tenant),
    "connections.list_managed": lambda s, it: connections.list_managed(s, tenant_id=it.tenant),
    "connections.update": lambda s, it: connections.update(
        s, tenant_id=it.tenant, connection_id=it.connection, values={"name": "mine"}
    ),
    "connections.rotate": lambda s, it: connections.rotate(
        s,
        tenant_id=it.tenant,
        connection_id=it.connection,
        header_hash=b"mine",
        signing_secret=b"mine",
        previous_until=WHEN,
    ),
    "connections.remove": lambda s, it: connections.remove(
        s, tenant_id=it.tenant, connection_id=it.connection
    ),
    "inbound_events.record": lambda s, it: inbound_events.record(s, [targets.inbound_event(it)]),
    "inbound_events.get": lambda s, it: inbound_events.get(
        s, tenant_id=it.tenant, connection_id=it.connection, event_id=it.beam
    ),
    "inbound_events.list_newest": lambda s, it: inbound_events.list_newest(
        s, tenant_id=it.tenant, connection_id=it.connection, limit=9
    ),
    "inbound_events.pending": targets.pending_delivery,
    "inbound_events.pending_sessions": lambda s, it: inbound_events.pending_sessions(
        s, tenant_id=it.tenant, min_age=timedelta(0), limit=9
    ),
    "inbound_events.note_failure": lambda s, it: inbound_events.note_failure(
        s, tenant_id=it.tenant, connection_id=it.connection, event_id=it.beam, detail="mine"
    ),
    "inbound_events.complete": lambda s, it: inbound_events.complete(
        s,
        tenant_id=it.tenant,
        connection_id=it.connection,
        event_id=it.beam,
        outcome=Outcome.NOTED,
    ),
    "events.append_stream_event": lambda s, it: events.append_stream_event(
        s, targets.stream_row(it), before=StreamStatus.STARTING
    ),
    "events.append_highlight_event": lambda s, it: events.append_highlight_event(
        s, targets.highlight_row(it), before=None
    ),
    "events.append_clip_event": lambda s, it: events.append_clip_event(
        s, targets.clip_row(it), targets.highlight_row(it), before=None
    ),
    "api_keys.ensure_tenant": lambda s, it: api_keys.ensure_tenant(
        s, tenant_id=it.tenant, slug="x", name="x"
    ),
    "api_keys.create": lambda s, it: api_keys.create(
        s, tenant_id=it.tenant, name="x", key_hash=it.key_hash, hint="x", scopes=[Scope.ADMIN]
    ),
    "api_keys.find_usable": lambda s, it: api_keys.find_usable(s, key_hash=it.key_hash),
    "api_keys.get": lambda s, it: api_keys.get(s, tenant_id=it.tenant, key_id=it.key),
    "api_keys.list_all": lambda s, it: api_keys.list_all(s, tenant_id=it.tenant),
    "api_keys.list_page": lambda s, it: api_keys.list_page(s, tenant_id=it.tenant),
    "api_keys.lock": targets.lock_keys,
    "api_keys.change": lambda s, it: api_keys.change(
        s, targets.key_row(s, it), {"revoked_at": WHEN}
    ),
    "api_keys.touch": lambda s, it: api_keys.touch(
        s, tenant_id=it.tenant, key_id=it.key, interval=timedelta(0)
    ),
    "audit.record": lambda s, it: audit.record(
        s,
        tenant_id=it.tenant,
        action=AuditAction.KEY_REVOKED,
        target_id=it.key,
        actor=SYSTEM,
    ),
    "audit.list_page": lambda s, it: audit.list_page(
        s, tenant_id=it.tenant, criteria=AuditFilter(target_id=str(it.key))
    ),
    "usage.put_budget": lambda s, it: usage.put_budget(
        s, tenant_id=it.tenant, kind=UsageKind.CLIP_BYTES, monthly=Decimal(7)
    ),
    "usage.list_budgets": lambda s, it: usage.list_budgets(s, tenant_id=it.tenant),
    "usage.delete_budget": lambda s, it: usage.delete_budget(
        s, tenant_id=it.tenant, kind=UsageKind.CLIP_RENDERED
    ),
    "usage.lock_budgets": lambda s, it: usage.lock_budgets(
        s, tenant_id=it.tenant, kinds=list(UsageKind)
    ),
    "usage.notify_thresholds": lambda s, it: usage.notify_thresholds(
        s, targets.budget_row(it), month=WHEN, used=Decimal(1)
    ),
    "clips.get": lambda s, it: clips.get(s, tenant_id=it.tenant, clip_id=it.clip),
    "clips.latest_by_highlight": lambda s, it: clips.latest_by_highlight(
        s, tenant_id=it.tenant, highlight_ids=[it.highlight]
    ),
    "clips.of_request": lambda s, it: clips.of_request(s, tenant_id=it.tenant, request_id=it.clip),
    "clips.list_page": lambda s, it: clips.list_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=None, limit=9
    ),
    "clips.needed_from": lambda s, it: clips.needed_from(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "clips.reserve_requested": lambda s, it: clips.reserve_requested(
        s, tenant_id=it.tenant, count=1, default_plan=PlanName.FREE
    ),
    "clips.create_requested": lambda s, it: clips.create_requested(
        s, targets.requested_clip(it), title="mine"
    ),
    "clips.record_clip": lambda s, it: clips.record_clip(
        s, clip_record(it.tenant, it.stream, it.highlight)
    ),
    "exports.reserve_slot": lambda s, it: exports.reserve_slot(
        s, tenant_id=it.tenant, default_plan=PlanName.FREE
    ),
    "exports.create": lambda s, it: exports.create(s, targets.export_spec(it, uuid4())),
    "exports.get": lambda s, it: exports.get(s, tenant_id=it.tenant, export_id=it.export),
    "exports.list_page": lambda s, it: exports.list_page(
        s, tenant_id=it.tenant, stream_id=it.stream, limit=9
    ),
    "exports.get_branding": lambda s, it: exports.get_branding(s, tenant_id=it.tenant),
    "exports.put_branding": lambda s, it: exports.put_branding(
        s, tenant_id=it.tenant, branding=Branding()
    ),
    "exports.reels_with": lambda s, it: exports.reels_with(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "exports.remove": lambda s, it: exports.remove(s, tenant_id=it.tenant, export_id=it.export),
    "exports.record_export": lambda s, it: exports.record_export(
        s,
        ExportRecord(
            tenant_id=it.tenant, export_id=it.export, status=ExportStatus.FAILED, message="mine"
        ),
    ),
    "streams.request_deletion": lambda s, it: streams.request_deletion(
        s, tenant_id=it.tenant, stream_id=it.stream, reason="mine"
    ),
    "streams.get_deletion": lambda s, it: streams.get_deletion(
        s, tenant_id=it.tenant, deletion_id=deletion_id(stream=it.deleted)
    ),
    "streams.list_deletions": lambda s, it: streams.list_deletions(s, tenant_id=it.tenant, limit=9),
    "streams.delete_rows": lambda s, it: streams.delete_rows(
        s, tenant_id=it.tenant, stream_id=it.deleted
    ),
    "streams.record_deleted_objects": lambda s, it: streams.record_deleted_objects(
        s, tenant_id=it.tenant, stream_id=it.deleted, files=1, media=1
    ),
    "streams.finish_deletion": lambda s, it: streams.finish_deletion(
        s, tenant_id=it.tenant, stream_id=it.deleted, cdn_expires_at=None
    ),
    "streams.hold_stream": lambda s, it: streams.hold_stream(
        s, tenant_id=it.tenant, stream_id=it.stream, reason="mine"
    ),
    "streams.hold_highlight": lambda s, it: streams.hold_highlight(
        s, tenant_id=it.tenant, highlight_id=it.highlight, reason="mine"
    ),
    "streams.is_held": lambda s, it: streams.is_held(s, tenant_id=it.tenant, stream_id=it.stream),
    "streams.require_not_held": lambda s, it: streams.require_not_held(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "exports.create_batch": lambda s, it: exports.create_batch(
        s, tenant_id=it.tenant, batch_id=uuid4(), request={}, exports=1
    ),
    "exports.get_batch": lambda s, it: exports.get_batch(s, tenant_id=it.tenant, batch_id=it.batch),
    "exports.list_batches": lambda s, it: exports.list_batches(s, tenant_id=it.tenant, limit=9),
    "exports.remove_batch": lambda s, it: exports.remove_batch(
        s, tenant_id=it.tenant, batch_id=it.batch
    ),
    "exports.batch_counts": targets.batch_counts,
    "exports.exports_of_batch": lambda s, it: exports.exports_of_batch(
        s, tenant_id=it.tenant, batch_id=it.batch
    ),
    "exports.next_exports": lambda s, it: exports.next_exports(
        s, NextExportsInput(batch=targets.batch_ref(it), limit=9)
    ),
    "exports.start_batch": lambda s, it: exports.start_batch(s, targets.batch_ref(it)),
    "exports.finish_batch": lambda s, it: exports.finish_batch(s, targets.batch_ref(it)),
    "exports.cancel_batch": lambda s, it: exports.cancel_batch(
        s, targets.batch_ref(it), message="mine"
    ),
    "exports.resume_batch": lambda s, it: exports.resume_batch(s, targets.batch_ref(it)),
    "events.append_batch_event": lambda s, it: events.append_batch_event(
        s, targets.batch_row(it), BatchCounts()
    ),
    "events.append_export_event": lambda s, it: events.append_export_event(
        s, targets.export_row(it), before=ExportStatus.RUNNING
    ),
    "deliveries.get": lambda s, it: deliveries.get(s, tenant_id=it.tenant, delivery_id=it.delivery),
    "deliveries.list_page": lambda s, it: deliveries.list_page(
        s, tenant_id=it.tenant, criteria=DeliveryFilter(endpoint_id=it.endpoint)
    ),
    "deliveries.send_to_one": lambda s, it: deliveries.send_to_one(
        s, targets.webhook_event(it), endpoint_id=it.endpoint
    ),
    "deliveries.redeliver": lambda s, it: deliveries.redeliver(
        s, tenant_id=it.tenant, delivery_id=it.delivery
    ),
    "deliveries.replay": lambda s, it: deliveries.replay(
        s,
        endpoint=targets.endpoint_row(s, it),
        since=WHEN - EVER,
        until=WHEN + EVER,
        types=[],
        limit=99,
    ),
    "deliveries.claim": lambda s, it: deliveries.claim(
        s, tenant_id=it.tenant, delivery_id=it.delivery, now=WHEN
    ),
    "deliveries.record_attempt": lambda s, it: deliveries.record_attempt(
        s,
        Attempt(at=WHEN, duration=1.0, succeeded=False, gone=True),
        tenant_id=it.tenant,
        delivery_id=it.delivery,
        next_attempt_at=None,
    ),
    "deliveries.release_waiting": lambda s, it: deliveries.release_waiting(
        s, tenant_id=it.tenant, endpoint_id=it.endpoint
    ),
    "deliveries.attempts": lambda s, it: deliveries.attempts(
        s, tenant_id=it.tenant, delivery_id=it.delivery
    ),
    "deliveries.fan_out": lambda s, it: deliveries.fan_out(s, tenant_id=it.tenant),
    "deliveries.unqueued": lambda s, it: deliveries.unqueued(s, tenant_id=it.tenant),
    "deliveries.mark_queued": lambda s, it: deliveries.mark_queued(
        s,
        tenant_id=it.tenant,
        deliveries=[
            WaitingDelivery(
                id=it.delivery, endpoint_id=it.endpoint, ordering_key="x", position=1, attempts=1
            )
        ],
    ),
    "endpoints.create": lambda s, it: endpoints.create(
        s,
        tenant_id=it.tenant,
        endpoint_id=it.endpoint,
        url="https://attacker.example.com/",
        description="",
        event_types=[],
        secret=b"x",
    ),
    "endpoints.count": lambda s, it: endpoints.count(s, tenant_id=it.tenant),
    "endpoints.get": lambda s, it: endpoints.get(s, tenant_id=it.tenant, endpoint_id=it.endpoint),
    "endpoints.lock": lambda s, it: endpoints.lock(s, tenant_id=it.tenant, endpoint_id=it.endpoint),
    "endpoints.list_page": lambda s, it: endpoints.list_page(s, tenant_id=it.tenant),
    "endpoints.change": lambda s, it: endpoints.change(
        s, targets.endpoint_row(s, it), {"url": "https://attacker.example.com/all"}
    ),
    "endpoints.rotate": lambda s, it: endpoints.rotate(
        s, targets.endpoint_row(s, it), secret=b"mine", previous_until=WHEN
    ),
    "endpoints.enable": lambda s, it: endpoints.enable(s, targets.endpoint_row(s, it)),
    "endpoints.disable": lambda s, it: endpoints.disable(
        s, targets.endpoint_row(s, it), reason=DisabledReason.GONE, actor=SYSTEM
    ),
    "endpoints.delete": lambda s, it: endpoints.delete(
        s, tenant_id=it.tenant, endpoint_id=it.endpoint
    ),
    "events.append": lambda s, it: events.append(s, targets.webhook_event(it)),
    "events.get": lambda s, it: events.get(s, tenant_id=it.tenant, event_id=it.event),
    "events.after_position": lambda s, it: events.after_position(
        s, tenant_id=it.tenant, position=0, types=[*SUBSCRIBABLE], limit=10
    ),
    "events.positions_around": lambda s, it: events.positions_around(
        s, tenant_id=it.tenant, since=WHEN, settled=WHEN
    ),
    "events.undispatched": lambda s, it: events.undispatched(s, tenant_id=it.tenant),
    "events.keep": lambda s, it: events.keep(s, tenant_id=it.tenant, event_ids=[it.event]),
    "events.lock_deliveries": lambda s, it: events.lock_deliveries(
        s, tenant_id=it.tenant, which=true()
    ),
    "events.mark_dispatched": lambda s, it: events.mark_dispatched(
        s, tenant_id=it.tenant, event_ids=[it.event]
    ),
    "events.mark_published": lambda s, it: events.mark_published(
        s, tenant_id=it.tenant, event_ids=[it.event]
    ),
    "tenants.delete_expired": lambda s, it: tenants.delete_expired(
        s, tenant_id=it.tenant, kind=RecordKind.EVENTS, age=timedelta(days=-1), limit=9
    ),
    "highlights.put_feedback": lambda s, it: highlights.put_feedback(
        s,
        tenant_id=it.tenant,
        highlight_id=it.highlight,
        author=it.author,
        verdict=FeedbackVerdict.DISLIKE,
        correction=None,
        note="mine",
    ),
    "highlights.list_feedback": lambda s, it: highlights.list_feedback(
        s, tenant_id=it.tenant, highlight_id=it.highlight
    ),
    "highlights.imply_creation_times": lambda s, it: highlights.imply_creation_times(
        s, tenant_id=it.tenant, criteria=HighlightFilter(occurred_from=WHEN - EVER)
    ),
    "search.languages": lambda s, it: search.languages(s, tenant_id=it.tenant),
    "search.vocabulary": lambda s, it: search.vocabulary(s, tenant_id=it.tenant, most=99),
    "search.known": lambda s, it: search.known(s, tenant_id=it.tenant, words=["crowd"]),
    "search.find": lambda s, it: search.find(
        s, tenant_id=it.tenant, query=CROWD, criteria=HighlightFilter()
    ),
    "search.excerpts": lambda s, it: search.excerpts(
        s, tenant_id=it.tenant, highlight_ids=[it.highlight], query=CROWD
    ),
    "highlights.get": lambda s, it: highlights.get(
        s, tenant_id=it.tenant, highlight_id=it.highlight
    ),
    "highlights.get_many": lambda s, it: highlights.get_many(
        s, tenant_id=it.tenant, highlight_ids=[it.highlight]
    ),
    "highlights.best": lambda s, it: highlights.best(
        s,
        tenant_id=it.tenant,
        criteria=HighlightFilter(stream_id=it.stream, any_tag=("goal", "x")),
        limit=9,
    ),
    "highlights.list_page": lambda s, it: highlights.list_page(
        s,
        tenant_id=it.tenant,
        criteria=HighlightFilter(stream_id=it.stream, text="crowd", tag="goal"),
    ),
    "highlights.record_decisions": targets.record_decision,
    "highlights.end_at": lambda s, it: highlights.end_at(
        s, tenant_id=it.tenant, stream_id=it.stream, media_end=1.0
    ),
    "idempotency.claim": targets.claim_key,
    "idempotency.complete": lambda s, it: idempotency.complete(
        s,
        tenant_id=it.tenant,
        key=it.idempotency_key,
        response=StoredResponse(status=200, headers={}, body={}),
    ),
    "idempotency.release": lambda s, it: idempotency.release(
        s, tenant_id=it.tenant, key=it.idempotency_key
    ),
    "profiles.ProfileOverrides.lock": lambda s, it: ProfileOverrides(s).lock(it.tenant),
    "profiles.ProfileOverrides.heads": lambda s, it: ProfileOverrides(s).heads(it.tenant),
    "profiles.ProfileOverrides.current": lambda s, it: ProfileOverrides(s).current(it.tenant),
    "profiles.ProfileOverrides.history": lambda s, it: ProfileOverrides(s).history(
        it.tenant, it.profile
    ),
    "profiles.ProfileOverrides.history_page": lambda s, it: ProfileOverrides(s).history_page(
        it.tenant, it.profile
    ),
    "profiles.ProfileOverrides.next_revision": lambda s, it: ProfileOverrides(s).next_revision(
        it.tenant, it.profile
    ),
    "profiles.ProfileOverrides.append": lambda s, it: ProfileOverrides(s).append(
        targets.override(it)
    ),
    "profiles.Tastes.get": lambda s, it: Tastes(s).get(it.tenant, it.profile),
    "profiles.Tastes.in_force": lambda s, it: Tastes(s).in_force(it.tenant, it.profile),
    "profiles.Tastes.lock": lambda s, it: Tastes(s).lock(it.tenant, it.profile),
    "profiles.Tastes.judgements": lambda s, it: Tastes(s).judgements(
        it.tenant, PROFILE.id, since=None
    ),
    "profiles.Tastes.put": lambda s, it: Tastes(s).put(it.tenant, it.profile, Taste(version=9)),
    "profiles.Tastes.set_enabled": lambda s, it: Tastes(s).set_enabled(
        it.tenant, it.profile, enabled=False
    ),
    "profiles.Tastes.reset": lambda s, it: Tastes(s).reset(it.tenant, it.profile),
    "profiles.pin": lambda s, it: profiles.pin(
        s, tenant_id=it.tenant, profile=PROFILE.model_copy(update={"id": it.profile})
    ),
    "profiles.pinned": lambda s, it: profiles.pinned(
        s, tenant_id=it.tenant, profile_id=it.profile, version=PROFILE.version
    ),
    "events.try_lock_publishing": lambda s, it: events.try_lock_publishing(s, tenant_id=it.tenant),
    "events.unpublished": lambda s, it: events.unpublished(s, tenant_id=it.tenant, limit=9),
    "search.by_picture": lambda s, it: search.by_picture(
        s, tenant_id=it.tenant, highlight_id=it.stream, thumbnail_hash=PICTURE
    ),
    "search.by_title": lambda s, it: search.by_title(
        s, tenant_id=it.tenant, highlight_id=it.stream, title="Crowd roar"
    ),
    "streams.changes_since": lambda s, it: streams.changes_since(
        s, tenant_id=it.tenant, stream_ids=[it.stream], start=WHEN - EVER
    ),
    "streams.revisions": lambda s, it: streams.revisions(
        s, tenant_id=it.tenant, stream_ids=[it.stream]
    ),
    "streams.reserve_slot": lambda s, it: streams.reserve_slot(
        s, tenant_id=it.tenant, default_plan=PlanName.FREE
    ),
    "streams.create": lambda s, it: streams.create(
        s,
        tenant_id=it.tenant,
        stream_id=it.stream,
        playlist_url=URL,
        game="x",
        profile_id="x",
        profile_version="1",
    ),
    "streams.get": lambda s, it: streams.get(s, tenant_id=it.tenant, stream_id=it.stream),
    "streams.get_many": lambda s, it: streams.get_many(
        s, tenant_id=it.tenant, stream_ids=[it.stream]
    ),
    "streams.list_page": lambda s, it: streams.list_page(
        s, tenant_id=it.tenant, external_id=str(it.stream)
    ),
    "streams.gaps": lambda s, it: streams.gaps(s, tenant_id=it.tenant, stream_id=it.stream),
    "streams.windows": lambda s, it: streams.windows(s, tenant_id=it.tenant, stream_id=it.stream),
    "streams.delete_unstarted": lambda s, it: streams.delete_unstarted(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "streams.keep_media": lambda s, it: streams.keep_media(
        s, tenant_id=it.tenant, stream_id=it.stream, seconds=-1e6, recording_seconds=-1e6
    ),
    "streams.with_expired_media": lambda s, it: streams.with_expired_media(
        s, tenant_id=it.tenant, limit=9
    ),
    "streams.note_media_deleted": lambda s, it: streams.note_media_deleted(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "streams.fail": lambda s, it: streams.fail(
        s,
        StreamRecord(tenant_id=it.tenant, stream_id=it.stream, progress=StreamProgress()),
        message="failed",
    ),
    "streams.meter_recording": lambda s, it: streams.meter_recording(
        s,
        BackfillRecord(
            tenant_id=it.tenant,
            stream_id=it.stream,
            progress=StreamProgress(),
            analyzed=(AnalyzedMedia(start=0.0, seconds=1.0),),
        ),
    ),
    "streams.advance": lambda s, it: streams.advance(
        s,
        tenant_id=it.tenant,
        stream_id=it.stream,
        position=999.0,
        analyzed=999.0,
        last_segment_at=WHEN,
    ),
    "streams.record_stream": lambda s, it: streams.record_stream(
        s,
        StreamRecord(
            tenant_id=it.tenant,
            stream_id=it.stream,
            progress=StreamProgress(status=StreamStatus.FAILED, position=1e6, analyzed=1e6),
        ),
    ),
    "tenants.embed_policy": lambda s, it: tenants.embed_policy(s, tenant_id=it.tenant),
    "tenants.put_embed_policy": lambda s, it: tenants.put_embed_policy(
        s, tenant_id=it.tenant, enabled=False, origins=[]
    ),
    "tenants.get": targets.read_tenant,
    "tenants.plan_of": lambda s, it: tenants.plan_of(s, tenant_id=it.tenant, lock=True),
    "tenants.set_plan": lambda s, it: tenants.set_plan(
        s, tenant_id=it.tenant, plan=PlanName.ENTERPRISE
    ),
    "backfills.unfinished_streams": lambda s, it: backfills.unfinished_streams(
        s, tenant_id=it.tenant, quiet_for=-1.0, after=None, limit=9
    ),
    "exports.unfinished_exports": lambda s, it: exports.unfinished_exports(
        s, tenant_id=it.tenant, quiet_for=-1.0, after=None, limit=9
    ),
    "exports.unfinished_batches": lambda s, it: exports.unfinished_batches(
        s, tenant_id=it.tenant, quiet_for=-1.0, after=None, limit=9
    ),
    "backfills.unfinished_clips": lambda s, it: backfills.unfinished_clips(
        s, tenant_id=it.tenant, quiet_for=-1.0, after=None, limit=9
    ),
    "backfills.overdue_queues": lambda s, it: backfills.overdue_queues(
        s, tenant_id=it.tenant, overdue_by=-1e6, limit=9
    ),
    "backfills.release_queue": lambda s, it: backfills.release_queue(
        s,
        tenant_id=it.tenant,
        queue=DeliveryQueueRef(endpoint_id=it.endpoint, ordering_key="x"),
        overdue_by=-1e6,
    ),
    "backfills.unfilled_streams": lambda s, it: backfills.unfilled_streams(
        s, tenant_id=it.tenant, quiet_for=-1.0, within=1e6, limit=9
    ),
    "feed_events.any_of": lambda s, it: feed_events.any_of(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "clips.with_files": lambda s, it: clips.with_files(
        s, tenant_id=it.tenant, highlight_id=it.highlight
    ),
    "feed_events.put": lambda s, it: feed_events.put(
        s, tenant_id=it.tenant, stream_id=it.stream, events=[FEED_EVENT]
    ),
    "feed_events.list_page": lambda s, it: feed_events.list_page(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "feed_events.subjects_of": lambda s, it: feed_events.subjects_of(
        s, tenant_id=it.tenant, event_ids=[_fed(it)]
    ),
    "feed_events.unresolved": lambda s, it: feed_events.unresolved(
        s, tenant_id=it.tenant, stream_id=it.stream, limit=9
    ),
    "feed_events.shown_by_the_picture": lambda s, it: feed_events.shown_by_the_picture(
        s, tenant_id=it.tenant, stream_id=it.stream, limit=9
    ),
    "feed_events.placed_between": lambda s, it: feed_events.placed_between(
        s, tenant_id=it.tenant, stream_id=it.stream, first=0.0, last=1e6
    ),
    "feed_events.to_mark": lambda s, it: feed_events.to_mark(
        s, tenant_id=it.tenant, stream_id=it.stream, since=0.0
    ),
    "feed_events.attach": lambda s, it: feed_events.attach(
        s, tenant_id=it.tenant, highlights={_fed(it): (uuid4(), True)}
    ),
    "feed_events.rule": lambda s, it: feed_events.rule(
        s,
        tenant_id=it.tenant,
        event_id=_fed(it),
        place=FeedPlace(1.0, 1.0),
        ruling=FeedRuling(FeedOutcome.UNUSED),
    ),
    "feed_events.of_highlights": lambda s, it: feed_events.of_highlights(
        s, tenant_id=it.tenant, highlight_ids=[it.highlight]
    ),
    "feed_events.highlights_of_market": lambda s, it: feed_events.highlights_of_market(
        s, tenant_id=it.tenant, stream_id=it.stream, market="1x2"
    ),
    "feed_events.forget_subject": lambda s, it: feed_events.forget_subject(
        s, tenant_id=it.tenant, subject="bet:1"
    ),
    "feed_events.put_clock": lambda s, it: feed_events.put_clock(
        s, tenant_id=it.tenant, stream_id=it.stream, clock=FeedClock(offset=1.0)
    ),
    "highlights.between": lambda s, it: highlights.between(
        s, tenant_id=it.tenant, stream_id=it.stream, first=0.0, last=1e6
    ),
    "corrections.withdraw": lambda s, it: corrections.withdraw(
        s,
        tenant_id=it.tenant,
        highlight_id=it.highlight,
        reason=Reason(code=highlights.WITHDRAWN, words="mine"),
    ),
    "corrections.relabel": lambda s, it: corrections.relabel(
        s, tenant_id=it.tenant, highlight_id=it.highlight, add=("mine",)
    ),
    "policies.of_tenant": lambda s, it: policies.of_tenant(s, tenant_id=it.tenant),
    "policies.lock_of_stream": lambda s, it: policies.lock_of_stream(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "policies.put_of_stream": lambda s, it: policies.put_of_stream(
        s, tenant_id=it.tenant, stream_id=it.stream, policy=PublicationPolicy(commercial=True)
    ),
    "policies.put_of_tenant": lambda s, it: policies.put_of_tenant(
        s, tenant_id=it.tenant, policy=PublicationPolicy(commercial=True)
    ),
    "reviews.lock": lambda s, it: reviews.lock(s, tenant_id=it.tenant, highlight_id=it.highlight),
    "reviews.decide": _decide,
    "reviews.publish": lambda s, it: reviews.publish(s, targets.highlight_row(it)),
    "reviews.expire": lambda s, it: reviews.expire(s, tenant_id=it.tenant, limit=10),
    "events.append_relabeled_event": lambda s, it: events.append_relabeled_event(
        s, targets.highlight_row(it)
    ),
    "events.append_subject_event": lambda s, it: events.append_subject_event(
        s, targets.highlight_row(it), _fed_row(it), subject="bet:1"
    ),
    "stream_facts.stream_page": lambda s, it: stream_facts.stream_page(
        s, tenant_id=it.tenant, after=None, limit=9
    ),
    "stream_facts.known_streams": lambda s, it: stream_facts.known_streams(
        s, tenant_id=it.tenant, stream_ids=[it.stream, it.deleted]
    ),
    "stream_facts.window_page": lambda s, it: stream_facts.window_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=-1, limit=9
    ),
    "stream_facts.undelivered": lambda s, it: stream_facts.undelivered(
        s, tenant_id=it.tenant, stream_id=it.stream, limit=9
    ),
    "stream_facts.execution_rows": lambda s, it: stream_facts.execution_rows(
        s, tenant_id=it.tenant, table="clip", ids=[it.clip]
    ),
    "stream_facts.unfinished_batches": lambda s, it: stream_facts.unfinished_batches(
        s, tenant_id=it.tenant, after=None, limit=9
    ),
    "stream_facts.stream": lambda s, it: stream_facts.stream(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "stream_facts.totals": lambda s, it: stream_facts.totals(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "stream_facts.end_events": lambda s, it: stream_facts.end_events(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "stream_facts.usage_totals": lambda s, it: stream_facts.usage_totals(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "stream_facts.highlight_page": lambda s, it: stream_facts.highlight_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=None, limit=9
    ),
    "stream_facts.clip_page": lambda s, it: stream_facts.clip_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=None, limit=9
    ),
    "stream_facts.export_page": lambda s, it: stream_facts.export_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=None, limit=9
    ),
    "stream_facts.feed_page": lambda s, it: stream_facts.feed_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=None, limit=9
    ),
    "stream_facts.delivery_page": lambda s, it: stream_facts.delivery_page(
        s, tenant_id=it.tenant, stream_id=it.stream, after=None, limit=9
    ),
    "usage.meter": lambda s, it: usage.meter(
        s,
        tenant_id=it.tenant,
        events=[usage_event(UsageKind.CLIP_BYTES, 1, subject=str(it.clip), at=WHEN)],
    ),
    "usage.used": lambda s, it: usage.used(
        s, tenant_id=it.tenant, kind=UsageKind.CLIP_RENDERED, month=WHEN
    ),
    "usage.stats": lambda s, it: usage.stats(
        s, tenant_id=it.tenant, stream_id=it.stream, since=WHEN - EVER, until=WHEN + EVER
    ),
}
EXEMPT = {
    "highlights.conditions": "reads no table",
    "search.read_query": "reads no table",
    "search.stems": "reads no table",
}


def public_functions() -> set[str]:
    """Every coroutine function, and every one of a class, that other packages may call."""
    found = set()
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        own = info.name.rpartition(".")[2]
        for name, member in inspect.getmembers(module):
            if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.iscoroutinefunction(member):
                found.add(f"{own}.{name}")
            elif inspect.isclass(member):
                found |= {
                    f"{own}.{name}.{method}"
                    for method, _ in inspect.getmembers(member, inspect.iscoroutinefunction)
                    if not method.startswith("_")
                }
    return found
