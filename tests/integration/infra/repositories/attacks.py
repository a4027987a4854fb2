"""Every function of the repositories, called with ids that may be another tenant's.

A function that is not in `ATTACKS` fails the test that uses it: say here how it would be misused.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

import infra.repositories as package
from domain.access import Scope
from domain.events import EventType, UsagePayload, event
from domain.expiry import RecordKind
from domain.feedback import Verdict
from domain.profile_override import ProfileOverride
from domain.records import StreamRecord
from domain.score import DIMENSIONS
from domain.selection import DecisionStatus
from domain.stream import StreamProgress, StreamStatus
from domain.usage import UsageKind, usage_event
from infra.repositories import (
    announcements,
    api_keys,
    budgets,
    clips,
    events,
    expiry,
    feedback,
    highlights,
    idempotency,
    profiles,
    stream_changes,
    streams,
    usage,
)
from infra.repositories.highlight_filter import HighlightFilter
from infra.repositories.idempotency import StoredResponse
from infra.repositories.profiles import ProfileOverrides
from infra.schema import Clip, Highlight, Stream, UsageBudget
from tests.integration.rows import PROFILE, URL, candidate, clip_record, decision

WHEN = datetime(2026, 5, 2, tzinfo=UTC)
EVER = timedelta(days=9999)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom the attacker claims to be, and what it asks for."""

    tenant: UUID
    stream: UUID
    highlight: UUID
    clip: UUID
    key: UUID
    key_hash: bytes
    event: UUID
    idempotency_key: str
    profile: str
    author: str


Attack = Callable[[AsyncSession, Target], Awaitable[Any]]


async def _record_decision(session: AsyncSession, it: Target) -> object:
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


def _override(it: Target) -> ProfileOverride:
    return ProfileOverride(
        tenant_id=it.tenant,
        profile_id=it.profile,
        revision=2,
        patch={},
        created_at=WHEN,
        created_by=it.key,
    )


async def _append_event(session: AsyncSession, it: Target) -> object:
    payload = UsagePayload(kind="x", period="2026-05", percent=50, used=1, budget=2)
    told = event(
        EventType.USAGE_THRESHOLD,
        payload,
        tenant_id=it.tenant,
        subject="usage/x",
        revision=1,
        created_at=WHEN,
    ).model_copy(update={"id": it.event})
    return await events.append(session, told)


async def _claim(session: AsyncSession, it: Target) -> object:
    claim = await idempotency.claim(
        session,
        tenant_id=it.tenant,
        key=it.idempotency_key,
        request_hash=b"x",
        resource_id=it.stream,
        lease=timedelta(seconds=9),
    )
    return claim.outcome


def _stream_row(it: Target) -> Stream:
    return Stream(tenant_id=it.tenant, id=it.stream, status="live", segments=1, revision=1)


def _highlight_row(it: Target) -> Highlight:
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


def _clip_row(it: Target) -> Clip:
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


def _budget_row(it: Target) -> UsageBudget:
    kind = UsageKind.CLIP_RENDERED.value
    return UsageBudget(tenant_id=it.tenant, kind=kind, monthly=Decimal(1), updated_at=WHEN)


