"""The reference server: FastAPI and asyncpg only.

No key, no tenant, no limits, no row-level security (it connects as a superuser), no request ids,
no headers and no log. It gives the same rows with the same fields by one statement, in the way of
FastAPI's own guide: models made from rows. Links of clips are not signed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
from fastapi import FastAPI
from pydantic import BaseModel
from temporalio.client import Client

from domain import task_queues
from infra.settings import Settings
from infra.temporal.client import connect

_POOL: Final = 15  # as many as the product may open: pool and overflow
_LIST: Final = """
    SELECT h.id, h.stream_id, h.status, h.tier, h.start, h.peak, h."end", h.score,
        h.skill_execution, h.game_impact, h.rarity, h.visual_spectacle, h.emotional_intensity,
        h.narrative_value, h.timing_importance, h.momentum_shift, h.confidence, h.title,
        h.description, h.tags, h.reasons, h.evidence, h.game, h.profile_id, h.profile_version,
        h.peak_wall_clock, h.created_at, h.updated_at,
        c.id AS clip_id, c.status AS clip_status, c.start AS clip_start,
        c.duration AS clip_duration, c.key AS clip_key, c.thumbnail_key,
        c.ready_at AS clip_ready_at, c.width AS clip_width,
        c.height AS clip_height, c.size AS clip_size
    FROM highlights h
    LEFT JOIN LATERAL (
        SELECT * FROM clips
        WHERE tenant_id = h.tenant_id AND highlight_id = h.id
        ORDER BY created_at DESC LIMIT 1
    ) c ON true
    WHERE h.tenant_id = $1 AND h.status NOT IN ('held', 'rejected')
    ORDER BY h.created_at DESC, h.id DESC
    LIMIT $2
"""
_INSERT: Final = """
    INSERT INTO streams
        (tenant_id, id, playlist_url, game, title, profile_id, profile_version, status)
    VALUES ($1, $2, $3, $4, $5, $4, '1', 'starting')
    RETURNING id, playlist_url, game, title, status, created_at
"""


class Item(BaseModel):
    """A highlight and its clip, flat."""

    id: UUID
    stream_id: UUID
    status: str
    tier: str
    start: float
    peak: float
    end: float
    score: float
    skill_execution: float
    game_impact: float
    rarity: float
    visual_spectacle: float
    emotional_intensity: float
    narrative_value: float
    timing_importance: float
    momentum_shift: float
    confidence: float
    title: str
    description: str
    tags: list[str]
    reasons: list[dict[str, Any]]
    evidence: list[dict[str, Any]]
    game: str
    profile_id: str
    profile_version: str
    peak_wall_clock: datetime | None
    created_at: datetime
    updated_at: datetime
    clip_id: UUID | None
    clip_status: str | None
    clip_start: float | None
    clip_duration: float | None
    clip_key: str | None
    thumbnail_key: str | None
    clip_ready_at: datetime | None
    clip_width: int | None
    clip_height: int | None
    clip_size: int | None


class Wanted(BaseModel):
    """A stream to analyze."""

    url: str
    game: str
    title: str


class Started(BaseModel):
    """A stream as inserted."""

    id: UUID
    playlist_url: str
    game: str
    title: str
    status: str
    created_at: datetime


class Begin(BaseModel):
    """The workflow's input."""

    stream_id: UUID
    url: str


def create_bare_app(dsn: str, settings: Settings, tenant_id: UUID) -> FastAPI:
    """Return it, for one tenant's rows."""
    pools: list[asyncpg.Pool] = []
    clients: list[Client] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        clients.append(await connect(settings))
        async with asyncpg.create_pool(dsn, min_size=5, max_size=_POOL, init=_read_json) as pool:
            pools.append(pool)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/v1/highlights/list")
    async def list_highlights(limit: int = 50) -> list[Item]:
        rows: list[Mapping[str, Any]] = await pools[0].fetch(_LIST, tenant_id, limit)
        return [Item(**row) for row in rows]

    @app.post("/v1/streams/analyze", status_code=201)
    async def analyze_stream(wanted: Wanted) -> Started:
        row = await pools[0].fetchrow(
            _INSERT, tenant_id, uuid4(), wanted.url, wanted.game, wanted.title
        )
        await clients[0].start_workflow(
            "StreamWorkflow",
            Begin(stream_id=row["id"], url=wanted.url),
            id=f"bare/{row['id']}",
            task_queue=task_queues.ORCHESTRATION,
        )
        return Started(**row)

    return app


async def _read_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads
    )
