"""The services and adapters that the API's routes and the worker's activities share."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.api_keys import KeyCache
from app.services.clips import ClipService, MediaRetention
from app.services.connections import ConnectionCache
from app.services.deletions import StreamDeletion
from app.services.export_batches import ExportBatchService
from app.services.exports import ExportService
from app.services.feed.feed_service import FeedService
from app.services.hms_events import EventDispatcher, EventProcessor, EventWriter
from app.services.profiles import PinnedProfiles, TenantProfileStore
from app.services.search import QueryReader
from app.services.streams import StreamCreation, StreamStarter
from app.services.tenants import TenantPlans
from app.services.usage import RequestMeter
from app.services.webhooks import WebhookDispatcher
from infra.db.engine import Database
from infra.encryption import ConnectionSecrets
from infra.rate_limit import RateLimiter
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.storage.clips import ClipStore
from infra.storage.segments import SegmentStore
from infra.storage.signed_urls import ClipLinks, UrlSigner
from infra.temporal.client import TemporalConnection
from infra.webhooks.sender import EndpointSecrets


@dataclass(frozen=True, kw_only=True)
class ServiceRegistry:
    """One instance of each, built by `app.container.Container`. Building them does no I/O."""

    settings: Settings
    database: Database
    temporal: TemporalConnection
    starter: StreamStarter
    creation: StreamCreation
    exports: ExportService
    export_batches: ExportBatchService
    deletions: StreamDeletion
    clips: ClipStore
    segments: SegmentStore
    clip_requests: ClipService
    retention: MediaRetention
    signer: UrlSigner
    links: ClipLinks
    key_secret: bytes
    url_guard: UrlGuard
    profiles: TenantProfileStore
    pinned: PinnedProfiles
    plans: TenantPlans
    limiter: RateLimiter
    connection_secrets: ConnectionSecrets
    connections: ConnectionCache
    event_writer: EventWriter
    event_dispatcher: EventDispatcher
    event_processor: EventProcessor
    keys: KeyCache
    endpoint_secrets: EndpointSecrets
    dispatcher: WebhookDispatcher
    feed: FeedService
    meter: RequestMeter
    queries: QueryReader
