"""Game profiles, and your overrides of them."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class ProfileRef(Model):
    """The game profile by which highlights are chosen."""

    id: str
    version: str


class Alternative(Model):
    """A profile that was considered too; `score` in [0, 1]."""

    profile_id: str
    score: float
    alias: str


class ProfileMatch(Model):
    """The profile that matches a text, how well (0 to 1), and why."""

    query: str
    profile_id: str
    score: float
    alias: str | None = None
    reason: str
    fallback: bool = False
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()


class ProfileSummary(Model):
    """A profile in a list."""

    id: str
    name: str
    kind: str
    version: str
    overridden: bool
    shipped: bool


class ProfileList(Model):
    """All profiles that your streams may use, by id."""

    data: tuple[ProfileSummary, ...]


class ProfileDetail(Model):
    """A profile, complete: inheritance and your overrides are applied."""

    profile: dict[str, Any]
    overridden: bool
    shipped: bool


class Override(Model):
    """One revision of an override; its patch is empty where the override was deleted."""

    profile_id: str
    revision: int
    patch: dict[str, Any]
    created_at: AwareDatetime
    created_by: str | None


class OverrideDetail(Override):
    """The override in force; `problems` say why it is left out, if it is."""

    problems: tuple[str, ...]


class OverrideHistory(Model):
    """Revisions, newest first."""

    data: tuple[Override, ...]


class TasteTrait(Model):
    """What your feedback says about one trait; `weight` in log odds of the score."""

    name: str
    words: str
    weight: float
    usual: float
    likes: int
    dislikes: int


class ProfileTaste(Model):
    """What your feedback on a profile's highlights has taught; bounds in seconds."""

    profile_id: str
    version: int
    enabled: bool
    likes: int
    dislikes: int
    corrections: int
    starts_earlier: float
    ends_later: float
    traits: tuple[TasteTrait, ...]
    reset_at: AwareDatetime | None
    updated_at: AwareDatetime | None
