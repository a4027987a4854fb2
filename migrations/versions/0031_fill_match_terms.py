"""Fill the terms of the match's state for the highlights that were there before revision 0030."""

from __future__ import annotations

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

BATCHES = (
    """
    WITH page AS (
        SELECT tenant_id, id, match_state FROM highlights
        WHERE tenant_id = :tenant AND id > :after ORDER BY id LIMIT :size FOR KEY SHARE
    ), filled AS (
        INSERT INTO highlight_terms (tenant_id, term, highlight_id)
        SELECT tenant_id, terms_of_state(match_state), id FROM page
        ON CONFLICT DO NOTHING
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
    """,
)


def upgrade() -> None:
    """The batches are all there is to do."""


def downgrade() -> None:
    """Revision 0030 removes the terms."""
