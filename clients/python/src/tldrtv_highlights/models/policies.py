"""Publication policies, and reviews of highlights."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class Territories(Model):
    """Where highlights may be shown (ISO 3166); everywhere if nothing is allowed by name."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Policy(Model):
    """What may be shown of highlights; None is inherited, from the tenant in the end."""

    review: str | None = None
    review_hours: int | None = None
    audience: tuple[str, ...] | None = None
    territories: Territories | None = None
    valid_until: AwareDatetime | None = None
    commercial: bool | None = None


class Review(Model):
    """Review of a highlight: `awaiting`, `approved`, `rejected` or `expired`."""

    status: str
    until: AwareDatetime | None
    by: str | None = None
    at: AwareDatetime | None = None
    note: str = ""
