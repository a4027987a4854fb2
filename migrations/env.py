"""Alembic's entry: run the revisions on the connection that `infra.db.engine.migrate` opened."""

from __future__ import annotations

from alembic import context

from infra.db.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    message = "run migrations by `highlights migrate`, which brings the connection"
    raise RuntimeError(message)

context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
