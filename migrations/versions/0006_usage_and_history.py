"""Windows, usage, feedback, the words of highlights, and whose data there is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.row_security import APP_ROLE, protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

USAGE_KINDS = (
    "analyzed_seconds",
    "clip_rendered",
    "clip_bytes",
    "gemini_tokens",
    "gemini_cost_usd",
    "webhook_delivery",
)
TABLES = (
    *("highlight_terms", "highlight_feedback", "usage_budgets", "usage_hourly", "usage_events"),
    "windows",
)

# Words unstemmed, since streams are in many languages, and each tag whole. A B-tree entry takes
# 2,704 bytes, and no request names a tag of more than 200 characters.
TERMS_OF = """
CREATE FUNCTION terms_of_highlight(title text, description text, tags jsonb) RETURNS SETOF text
LANGUAGE sql IMMUTABLE AS $$
    SELECT unnest(tsvector_to_array(
        to_tsvector('simple', title || ' ' || description)
        || jsonb_to_tsvector('simple', tags, '["string"]')
    ))
    UNION SELECT '#' || left(tag, 200) FROM jsonb_array_elements_text(tags) AS tag
$$
"""
KEEP_TERMS = """
CREATE FUNCTION keep_highlight_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM highlight_terms WHERE tenant_id = NEW.tenant_id AND highlight_id = NEW.id;
    END IF;
    INSERT INTO highlight_terms (tenant_id, term, highlight_id)
    SELECT NEW.tenant_id, terms_of_highlight(NEW.title, NEW.description, NEW.tags), NEW.id;
    RETURN NULL;
