"""Add what a database lacks that was migrated before the revisions were renumbered.

Revisions 0009 to 0015 were published under other numbers for some hours. A database that was
migrated then reports a number that today stands for other changes, so it skips those that it never
got. This revision looks for the objects of each of them and adds what is missing. On any other
database it changes nothing.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# The text search of the first hours had no commentary. Its rows derive from the highlights.
_DROP_OLD_SEARCH = (
    "DROP TRIGGER IF EXISTS keep_words_of_changed ON highlights",
    "DROP TRIGGER IF EXISTS keep_words_of_new ON highlights",
    "DROP TABLE IF EXISTS highlight_words",
    "ALTER TABLE highlights DROP COLUMN IF EXISTS document",
    "DROP FUNCTION IF EXISTS keep_highlight_words()",
    "DROP FUNCTION IF EXISTS document_of_highlight(text, text, jsonb, jsonb, text, text)",
    "DROP FUNCTION IF EXISTS document_of_highlight(text, text, jsonb, jsonb, text, text, text)",
    "DROP FUNCTION IF EXISTS document_in(regconfig, text, text, jsonb, jsonb, text)",
    "DROP FUNCTION IF EXISTS document_in(regconfig, text, text, jsonb, jsonb, text, text)",
    "DROP FUNCTION IF EXISTS words_of_reasons(jsonb)",
    "DROP FUNCTION IF EXISTS search_configuration(text)",
)


def upgrade() -> None:
    if not _exists("pg_policies", policyname="events_to_publish"):
        _revision("0009").upgrade()
    if not _has_column("streams", "notice"):
        _revision("0010").upgrade()
    _heal_search(_revision("0011"))
    if not _has_function("delete_old_audit_entries"):
        _revision("0012").upgrade()
    if not _accepts_requests():
        _revision("0013").upgrade()
    if not _has_column("beams", "job_id"):
        _revision("0014").upgrade()
    _heal_lists(_revision("0015"))


def downgrade() -> None:
    """What was added belongs to earlier revisions, which remove it."""


def _heal_search(search: ModuleType) -> None:
    if not _has_column("streams", "language"):
        search.upgrade()
        return
    if not _has_column("highlights", "commentary"):
        for statement in _DROP_OLD_SEARCH:
            op.execute(statement)
        for name in ("CONFIGURATION", "TEXTS", "DOCUMENT_IN", "DOCUMENT_OF", "KEEP_WORDS"):
            op.execute(getattr(search, name))
        op.add_column(
            "highlights",
            sa.Column("commentary", sa.Text(), server_default=sa.text("''"), nullable=False),
        )
        op.add_column(
            "highlights",
            sa.Column(
                "document", TSVECTOR(), sa.Computed(search.DOCUMENT, persisted=True), nullable=True
            ),
        )
        search.create_words()
    if not _has_column("clips", "thumbnail_hash"):
        search.create_pictures()


def _heal_lists(lists: ModuleType) -> None:
    op.create_index(
        "ix_highlights_lag",
        "highlights",
        ["tenant_id", sa.text("(created_at - peak_wall_clock)")],
        postgresql_where=sa.text("peak_wall_clock IS NOT NULL"),
        if_not_exists=True,
    )
    for table, column_lists in lists.INDEXES.items():
        for columns in column_lists:
            name = op.f(f"ix_{table}_{'_'.join(columns)}")
            op.create_index(name, table, list(columns), if_not_exists=True)


def _revision(number: str) -> ModuleType:
    script = context.script.get_revision(number)
    if script is None:
        message = f"revision {number} is not in this package"
        raise RuntimeError(message)
    return script.module


def _has_column(table: str, column: str) -> bool:
    return _exists(
        "information_schema.columns", table_schema="public", table_name=table, column_name=column
    )


def _has_function(name: str) -> bool:
    return _exists("pg_proc", proname=name)


def _accepts_requests() -> bool:
    found = op.get_bind().execute(
        sa.text(
            "SELECT pg_get_constraintdef(oid) LIKE '%api_request%' FROM pg_constraint"
            " WHERE conname = 'ck_usage_budgets_kind'"
        )
    )
    return bool(found.scalar_one_or_none())


def _exists(catalog: str, **values: Any) -> bool:  # noqa: ANN401 - values of the catalog's types
    conditions = " AND ".join(f"{name} = :{name}" for name in values)
    query = sa.text(f"SELECT EXISTS (SELECT FROM {catalog} WHERE {conditions})").bindparams(  # noqa: S608
        **values
    )
    return bool(op.get_bind().execute(query).scalar_one())
