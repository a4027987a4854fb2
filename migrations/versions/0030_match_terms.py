"""Score and period of the match as terms, so that lists filter by them through an index.

`->>` is not leakproof, so that row-level security would keep an index over `match_state` from use.
"""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0028"
branch_labels = None
depends_on = None

# Periods without spaces and hyphens: a screen has `Half-Time`, another one `halftime`.
TERMS_OF_STATE = """
CREATE FUNCTION terms_of_state(state jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE AS $$
    SELECT '@score:' || string_agg(number, '-' ORDER BY place)
    FROM jsonb_array_elements_text(state -> 'score_after') WITH ORDINALITY AS score (number, place)
    HAVING count(*) > 0
    UNION ALL
    SELECT '@period:' || lower(translate(state ->> 'period', ' -', ''))
    WHERE state ->> 'period' IS NOT NULL
$$
"""
KEEP_TERMS = """
CREATE OR REPLACE FUNCTION keep_highlight_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM highlight_terms WHERE tenant_id = NEW.tenant_id AND highlight_id = NEW.id;
    END IF;
    INSERT INTO highlight_terms (tenant_id, term, highlight_id)
    SELECT NEW.tenant_id, terms_of_highlight(NEW.title, NEW.description, NEW.tags), NEW.id
    {of_state};
    RETURN NULL;
END
$$
"""
OF_STATE = "UNION ALL SELECT NEW.tenant_id, terms_of_state(NEW.match_state), NEW.id"
WITHOUT_STATE = ("title", "description", "tags")


def upgrade() -> None:
    op.execute(TERMS_OF_STATE)
    op.execute(KEEP_TERMS.format(of_state=OF_STATE))
    _keep_on_change(*WITHOUT_STATE, "match_state")


def downgrade() -> None:
    _keep_on_change(*WITHOUT_STATE)
    op.execute(KEEP_TERMS.format(of_state=""))
    op.execute("DROP FUNCTION terms_of_state(jsonb)")
    op.execute("ALTER TABLE highlight_terms NO FORCE ROW LEVEL SECURITY")  # else no row is seen
    op.execute("DELETE FROM highlight_terms WHERE term LIKE '@%'")
    op.execute("ALTER TABLE highlight_terms FORCE ROW LEVEL SECURITY")


def _keep_on_change(*columns: str) -> None:
    before, after = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    op.execute(
        "CREATE OR REPLACE TRIGGER keep_terms_of_changed AFTER UPDATE ON highlights FOR EACH ROW "
        f"WHEN (({before}) IS DISTINCT FROM ({after})) EXECUTE FUNCTION keep_highlight_terms()"
    )
