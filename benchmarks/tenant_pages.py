"""Database cost of lists without highlights: pages for `benchmarks.list_pages`."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from benchmarks.list_rows import START, id_of
from benchmarks.search_pages import Page
from domain.tenants.audit import AuditAction, AuditTarget
from domain.webhooks.events import DeliveryStatus, EventType
from infra.db.repositories import (
    api_keys,
    audit,
    connections,
    deliveries,
    endpoints,
    inbound_events,
    streams,
)
from infra.db.repositories.audit import AuditFilter as Changed
from infra.db.repositories.deliveries import DeliveryFilter as Sent
from infra.db.repositories.profiles import ProfileOverrides


def tenant_pages(tenant: UUID, highlights_count: int) -> dict[str, Page]:
    """Return the lists of a tenant's webhooks, connections, keys and so on, by name.

    Args:
        tenant: whose.
        highlights_count: as given to `fill`.
    """

    def sent(criteria: Sent) -> Page:
        return lambda session: deliveries.list_page(
            session, tenant_id=tenant, criteria=criteria, limit=51
        )

    def changed(criteria: Changed) -> Page:
        return lambda session: audit.list_page(
            session, tenant_id=tenant, criteria=criteria, limit=51
        )

    busy, failing = id_of("endpoint", 0), id_of("endpoint", 99)
    middle = START + timedelta(minutes=highlights_count // 20)
    return {
        "streams of a game": lambda session: streams.list_page(
            session, tenant_id=tenant, game="soccer", limit=51
        ),
        "streams of an unused game": lambda session: streams.list_page(
            session, tenant_id=tenant, game="curling", limit=51
        ),
        "windows of a stream": lambda session: streams.windows(
            session, tenant_id=tenant, stream_id=id_of("stream", 0)
        ),
        "keys": lambda session: api_keys.list_page(session, tenant_id=tenant, limit=51),
        "connections": lambda session: connections.list_page(session, tenant_id=tenant, limit=51),
        "events of a busy connection": lambda session: inbound_events.list_newest(
            session, tenant_id=tenant, connection_id=id_of("connection", 1), limit=51
        ),
        "events of a quiet connection": lambda session: inbound_events.list_newest(
            session, tenant_id=tenant, connection_id=id_of("connection", 0), limit=51
        ),
        "webhook endpoints": lambda session: endpoints.list_page(
            session, tenant_id=tenant, limit=51
        ),
        "deliveries": sent(Sent()),
        "deliveries to an endpoint": sent(Sent(endpoint_id=busy)),
        "deliveries that failed": sent(Sent(status=DeliveryStatus.FAILED)),
        "deliveries that failed, to an endpoint": sent(
            Sent(endpoint_id=failing, status=DeliveryStatus.FAILED)
        ),
        "deliveries that failed, to another": sent(
            Sent(endpoint_id=busy, status=DeliveryStatus.FAILED)
        ),
        "deliveries of a rare event": sent(Sent(event_type=EventType.USAGE_THRESHOLD)),
        "deliveries of a rare event, to an endpoint": sent(
            Sent(endpoint_id=failing, event_type=EventType.USAGE_THRESHOLD)
        ),
        "deliveries of an event there is none of": sent(Sent(event_type=EventType.STREAM_FAILED)),
        "changes": changed(Changed()),
        "changes of a kind": changed(Changed(action=AuditAction.TENANT_PLAN_SET)),
        "changes of a key": changed(
            Changed(target_kind=AuditTarget.KEY, target_id=id_of("key", 7).hex)
        ),
        "changes of what has an id": changed(Changed(target_id=id_of("key", 7).hex)),
        "changes of an hour": changed(Changed(since=middle, until=middle + timedelta(hours=1))),
        "revisions of a profile": lambda session: ProfileOverrides(session).history_page(
            tenant, "soccer", limit=51
        ),
    }
