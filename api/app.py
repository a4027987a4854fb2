"""The FastAPI application: routes, middleware, error handlers and documentation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from api import audit, egress, health
from api.auth import charge_file
from api.clips import on_demand as clips_on_demand
from api.clips import playback as clip_playback
from api.clips import routes as clips
from api.connections import hms_webhooks
from api.connections import routes as connections
from api.console.routes import add_console
from api.documentation import add_documentation_site
from api.embeds import routes as embeds
from api.errors.handlers import add_exception_handlers
from api.exports import batches as export_batches
from api.exports import branding
from api.exports import routes as exports
from api.feed import routes as feed
from api.highlights import feedback, review, search
from api.highlights import routes as highlights
from api.keys import routes as keys
from api.middleware.conditional import ConditionalReads
from api.middleware.json_content import JsonBodyValidation, require_acceptable
from api.middleware.rate_limits import (
    RateLimiting,
)
from api.middleware.request_context import RequestContext
from api.middleware.routing import (
    DeclaredParameters,
    MethodRouting,
    all_routes,
    require_declared_without_key,
)
from api.middleware.size_limits import BodyLimit, HeaderLimit
from api.openapi.document import add_documentation, complete_document, document_events
from api.profiles import preview as profile_preview
from api.profiles import routes as profiles
from api.profiles import taste
from api.services import Services
from api.streams import chapters as stream_chapters
from api.streams import deletions, recordings
from api.streams import events as stream_events
from api.streams import routes as streams
from api.usage import routes as usage
from api.webhooks import deliveries
from api.webhooks import events as tenant_events
from api.webhooks import routes as webhooks
from app.services.registry import ServiceRegistry

_CORS_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_CORS_REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
)
_CORS_RESPONSE_HEADERS: Final = (
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)
_CORS_MAX_AGE: Final = 600
_MAX_BODY_BYTES: Final = 64 << 10
_WITH_PICTURES: Final = tuple(each.router.prefix for each in (branding, export_batches, exports))
_MAX_URI_BYTES: Final = 8 << 10
_MAX_HEADERS_BYTES: Final = 16 << 10
_MIN_GZIP_BYTES: Final = 1024
_GZIP_LEVEL: Final = 5
# Routes are tried in this order: `/v1/webhooks/deliveries` before `/v1/webhooks/{endpoint_id}`,
# search before `/v1/highlights/{highlight_id}`, and 100ms first, which sends most requests.
_RESOURCES: Final = (
    hms_webhooks,
    *(streams, stream_events, stream_chapters, deletions, recordings),
    *(clip_playback, clips_on_demand),
    embeds,
    *(search, review, highlights, feedback, clips, exports, export_batches, branding),
    *(profiles, profile_preview, taste, feed),
    *(connections, tenant_events, deliveries, webhooks),
    *(usage, keys, audit, egress, health),
)
_DEPENDENCIES: Final = [
    Depends(require_acceptable),
    Depends(charge_file),
    Depends(require_declared_without_key),
]
# Routes and parameters are the same in every application of a process, and FastAPI takes .3 s to
# analyze them, so they are shared.
_API: Final = APIRouter()
for _resource in _RESOURCES:
    _API.include_router(_resource.router, dependencies=_DEPENDENCIES)
_PARAMETERS: Final = DeclaredParameters(
    [resource.router for resource in _RESOURCES], open_to_any=hms_webhooks.NAMES
)
# POST requests that only read.
_READS: Final = frozenset({"/v1/highlights/batch-get", "/v1/profiles/match"})
_TAGS: Final[list[dict[str, Any]]] = [
    {"name": "streams", "description": "Live streams and recordings, and their analysis."},
    {"name": "deletions", "description": "Deleted streams with proof, and legal holds."},
    {"name": "highlights", "description": "Highlights found in streams."},
    {"name": "clips", "description": "Clips of highlights and on demand."},
    {"name": "embeds", "description": "Players of highlights for your pages."},
    {"name": "exports", "description": "Files of clips and streams in other formats."},
    {"name": "feed", "description": "Events of your feed, and highlights of your bets."},
    {"name": "profiles", "description": "Scoring rules of each game, and your overrides."},
    {"name": "connections", "description": "100ms workspaces whose events start streams."},
    {"name": "100ms", "description": "Receivers of 100ms webhooks."},
    {"name": "keys", "description": "API keys and their scopes."},
    {"name": "audit", "description": "Who changed what."},
    {"name": "webhooks", "description": "Your webhook endpoints and deliveries to them."},
    {"name": "usage", "description": "Usage, cost and budgets."},
    {"name": "health", "description": "For load balancers and operators."},
]


def create_app(shared: ServiceRegistry, *, close: Callable[[], Awaitable[None]]) -> FastAPI:
    """Return the API.

    It starts, and answers `/healthz`, whether or not PostgreSQL and Temporal are up.

    Args:
        shared: the services.
        close: closes them, after the last request.
    """
    services = Services.from_registry(shared)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        metering = asyncio.create_task(services.meter.run())
        yield
        metering.cancel()
        await asyncio.wait([metering])
        await close()

    app = FastAPI(
        title="Highlight API",
        version="1",
        summary="Finds the highlights of live streams and renders clips of them.",
        description="All positions are seconds of the stream's media time; points in time are "
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
    app.state.parameters = _PARAMETERS
    app.router.routes.extend(_API.routes)
    add_documentation(app)
    add_documentation_site(app)
    add_console(
        app,
        media_origins=services.settings.media_origins(),
        temporal_url=services.settings.console_temporal_url,
    )
    complete_document(app)
    document_events(app)
    add_exception_handlers(app)
    _add_middleware(app, services)
    return app


def _add_middleware(app: FastAPI, services: Services) -> None:
    """Add the middleware, innermost first."""
    app.add_middleware(ConditionalReads)
    app.add_middleware(JsonBodyValidation, exempt=(hms_webhooks.PREFIX, recordings.UPLOAD_PATH))
    app.add_middleware(
        BodyLimit,
        limit=_MAX_BODY_BYTES,
        larger={
            hms_webhooks.PREFIX: hms_webhooks.MAX_BODY_BYTES,
            **dict.fromkeys(_WITH_PICTURES, branding.MAX_BODY_BYTES),
        },
        streamed={recordings.UPLOAD_PATH: recordings.MAX_UPLOAD_BYTES},
        reads=_READS,
    )
    app.add_middleware(
        MethodRouting, routes=all_routes(app.routes, [resource.router for resource in _RESOURCES])
    )
    app.add_middleware(HeaderLimit, uri=_MAX_URI_BYTES, headers=_MAX_HEADERS_BYTES)
    app.add_middleware(RateLimiting, limits=services.limits)
    app.add_middleware(GZipMiddleware, minimum_size=_MIN_GZIP_BYTES, compresslevel=_GZIP_LEVEL)
    app.add_middleware(RequestContext, https=services.settings.base_url().startswith("https:"))
    _allow_origins(app, services.settings.cors_origins)


def _allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Allow browser pages of these origins to call the API; none by default.

    Added last, so that pages can read error responses too and preflight requests, which cannot
    carry a key, do not count against rate limits. Keys are sent in a header that pages must set
    themselves, unlike cookies, so `*` is safe.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_CORS_METHODS,
            allow_headers=_CORS_REQUEST_HEADERS,
            expose_headers=_CORS_RESPONSE_HEADERS,
            max_age=_CORS_MAX_AGE,
        )
