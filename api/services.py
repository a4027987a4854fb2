"""What the routes work with: one of each, made with the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.highlights.turns import Turns
from api.middleware.rate_limits import RateLimits
from api.streams.event_connections import EventConnections
from app.services.connections import KnownConnections
from app.services.hms_events import EventDispatcher, EventWriter
from app.services.key_cache import KeyCache
from app.services.profiles import PinnedProfiles, TenantProfileStore
from app.services.search import QueryReader
from app.services.streams import StreamCreation, StreamStarter
from app.services.usage import RequestMeter
from app.services.webhooks import WebhookDispatcher
from infra.connection_secrets import ConnectionSecrets
from infra.db.engine import Database
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.storage.clips import LocalClipStore
from infra.storage.signed_urls import ClipLinks, UrlSigner
from infra.temporal.client import TemporalConnection
from infra.webhooks.signing import EndpointSecrets


@dataclass(frozen=True, kw_only=True)
class Services:
    """The doors to the world, and the rules read at start."""

    settings: Settings
    database: Database
    temporal: TemporalConnection
    starter: StreamStarter
    creation: StreamCreation
    clips: LocalClipStore
    signer: UrlSigner
    links: ClipLinks
    key_secret: bytes
    url_guard: UrlGuard
    profiles: TenantProfileStore
    pinned: PinnedProfiles
    connection_secrets: ConnectionSecrets
    connections: KnownConnections
    event_writer: EventWriter
    event_dispatcher: EventDispatcher
    limits: RateLimits
    keys: KeyCache
    endpoint_secrets: EndpointSecrets
    dispatcher: WebhookDispatcher
    event_connections: EventConnections
    meter: RequestMeter
    queries: QueryReader
    turns: Turns


async def services_of(request: Request) -> Services:
    """Return the application's services; a coroutine, since FastAPI runs others on a thread."""
    services: Services = request.app.state.services
    return services


ServicesDependency = Annotated[Services, Depends(services_of)]
