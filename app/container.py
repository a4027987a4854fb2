"""The composition root: settings become adapters, adapters become services.

The API, the worker and the commands all take theirs from a `Container`, so a setting has the same
effect in every process.
"""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from temporalio.client import Client

from activities.analysis.chunk_analyzer import ChunkAnalyzer, GeminiAnalyzer
from activities.analysis.gemini import GeminiAnalysis
from activities.analysis.gemini_answers import GeminiResources, GeminiSpending
from activities.analysis.local import LocalAnalysis
from app.services.api_keys import KeyCache
from app.services.clips import ClipService, MediaRetention
from app.services.connections import ConnectionCache
from app.services.deletions import StreamDeletion
from app.services.export_batches import ExportBatchService
from app.services.exports import ExportService
from app.services.feed.feed_service import FeedService
from app.services.hms_events import EventDispatcher, EventProcessor, EventWriter
from app.services.profiles import PinnedProfiles, TenantProfileStore
from app.services.registry import ServiceRegistry
from app.services.search import QueryReader, VocabularyCache
from app.services.streams import StreamCreation, StreamStarter
from app.services.tenants import TenantNames, TenantPlans
from app.services.usage import RequestMeter
from app.services.webhooks import WebhookDispatcher
from app.startup import open_database
from domain.analysis.gemini.budget import GateLimits, TenantBudget
from domain.analysis.gemini.pricing import GeminiModelChoice, bare_name
from domain.analysis.gemini.prompts import QueryBuilder
from infra.encryption import ConnectionSecrets
from infra.gemini import GeminiClient, GeminiOptions, GeminiQuota, QuotaLimits
from infra.hms_api import HmsApi
from infra.media.hls_client import HlsClient
from infra.media.pool import MediaPool
from infra.priority import Niceness
from infra.profiles.store import ProfileStore
from infra.rate_limit import RateLimiter
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.state_directory import signing_secret
from infra.storage.cache import MediaCache
from infra.storage.cdn_invalidation import CloudFrontInvalidator
from infra.storage.clips import ClipStore, LocalClipStore, S3ClipStore
from infra.storage.s3 import S3Bucket, S3Connection, S3Location
from infra.storage.segments import LocalSegmentStore, S3SegmentStore, SegmentStore
from infra.storage.signed_urls import ClipLinks, CloudFrontLinks, UrlSigner
from infra.temporal.client import TemporalConnection
from infra.webhooks.sender import EndpointSecrets, WebhookSender


