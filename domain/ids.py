"""Deterministic ids, so that a repeated step finds what the first one created.

Each function returns the id of one kind, derived (uuid5) from what identifies it.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID, uuid5

_HIGHLIGHT = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a001")
_CLIP = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a002")
_EVENT = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a003")
_DELIVERY = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a004")
_USAGE = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a006")
# `domain.hms.effects.beam_stream_id` uses the same namespace. The names differ in their first part:
# a highlight id (version 5) here, a tenant id (version 4) there.
_FEEDBACK = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a007")
_JOB = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a008")
_EXPORT = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a009")
_FEED_EVENT = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a00b")
_DELETION = UUID("6d1f2a52-0f0e-5b0a-9a53-51f5b9e6a00a")


class SearchAttribute(StrEnum):
    """Temporal search attributes by which an operator finds a stream's workflow.

    They are stored as plain text, so they never hold personal data. `STREAM_TITLE` is tenant, room
    and title in one line; it is optional, because a Temporal server may not have it registered.
    """

    TENANT_ID = "TenantId"
    STREAM_ID = "StreamId"
    GAME = "Game"
    STREAM_STATUS = "StreamStatus"
    STREAM_TITLE = "StreamTitle"


def highlight_id(*, tenant_id: UUID, stream_id: UUID, peak: float) -> UUID:
    """Return the id of the highlight whose peak lies at `peak` seconds of media time.

    The peak is rounded to a tenth of a second, the resolution of detection, so that a retry
    that differs in the last bits of a float names the same highlight.
    """
    return uuid5(_HIGHLIGHT, f"{tenant_id}/{stream_id}/{round(peak * 10)}")


def clip_id(*, highlight: UUID, start: float, end: float, cut: int = 0) -> UUID:
    """Return the id of the clip of a highlight cut at `start`..`end` (s of media time).

    `cut` is the number of clips that the highlight had before, so that a clip that returns to
    earlier bounds has a new id.
    """
    name = f"{highlight}/{round(start * 1000)}/{round(end * 1000)}"
    return uuid5(_CLIP, f"{name}/{cut}" if cut else name)


def feed_event_id(*, stream_id: UUID, event: str) -> UUID:
    """Return the id of the row of a feed's event, which its tenant calls `event`."""
    return uuid5(_FEED_EVENT, f"{stream_id}/{event}")


def requested_clip_id(*, request: UUID, part: int) -> UUID:
    """Return the id of a clip on demand: part `part` of what a request asked for."""
    return uuid5(_CLIP, f"{request}/part/{part}")


def batch_export_id(*, batch: UUID, number: int) -> UUID:
    """Return the id of an export of a batch: that with the place `number`."""
    return uuid5(_EXPORT, f"{batch}/{number}")


def deletion_id(*, stream: UUID) -> UUID:
    """Return the id of the deletion of a stream, of which there is one."""
    return uuid5(_DELETION, str(stream))


def event_id(*, tenant_id: UUID, kind: str, subject: str, revision: int) -> UUID:
    """Return the id of the event that publishes change `revision` of a subject."""
    return uuid5(_EVENT, f"{tenant_id}/{kind}/{subject}/{revision}")


def delivery_id(*, endpoint_id: UUID, event: UUID) -> UUID:
    """Return the id of the delivery of an event to an endpoint."""
    return uuid5(_DELIVERY, f"{endpoint_id}/{event}")


def delivery_workflow_id(*, tenant_id: UUID, endpoint_id: UUID, ordering_key: str) -> str:
    """Return the Temporal workflow id of an endpoint's deliveries with one ordering key."""
    return f"deliver/{tenant_id}/{endpoint_id}/{ordering_key}"


def usage_id(*, kind: str, subject: str) -> UUID:
    """Return the id of a usage record; `subject` is unique per kind and tenant."""
    return uuid5(_USAGE, f"{kind}/{subject}")


def feedback_id(*, highlight: UUID, author: str) -> UUID:
    """Return the id of one author's feedback on a highlight."""
    return uuid5(_FEEDBACK, f"{highlight}/{author}")


def job_stream_id(*, tenant_id: UUID, job_id: str) -> UUID:
    """Return the id of the stream that a tenant's queued job starts; equal for each retry."""
    return uuid5(_JOB, f"{tenant_id}/{job_id}")


def stream_workflow_id(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the Temporal workflow id of a stream."""
    return f"stream/{tenant_id}/{stream_id}"


def backfill_workflow_id(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the Temporal workflow id of a stream's backfill."""
    return f"backfill/{tenant_id}/{stream_id}"


def session_workflow_id(*, tenant_id: UUID, connection_id: UUID, partition: str) -> str:
    """Return the Temporal workflow id of a 100ms session, a partition of its connection."""
    return f"session/{tenant_id}/{connection_id}/{partition}"


def export_workflow_id(*, tenant_id: UUID, export: UUID) -> str:
    """Return the Temporal workflow id of an export."""
    return f"export/{tenant_id}/{export}"


def export_batch_workflow_id(*, tenant_id: UUID, batch: UUID) -> str:
    """Return the Temporal workflow id of a batch of exports."""
    return f"export-batch/{tenant_id}/{batch}"


def deletion_workflow_id(*, tenant_id: UUID, stream_id: UUID) -> str:
    """Return the Temporal workflow id of the deletion of a stream."""
    return f"deletion/{tenant_id}/{stream_id}"


def clip_workflow_id(*, tenant_id: UUID, clip: UUID) -> str:
    """Return the Temporal workflow id of a clip."""
    return f"clip/{tenant_id}/{clip}"


_SUBJECTS = {
    "stream": "stream_id",
    "backfill": "stream_id",
    "session": "connection_id",
    "export": "export_id",
    "export-batch": "batch_id",
    "deletion": "stream_id",
    "clip": "clip_id",
    "deliver": "endpoint_id",
}


def ids_of_workflow(workflow_id: str) -> dict[str, str]:
    """Return the ids in the Temporal workflow id of a tenant, by name; empty for all others."""
    kind, *parts = workflow_id.split("/")
    if kind not in _SUBJECTS or len(parts) < 2:  # noqa: PLR2004 tenant and subject
        return {}
    return {"tenant_id": parts[0], _SUBJECTS[kind]: parts[1]}
