"""What each list is measured among: rows of one tenant, in the millions, and some of another's."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg

from infra.db.engine import asyncpg_url

TENANT: Final = UUID(int=1)
OTHER: Final = UUID(int=2)
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
PER_STREAM: Final = 20
QUIET: Final = 60
"""Events of a connection that has received none since."""

_CHUNK: Final = 50_000
_RARE: Final = 5_000  # every so manieth highlight has the rare tag
_STREAMS: Final = """
INSERT INTO streams (tenant_id, id, external_id, playlist_url, game, title, profile_id,
    profile_version, status, created_at)
SELECT $1::uuid, md5('stream' || n)::uuid, 'match-' || n, 'https://cdn.example.com/a.m3u8',
    (ARRAY['soccer', 'valorant', 'tennis', 'hockey'])[1 + n % 4], 'Match ' || n, 'default', '1',
    CASE WHEN n % 100 = 0 THEN 'live' ELSE 'completed' END,
    $2::timestamptz + n * interval '20 seconds'
FROM generate_series($3::int, $4::int) AS n
"""
_HIGHLIGHTS: Final = """
INSERT INTO highlights (tenant_id, id, stream_id, game, profile_id, profile_version, status, tier,
    score, skill_execution, game_impact, rarity, visual_spectacle, emotional_intensity,
    narrative_value, timing_importance, momentum_shift, confidence, start, peak, "end", clip_start,
    clip_end, settled_at, decided_at, peak_wall_clock, title, description, analyzer, tags, reasons,
    evidence, match_state, created_at, updated_at)
SELECT $1::uuid, md5('highlight' || n)::uuid, md5('stream' || n / $5::int)::uuid,
    (ARRAY['soccer', 'valorant', 'tennis', 'hockey'])[1 + (n / $5::int) % 4], 'default', '1',
    CASE WHEN n % 20 = 0 THEN 'rejected' WHEN n % 20 = 1 THEN 'retracted' ELSE 'confirmed' END,
    'standard', v, v, v, v, v, v, v, v, v, 0.8, p - 5, p, p + 5, p - 5, p + 5, p + 8, p + 10,
    $2::timestamptz + n * interval '1 second',
    (ARRAY['Goal', 'Save', 'Card', 'Penalty'])[1 + n % 4] || ' by player' || n % 500,
    'The crowd rises.', 'local-1',
    to_jsonb(CASE WHEN n % $6::int = 0 THEN ARRAY['crowd', 'rare'] ELSE ARRAY['crowd'] END),
    '[]', '[]', jsonb_build_object(
        'score_after', jsonb_build_array(CASE WHEN n % $6::int = 0 THEN 99 ELSE n % 4 END, n % 3),
        'period', (ARRAY['1st', '2nd'])[1 + n % 2]),
    $2::timestamptz + n * interval '1 second', $2::timestamptz + n * interval '1 second'
FROM generate_series($3::int, $4::int) AS n,
    LATERAL (SELECT (n::bigint * 7919 % 10007) / 10007.0::float8 AS v,
        30.0::float8 + 60 * (n % $5::int) AS p) AS made
"""
# Two of each highlight, as a feed of odds has.
_FEED_EVENTS: Final = """
INSERT INTO stream_events (tenant_id, id, stream_id, event_id, revision, kind, market, content,
    outcome, place, error, highlight_id, received_at, updated_at)
SELECT $1::uuid, md5('feed' || part || n)::uuid, md5('stream' || n / $5::int)::uuid,
    'event-' || part || '-' || n, 0, 'odds',
    CASE WHEN n % $6::int = 0 THEN 'rare' ELSE '1x2' END, '{}', 'linked', 30 + n, 1,
    md5('highlight' || n)::uuid, $2::timestamptz + n * interval '1 second',
    $2::timestamptz + n * interval '1 second'
