"""What people think of highlights."""

from __future__ import annotations

from pydantic import AwareDatetime

from tldrtv_highlights.models.base import Model


class Correction(Model):
    """Where a highlight really starts and ends, in seconds of media time."""

    start: float
    end: float


class Feedback(Model):
    """What someone thinks of a highlight."""

    highlight_id: str
    user: str
    verdict: str | None
    correction: Correction | None
    note: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
