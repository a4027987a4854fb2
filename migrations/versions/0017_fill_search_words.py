"""Fill the words of the highlights that were there before the tables of words.

The tables are kept by triggers, so that only older highlights lack their words. `migrate` runs
`BATCHES` before the revision itself, see `infra.migration`.
"""

from __future__ import annotations

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BATCHES = (
    """
    WITH page AS (
        SELECT tenant_id, id, title, description, tags FROM highlights
        WHERE tenant_id = :tenant AND id > :after ORDER BY id LIMIT :size FOR KEY SHARE
    ), filled AS (
        INSERT INTO highlight_terms (tenant_id, term, highlight_id)
        SELECT tenant_id, terms_of_highlight(title, description, tags), id FROM page
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
    """,
    """
    WITH page AS (
        SELECT tenant_id, id, document FROM highlights
        WHERE tenant_id = :tenant AND id > :after ORDER BY id LIMIT :size FOR KEY SHARE
    ), filled AS (
        INSERT INTO highlight_words (tenant_id, word, highlight_id)
        SELECT tenant_id, unnest(tsvector_to_array(document)), id FROM page
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
    """,
)


def upgrade() -> None:
    """The batches are all there is to do."""


def downgrade() -> None:
    """Words are removed with their tables."""
