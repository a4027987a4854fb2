"""The address that a request comes from."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from api.services import ServicesDependency
from domain.client_address import IPAddress, client_address

_FORWARDED_FOR: Final = "X-Forwarded-For"


async def client_address_of(request: Request, services: ServicesDependency) -> IPAddress | None:
    """Return the client's address, or None when there is none, as on a Unix socket."""
    if request.client is None:
        return None
    try:
        return client_address(
            request.client.host,
            request.headers.getlist(_FORWARDED_FOR),
            services.settings.trusted_proxies,
        )
    except ValueError:
        return None


ClientAddress = Annotated[IPAddress | None, Depends(client_address_of)]
