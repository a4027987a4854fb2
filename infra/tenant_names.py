"""Short names of tenants, for people who look at Temporal."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import structlog

from infra.database import Database, DatabaseUnavailableError
from infra.repositories import tenants

_KEPT: Final = 10_000
_log = structlog.get_logger(__name__)


class TenantNames:
    """Looks up a tenant's short name, once.

    Args:
        database: holds the tenants.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[UUID, str] = {}

    async def of(self, tenant_id: UUID) -> str:
        """Return the short name, or the id where there is none to be read."""
        known = self._known.get(tenant_id)
        if known is not None:
            return known
        try:
            async with self._database.session(tenant_id) as session:
                row = await tenants.get(session, tenant_id=tenant_id)
        except DatabaseUnavailableError as error:
            _log.info("tenant_name_unknown", tenant_id=str(tenant_id), error=str(error))
            row = None
        if row is None:
            return str(tenant_id)
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[tenant_id] = row.slug
        return row.slug
