"""What an audit finds: what is wrong, in words, and what mends it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

from domain.model import Model


class FindingCode(StrEnum):
    """What is wrong; docs/audit.md has a section on each."""

    WINDOWS_MISSING = "windows_missing"
    WINDOWS_OVERLAP = "windows_overlap"
    SEGMENTS_DIFFER = "segments_differ"
    MEDIA_MISSING = "media_missing"
    MEDIA_LEFT = "media_left"
    GAPS_DIFFER = "gaps_differ"
    CANDIDATES_MISSING = "candidates_missing"
    CANDIDATES_UNKNOWN = "candidates_unknown"
    DECISIONS_DIFFER = "decisions_differ"
    HIGHLIGHT_UNDECIDED = "highlight_undecided"
    HIGHLIGHTS_DIFFER = "highlights_differ"
    CLIP_MISSING = "clip_missing"
    CLIPS_DIFFER = "clips_differ"
    FILE_MISSING = "file_missing"
    FILE_DIFFERS = "file_differs"
    FILE_LEFT = "file_left"
    EVENT_MISSING = "event_missing"
    EVENT_REPEATED = "event_repeated"
    EVENT_NOT_SENT = "event_not_sent"
    DELIVERY_STUCK = "delivery_stuck"
    ATTEMPTS_DIFFER = "attempts_differ"
    FEED_EVENT_UNRESOLVED = "feed_event_unresolved"
    INBOUND_EVENT_PENDING = "inbound_event_pending"
    BATCH_STUCK = "batch_stuck"
    USAGE_MISSING = "usage_missing"
    USAGE_REPEATED = "usage_repeated"
    USAGE_HOURS_DIFFER = "usage_hours_differ"
    WORKFLOW_MISSING = "workflow_missing"
    WORKFLOW_LEFT = "workflow_left"
    STREAM_UNKNOWN = "stream_unknown"


_RECONCILE: Final = "Run `highlights reconcile`; workers also do so every few seconds."
_REPORT: Final = "Nothing repairs this by itself: report it with the stream's history and the logs."

REMEDIES: Final = {
    FindingCode.WINDOWS_MISSING: "Run `highlights reanalyze` with the recording of the stream.",
    FindingCode.WINDOWS_OVERLAP: _REPORT,
    FindingCode.SEGMENTS_DIFFER: _REPORT,
    FindingCode.MEDIA_MISSING: (
        "Check who deletes objects of SEGMENT_STORE, such as a lifecycle rule that is too short."
    ),
    FindingCode.MEDIA_LEFT: (
        "Check that a worker runs: its reconciliation deletes expired media. Without a row, delete "
        "the objects below this prefix of SEGMENT_STORE."
    ),
    FindingCode.GAPS_DIFFER: _REPORT,
    FindingCode.CANDIDATES_MISSING: "Run `highlights reanalyze` with the recording of the stream.",
    FindingCode.CANDIDATES_UNKNOWN: _REPORT,
    FindingCode.DECISIONS_DIFFER: _REPORT,
    FindingCode.HIGHLIGHT_UNDECIDED: "Run `highlights reanalyze` with the recording of the stream.",
    FindingCode.HIGHLIGHTS_DIFFER: _REPORT,
    FindingCode.CLIP_MISSING: "Ask for it with POST /v1/streams/{stream_id}/clips.",
    FindingCode.CLIPS_DIFFER: _REPORT,
    FindingCode.FILE_MISSING: (
        "Restore the object from a version or backup of CLIP_STORE, or make the clip or export "
        "again while its media is kept."
    ),
    FindingCode.FILE_DIFFERS: (
        "Restore the object from a version or backup of CLIP_STORE; look for what wrote it."
    ),
    FindingCode.FILE_LEFT: "Delete the object: no row names it, so that no link leads to it.",
    FindingCode.EVENT_MISSING: _REPORT,
    FindingCode.EVENT_REPEATED: _REPORT,
    FindingCode.EVENT_NOT_SENT: (
        "Check that a worker runs. To send the event again, use "
        "POST /v1/webhooks/{endpoint_id}/replay with its time."
    ),
    FindingCode.DELIVERY_STUCK: _RECONCILE,
    FindingCode.ATTEMPTS_DIFFER: _REPORT,
    FindingCode.FEED_EVENT_UNRESOLVED: "Check that a worker runs; send the event again if not.",
    FindingCode.INBOUND_EVENT_PENDING: (
        "Check that a worker runs, and its log for why the events cannot be applied."
    ),
    FindingCode.BATCH_STUCK: _RECONCILE,
    FindingCode.USAGE_MISSING: _REPORT,
    FindingCode.USAGE_REPEATED: _REPORT,
    FindingCode.USAGE_HOURS_DIFFER: _REPORT,
    FindingCode.WORKFLOW_MISSING: _RECONCILE,
    FindingCode.WORKFLOW_LEFT: "Run `temporal workflow cancel --workflow-id` with this id.",
    FindingCode.STREAM_UNKNOWN: "Check its id, and the tenant.",
}


class AuditFinding(Model):
    """Something that does not agree.

    Attributes:
        stream_id: the stream that it is about; None for what belongs to no stream.
        subject: what it is about, such as `clip 0190…` or the key of an object.
        problem: what is wrong, in a sentence.
    """

    code: FindingCode
    tenant_id: UUID
    stream_id: UUID | None
    subject: str
    problem: str

    @property
    def remedy(self) -> str:
        """What mends it, in a sentence or two."""
        return REMEDIES[self.code]
