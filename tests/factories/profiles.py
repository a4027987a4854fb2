"""Overrides of profiles for tests: those of one tenant, at one time."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from domain.profiles.documents import ProfileOverride


def override(profile_id: str = "soccer", revision: int = 1, **patch: object) -> ProfileOverride:
    return ProfileOverride(
        tenant_id=UUID(int=1),
        profile_id=profile_id,
        revision=revision,
        patch=patch,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