FROM generate_series($3::int, $4::int) AS n, generate_series(0, 1) AS part
"""
_SUBJECTS: Final = """
INSERT INTO event_subjects (tenant_id, event_id, subject)
SELECT $1::uuid, md5('feed0' || n)::uuid, subject
FROM generate_series($2::int, $3::int) AS n,
    unnest(ARRAY['bet:' || n, 'user:' || n % 500]) AS subject
"""
_CLIPS: Final = """
INSERT INTO clips (tenant_id, id, stream_id, highlight_id, status, start, duration, message,
    thumbnail_hash, created_at, updated_at)
SELECT $1::uuid, md5('clip' || n)::uuid, md5('stream' || n / $5::int)::uuid,
    md5('highlight' || n)::uuid, 'ready', 0, 10, '', substr(md5('picture' || n), 1, 16),
    $2::timestamptz + n * interval '1 second', $2::timestamptz + n * interval '1 second'
FROM generate_series($3::int, $4::int) AS n
"""
_FEEDBACK: Final = """
INSERT INTO highlight_feedback (tenant_id, highlight_id, author, id, verdict, note)
SELECT $1::uuid, md5('highlight7')::uuid, 'user' || n, md5('feedback' || n)::uuid, 'like', ''
FROM generate_series(1, 1000) AS n
"""
_USAGE: Final = """
INSERT INTO usage_hourly (tenant_id, hour, kind, stream_id, quantity)
SELECT $1::uuid, $2::timestamptz + h * interval '1 hour', kind, md5('stream' || s)::uuid, 60
FROM generate_series(1, 2000) AS h, generate_series(0, 4) AS s,
    unnest(ARRAY['analyzed_seconds', 'clip_rendered']) AS kind
"""
_WINDOWS: Final = """
INSERT INTO windows (tenant_id, stream_id, index, start, "end", segments, size)
SELECT $1::uuid, md5('stream' || s)::uuid, n, n * 60, n * 60 + 60, 15, 1000000
FROM generate_series(0, 4) AS s, generate_series(0, 1000) AS n
"""
_KEYS: Final = """
INSERT INTO api_keys (tenant_id, id, name, hash, hint, mode, scopes, created_at)
SELECT $1::uuid, md5('key' || n)::uuid, 'key ' || n, sha256(($1::uuid || 'key' || n)::bytea),
    'abcd', 'live', ARRAY['read'], $2::timestamptz + n * interval '1 second'
FROM generate_series(0, 999) AS n
"""
_CONNECTIONS: Final = """
INSERT INTO connections (tenant_id, id, name, checks, header_hash, signing_secret, created_at)
SELECT $1::uuid, md5('connection' || n)::uuid, 'Workspace ' || n, '{}', '\\x00', '\\x00',
    $2::timestamptz + n * interval '1 second'
FROM generate_series(0, 999) AS n
"""
_INBOUND: Final = """
INSERT INTO inbound_events (tenant_id, connection_id, event_id, type, effect, is_replay,
    received_at, outcome, delivered_at)
SELECT $1::uuid, md5('connection' || CASE WHEN n < $3::int THEN 0 ELSE n % 5 + 1 END)::uuid,
    'event-' || n, 'beam.started.success', '{}', false,
    $2::timestamptz + n * interval '1 second', 'noted', $2::timestamptz
FROM generate_series(0, $4::int) AS n
"""
_ENDPOINTS: Final = """
INSERT INTO webhook_endpoints (tenant_id, id, url, description, event_types, secret, status,
    created_at)
SELECT $1::uuid, md5('endpoint' || n)::uuid, 'https://hooks.example.com/' || n, '', '{}', '\\x00',
    'enabled', $2::timestamptz + n * interval '1 second'
FROM generate_series(0, 999) AS n
"""
_EVENTS: Final = """
INSERT INTO events (tenant_id, id, type, subject, ordering_key, data, created_at, dispatched_at,
    published_at)
SELECT $1::uuid, md5('event' || n)::uuid,
    CASE WHEN n % $4::int = 0 THEN 'usage.threshold' ELSE 'clip.ready' END,
    'clip/' || n, 'clip/' || n, '{}', $2::timestamptz + n * interval '1 second', now(), now()
