"""Which PostgreSQL to use; with no URL, `highlights dev` starts its own."""

from __future__ import annotations

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr

from infra.settings.section import SettingsSection


class DatabaseSettings(SettingsSection):
    """Which PostgreSQL to use; with no URL, `highlights dev` starts its own."""

    heading = "Database"

    database_url: SecretStr | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="SQLAlchemy URL (`postgresql+asyncpg://…`) of the application's role, "
        "which owns no table, so that row-level security binds it.",
    )
    database_owner_url: SecretStr | None = Field(
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
    database_transaction_pooler: bool = Field(
        default=False,
        description="Set behind a transaction pooler (PgBouncer, RDS Proxy): turns off prepared "
        "statements and our own pool.",
    )
