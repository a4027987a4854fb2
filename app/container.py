"""The one place where settings become doors: stores, pools, connections."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from app.services.profiles import TenantProfileStore
from app.services.streams import StreamCreation
from infra.connection_secrets import ConnectionSecrets
from infra.db.engine import Database
from infra.errors import NotConfiguredError
from infra.gemini import GeminiClient, GeminiOptions, GeminiQuota, QuotaLimits
from infra.hms_api import HmsApi
from infra.media.hls_client import HlsClient
from infra.media.pool import MediaPool
from infra.profiles.store import ProfileStore
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.state_directory import signing_secret
from infra.storage.clips import LocalClipStore
from infra.storage.segments import LocalSegmentStore
from infra.storage.signed_urls import ClipLinks, UrlSigner
from infra.webhooks.message import EndpointSecrets
from infra.webhooks.sender import WebhookSender


@dataclass(frozen=True)
class Doors:
    """What a worker's activities need of the world."""

    database: Database
    segments: LocalSegmentStore
    clips: LocalClipStore
    hls: HlsClient
    hms: HmsApi
    probes: MediaPool
    media: MediaPool
    profiles: ProfileStore
    creation: StreamCreation
    webhooks: WebhookSender
    guard: UrlGuard
    endpoint_secrets: EndpointSecrets
    connection_secrets: ConnectionSecrets
    clip_links: ClipLinks
    gemini: GeminiClient | None
    gemini_quota: GeminiQuota


async def open_doors(settings: Settings, stack: AsyncExitStack) -> Doors:
    """Open all doors; `stack` closes them.

    Raises:
        NotConfiguredError: a setting is missing.
    """
    if settings.database_url is None:
        raise NotConfiguredError(
            "No database is configured.",
            remedy="Set DATABASE_URL, or start everything with `highlights dev`.",
        )
    database = Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        pool_timeout=settings.database_pool_timeout,
        transaction_pooler=settings.database_transaction_pooler,
    )
    stack.push_async_callback(database.close)
    hms = HmsApi(settings.hms_api_url)
    stack.push_async_callback(hms.close)
    # Probing has children of its own: ingest must not wait behind an analysis or a check.
    probes = await stack.enter_async_context(_pool(settings, processes=1))
    media = await stack.enter_async_context(_pool(settings, processes=settings.analyzer_processes))
    profiles = ProfileStore()
    guard = UrlGuard(allow_private=settings.allow_private_urls)
    secret = signing_secret(settings)
    return Doors(
        database=database,
        segments=LocalSegmentStore(Path(settings.segment_location())),
        clips=LocalClipStore(Path(settings.clip_location())),
        hls=await stack.enter_async_context(HlsClient(guard)),
        hms=hms,
        probes=probes,
        media=media,
        profiles=profiles,
        creation=StreamCreation(TenantProfileStore(profiles), default_plan=settings.default_plan),
        webhooks=await stack.enter_async_context(
            WebhookSender(
                guard,
                timeout=settings.webhook_timeout,
                max_connections=2 * settings.webhook_concurrency,
            )
        ),
        guard=guard,
        endpoint_secrets=EndpointSecrets(secret),
        connection_secrets=ConnectionSecrets(secret),
        clip_links=ClipLinks(
            UrlSigner(secret),
            base_url=settings.base_url(),
            lifetime=settings.clip_url_lifetime,
        ),
        gemini=_gemini(settings, stack),
        gemini_quota=_quota(settings, stack),
    )


def _gemini(settings: Settings, stack: AsyncExitStack) -> GeminiClient | None:
    """Return the client of Gemini; None without a key."""
    if settings.gemini_api_key is None:
        return None
    client = GeminiClient(
        settings.gemini_api_key.get_secret_value(),
        GeminiOptions(
            base_url=settings.gemini_base_url,
            call_deadline=settings.gemini_call_deadline,
            inline_bytes=settings.gemini_inline_bytes,
        ),
    )
    stack.push_async_callback(client.close)
    return client


def _quota(settings: Settings, stack: AsyncExitStack) -> GeminiQuota:
    url = settings.redis_url
    quota = GeminiQuota(
        QuotaLimits(
            requests_per_minute=settings.gemini_requests_per_minute,
            tokens_per_minute=settings.gemini_tokens_per_minute,
            tenant_share=settings.gemini_tenant_share,
        ),
        None if url is None else url.get_secret_value(),
    )
    stack.push_async_callback(quota.close)
    return quota


def _pool(settings: Settings, *, processes: int) -> MediaPool:
    return MediaPool(
        processes=processes,
        memory_bytes=settings.analyzer_memory_bytes,
        cpu_seconds=settings.analyzer_cpu_seconds,
        timeout=settings.analyzer_timeout,
    )