END
$$
"""


def one_of(table: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({quoted})", name=op.f(f"ck_{table}_{column}"))


def time(name: str, *, optional: bool = False) -> sa.Column[Any]:
    default = None if optional else sa.func.now()
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=optional)


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


def key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint("tenant_id", *columns, name=op.f(f"pk_{table}"))


def index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    enumerate_tenants()
    create_windows()
    create_usage()
    create_feedback()
    create_terms()
    op.create_index(
        op.f("ix_highlights_in_order"),
        "highlights",
        ["tenant_id", "peak", "id"],
        postgresql_where=sa.text("status NOT IN ('held', 'rejected')"),
    )
    index("highlights", "tenant_id", "peak_wall_clock")
    index("highlights", "tenant_id", "stream_id", "updated_at", "id")
    index("clips", "tenant_id", "stream_id", "updated_at")
    op.execute(f"GRANT DELETE ON highlights TO {APP_ROLE}")


def enumerate_tenants() -> None:
    # The function runs as the owner of the tables, whom FORCE binds to the policies too, so that a
    # policy for that role alone lets it look. The application is no member of that role: of other
    # tenants it learns ids, which are no secret, and never a name.
    op.execute(
        "CREATE POLICY tenants_enumerated ON tenants FOR SELECT TO CURRENT_USER USING (true)"
    )
    op.execute(
        "CREATE FUNCTION tenant_ids() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp "
        "AS $$ SELECT id FROM public.tenants ORDER BY id $$"
    )
    op.execute("REVOKE ALL ON FUNCTION tenant_ids() FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION tenant_ids() TO {APP_ROLE}")


def create_windows() -> None:
    op.create_table(
        "windows",
        *required(sa.Uuid(), "tenant_id", "stream_id"),
        *required(sa.BigInteger(), "index"),
        *required(sa.Double(), "start", "end"),
        *required(sa.Integer(), "segments"),
        *required(sa.BigInteger(), "size"),
        *optional(sa.Text(), "analyzer"),
        time("analyzed_at", optional=True),
        time("created_at"),
        key("windows", "stream_id", "index"),
        of_parent("windows", "stream_id", "streams"),
        sa.CheckConstraint('start <= "end"', name=op.f("ck_windows_bounds")),
    )
    protect("windows", grants="SELECT, INSERT")


def create_usage() -> None:
    op.create_table(
        "usage_events",
        *required(sa.Uuid(), "tenant_id", "id"),
        *required(sa.Text(), "kind"),
        *required(sa.Uuid(), "stream_id"),
        *required(sa.Numeric(24, 6), "quantity"),
        time("at"),
        key("usage_events", "id"),
        of_tenant("usage_events"),
        one_of("usage_events", "kind", USAGE_KINDS),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_usage_events_quantity")),
    )
    index("usage_events", "tenant_id", "at")
    protect("usage_events", grants="SELECT, INSERT, DELETE")
    op.create_table(
        "usage_hourly",
        *required(sa.Uuid(), "tenant_id"),
        *required(sa.DateTime(timezone=True), "hour"),
        *required(sa.Text(), "kind"),
        *required(sa.Uuid(), "stream_id"),
        *required(sa.Numeric(24, 6), "quantity"),
        key("usage_hourly", "hour", "kind", "stream_id"),
        of_tenant("usage_hourly"),
        one_of("usage_hourly", "kind", USAGE_KINDS),
    )
    protect("usage_hourly", grants="SELECT, INSERT, UPDATE, DELETE")
    op.create_table(
        "usage_budgets",
        *required(sa.Uuid(), "tenant_id"),
        *required(sa.Text(), "kind"),
        *required(sa.Numeric(24, 6), "monthly"),
        time("told_month", optional=True),
        *optional(sa.Integer(), "told_percent"),
        time("updated_at"),
        key("usage_budgets", "kind"),
        of_tenant("usage_budgets"),
        one_of("usage_budgets", "kind", USAGE_KINDS),
        sa.CheckConstraint("monthly > 0", name=op.f("ck_usage_budgets_monthly")),
    )
    protect("usage_budgets", grants="SELECT, INSERT, UPDATE, DELETE")


def create_feedback() -> None:
    table = "highlight_feedback"
    op.create_table(
        table,
        *required(sa.Uuid(), "tenant_id", "highlight_id"),
        *required(sa.Text(), "author"),
        *required(sa.Uuid(), "id"),
        *optional(sa.Text(), "verdict"),
        *optional(sa.Double(), "start", "end"),
        *required(sa.Text(), "note"),
        time("created_at"),
        time("updated_at"),
        key(table, "highlight_id", "author"),
        of_parent(table, "highlight_id", "highlights"),
        one_of(table, "verdict", ("like", "dislike")),
        sa.CheckConstraint('start < "end"', name=op.f(f"ck_{table}_bounds")),
        sa.CheckConstraint(
            '(start IS NULL) = ("end" IS NULL)', name=op.f(f"ck_{table}_both_bounds")
        ),
    )
    index(table, "tenant_id", "highlight_id", "created_at", "id")
    protect(table, grants="SELECT, INSERT, UPDATE")


def create_terms() -> None:
    table = "highlight_terms"
    op.create_table(
        table,
        *required(sa.Uuid(), "tenant_id"),
        *required(sa.Text(), "term"),
        *required(sa.Uuid(), "highlight_id"),
        key(table, "term", "highlight_id"),
        of_parent(table, "highlight_id", "highlights"),
    )
    index(table, "tenant_id", "highlight_id")
    protect(table, grants="SELECT, INSERT, DELETE")
    op.execute(TERMS_OF)
    op.execute(KEEP_TERMS)
    op.execute(
        "CREATE TRIGGER keep_terms_of_new AFTER INSERT ON highlights FOR EACH ROW "
        "EXECUTE FUNCTION keep_highlight_terms()"
    )
    op.execute(
        "CREATE TRIGGER keep_terms_of_changed AFTER UPDATE ON highlights FOR EACH ROW "
        "WHEN ((OLD.title, OLD.description, OLD.tags) IS DISTINCT FROM "
        "(NEW.title, NEW.description, NEW.tags)) EXECUTE FUNCTION keep_highlight_terms()"
    )


def downgrade() -> None:
    op.execute(f"REVOKE DELETE ON highlights FROM {APP_ROLE}")
    op.drop_index("ix_clips_tenant_id_stream_id_updated_at", "clips")
    op.drop_index("ix_highlights_tenant_id_stream_id_updated_at_id", "highlights")
    op.drop_index("ix_highlights_tenant_id_peak_wall_clock", "highlights")
    op.drop_index("ix_highlights_in_order", "highlights")
    op.execute("DROP TRIGGER keep_terms_of_changed ON highlights")
    op.execute("DROP TRIGGER keep_terms_of_new ON highlights")
    op.execute("DROP FUNCTION keep_highlight_terms()")
    op.execute("DROP FUNCTION terms_of_highlight(text, text, jsonb)")
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION tenant_ids()")
    op.execute("DROP POLICY tenants_enumerated ON tenants")
