"""The reference server: FastAPI and asyncpg only.

No secret, no address, no tenant, no row-level security (it connects as a superuser), no request
ids, no headers, no log, no stream. It writes the same row into the same table, one INSERT for each
event, in its own transaction.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from pydantic import BaseModel

_POOL: Final = 15  # as many as ours may open: pool and overflow
_INSERT: Final = """
    INSERT INTO inbound_events
        (tenant_id, connection_id, event_id, type, effect, is_replay, body, outcome, delivered_at)
    VALUES ($1, $2, $3, $4, $5, false, $6, 'noted', now())
    ON CONFLICT DO NOTHING
    RETURNING position
"""


class Receipt(BaseModel):
    """As ours."""

    id: str
    is_new: bool


def create_bare_app(dsn: str, tenant_id: UUID) -> FastAPI:
    """Return it, for one tenant's rows."""
    pools: list[asyncpg.Pool] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn, min_size=_POOL, max_size=_POOL) as pool:
            pools.append(pool)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/webhooks/100ms/{connection_id}")
    async def receive(connection_id: UUID, request: Request) -> Receipt:
        body = await request.body()
        event = json.loads(body)
        effect = json.dumps({"kind": "ignore", "note": ""})
        position = await pools[0].fetchval(
            _INSERT, tenant_id, connection_id, event["id"], event["type"], effect, body
        )
        return Receipt(id=event["id"], is_new=position is not None)

    return app
