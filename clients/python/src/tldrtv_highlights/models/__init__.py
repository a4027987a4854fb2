"""What the API answers; fields that this version does not know are ignored."""

from __future__ import annotations

from tldrtv_highlights.models.audit import AuditActor, AuditEntry, AuditTarget
from tldrtv_highlights.models.base import Model, Page
from tldrtv_highlights.models.batches import (
    HighlightResult,
    HighlightResults,
    ItemProblem,
    StreamResult,
    StreamResults,
)
from tldrtv_highlights.models.clips import Clip, ClipDetail, CreatedClips, MissingMedia, Playback
from tldrtv_highlights.models.connections import (
    Checks,
    Connection,
    ConnectionSecrets,
    InboundEvent,
    InboundEventList,
)
from tldrtv_highlights.models.events import StreamEvent
from tldrtv_highlights.models.exports import Export, ExportRendition, ExportSource
from tldrtv_highlights.models.feedback import Correction, Feedback
from tldrtv_highlights.models.health import Check, Health, Readiness
from tldrtv_highlights.models.highlights import (
    Evidence,
    FoundHighlight,
    Highlight,
    HighlightDetail,
    Match,
    MatchState,
    Piece,
    Reason,
    SimilarHighlight,
    SimilarHighlights,
)
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
    ProfileTaste,
    TasteTrait,
)
from tldrtv_highlights.models.streams import Gap, Stream, StreamDetail, StreamEnd
from tldrtv_highlights.models.usage import Budget, BudgetList, Usage, UsageReport
from tldrtv_highlights.models.webhooks import (
    Delivery,
    DeliveryAttempt,
    DeliveryDetail,
    ReplayResult,
    WebhookEndpoint,
    WebhookEndpointWithSecret,
)

__all__ = [
    "AuditActor",
    "AuditEntry",
    "AuditTarget",
    "Budget",
    "BudgetList",
    "Check",
    "Checks",
    "Clip",
    "ClipDetail",
    "Connection",
    "ConnectionSecrets",
    "Correction",
    "CreatedClips",
    "CreatedKey",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetail",
    "Evidence",
    "Export",
    "ExportRendition",
    "ExportSource",
    "Feedback",
    "FoundHighlight",
    "Gap",
    "Health",
    "Highlight",
    "HighlightDetail",
    "HighlightResult",
    "HighlightResults",
    "InboundEvent",
    "InboundEventList",
    "ItemProblem",
    "Key",
    "Match",
    "MatchState",
    "MissingMedia",
    "Model",
    "Override",
    "OverrideDetail",
    "OverrideHistory",
    "Page",
    "Piece",
    "Playback",
    "ProfileDetail",
    "ProfileList",
    "ProfileMatch",
    "ProfileRef",
    "ProfileSummary",
    "ProfileTaste",
    "Readiness",
    "Reason",
    "ReplayResult",
    "SimilarHighlight",
    "SimilarHighlights",
    "Stream",
    "StreamDetail",
    "StreamEnd",
    "StreamEvent",
    "StreamResult",
    "StreamResults",
    "TasteTrait",
    "Usage",
    "UsageReport",
    "WebhookEndpoint",
    "WebhookEndpointWithSecret",
]