class Container:
    """Adapters and services of one process, each built on first use and none of them connected.

    As an async context manager it closes, at the end, the adapters that were used.

    Args:
        settings: of the process.
        client: a connected Temporal client; without one, the first use connects.

    Raises:
        NotConfiguredError: no database is set.
    """

    def __init__(self, settings: Settings, *, client: Client | None = None) -> None:
        self.settings = settings
        self._client = client
        self._closing = AsyncExitStack()
        self.database = open_database(settings)
        self._closing.push_async_callback(self.database.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the adapters that were built, the latest first."""
        await self._closing.aclose()

    @cached_property
    def services(self) -> ServiceRegistry:
        """What every process shares."""
        settings, database, temporal = self.settings, self.database, self.temporal
        secret = signing_secret(settings)
        signer = UrlSigner(secret)
        profiles = TenantProfileStore(self.profiles)
        creation = StreamCreation(profiles, default_plan=settings.default_plan)
        names = TenantNames(database)
        starter = StreamStarter(temporal.client, limits=settings.ingest_limits(), names=names)
        connection_secrets = ConnectionSecrets(secret)
        limiter = self._limiter()
        dispatcher = WebhookDispatcher(database, temporal.client)
        event_dispatcher = EventDispatcher(temporal.client, names=names)
        self._closing.push_async_callback(limiter.close)
        self._closing.push_async_callback(event_dispatcher.close)
        exports = ExportService(
            database, temporal.client, files=self.clips, default_plan=settings.default_plan
        )
        return ServiceRegistry(
            settings=settings,
            database=database,
            temporal=temporal,
            starter=starter,
            creation=creation,
            exports=exports,
            export_batches=ExportBatchService(
                database, temporal.client, exports=exports, default_plan=settings.default_plan
            ),
            deletions=StreamDeletion(
                database,
                temporal.client,
                starter=starter,
                files=self.clips,
                segments=self.segments,
                has_cdn=settings.clip_cdn_url is not None,
                cdn=self._cdn_invalidator(),
            ),
            clips=self.clips,
            segments=self.segments,
            clip_requests=ClipService(
                segments=self.segments,
                files=self.clips,
                starter=starter,
                default_plan=settings.default_plan,
            ),
            retention=MediaRetention(
                database,
                seconds=settings.media_retention,
                recording_seconds=settings.recording_retention,
            ),
            signer=signer,
            links=ClipLinks(
                signer, base_url=settings.base_url(), lifetime=settings.clip_url_lifetime
            ),
            key_secret=secret,
            url_guard=self.url_guard,
            profiles=profiles,
            pinned=PinnedProfiles(database, self.profiles),
            plans=TenantPlans(database, default=settings.default_plan),
            limiter=limiter,
            connection_secrets=connection_secrets,
            connections=ConnectionCache(database, connection_secrets),
            event_writer=EventWriter(database),
            event_dispatcher=event_dispatcher,
            event_processor=EventProcessor(
                database=database, starter=starter, creation=creation, guard=self.url_guard
            ),
            keys=KeyCache(database),
            endpoint_secrets=EndpointSecrets(secret),
            dispatcher=dispatcher,
            feed=FeedService(database, starter=starter, dispatcher=dispatcher, files=self.clips),
            meter=RequestMeter(database, interval=settings.usage_flush_interval),
            queries=QueryReader(VocabularyCache()),
        )

    @cached_property
    def temporal(self) -> TemporalConnection:
        """The Temporal client."""
        return TemporalConnection(self.settings, self._client)

    @cached_property
    def profiles(self) -> ProfileStore:
        """The game profiles shipped with the product."""
        return ProfileStore()

    @cached_property
    def url_guard(self) -> UrlGuard:
        """The check of untrusted URLs before a request is sent to them."""
        return UrlGuard(allow_private=self.settings.allow_private_urls)

    @cached_property
    def s3(self) -> S3Connection:
        """The client of S3."""
        connection = S3Connection()
        self._closing.push_async_callback(connection.close)
        return connection

    @cached_property
    def segments(self) -> SegmentStore:
        """The store of media segments."""
        location = self.settings.segment_location()
        if isinstance(location, S3Location):
            return S3SegmentStore(self._bucket(location), self.media_cache)
        return LocalSegmentStore(location)

    @cached_property
    def worker_name(self) -> str | None:
        """Name of this process as the owner of a media cache; None if all share one directory."""
        if isinstance(self.settings.segment_location(), Path):
            return None
        return f"{socket.gethostname()}-{uuid4().hex[:12]}"

    @cached_property
    def media_cache(self) -> MediaCache:
        """Media of a remote segment store on the local disk."""
        settings = self.settings
        cache = MediaCache(settings.home_path() / "media", max_bytes=settings.media_cache_bytes)
        self._closing.push_async_callback(cache.close)
        return cache

    @cached_property
    def clips(self) -> ClipStore:
        """The store of rendered clips."""
        location = self.settings.clip_location()
        if isinstance(location, S3Location):
            return S3ClipStore(self._bucket(location), cdn=self._cdn())
        return LocalClipStore(location)

    def _bucket(self, location: S3Location) -> S3Bucket:
        return S3Bucket(self.s3, location, self.settings.s3_options())

    def _cdn_invalidator(self) -> CloudFrontInvalidator | None:
        url, distribution = self.settings.clip_cdn_url, self.settings.clip_cdn_distribution_id
        if url is None or distribution is None:
            return None
        return CloudFrontInvalidator(distribution_id=distribution, base_url=url)

    def _cdn(self) -> CloudFrontLinks | None:
        settings = self.settings
        url, key_id, key = (
            settings.clip_cdn_url,
            settings.clip_cdn_key_id,
            settings.clip_cdn_private_key,
        )
        if url is None or key_id is None or key is None:
            return None
        return CloudFrontLinks(base_url=url, key_id=key_id, private_key=key.get_secret_value())

    @cached_property
    def hls(self) -> HlsClient:
        """The client of tenants' playlists and segments."""
        client = HlsClient(self.url_guard)
        self._closing.push_async_callback(client.close)
        return client

    @cached_property
    def hms(self) -> HmsApi:
        """The client of 100ms's API."""
        api = HmsApi(self.settings.hms_api_url)
        self._closing.push_async_callback(api.close)
        return api

    @cached_property
    def probes(self) -> MediaPool:
        """Processes for probing only, so that ingest never waits for an analysis."""
        return self._pool(processes=1, niceness=Niceness.FETCHING)

    @cached_property
    def media(self) -> MediaPool:
        """Processes for analysis only, so that live streams never wait for an export."""
        return self._pool(processes=self.settings.analyzer_processes, niceness=Niceness.ANALYSIS)

    @cached_property
    def rendering(self) -> MediaPool:
        """Processes that join, cut and check what is rendered: clips and exports."""
        return self._pool(processes=self.settings.render_concurrency, niceness=Niceness.RENDERING)

    @cached_property
    def webhooks(self) -> WebhookSender:
        """The client of tenants' webhook endpoints."""
        sender = WebhookSender(
            self.url_guard,
            timeout=self.settings.webhook_timeout,
            max_connections=2 * self.settings.webhook_concurrency,
        )
        self._closing.push_async_callback(sender.close)
        return sender

    @cached_property
    def gemini(self) -> GeminiClient | None:
        """The client of Gemini; None without a key."""
        settings = self.settings
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
        self._closing.push_async_callback(client.close)
        return client

    @cached_property
    def gemini_quota(self) -> GeminiQuota:
        """The rate limits of Gemini calls, shared through Redis where there is one."""
        settings = self.settings
        quota = GeminiQuota(
            QuotaLimits(
                requests_per_minute=settings.gemini_requests_per_minute,
                tokens_per_minute=settings.gemini_tokens_per_minute,
                tenant_share=settings.gemini_tenant_share,
            ),
            self._redis_url(),
        )
        self._closing.push_async_callback(quota.close)
        return quota

    @cached_property
    def analyzer(self) -> LocalAnalysis | GeminiAnalysis:
        """The local analyzer, combined with Gemini where there is a key."""
        settings = self.settings
        local = LocalAnalysis(
            segments=self.segments,
            pool=self.media,
            profiles=self.services.pinned,
            feed=self.services.feed,
        )
        if self.gemini is None:
            return local
        spending = GeminiSpending(
            self.database,
            TenantBudget(
                dollars_per_hour=settings.gemini_dollars_per_tenant_hour,
                dollars_per_month=settings.gemini_dollars_per_tenant_month,
            ),
        )
        gemini_analyzer = GeminiAnalyzer(
            GeminiResources(
                client=self.gemini,
                quota=self.gemini_quota,
                spending=spending,
                segments=self.segments,
                pool=self.media,
                prices=settings.gemini_price_table(),
            ),
            self._queries(GeminiModelChoice()),
            {name: self._queries(each) for name, each in settings.gemini_by_profile.items()},
        )
        limits = GateLimits(
            dollars_per_hour=settings.gemini_dollars_per_stream_hour,
            video_share=settings.gemini_video_share,
        )
        return GeminiAnalysis(
            local=local,
            chunk_analyzer=ChunkAnalyzer(gemini_analyzer, spending, limits),
            segments=self.segments,
            profiles=self.services.pinned,
        )

    def _queries(self, choice: GeminiModelChoice) -> QueryBuilder:
        settings = self.settings
        temperature = choice.temperature
        return QueryBuilder(
            model=bare_name(choice.model or settings.gemini_model),
            temperature=settings.gemini_temperature if temperature is None else temperature,
            language=choice.language or settings.gemini_language,
        )

    def _limiter(self) -> RateLimiter:
        settings = self.settings
        return RateLimiter(
            self._redis_url(),
            timeout=settings.rate_limit_timeout,
            retry_interval=settings.rate_limit_retry_interval,
            count_locally=settings.rate_limit_fail_open,
        )

    def _redis_url(self) -> str | None:
        url = self.settings.redis_url
        return None if url is None else url.get_secret_value()

    def _pool(self, *, processes: int, niceness: Niceness) -> MediaPool:
        settings = self.settings
        pool = MediaPool(
            processes=processes,
            memory_bytes=settings.analyzer_memory_bytes,
            cpu_seconds=settings.analyzer_cpu_seconds,
            timeout=settings.analyzer_timeout,
            niceness=niceness,
        )
        self._closing.push_async_callback(pool.close)
        return pool
