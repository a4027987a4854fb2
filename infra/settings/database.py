"""Which PostgreSQL to use; with no URL, `highlights dev` starts its own."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt

from infra.settings.section import SettingsSection
from infra.settings.values import PostgresqlUrl


class DatabaseSettings(SettingsSection):
    """Which PostgreSQL to use; with no URL, `highlights dev` starts its own."""

    heading = "Database"

    database_url: PostgresqlUrl | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="URL (`postgresql://user:password@host:5432/database`) of the application's "
        "role, which owns no table, so that row-level security binds it.",
    )
    database_owner_url: PostgresqlUrl | None = Field(
        default=None,
        validation_alias="DATABASE_OWNER_URL",
        description="The same database as the role that owns the tables; used by "
        "`highlights migrate` only.",
    )
    database_pool_size: PositiveInt = Field(
        default=5, description="Connections kept open by each process."
    )
    database_max_overflow: int = Field(
        default=10, ge=0, description="Further connections opened under load."
    )
    database_pool_timeout: PositiveFloat = Field(
        default=10.0, description="Seconds to wait for a free connection."
    )
    database_start_timeout: PositiveFloat = Field(
        default=30.0,
        description="Seconds that API and worker wait at their start for a database that does not "
        "answer, before they end.",
    )
    database_transaction_pooler: bool = Field(
        default=False,
        description="Set behind a transaction pooler (PgBouncer, RDS Proxy): turns off prepared "
        "statements and our own pool.",
    )
