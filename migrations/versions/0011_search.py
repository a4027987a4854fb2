"""Highlights found by a text search or by a picture.

A document of each and all its words as rows; the hash of each clip's thumbnail, in parts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from migrations.row_security import protect

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LANGUAGES = {
    "ar": "arabic",
    "hy": "armenian",
    "eu": "basque",
    "ca": "catalan",
    "da": "danish",
    "nl": "dutch",
    "en": "english",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "el": "greek",
    "hi": "hindi",
    "hu": "hungarian",
    "id": "indonesian",
    "ga": "irish",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "es": "spanish",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
PICTURE_PARTS = ("picture_a", "picture_b", "picture_c", "picture_d")
DOCUMENT = "document_of_highlight(title, description, tags, reasons, game, commentary, language)"

CONFIGURATION = f"""
CREATE FUNCTION search_configuration(language text) RETURNS regconfig
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE language
    {" ".join(f"WHEN '{code}' THEN 'pg_catalog.{name}'::regconfig" for code, name in LANGUAGES.items())}
    ELSE 'pg_catalog.simple'::regconfig END
$$
"""  # noqa: E501 - one line of SQL for each language would be no easier to read
# Numbers in reasons say how the decision came about, not what is to be seen.
TEXTS = """
CREATE FUNCTION words_of_reasons(reasons jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(regexp_replace(reason ->> 'words', '[0-9.,%]+', ' ', 'g'), ' '), '')
    FROM jsonb_array_elements(reasons) AS reason
$$
"""
DOCUMENT_IN = """
CREATE FUNCTION document_in(
    configuration regconfig, title text, description text, tags jsonb, reasons jsonb, game text,
    commentary text
) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector(configuration, title), 'A')
        || setweight(jsonb_to_tsvector(configuration, tags, '["string"]'), 'B')
        || setweight(to_tsvector(configuration, description), 'C')
        || setweight(to_tsvector(configuration, translate(game, '_', ' ')), 'C')
        || setweight(to_tsvector(configuration, words_of_reasons(reasons)), 'D')
        || setweight(to_tsvector(configuration, commentary), 'D')
$$
"""
# Words as they are written, and as the stream's language stems them, each run with its own order.
DOCUMENT_OF = """
CREATE FUNCTION document_of_highlight(
    title text, description text, tags jsonb, reasons jsonb, game text, commentary text,
    language text
) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT document_in(
            'pg_catalog.simple', title, description, tags, reasons, game, commentary
        )
        || CASE WHEN search_configuration(language) = 'pg_catalog.simple'::regconfig THEN ''
        ELSE document_in(
            search_configuration(language), title, description, tags, reasons, game, commentary
        ) END
$$
"""
# Only what differs is written, since reasons change with each decision and most words stay.
KEEP_WORDS = """
CREATE FUNCTION keep_highlight_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE words text[] := tsvector_to_array(NEW.document);
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM highlight_words
        WHERE tenant_id = NEW.tenant_id AND highlight_id = NEW.id AND NOT word = ANY (words);
    END IF;
    INSERT INTO highlight_words (tenant_id, word, highlight_id)
    SELECT NEW.tenant_id, each, NEW.id FROM unnest(words) AS each
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    for table in ("streams", "highlights"):
        op.add_column(table, sa.Column("language", sa.Text(), nullable=True))
        codes = ", ".join(f"'{code}'" for code in LANGUAGES)
        op.create_check_constraint(
            op.f(f"ck_{table}_language"), table, sa.text(f"language IN ({codes})")
        )
    op.create_index(
        op.f("ix_streams_tenant_id_language"),
        "streams",
        ["tenant_id", "language"],
        postgresql_where=sa.text("language IS NOT NULL"),
    )
    for function in (CONFIGURATION, TEXTS, DOCUMENT_IN, DOCUMENT_OF, KEEP_WORDS):
        op.execute(function)
    op.add_column(
        "highlights",
        sa.Column("commentary", sa.Text(), server_default=sa.text("''"), nullable=False),
    )
    op.add_column(
        "highlights",
        sa.Column("document", TSVECTOR(), sa.Computed(DOCUMENT, persisted=True), nullable=True),
    )
    create_words()
    create_pictures()


def create_pictures() -> None:
    op.add_column("clips", sa.Column("thumbnail_hash", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_clips_thumbnail_hash"), "clips", sa.text("thumbnail_hash ~ '^[0-9a-f]{16}$'")
    )
    for number, part in enumerate(PICTURE_PARTS):
        bits = f"('x' || substr(thumbnail_hash, {4 * number + 1}, 4))::bit(16)::integer"
        op.add_column(
            "clips", sa.Column(part, sa.Integer(), sa.Computed(bits, persisted=True), nullable=True)
        )
        op.create_index(
            op.f(f"ix_clips_tenant_id_{part}"),
            "clips",
            ["tenant_id", part],
            postgresql_where=sa.text("thumbnail_hash IS NOT NULL"),
        )


def create_words() -> None:
    table = "highlight_words"
    op.create_table(
        table,
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("highlight_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "word", "highlight_id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "highlight_id"],
            ["highlights.tenant_id", "highlights.id"],
            name=op.f(f"fk_{table}_highlights"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        op.f(f"ix_{table}_tenant_id_highlight_id"), table, ["tenant_id", "highlight_id"]
    )
    protect(table, grants="SELECT, INSERT, DELETE")
    op.execute(
        "CREATE TRIGGER keep_words_of_new AFTER INSERT ON highlights FOR EACH ROW "
        "EXECUTE FUNCTION keep_highlight_words()"
    )
    op.execute(
        "CREATE TRIGGER keep_words_of_changed AFTER UPDATE ON highlights FOR EACH ROW "
        "WHEN (OLD.document IS DISTINCT FROM NEW.document) "
        "EXECUTE FUNCTION keep_highlight_words()"
    )


def downgrade() -> None:
    for part in PICTURE_PARTS:
        op.drop_column("clips", part)
    op.drop_constraint(op.f("ck_clips_thumbnail_hash"), "clips")
    op.drop_column("clips", "thumbnail_hash")
    op.execute("DROP TRIGGER keep_words_of_changed ON highlights")
    op.execute("DROP TRIGGER keep_words_of_new ON highlights")
    op.drop_table("highlight_words")
    op.drop_column("highlights", "document")
    op.drop_column("highlights", "commentary")
    for function in (
        "keep_highlight_words()",
        "document_of_highlight(text, text, jsonb, jsonb, text, text, text)",
        "document_in(regconfig, text, text, jsonb, jsonb, text, text)",
        "words_of_reasons(jsonb)",
        "search_configuration(text)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    op.drop_index("ix_streams_tenant_id_language", "streams")
    for table in ("highlights", "streams"):
        op.drop_constraint(op.f(f"ck_{table}_language"), table)
        op.drop_column(table, "language")
