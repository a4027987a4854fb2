"""What the routes work with: one of each, made with the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.event_connections import EventConnections
from api.rate_limits import RateLimits
from api.turns import Turns
from infra.clip_links import ClipLinks
from infra.clip_store import LocalClipStore
from infra.connection_secrets import ConnectionSecrets
from infra.database import Database
from infra.inbound_delivery import InboundDelivery
from infra.inbound_dispatch import InboundDispatch
from infra.key_cache import KeyCache
from infra.known_connections import KnownConnections
from infra.pinned_profiles import PinnedProfiles
from infra.query_reader import QueryReader
from infra.request_meter import RequestMeter
from infra.settings import Settings
from infra.signed_urls import UrlSigner
from infra.stream_creation import StreamCreation
from infra.stream_starter import StreamStarter
from infra.temporal_connection import TemporalConnection
from infra.tenant_profiles import TenantProfileStore
from infra.url_guard import UrlGuard
from infra.webhook_dispatcher import WebhookDispatcher
from infra.webhook_signing import EndpointSecrets


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
    inbound: InboundDelivery
    dispatch: InboundDispatch
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
