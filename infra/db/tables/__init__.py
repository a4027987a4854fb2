"""The tables, as SQLAlchemy models; `migrations/` creates them, and a test compares both.

Every table belongs to a tenant: its primary key and its foreign keys begin with the tenant, so
that no row can refer to another tenant's, and row-level security (`migrations/row_security.py`)
shows a session its own tenant's rows only. Enumerations are text with a CHECK, which can be
widened without rewriting a table.

Indexes follow the list queries of the API. They are ascending, since a B-tree is read backwards
as cheaply. Only leakproof operators find an index under row-level security (PostgreSQL manual, 5.9
and 38.5), so words and tags are rows of `highlight_terms` and no GIN index.
"""

from __future__ import annotations

from infra.db.tables.base import Base, one_of
from infra.db.tables.exports import BrandingRow, Export, ExportBatch
from infra.db.tables.feed import EventSubject, FeedEventRow
from infra.db.tables.highlights import (
    Clip,
    Highlight,
    HighlightFeedbackRow,
    HighlightTerm,
    HighlightWord,
)
from infra.db.tables.hms import BeamRow, ClosedSession, Connection, InboundEvent
from infra.db.tables.streams import Deletion, Stream, StreamGap, StreamWindow
from infra.db.tables.tenants import (
    ApiKey,
    AuditEntry,
    EmbedPolicy,
    IdempotencyKey,
    PinnedProfileRow,
    ProfileOverrideRow,
    TasteRow,
    Tenant,
    UsageBudget,
    UsageEventRow,
    UsageHour,
)
from infra.db.tables.webhooks import Delivery, DeliveryAttempt, EventRow, WebhookEndpoint

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Base",
    "BeamRow",
    "BrandingRow",
    "Clip",
    "ClosedSession",
    "Connection",
    "Deletion",
    "Delivery",
    "DeliveryAttempt",
    "EmbedPolicy",
    "EventRow",
    "EventSubject",
    "Export",
    "ExportBatch",
    "FeedEventRow",
    "Highlight",
    "HighlightFeedbackRow",
    "HighlightTerm",
    "HighlightWord",
    "IdempotencyKey",
    "InboundEvent",
    "PinnedProfileRow",
    "ProfileOverrideRow",
    "Stream",
    "StreamGap",
    "StreamWindow",
    "TasteRow",
    "Tenant",
    "UsageBudget",
    "UsageEventRow",
    "UsageHour",
    "WebhookEndpoint",
    "one_of",
]
