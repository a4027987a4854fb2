"""What the API answers; fields that this version does not know are ignored."""

from __future__ import annotations

from tldrtv_highlights.models.audit import AuditActor, AuditEntry, AuditTarget
from tldrtv_highlights.models.base import Model, Page
from tldrtv_highlights.models.clips import Clip, ClipDetail
from tldrtv_highlights.models.health import Check, Health, Readiness
from tldrtv_highlights.models.highlights import Evidence, Highlight, HighlightDetail, Reason
from tldrtv_highlights.models.keys import CreatedKey, Key
from tldrtv_highlights.models.profiles import (
    Override,
    OverrideDetail,
    OverrideHistory,
    ProfileDetail,
    ProfileList,
    ProfileMatch,
    ProfileRef,
    ProfileSummary,
)
from tldrtv_highlights.models.streams import Gap, Stream, StreamDetail, StreamEnd

__all__ = [
    "AuditActor",
    "AuditEntry",
    "AuditTarget",
    "Check",
    "Clip",
    "ClipDetail",
    "CreatedKey",
    "Evidence",
    "Gap",
    "Health",
    "Highlight",
    "HighlightDetail",
    "Key",
    "Model",
    "Override",
    "OverrideDetail",
    "OverrideHistory",
    "Page",
    "ProfileDetail",
    "ProfileList",
    "ProfileMatch",
    "ProfileRef",
    "ProfileSummary",
    "Readiness",
    "Reason",
    "Stream",
    "StreamDetail",
    "StreamEnd",
]
