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
from tldrtv_highlights.models.exports import (
    Export,
    ExportBatch,
    ExportBatchFile,
    ExportBatchManifest,
    ExportRendition,
    ExportSource,
    ReelChapter,
)
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
)
from tldrtv_highlights.models.streams import (
    Chapter,
    ChapterList,
    Deletion,
    Gap,
    LegalHold,
    Stream,
    StreamDetail,
    StreamEnd,
)
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
    "Chapter",
    "ChapterList",
    "Check",
    "Checks",
    "Clip",
    "ClipDetail",
    "Connection",
    "ConnectionSecrets",
    "Correction",
    "CreatedClips",
    "CreatedKey",
    "Deletion",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryDetail",
    "Evidence",
    "Export",
    "ExportBatch",
    "ExportBatchFile",
    "ExportBatchManifest",
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
    "LegalHold",
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
    "Readiness",
    "Reason",
    "ReelChapter",
    "ReplayResult",
    "SimilarHighlight",
    "SimilarHighlights",
    "Stream",
    "StreamDetail",
    "StreamEnd",
    "StreamEvent",
    "StreamResult",
    "StreamResults",
    "Usage",
    "UsageReport",
    "WebhookEndpoint",
    "WebhookEndpointWithSecret",
]
