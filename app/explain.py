"""`highlights explain`: why a highlight was chosen or not, from the database."""

from __future__ import annotations

from uuid import UUID

from infra.bootstrap import tenant_id_of
from infra.database import Database
from infra.embedded.home import StateDirectory
from infra.errors import NotConfiguredError
from infra.highlight_explanation import explanation_of
from infra.pinned_profiles import PinnedProfiles
from infra.profile_store import ProfileStore
from infra.repositories import highlights
from infra.settings import Settings


def choose_tenant(settings: Settings, slug: str | None) -> UUID:
    """Return the tenant of this short name; without one, that of the running `highlights dev`.

    Raises:
        NotConfiguredError: there is no name, and nothing runs.
    """
    if slug is not None:
        return tenant_id_of(slug)
    running = StateDirectory(settings.state_path()).running()
    if running is None or running.tenant_id is None:
        raise NotConfiguredError(
            "It is not known whose highlight it is, since no `highlights dev` is running.",
            remedy="Name the tenant by --tenant, as with `highlights keys create`.",
        )
    return UUID(running.tenant_id)


async def explain_highlight(
    database: Database, *, tenant_id: UUID, highlight_id: UUID
) -> tuple[str, ...] | None:
    """Return the decision in words, a line each, or None when the tenant has no such highlight."""
    async with database.session(tenant_id) as session:
        row = await highlights.get(session, tenant_id=tenant_id, highlight_id=highlight_id)
    if row is None:
        return None
    pinned = await PinnedProfiles(database, ProfileStore()).find(
        tenant_id, row.profile_id, row.profile_version
    )
    return explanation_of(row, pinned)
