"""Signed links to a clip's files."""

from __future__ import annotations

from uuid import UUID

from api.services import Services
from infra.clip_links import ClipFile, ClipLinks, clip_path


def clip_url(services: Services, *, tenant_id: UUID, clip_id: UUID, file: ClipFile) -> str:
    """Return a URL that lets anybody read a clip's file for a while."""
    links = ClipLinks(
        services.signer,
        base_url=services.settings.base_url(),
        lifetime=services.settings.clip_url_lifetime,
    )
    return links.sign(clip_path(clip_id, file), tenant_id=tenant_id)
