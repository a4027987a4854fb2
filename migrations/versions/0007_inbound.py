"""100ms workspaces of tenants, the events they sent, and the beams those are about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import APP_ROLE, CURRENT_CONNECTION, CURRENT_WORKSPACE, protect

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OUTCOMES = (
    "started",
    "ended",
    "recording",
    "noted",
    "started_before",
    "too_late",
    "before_start",
    "ended_before",
    "refused",
    "given_up",
)
TABLES = ("closed_sessions", "beams", "inbound_events", "connections")


def upgrade() -> None:
    create_connections()
    create_inbound_events()
    create_beams()
    create_closed_sessions()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def create_connections() -> None:
    op.create_table(
        "connections",
        *columns(sa.Uuid(), "tenant_id", "id"),
        *columns(sa.Text(), "name"),
        *columns(sa.Text(), "account_id", "app_id", nullable=True),
        *columns(postgresql.JSONB(), "checks"),
        *columns(sa.LargeBinary(), "header_hash"),
        *columns(sa.LargeBinary(), "header_hash_previous", nullable=True),
        *columns(sa.LargeBinary(), "signing_secret"),
        *columns(sa.LargeBinary(), "signing_secret_previous", nullable=True),
        *columns(sa.DateTime(timezone=True), "previous_until", nullable=True),
        *columns(sa.Text(), "management_access_key", nullable=True),
        *columns(sa.LargeBinary(), "management_secret", nullable=True),
        *columns(sa.Text(), "game", nullable=True),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        *times("created_at", "updated_at"),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_connections")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_connections_tenants"), ondelete="CASCADE"
        ),
    )
    index("connections", "id")
    index("connections", "account_id")
    index("connections", "app_id")
    index("connections", "tenant_id", "created_at", "id")
    protect("connections", grants="SELECT, INSERT, UPDATE, DELETE")
    op.execute(
        f"CREATE POLICY connections_by_id ON connections FOR SELECT TO {APP_ROLE} "
        f"USING (id = {CURRENT_CONNECTION})"
    )
    op.execute(
        f"CREATE POLICY connections_by_workspace ON connections FOR SELECT TO {APP_ROLE} "
        f"USING (account_id = {CURRENT_WORKSPACE} OR app_id = {CURRENT_WORKSPACE})"
    )


def create_inbound_events() -> None:
    quoted = ", ".join(f"'{outcome}'" for outcome in OUTCOMES)
    op.create_table(
        "inbound_events",
        *columns(sa.Uuid(), "tenant_id", "connection_id"),
        *columns(sa.Text(), "event_id"),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *columns(sa.Text(), "type"),
        *columns(sa.Text(), "lane", nullable=True),
        *columns(sa.Uuid(), "stream_id", nullable=True),
        *columns(postgresql.JSONB(), "effect"),
        *columns(sa.Boolean(), "is_replay"),
        *columns(sa.LargeBinary(), "body", nullable=True),
        *columns(sa.DateTime(timezone=True), "occurred_at", nullable=True),
        *times("received_at"),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        *columns(sa.Text(), "outcome", nullable=True),
        sa.Column("detail", sa.Text(), server_default=sa.text("''"), nullable=False),
        *columns(sa.DateTime(timezone=True), "delivered_at", nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant_id", "connection_id", "event_id", name=op.f("pk_inbound_events")
        ),
        sa.UniqueConstraint(
            "tenant_id", "position", name=op.f("uq_inbound_events_tenant_id_position")
        ),
        of_connection("inbound_events"),
        sa.CheckConstraint(f"outcome IN ({quoted})", name=op.f("ck_inbound_events_outcome")),
    )
    op.create_index(
        "ix_inbound_events_pending",
        "inbound_events",
        ["tenant_id", "connection_id", "lane", "position"],
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    protect("inbound_events", grants="SELECT, INSERT, UPDATE, DELETE")


def create_beams() -> None:
    op.create_table(
        "beams",
        *columns(sa.Uuid(), "tenant_id", "connection_id"),
        *columns(sa.Text(), "key"),
        *columns(sa.Uuid(), "stream_id"),
        *columns(sa.Text(), "room_id", "session_id", nullable=True),
        *columns(sa.DateTime(timezone=True), "opened_at", "ended_at", nullable=True),
        *columns(sa.Text(), "end_kind", "end_message", "error_type", nullable=True),
        *columns(postgresql.JSONB(), "recording", nullable=True),
        *times("created_at", "updated_at"),
        sa.PrimaryKeyConstraint("tenant_id", "connection_id", "key", name=op.f("pk_beams")),
        of_connection("beams"),
        sa.CheckConstraint("(end_kind IS NULL) = (ended_at IS NULL)", name=op.f("ck_beams_end")),
    )
    index("beams", "tenant_id", "connection_id", "session_id")
    index("beams", "tenant_id", "connection_id", "room_id")
    index("beams", "tenant_id", "connection_id", "created_at")
    protect("beams", grants="SELECT, INSERT, UPDATE, DELETE")


def create_closed_sessions() -> None:
    op.create_table(
        "closed_sessions",
        *columns(sa.Uuid(), "tenant_id", "connection_id"),
        *columns(sa.Text(), "session_id"),
        *times("closed_at"),
        sa.PrimaryKeyConstraint(
            "tenant_id", "connection_id", "session_id", name=op.f("pk_closed_sessions")
        ),
        of_connection("closed_sessions"),
    )
    protect("closed_sessions", grants="SELECT, INSERT, DELETE")


def columns(
    type_: sa.types.TypeEngine[Any], *names: str, nullable: bool = False
) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, type_, nullable=nullable) for name in names)


def times(*names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(
        sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
        for name in names
    )


def of_connection(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant_id", "connection_id"],
        ["connections.tenant_id", "connections.id"],
        name=op.f(f"fk_{table}_connections"),
        ondelete="CASCADE",
    )


def index(table: str, *names: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(names)}"), table, list(names))
