"""What the routes work with: one of each, made with the application."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import Depends, Request
from temporalio.client import Client

from api.event_connections import EventConnections
from api.problems import UnavailableProblem
from api.rate_limits import RateLimits
from infra.clip_store import LocalClipStore
from infra.database import Database
from infra.errors import SetupError
from infra.key_cache import KeyCache
from infra.pinned_profiles import PinnedProfiles
from infra.settings import Settings
from infra.signed_urls import UrlSigner
from infra.telemetry import temporal_interceptors
from infra.temporal import connect
from infra.tenant_profiles import TenantProfileStore
from infra.url_guard import UrlGuard
from infra.webhook_dispatcher import WebhookDispatcher
from infra.webhook_signing import EndpointSecrets

_CONNECT_TIMEOUT: Final = timedelta(seconds=3)


class TemporalConnection:
    """A client of Temporal that is made when first needed, so that the API starts without it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def client(self) -> Client:
        """Return the client; once connected it reconnects by itself.

        Raises:
            UnavailableProblem: Temporal does not answer, or none is configured.
        """
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await connect(
                        self._settings,
                        interceptors=temporal_interceptors(self._settings),
                        patience=_CONNECT_TIMEOUT,
                    )
                except SetupError as error:
                    raise UnavailableProblem(
                        "The workflow service does not answer. " + UnavailableProblem.advice
                    ) from error
            return self._client


@dataclass(frozen=True, kw_only=True)
class Services:
    """The doors to the world, and the rules read at start."""

    settings: Settings
    database: Database
    temporal: TemporalConnection
    clips: LocalClipStore
    signer: UrlSigner
    key_secret: bytes
    url_guard: UrlGuard
    profiles: TenantProfileStore
    pinned: PinnedProfiles
    limits: RateLimits
    keys: KeyCache
    endpoint_secrets: EndpointSecrets
    dispatcher: WebhookDispatcher
    event_connections: EventConnections


async def services_of(request: Request) -> Services:
    """Return the application's services; a coroutine, since FastAPI runs others on a thread."""
    services: Services = request.app.state.services
    return services


ServicesDependency = Annotated[Services, Depends(services_of)]
