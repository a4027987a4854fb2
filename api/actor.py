"""Who makes a change, for the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.auth import Caller, authenticate
from api.client_address import ClientAddress
from api.request_id import request_id_of
from domain.audit import Actor, ActorKind


async def actor_of(
    request: Request, caller: Annotated[Caller, Depends(authenticate)], address: ClientAddress
) -> Actor:
    """Return the caller as the audit log names it."""
    return Actor(
        kind=ActorKind.API_KEY,
        id=caller.key_id,
        request_id=request_id_of(request.scope),
        client_address=None if address is None else str(address),
    )


AuditActor = Annotated[Actor, Depends(actor_of)]
