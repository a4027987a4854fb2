"""The HTTP API, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from api import audit, batches, health
from api.clips import routes as clips
from api.connections import hms_webhooks
from api.connections import routes as connections
from api.errors.handlers import answer_with_problems
from api.highlights import feedback, search, similar
from api.highlights import routes as highlights
from api.highlights.turns import Turns
from api.keys import routes as keys
from api.middleware.conditional import ConditionalReads
from api.middleware.content_type import require_acceptable
from api.middleware.cors import allow_origins
from api.middleware.json_body import JsonBodies
from api.middleware.methods import Methods, all_routes
from api.middleware.parameters import DeclaredParameters, require_declared_without_key
from api.middleware.rate_limiting import RateLimiting, charge_file
from api.middleware.rate_limits import RateLimits
from api.middleware.request_context import RequestContext
from api.middleware.size_limits import BodyLimit, HeadLimit
from api.openapi.document import add_documentation, complete_document
from api.openapi.events import document_events
from api.profiles import routes as profiles
from api.services import Services
from api.streams import deletion
from api.streams import events as stream_events
from api.streams import routes as streams
from api.streams.event_connections import EventConnections
from api.usage import routes as usage
from api.webhooks import deliveries
from api.webhooks import routes as webhooks
from app.services.connections import KnownConnections
from app.services.hms_events import EventDispatcher, EventWriter
from app.services.key_cache import KeyCache
from app.services.plans import TenantPlans
from app.services.profiles import PinnedProfiles, TenantProfileStore
from app.services.search import QueryReader, Vocabularies
from app.services.streams import StreamCreation, StreamStarter, TenantNames
from app.services.usage import RequestMeter
from app.services.webhooks import WebhookDispatcher
from infra.connection_secrets import ConnectionSecrets
from infra.db.engine import Database
from infra.errors import NotConfiguredError
from infra.profiles.store import ProfileStore
from infra.rate_limit import RateLimiter
from infra.settings import Settings
from infra.ssrf import UrlGuard
from infra.state_directory import signing_secret
from infra.storage.clips import LocalClipStore
from infra.storage.signed_urls import ClipLinks, UrlSigner
from infra.temporal.client import TemporalConnection
from infra.webhooks.signing import EndpointSecrets

_MAX_BODY_BYTES: Final = 64 << 10
_MAX_URI_BYTES: Final = 8 << 10
_MAX_HEADERS_BYTES: Final = 16 << 10
_MIN_GZIP_BYTES: Final = 1024
_GZIP_LEVEL: Final = 5
# `/v1/webhooks/deliveries` must not be taken for an endpoint, so deliveries come first, and so
# does the search before highlights by their ids. Routes are tried in this order, and most requests
# by far are 100ms's.
_RESOURCES: Final = (
    hms_webhooks,
    *(streams, deletion, stream_events),
    *(search, highlights, similar, feedback, batches, clips, profiles),
    *(connections, deliveries, webhooks),
    *(usage, keys, audit, health),
)
# They only read, although their arguments are bodies.
_READS: Final = frozenset({"/v1/highlights/batch-get", "/v1/profiles/match"})
_TAGS: Final[list[dict[str, Any]]] = [
    {"name": "streams", "description": "Live streams being analysed."},
    {"name": "highlights", "description": "The moments found in them."},
    {"name": "clips", "description": "Video files of the moments."},
    {"name": "profiles", "description": "What counts in each game, and your own rules for it."},
    {"name": "connections", "description": "100ms workspaces whose events start your streams."},
    {"name": "100ms", "description": "Where 100ms sends its events."},
    {"name": "keys", "description": "API keys, and what they may do."},
    {"name": "audit", "description": "Who changed what."},
    {"name": "webhooks", "description": "What you are told as it happens, and where."},
    {"name": "usage", "description": "What you have used, and what it costs."},
    {"name": "health", "description": "For load balancers and operators."},
]


def create_app(settings: Settings) -> FastAPI:
    """Return the API.

    It starts, and answers `/healthz`, whether or not database and Temporal do.

    Raises:
        NotConfiguredError: no database is set.
        InvalidProfilesError: a game profile is wrong.
    """
    services = _services(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        metering = asyncio.create_task(services.meter.run())
        yield
        await services.event_dispatcher.close()
        metering.cancel()
        await asyncio.wait([metering])
        await services.limits.close()
        await services.database.close()

    app = FastAPI(
        title="Highlight API",
        version="1",
        summary="A live stream in, scored clips of its best moments out.",
        description="All times are seconds of the stream's own media time unless they are "
        "timestamps. Errors are problem documents (RFC 9457), listed at `/errors`.",
        openapi_tags=_TAGS,
        servers=[{"url": "/"}],
        license_info={"name": "Proprietary", "identifier": "LicenseRef-Proprietary"},
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.parameters = DeclaredParameters(
        [resource.router for resource in _RESOURCES], open_to_any=hms_webhooks.NAMES
    )
    for resource in _RESOURCES:
        app.include_router(
            resource.router,
            dependencies=[
                Depends(require_acceptable),
                Depends(charge_file),
                Depends(require_declared_without_key),
            ],
        )
    add_documentation(app)
    complete_document(app)
    document_events(app)
    answer_with_problems(app)
    _surround(app, settings, services)
    return app


def _surround(app: FastAPI, settings: Settings, services: Services) -> None:
    """Add the middleware, innermost first."""
    app.add_middleware(ConditionalReads)
    app.add_middleware(JsonBodies, exempt=(hms_webhooks.PREFIX,))
    app.add_middleware(
        BodyLimit,
        limit=_MAX_BODY_BYTES,
        larger={hms_webhooks.PREFIX: hms_webhooks.MAX_BODY_BYTES},
        reads=_READS,
    )
    app.add_middleware(
        Methods, routes=all_routes(app.routes, [resource.router for resource in _RESOURCES])
    )
    app.add_middleware(HeadLimit, uri=_MAX_URI_BYTES, headers=_MAX_HEADERS_BYTES)
    app.add_middleware(RateLimiting, limits=services.limits)
    app.add_middleware(GZipMiddleware, minimum_size=_MIN_GZIP_BYTES, compresslevel=_GZIP_LEVEL)
    app.add_middleware(RequestContext, https=settings.base_url().startswith("https:"))
    allow_origins(app, settings.cors_origins)


def _services(settings: Settings) -> Services:
    if settings.database_url is None:
        raise NotConfiguredError(
            "No database is configured.",
            remedy="Set DATABASE_URL, or start everything with `highlights dev`.",
        )
    secret = signing_secret(settings)
    shipped = ProfileStore()
    database = Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_max_overflow,
        pool_timeout=settings.database_pool_timeout,
        transaction_pooler=settings.database_transaction_pooler,
    )
    temporal = TemporalConnection(settings)
    names = TenantNames(database)
    starter = StreamStarter(temporal.client, limits=settings.ingest_limits(), names=names)
    signer = UrlSigner(secret)
    guard = UrlGuard(allow_private=settings.allow_private_urls)
    profiles = TenantProfileStore(shipped)
    creation = StreamCreation(profiles, default_plan=settings.default_plan)
    connection_secrets = ConnectionSecrets(secret)
    redis_url = settings.redis_url
    limiter = RateLimiter(
        None if redis_url is None else redis_url.get_secret_value(),
        timeout=settings.rate_limit_timeout,
        retry_interval=settings.rate_limit_retry_interval,
        count_locally=settings.rate_limit_fail_open,
    )
    return Services(
        settings=settings,
        database=database,
        temporal=temporal,
        starter=starter,
        creation=creation,
        clips=LocalClipStore(Path(settings.clip_location())),
        signer=signer,
        links=ClipLinks(signer, base_url=settings.base_url(), lifetime=settings.clip_url_lifetime),
        key_secret=secret,
        url_guard=guard,
        profiles=profiles,
        pinned=PinnedProfiles(database, shipped),
        connection_secrets=connection_secrets,
        connections=KnownConnections(database, connection_secrets),
        event_writer=EventWriter(database),
        event_dispatcher=EventDispatcher(temporal.client, names=names),
        limits=RateLimits(limiter, TenantPlans(database, default=settings.default_plan), settings),
        keys=KeyCache(database),
        endpoint_secrets=EndpointSecrets(secret),
        dispatcher=WebhookDispatcher(database, temporal.client),
        event_connections=EventConnections(settings.events_per_tenant),
        meter=RequestMeter(database, interval=settings.usage_flush_interval),
        queries=QueryReader(Vocabularies()),
        turns=Turns(),
    )
