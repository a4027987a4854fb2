"""The HTTP API, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from api import clips, connections, health, highlights, hms_webhooks, profiles, streams
from api.body_limit import BodyLimit
from api.documentation import add_documentation, document_problems
from api.problem_handlers import answer_with_problems
from api.request_context import RequestContext
from api.services import Services
from infra.clip_store import LocalClipStore
from infra.connection_secrets import ConnectionSecrets
from infra.database import Database
from infra.embedded.home import signing_secret
from infra.errors import NotConfiguredError
from infra.inbound_delivery import InboundDelivery
from infra.pinned_profiles import PinnedProfiles
from infra.profile_store import ProfileStore
from infra.settings import Settings
from infra.signed_urls import UrlSigner
from infra.stream_starter import StreamStarter
from infra.temporal_connection import TemporalConnection
from infra.tenant_profiles import TenantProfileStore
from infra.url_guard import UrlGuard

_MAX_BODY_BYTES: Final = 64 << 10
_TAGS: Final[list[dict[str, Any]]] = [
    {"name": "streams", "description": "Live streams being analysed."},
    {"name": "highlights", "description": "The moments found in them."},
    {"name": "clips", "description": "Video files of the moments."},
    {"name": "profiles", "description": "What counts in each game, and your own rules for it."},
    {"name": "connections", "description": "100ms workspaces whose events start your streams."},
    {"name": "100ms", "description": "Where 100ms sends its events."},
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
        yield
        await services.database.close()

    app = FastAPI(
        title="Highlight API",
        version="1",
        summary="A live stream in, scored clips of its best moments out.",
        description="All times are seconds of the stream's own media time unless they are "
        "timestamps. Errors are problem documents (RFC 9457), listed at `/errors`.",
        openapi_tags=_TAGS,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    for resource in (streams, highlights, clips, profiles, connections, hms_webhooks, health):
        app.include_router(resource.router)
    add_documentation(app)
    document_problems(app)
    answer_with_problems(app)
    app.add_middleware(
        BodyLimit,
        limit=_MAX_BODY_BYTES,
        larger={hms_webhooks.PREFIX: hms_webhooks.MAX_BODY_BYTES},
    )
    app.add_middleware(RequestContext, https=settings.base_url().startswith("https:"))
    return app


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
    starter = StreamStarter(temporal.client, limits=settings.ingest_limits())
    guard = UrlGuard(allow_private=settings.allow_private_urls)
    profiles = TenantProfileStore(shipped)
    return Services(
        settings=settings,
        database=database,
        temporal=temporal,
        starter=starter,
        clips=LocalClipStore(Path(settings.clip_location())),
        signer=UrlSigner(secret),
        key_secret=secret,
        url_guard=guard,
        profiles=profiles,
        pinned=PinnedProfiles(database, shipped),
        connection_secrets=ConnectionSecrets(secret),
        inbound=InboundDelivery(database=database, starter=starter, profiles=profiles, guard=guard),
    )
