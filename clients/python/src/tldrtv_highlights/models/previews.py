"""Previews of profile overrides."""

from __future__ import annotations

from typing import Any

from tldrtv_highlights.models.base import Model
from tldrtv_highlights.models.highlights import Reason


class PreviewedHighlight(Model):
    """A highlight that is shown before an override, after it, or both; `peak` in seconds."""

    highlight_id: str
    title: str
    peak: float
    change: str
    status: str
    new_status: str
    score: float
    new_score: float
    new_tier: str
    new_reasons: tuple[Reason, ...]


class StreamPreview(Model):
    """What a profile would have decided about a stream."""

    stream_id: str
    candidates: int
    highlights_before: int
    highlights_after: int
    highlights: tuple[PreviewedHighlight, ...]


class ProfilePreview(Model):
    """A profile with an override applied, and what it would have decided."""

    profile: dict[str, Any]
    stream: StreamPreview | None
