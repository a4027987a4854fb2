"""The outbox of events, webhook endpoints and deliveries."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.row_security import APP_ROLE, protect

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

EVENT_TYPES = (
    *("stream.started", "stream.ended", "stream.failed"),
    *("highlight.pending", "highlight.confirmed", "highlight.retracted"),
    *("clip.ready", "clip.failed", "usage.threshold", "endpoint.disabled", "endpoint.test"),
)
ENDPOINT_STATUSES = ("enabled", "disabled")
DISABLED_REASONS = ("tenant", "gone", "failing")
DELIVERY_STATUSES = ("pending", "succeeded", "failed", "cancelled")
TABLES = ("delivery_attempts", "deliveries", "webhook_endpoints", "events")

TO_SEND = "dispatched_at IS NULL"
PENDING = "status = 'pending'"
# Which tenants the relay has to look at; nothing else of any tenant's. It runs as the owner of
# the tables, whom their policies bind too: two policies of its own show it what it counts.
TENANTS_TO_SEND_FOR = """
    CREATE FUNCTION tenants_to_send_for() RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT tenant_id FROM public.events WHERE dispatched_at IS NULL
        UNION
        SELECT tenant_id FROM public.deliveries
        WHERE status = 'pending' AND (
            queued_at IS NULL OR greatest(queued_at, next_attempt_at) < now() - interval '1 hour'
        )
    $$
"""


def one_of(table: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({quoted})", name=op.f(f"ck_{table}_{column}"))


def required(type_: sa.types.TypeEngine[Any], *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, type_, nullable=False) for name in names)


def optional(type_: sa.types.TypeEngine[Any], *names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(sa.Column(name, type_, nullable=True) for name in names)


def now(*names: str) -> tuple[sa.Column[Any], ...]:
    return tuple(
        sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False)
        for name in names
    )


def count(name: str, *, start: int) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), server_default=sa.text(str(start)), nullable=False)


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
    create_events()
    create_endpoints()
    create_deliveries()
    show_the_relay_its_tenants()


def create_events() -> None:
    op.create_table(
        "events",
        *required(sa.Uuid(), "tenant_id", "id"),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        *required(sa.Text(), "type", "subject", "ordering_key"),
        *optional(sa.Uuid(), "stream_id"),
        *required(postgresql.JSONB(), "data"),
        *now("created_at"),
        *optional(sa.DateTime(timezone=True), "dispatched_at", "published_at"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_events")),
        of_tenant("events"),
        one_of("events", "type", EVENT_TYPES),
    )
    index("events", "tenant_id", "created_at", "id")
    for state in ("dispatched", "published"):
        where = f"{state}_at IS NULL"
        index("events", "tenant_id", "position", name=f"ix_events_un{state}", where=where)
    protect("events", grants="SELECT, INSERT, UPDATE, DELETE")


def create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        *required(sa.Uuid(), "tenant_id", "id"),
        *required(sa.Text(), "url", "description"),
        *required(sa.ARRAY(sa.Text()), "event_types"),
        *required(sa.LargeBinary(), "secret"),
        *optional(sa.LargeBinary(), "previous_secret"),
        *optional(sa.DateTime(timezone=True), "previous_secret_until"),
        *required(sa.Text(), "status"),
        *optional(sa.Text(), "disabled_reason"),
        *optional(sa.DateTime(timezone=True), "disabled_at", "failing_since"),
        *now("created_at", "updated_at"),
        count("revision", start=1),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_webhook_endpoints")),
        of_tenant("webhook_endpoints"),
        one_of("webhook_endpoints", "status", ENDPOINT_STATUSES),
        one_of("webhook_endpoints", "disabled_reason", DISABLED_REASONS),
    )
    index("webhook_endpoints", "tenant_id", "created_at", "id")
    protect("webhook_endpoints", grants="SELECT, INSERT, UPDATE, DELETE")


def create_deliveries() -> None:
    op.create_table(
        "deliveries",
        *required(sa.Uuid(), "tenant_id", "id", "event_id", "endpoint_id"),
        *required(sa.Text(), "event_type", "status"),
        count("attempts", start=0),
        *optional(
            sa.DateTime(timezone=True), "first_attempt_at", "last_attempt_at", "next_attempt_at"
        ),
        *optional(sa.Integer(), "last_status_code"),
        *optional(sa.Text(), "last_error"),
        *optional(sa.DateTime(timezone=True), "queued_at", "finished_at"),
        *now("created_at"),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_deliveries")),
        of_parent("deliveries", "event_id", "events"),
        of_parent("deliveries", "endpoint_id", "webhook_endpoints"),
        one_of("deliveries", "event_type", EVENT_TYPES),
        one_of("deliveries", "status", DELIVERY_STATUSES),
    )
    index("deliveries", "tenant_id", "created_at", "id")
    index("deliveries", "tenant_id", "endpoint_id", "created_at", "id")
    index("deliveries", "tenant_id", "status", "created_at", "id")
    index("deliveries", "tenant_id", "event_id")
    index("deliveries", "tenant_id", name="ix_deliveries_pending", where=PENDING)
    protect("deliveries", grants="SELECT, INSERT, UPDATE, DELETE")
    op.create_table(
        "delivery_attempts",
        *required(sa.Uuid(), "tenant_id", "delivery_id"),
        *required(sa.Integer(), "number"),
        *required(sa.DateTime(timezone=True), "at"),
        *required(sa.Double(), "duration"),
        *optional(sa.Integer(), "status_code"),
        *optional(sa.Text(), "error"),
        *required(sa.Text(), "response"),
        sa.PrimaryKeyConstraint(
            "tenant_id", "delivery_id", "number", name=op.f("pk_delivery_attempts")
        ),
        of_parent("delivery_attempts", "delivery_id", "deliveries"),
    )
    protect("delivery_attempts", grants="SELECT, INSERT")


def show_the_relay_its_tenants() -> None:
    for table, rows in (("events", TO_SEND), ("deliveries", PENDING)):
        op.execute(
            f"CREATE POLICY {table}_to_relay ON {table} FOR SELECT TO CURRENT_USER USING ({rows})"
        )
    op.execute(TENANTS_TO_SEND_FOR)
    op.execute("REVOKE ALL ON FUNCTION tenants_to_send_for() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION tenants_to_send_for() TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION tenants_to_send_for()")
    for table in TABLES:
        op.drop_table(table)
