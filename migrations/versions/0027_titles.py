"""Titles in languages, criteria of streams, and moderation; search finds titles in each language.

The document of each highlight is computed again, because a generated column has no other way to a
new expression before PostgreSQL 17: highlights cannot be read meanwhile (0.1 ms for each).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

DOCUMENT = "document_of_highlight(title, description, tags, reasons, game, commentary, language)"
# Chinese and Japanese are found by character (domain/text.py, spaced_characters). Both forms of
# the other languages: as written, and as the language stems them.
DOCUMENT_OF_TITLES = """
CREATE FUNCTION document_of_titles(titles jsonb) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    document tsvector := '';
    each jsonb;
    stems regconfig;
BEGIN
    FOR each IN SELECT value FROM jsonb_array_elements(titles) LOOP
        each := regexp_replace(
            each::text, '([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])', ' \\1 ', 'g'
        )::jsonb;
        document := document
            || setweight(to_tsvector('pg_catalog.simple', each ->> 'title'), 'A')
            || setweight(jsonb_to_tsvector('pg_catalog.simple', each -> 'tags', '["string"]'), 'B')
            || setweight(to_tsvector('pg_catalog.simple', each ->> 'description'), 'C');
        stems := search_configuration(split_part(each ->> 'language', '-', 1));
        IF stems <> 'pg_catalog.simple'::regconfig THEN
            document := document
                || setweight(to_tsvector(stems, each ->> 'title'), 'A')
                || setweight(jsonb_to_tsvector(stems, each -> 'tags', '["string"]'), 'B')
                || setweight(to_tsvector(stems, each ->> 'description'), 'C');
        END IF;
    END LOOP;
    RETURN document;
END
$$
"""


def upgrade() -> None:
    op.add_column(
        "streams",
        sa.Column(
            "languages", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False
        ),
    )
    op.add_column("streams", sa.Column("criteria", JSONB(), nullable=True))
    op.create_index(
        op.f("ix_streams_tenant_id_languages"),
        "streams",
        ["tenant_id", "languages"],
        postgresql_where=sa.text("languages <> '{}'::text[]"),
    )
    op.add_column(
        "highlights",
        sa.Column("titles", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )
    op.add_column("highlights", sa.Column("moderation", JSONB(), nullable=True))
    op.execute(DOCUMENT_OF_TITLES)
    compute_document(f"{DOCUMENT} || document_of_titles(titles)")


def compute_document(expression: str) -> None:
    op.execute("DROP TRIGGER keep_words_of_changed ON highlights")
    op.drop_column("highlights", "document")
    op.add_column(
        "highlights",
        sa.Column("document", TSVECTOR(), sa.Computed(expression, persisted=True), nullable=True),
    )
    op.execute(
        "CREATE TRIGGER keep_words_of_changed AFTER UPDATE ON highlights FOR EACH ROW "
        "WHEN (OLD.document IS DISTINCT FROM NEW.document) "
        "EXECUTE FUNCTION keep_highlight_words()"
    )


def downgrade() -> None:
    compute_document(DOCUMENT)
    op.execute("DROP FUNCTION document_of_titles(jsonb)")
    op.drop_column("highlights", "moderation")
    op.drop_column("highlights", "titles")
    op.drop_index("ix_streams_tenant_id_languages", "streams")
    op.drop_column("streams", "criteria")
    op.drop_column("streams", "languages")