ATTACKS: dict[str, Attack] = {
    "announcements.announce_stream": lambda s, it: announcements.announce_stream(
        s, _stream_row(it), before=StreamStatus.STARTING
    ),
    "announcements.announce_highlight": lambda s, it: announcements.announce_highlight(
        s, _highlight_row(it), before=None
    ),
    "announcements.announce_clip": lambda s, it: announcements.announce_clip(
        s, _clip_row(it), _highlight_row(it), before=None
    ),
    "api_keys.ensure_tenant": lambda s, it: api_keys.ensure_tenant(
        s, tenant_id=it.tenant, slug="x", name="x"
    ),
    "api_keys.create": lambda s, it: api_keys.create(
        s, tenant_id=it.tenant, name="x", key_hash=it.key_hash, hint="x", scopes=[Scope.ADMIN]
    ),
    "api_keys.find_usable": lambda s, it: api_keys.find_usable(s, key_hash=it.key_hash),
    "api_keys.list_all": lambda s, it: api_keys.list_all(s, tenant_id=it.tenant),
    "api_keys.touch": lambda s, it: api_keys.touch(
        s, tenant_id=it.tenant, key_id=it.key, interval=timedelta(0)
    ),
    "budgets.put": lambda s, it: budgets.put(
        s, tenant_id=it.tenant, kind=UsageKind.CLIP_BYTES, monthly=Decimal(7)
    ),
    "budgets.list_all": lambda s, it: budgets.list_all(s, tenant_id=it.tenant),
    "budgets.remove": lambda s, it: budgets.remove(
        s, tenant_id=it.tenant, kind=UsageKind.CLIP_RENDERED
    ),
    "budgets.lock": lambda s, it: budgets.lock(s, tenant_id=it.tenant, kinds=list(UsageKind)),
    "budgets.tell": lambda s, it: budgets.tell(s, _budget_row(it), month=WHEN, used=Decimal(1)),
    "clips.get": lambda s, it: clips.get(s, tenant_id=it.tenant, clip_id=it.clip),
    "clips.latest_by_highlight": lambda s, it: clips.latest_by_highlight(
        s, tenant_id=it.tenant, highlight_ids=[it.highlight]
    ),
    "clips.record_clip": lambda s, it: clips.record_clip(
        s, clip_record(it.tenant, it.stream, it.highlight)
    ),
    "events.append": _append_event,
    "events.get": lambda s, it: events.get(s, tenant_id=it.tenant, event_id=it.event),
    "events.undispatched": lambda s, it: events.undispatched(s, tenant_id=it.tenant),
    "events.mark_dispatched": lambda s, it: events.mark_dispatched(
        s, tenant_id=it.tenant, event_ids=[it.event]
    ),
    "events.mark_published": lambda s, it: events.mark_published(
        s, tenant_id=it.tenant, event_ids=[it.event]
    ),
    "expiry.delete_expired": lambda s, it: expiry.delete_expired(
        s, tenant_id=it.tenant, kind=RecordKind.EVENTS, age=timedelta(days=-1), limit=9
    ),
    "feedback.put": lambda s, it: feedback.put(
        s,
        tenant_id=it.tenant,
        highlight_id=it.highlight,
        author=it.author,
        verdict=Verdict.DISLIKE,
        correction=None,
        note="mine",
    ),
    "feedback.list_page": lambda s, it: feedback.list_page(
        s, tenant_id=it.tenant, highlight_id=it.highlight
    ),
    "highlights.get": lambda s, it: highlights.get(
        s, tenant_id=it.tenant, highlight_id=it.highlight
    ),
    "highlights.get_many": lambda s, it: highlights.get_many(
        s, tenant_id=it.tenant, highlight_ids=[it.highlight]
    ),
    "highlights.list_page": lambda s, it: highlights.list_page(
        s,
        tenant_id=it.tenant,
        criteria=HighlightFilter(stream_id=it.stream, text="crowd", tag="goal"),
    ),
    "highlights.record_decisions": _record_decision,
    "idempotency.claim": _claim,
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
    "profiles.ProfileOverrides.append": lambda s, it: ProfileOverrides(s).append(_override(it)),
    "profiles.pin": lambda s, it: profiles.pin(
        s, tenant_id=it.tenant, profile=PROFILE.model_copy(update={"id": it.profile})
    ),
    "profiles.pinned": lambda s, it: profiles.pinned(
        s, tenant_id=it.tenant, profile_id=it.profile, version=PROFILE.version
    ),
    "stream_changes.since": lambda s, it: stream_changes.since(
        s, tenant_id=it.tenant, stream_id=it.stream, start=WHEN - EVER
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
    "streams.delete_with_contents": lambda s, it: streams.delete_with_contents(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "streams.clip_files": lambda s, it: streams.clip_files(
        s, tenant_id=it.tenant, stream_id=it.stream
    ),
    "streams.record_stream": lambda s, it: streams.record_stream(
        s,
        StreamRecord(
            tenant_id=it.tenant,
            stream_id=it.stream,
            progress=StreamProgress(status=StreamStatus.FAILED, position=1e6, analyzed=1e6),
        ),
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
    "tenants.all_ids": "tells the ids of all tenants, by design (test_tenants.py)",
    "highlight_filter.conditions": "reads no table",
}


def public_functions() -> set[str]:
    """Every coroutine function, and every one of a class, that other packages may call."""
    found = set()
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, member in inspect.getmembers(module):
            if name.startswith("_") or getattr(member, "__module__", None) != module.__name__:
                continue
            if inspect.iscoroutinefunction(member):
                found.add(f"{info.name}.{name}")
            elif inspect.isclass(member):
                found |= {
                    f"{info.name}.{name}.{method}"
                    for method, _ in inspect.getmembers(member, inspect.iscoroutinefunction)
                    if not method.startswith("_")
                }
    return found