FROM generate_series(0, $3::int) AS n
"""
# The last endpoint has all that failed, and little else; the first few have nearly all.
_DELIVERIES: Final = """
INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, event_type, status, created_at)
SELECT tenant_id, md5('delivery' || n)::uuid, id,
    md5('endpoint' || CASE WHEN n % $3::int < 2 THEN 99 ELSE n % 3 END)::uuid, type,
    CASE WHEN n % $3::int = 1 THEN 'failed' ELSE 'succeeded' END, created_at
FROM events,
    LATERAL (SELECT extract(epoch FROM created_at - $2::timestamptz)::int AS n) AS numbered
WHERE tenant_id = $1::uuid
"""
_AUDIT: Final = """
INSERT INTO audit_log (tenant_id, id, at, actor_kind, action, target_kind, target_id, details)
SELECT $1::uuid, md5('entry' || n)::uuid, $2::timestamptz + n * interval '1 minute', 'operator',
    CASE WHEN n % $4::int = 0 THEN 'tenant.plan_set' ELSE 'key.rotated' END,
    CASE WHEN n % $4::int = 0 THEN 'tenant' ELSE 'key' END,
    CASE WHEN n % $4::int = 0 THEN $1::uuid::text ELSE md5('key' || n % 1000) END, '{}'
FROM generate_series(0, $3::int) AS n
"""
_OVERRIDES: Final = """
INSERT INTO profile_overrides (tenant_id, profile_id, revision, patch, created_at)
SELECT $1::uuid, 'soccer', n, '{}', $2::timestamptz + n * interval '1 minute'
FROM generate_series(1, 1000) AS n
"""


async def fill(owner_url: str, *, tenant: UUID, highlights_count: int) -> None:
    """Give a tenant this many highlights, with a clip and two feed events each, twenty in a stream.

    There are a quarter as many events, deliveries and inbound events, and a tenth as many changes.
    """
    url = asyncpg_url(owner_url).set(drivername="postgresql")
    connection = await asyncpg.connect(url.render_as_string(hide_password=False))
    try:
        await _insert(connection, tenant, "INSERT INTO tenants VALUES ($1, 'a', 'A', now())")
        last = highlights_count - 1
        await _insert(connection, tenant, _STREAMS, START, 0, last // PER_STREAM)
        for first in range(0, highlights_count, _CHUNK):
            chunk = (START, first, min(first + _CHUNK - 1, last), PER_STREAM)
            await _insert(connection, tenant, _HIGHLIGHTS, *chunk, _RARE)
            await _insert(connection, tenant, _CLIPS, *chunk)
            await _insert(connection, tenant, _FEED_EVENTS, *chunk, _RARE)
            await _insert(connection, tenant, _SUBJECTS, *chunk[1:3])
        for table in (_KEYS, _CONNECTIONS, _ENDPOINTS, _OVERRIDES):
            await _insert(connection, tenant, table, START)
        await _insert(connection, tenant, _INBOUND, START, QUIET, last // 4)
        await _insert(connection, tenant, _EVENTS, START, last // 4, _RARE)
        await _insert(connection, tenant, _DELIVERIES, START, _RARE)
        await _insert(connection, tenant, _AUDIT, START, last // 10, _RARE)
        await _insert(connection, tenant, _WINDOWS)
        await _insert(connection, tenant, _FEEDBACK)
        await _insert(connection, tenant, _USAGE, START)
        await connection.fetch("VACUUM ANALYZE")
    finally:
        await connection.close()


async def _insert(
    connection: asyncpg.Connection, tenant: UUID, statement: str, *values: object
) -> None:
    async with connection.transaction():
        await connection.fetch("SELECT set_config('app.tenant_id', $1, true)", str(tenant))
        await connection.fetch(statement, tenant, *values)


def id_of(kind: str, number: int) -> UUID:
    """Return the id that the statements above make."""
    return UUID(hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest())
