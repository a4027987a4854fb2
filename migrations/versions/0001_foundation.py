"""Tenants, keys, streams, gaps, highlights, clips and idempotency keys."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import APP_ROLE, CURRENT_KEY_HASH, protect

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STREAM_STATUSES = ("starting", "live", "stalled", "ending", "completed", "failed", "cancelled")
END_REASONS = (
    "playlist_ended",
    "stopped",
    "stalled",
    "cancelled",
    "never_started",
    "not_a_playlist",
    "vod_playlist",
    "encrypted",
    "url_forbidden",
    "playlist_regressed",
    "playlist_too_large",
    "no_media",
    "source_failed",
    "origin_unreachable",
    "internal",
)
GAP_REASONS = ("rolled_off", "not_found", "unreachable", "corrupt", "too_large", "declared")
DECISION_STATUSES = ("pending", "confirmed", "retracted", "held", "rejected")
TIERS = ("exceptional", "high_quality", "standard", "below")
CLIP_STATUSES = ("rendering", "ready", "failed", "deleted")
TABLES = ("idempotency_keys", "clips", "highlights", "gaps", "streams", "api_keys", "tenants")


def one_of(table: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({quoted})", name=op.f(f"ck_{table}_{column}"))


def created_at() -> sa.Column[Any]:
    return sa.Column(
        "created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
    )


def history() -> tuple[sa.Column[Any], ...]:
    return (
        created_at(),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
    )


def required(type_: sa.types.TypeEngine[Any], *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, type_, nullable=False) for name in names)


def optional(type_: sa.types.TypeEngine[Any], *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, type_, nullable=True) for name in names)


def of_tenant(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenants"), ondelete="CASCADE"
    )


def of_parent(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", column],
        [f"{parent}.tenant_id", f"{parent}.id"],
        name=op.f(f"fk_{table}_{parent}"),
        ondelete="CASCADE",
    )


def index(table: str, *columns: str, name: str | None = None, where: str | None = None) -> None:
    op.create_index(
        op.f(name or f"ix_{table}_{'_'.join(columns)}"),
        table,
        list(columns),
        postgresql_where=sa.text(where) if where else None,
    )


def upgrade() -> None:
    create_accounts()
    create_streams()
    create_highlights()
    create_idempotency_keys()


def create_accounts() -> None:
    op.create_table(
        "tenants",
        *required(sa.Uuid(), "id"),
        *required(sa.Text(), "slug", "name"),
        created_at(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    protect("tenants", grants="SELECT, INSERT", tenant_column="id")
    op.create_table(
        "api_keys",
        *required(sa.Uuid(), "tenant_id", "id"),
        *required(sa.Text(), "name"),
        *required(sa.LargeBinary(), "hash"),
        *required(sa.Text(), "hint"),
        *required(sa.ARRAY(sa.Text()), "scopes"),
        created_at(),
        *optional(sa.DateTime(timezone=True), "expires_at", "revoked_at", "last_used_at"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_api_keys")),
        of_tenant("api_keys"),
        sa.UniqueConstraint("tenant_id", "hash", name=op.f("uq_api_keys_tenant_id_hash")),
    )
    index("api_keys", "hash")
    protect("api_keys", grants="SELECT, INSERT, UPDATE")
    op.execute(
        f"CREATE POLICY api_keys_by_hash ON api_keys FOR SELECT TO {APP_ROLE} "
        f"USING (hash = {CURRENT_KEY_HASH})"
    )


def create_streams() -> None:
    counters = ("segments", "missed", "windows", "highlights", "clips")
    op.create_table(
        "streams",
        *required(sa.Uuid(), "tenant_id", "id"),
        *optional(sa.Text(), "external_id"),
        *required(sa.Text(), "playlist_url", "game", "title", "profile_id", "profile_version"),
        sa.Column(
            "options", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        *optional(sa.Text(), "correlation_id"),
        *required(sa.Text(), "status"),
        *(
            sa.Column(name, sa.Double(), server_default=sa.text("0"), nullable=False)
            for name in ("position", "analyzed")
        ),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in counters
        ),
        *optional(sa.Text(), "end_reason", "end_message"),
        *optional(sa.DateTime(timezone=True), "last_segment_at", "ended_at"),
        *history(),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_streams")),
        of_tenant("streams"),
        one_of("streams", "status", STREAM_STATUSES),
        one_of("streams", "end_reason", END_REASONS),
    )
    index("streams", "tenant_id", "created_at", "id")
    index("streams", "tenant_id", "status", "created_at", "id")
    index("streams", "tenant_id", "external_id")
    protect("streams", grants="SELECT, INSERT, UPDATE, DELETE")
    op.create_table(
        "gaps",
        *required(sa.Uuid(), "tenant_id", "stream_id"),
        *required(sa.Double(), "start", "duration"),
        *required(sa.BigInteger(), "first_sequence", "last_sequence"),
        *required(sa.Text(), "reason", "detail"),
        created_at(),
        sa.PrimaryKeyConstraint(
            "tenant_id", "stream_id", "start", "first_sequence", name=op.f("pk_gaps")
        ),
        of_parent("gaps", "stream_id", "streams"),
        one_of("gaps", "reason", GAP_REASONS),
    )
    protect("gaps", grants="SELECT, INSERT")


def create_highlights() -> None:
    dimensions = (
        "skill_execution",
        "game_impact",
        "rarity",
        "visual_spectacle",
        "emotional_intensity",
        "narrative_value",
        "timing_importance",
        "momentum_shift",
    )
    times = ("start", "peak", "end", "clip_start", "clip_end", "settled_at", "decided_at")
    op.create_table(
        "highlights",
        *required(sa.Uuid(), "tenant_id", "id", "stream_id"),
        *required(sa.Text(), "game", "profile_id", "profile_version", "status", "tier"),
        *required(sa.Double(), "score", *dimensions, "confidence", *times),
        *optional(sa.DateTime(timezone=True), "peak_wall_clock"),
        *required(sa.Text(), "title", "description", "analyzer"),
        *required(postgresql.JSONB(), "tags", "reasons", "evidence"),
        *history(),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_highlights")),
        of_parent("highlights", "stream_id", "streams"),
        one_of("highlights", "status", DECISION_STATUSES),
        one_of("highlights", "tier", TIERS),
        sa.CheckConstraint('start <= peak AND peak <= "end"', name=op.f("ck_highlights_bounds")),
        sa.CheckConstraint("clip_start <= clip_end", name=op.f("ck_highlights_clip_bounds")),
    )
    shown = "status NOT IN ('held', 'rejected')"
    index("highlights", "tenant_id", "created_at", "id", name="ix_highlights_shown", where=shown)
    index("highlights", "tenant_id", "score", "id", name="ix_highlights_best", where=shown)
    index("highlights", "tenant_id", "stream_id", "peak", "id")
    index("highlights", "tenant_id", "status", "created_at", "id")
    index("highlights", "tenant_id", "game", "created_at", "id")
    protect("highlights", grants="SELECT, INSERT, UPDATE")
    op.create_table(
        "clips",
        *required(sa.Uuid(), "tenant_id", "id", "stream_id", "highlight_id"),
        *required(sa.Text(), "status"),
        *required(sa.Double(), "start", "duration"),
        *optional(sa.Text(), "key", "thumbnail_key"),
        *optional(sa.BigInteger(), "size"),
        *optional(sa.Integer(), "width", "height"),
        *optional(sa.Boolean(), "has_audio"),
        *optional(sa.Text(), "sha256"),
        *required(sa.Text(), "message"),
        *optional(sa.DateTime(timezone=True), "ready_at"),
        *history(),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_clips")),
        of_parent("clips", "highlight_id", "highlights"),
        one_of("clips", "status", CLIP_STATUSES),
    )
    index("clips", "tenant_id", "highlight_id", "created_at")
    protect("clips", grants="SELECT, INSERT, UPDATE")


def create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        *required(sa.Uuid(), "tenant_id"),
        *required(sa.Text(), "key"),
        *required(sa.LargeBinary(), "request_hash"),
        *required(sa.Uuid(), "resource_id"),
        *required(sa.DateTime(timezone=True), "claimed_until"),
        *optional(sa.SmallInteger(), "response_status"),
        *optional(postgresql.JSONB(), "response_headers", "response_body"),
        created_at(),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
        of_tenant("idempotency_keys"),
    )
    index("idempotency_keys", "tenant_id", "created_at")
    protect("idempotency_keys", grants="SELECT, INSERT, UPDATE, DELETE")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
