"""The services that routes use, created once with the application."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Self

from fastapi import Depends, Request

from api.middleware.rate_limits import ConnectionLimiter, RateLimits, TenantConcurrency
from api.streams.watch import StreamWatch
from app.services.registry import ServiceRegistry


@dataclass(frozen=True, kw_only=True)
class Services(ServiceRegistry):
    """The shared services with the API's own state: rate limits, open connections, turns."""

    limits: RateLimits
    event_connections: ConnectionLimiter
    turns: TenantConcurrency
    stream_watch: StreamWatch

    @classmethod
    def from_registry(cls, shared: ServiceRegistry) -> Self:
        """Return `shared` with the API's own state added."""
        settings = shared.settings
        return cls(
            **{each.name: getattr(shared, each.name) for each in fields(ServiceRegistry)},
            limits=RateLimits(shared.limiter, shared.plans, settings),
            event_connections=ConnectionLimiter(settings.events_per_tenant),
            turns=TenantConcurrency(),
            stream_watch=StreamWatch(shared.database, interval=settings.events_interval),
        )


async def services_of(request: Request) -> Services:
    """Return the application's services; a coroutine, since FastAPI runs others on a thread."""
    services: Services = request.app.state.services
    return services


ServicesDependency = Annotated[Services, Depends(services_of)]
