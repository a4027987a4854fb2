"""The operations of the API, one file a resource."""

from __future__ import annotations

from tldrtv_highlights.resources.audit import Audit
from tldrtv_highlights.resources.branding import DefaultBranding
from tldrtv_highlights.resources.clips import Clips
from tldrtv_highlights.resources.connections import Connections
from tldrtv_highlights.resources.deletions import Deletions
from tldrtv_highlights.resources.export_batches import ExportBatches
from tldrtv_highlights.resources.exports import Exports
from tldrtv_highlights.resources.feed import Feed
from tldrtv_highlights.resources.health import HealthChecks
from tldrtv_highlights.resources.highlights import Highlights
from tldrtv_highlights.resources.keys import Keys
from tldrtv_highlights.resources.policy import PublicationPolicy
from tldrtv_highlights.resources.profiles import Profiles
from tldrtv_highlights.resources.recordings import Recordings
from tldrtv_highlights.resources.streams import Streams
from tldrtv_highlights.resources.usage import UsageStats
from tldrtv_highlights.resources.webhooks import Webhooks

__all__ = [
    "Audit",
    "Clips",
    "Connections",
    "DefaultBranding",
    "Deletions",
    "ExportBatches",
    "Exports",
    "Feed",
    "HealthChecks",
    "Highlights",
    "Keys",
    "Profiles",
    "PublicationPolicy",
    "Recordings",
    "Streams",
    "UsageStats",
    "Webhooks",
]
