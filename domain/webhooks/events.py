"""Webhook events, their payloads, and the endpoints that receive them.

An event is written in the same transaction as the change it describes (outbox), and sent from there
to the tenant's webhook endpoints and to the message broker, if there is one. Its id is derived from
its subject, so that a repeated step publishes it once, and receivers can deduplicate.

Payloads only grow: under one `version` no field is removed or changes its meaning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from domain.analysis.screen import MatchState
from domain.clips.models import ClipStatus
from domain.exports.models import ExportStatus, RenditionFormat
from domain.highlights.candidate import LocalizedTitle
from domain.highlights.moderation import Moderation
from domain.highlights.publication import PublicationPolicy, Release
from domain.highlights.selection import HIDDEN, DecisionStatus, Tier
from domain.ids import event_id
from domain.model import Model
from domain.streams.status import EndReason, StreamStatus

VERSION: Final = "1"
"""Of all payloads together."""


class EventType(StrEnum):
    """Type of an event."""

    STREAM_STARTED = "stream.started"
    STREAM_ENDED = "stream.ended"
    STREAM_FAILED = "stream.failed"
    HIGHLIGHT_PENDING = "highlight.pending"
    HIGHLIGHT_CONFIRMED = "highlight.confirmed"
    HIGHLIGHT_RETRACTED = "highlight.retracted"
    HIGHLIGHT_RELABELED = "highlight.relabeled"
    SUBJECT_HIGHLIGHT = "subject.highlight"
    CLIP_READY = "clip.ready"
    CLIP_FAILED = "clip.failed"
    EXPORT_READY = "export.ready"
    EXPORT_FAILED = "export.failed"
    EXPORT_BATCH_FINISHED = "export_batch.finished"
    USAGE_THRESHOLD = "usage.threshold"
    ENDPOINT_DISABLED = "endpoint.disabled"
    ENDPOINT_TEST = "endpoint.test"


MEANINGS: Final[Mapping[EventType, str]] = {
    EventType.STREAM_STARTED: "The stream's first segment is stored.",
    EventType.STREAM_ENDED: "The stream ended or was canceled; its last decisions are final.",
    EventType.STREAM_FAILED: "The stream ended with a failure; see `end_reason`.",
    EventType.HIGHLIGHT_PENDING: "A highlight was found; a better one nearby may still replace it.",
    EventType.HIGHLIGHT_CONFIRMED: "A highlight is final.",
    EventType.HIGHLIGHT_RETRACTED: "A highlight was withdrawn permanently.",
    EventType.HIGHLIGHT_RELABELED: "Tags of a highlight changed, since an event was taken back.",
    EventType.SUBJECT_HIGHLIGHT: "A highlight was found for one of your subjects, such as a bet.",
    EventType.CLIP_READY: "A clip, of a highlight or on demand, can be downloaded.",
    EventType.CLIP_FAILED: "A clip could not be rendered; see `message`.",
    EventType.EXPORT_READY: "All renditions of an export can be downloaded.",
    EventType.EXPORT_FAILED: "A rendition of an export could not be made; see `message`.",
    EventType.EXPORT_BATCH_FINISHED: "All exports of a batch have finished; see `status`.",
    EventType.USAGE_THRESHOLD: "Usage has reached a threshold of a budget.",
    EventType.ENDPOINT_DISABLED: "A webhook endpoint was disabled; see `reason`.",
    EventType.ENDPOINT_TEST: "A test that you requested. You cannot subscribe to it.",
}


class StreamPayload(Model):
    """A stream, in `stream.*`.

    `duration` is how far its media has come, in seconds; the end is there when it has ended.
    """

    stream_id: UUID
    external_id: str | None
    title: str
    game: str
    status: StreamStatus
    duration: float
    highlights: int
    clips: int
    end_reason: EndReason | None
    end_message: str | None
    created_at: datetime
    ended_at: datetime | None


class HighlightPayload(Model):
    """A highlight, in `highlight.*`; positions in seconds of the stream's media time.

    `score` is the combined one and `dimensions` those it is made of, from 0 to 1. `state` is the
    state of the match as read on the screen. `titles` are those in the stream's languages, and
    `moderation` is what a tenant may not want to publish. `hls_url` plays the moment at once, from
    whole segments, until `clip.ready` brings the exact file; it is signed when the event is sent.
    `policy` is what the stream's publication policy says, and `release` who approved it in review.
    """

    highlight_id: UUID
    stream_id: UUID
    game: str
    status: DecisionStatus
    tier: Tier
    score: float
    dimensions: dict[str, float]
    confidence: float
    title: str
    description: str
    tags: tuple[str, ...]
    titles: tuple[LocalizedTitle, ...] = ()
    moderation: Moderation | None = None
    start: float
    peak: float
    end: float
    peak_wall_clock: datetime | None
    state: MatchState | None = None
    hls_url: str | None = None
    policy: PublicationPolicy | None = None
    release: Release | None = None
    revision: int


class SubjectHighlightPayload(Model):
    """A highlight of a subject; `subject` is your reference."""

    subject: str
    event_id: str
    event_kind: str
    highlight_id: UUID
    stream_id: UUID
    peak: float
    score: float
    tags: tuple[str, ...]


class ClipPayload(Model):
    """A clip and its highlight, in `clip.*`; seconds of media time, bytes.

    A clip on demand has its own title, and no highlight, score or peak.

    `url` and `thumbnail_url` are signed when the event is sent, again at each attempt. In the
    outbox they are the bare paths.
    """

    clip_id: UUID
    highlight_id: UUID | None
    stream_id: UUID
    status: ClipStatus
    title: str
    score: float | None
    tags: tuple[str, ...]
    titles: tuple[LocalizedTitle, ...] = ()
    moderation: Moderation | None = None
    peak: float | None
    start: float
    duration: float
    size: int | None
    width: int | None
    height: int | None
    has_audio: bool | None
    sha256: str | None
    url: str | None
    thumbnail_url: str | None
    message: str
    ready_at: datetime | None
    policy: PublicationPolicy | None = None
    release: Release | None = None


class ExportRenditionPayload(Model):
    """A rendition of an export; seconds, bytes. `message` is why it failed, if it did."""

    number: int
    format: RenditionFormat
    status: ExportStatus
    duration: float | None
    size: int | None
    width: int | None
    height: int | None
    sha256: str | None
    message: str


class ExportPayload(Model):
    """An export, in `export.*`. Read the export for links to its files."""

    export_id: UUID
    stream_id: UUID
    highlight_id: UUID | None
    clip_id: UUID | None
    status: ExportStatus
    start: float
    end: float
    renditions: tuple[ExportRenditionPayload, ...]
    message: str
    finished_at: datetime | None


class ExportBatchPayload(Model):
    """A batch of exports, in `export_batch.finished`.

    `exports` is how many were asked for, `ready` and `failed` how many of them ended so. Read the
    batch for its manifest and its ZIP file.
    """

    export_batch_id: UUID
    status: ExportStatus
    exports: int
    ready: int
    failed: int
    message: str
    finished_at: datetime | None


class UsagePayload(Model):
    """A budget and the threshold that usage reached, in `usage.threshold`.

    `kind` is what is metered; `used` and `budget` are in its unit, over `period` (`2026-11`).
    """

    kind: str
    period: str
    percent: int
    used: float
    budget: float


class EndpointPayload(Model):
    """A webhook endpoint, in `endpoint.*`; `reason` is why it was disabled."""

    endpoint_id: UUID
    url: str
    reason: str | None = None
    failing_since: datetime | None = None


Payload = (
    StreamPayload
    | HighlightPayload
    | SubjectHighlightPayload
    | ClipPayload
    | ExportPayload
    | ExportBatchPayload
    | UsagePayload
    | EndpointPayload
)


PAYLOADS: Final[Mapping[EventType, type[Payload]]] = {
    EventType.STREAM_STARTED: StreamPayload,
    EventType.STREAM_ENDED: StreamPayload,
    EventType.STREAM_FAILED: StreamPayload,
    EventType.HIGHLIGHT_PENDING: HighlightPayload,
    EventType.HIGHLIGHT_CONFIRMED: HighlightPayload,
    EventType.HIGHLIGHT_RETRACTED: HighlightPayload,
    EventType.HIGHLIGHT_RELABELED: HighlightPayload,
    EventType.SUBJECT_HIGHLIGHT: SubjectHighlightPayload,
    EventType.CLIP_READY: ClipPayload,
    EventType.CLIP_FAILED: ClipPayload,
    EventType.EXPORT_READY: ExportPayload,
    EventType.EXPORT_FAILED: ExportPayload,
    EventType.EXPORT_BATCH_FINISHED: ExportBatchPayload,
    EventType.USAGE_THRESHOLD: UsagePayload,
    EventType.ENDPOINT_DISABLED: EndpointPayload,
    EventType.ENDPOINT_TEST: EndpointPayload,
}


class Event(Model):
    """Something that happened, once.

    Attributes:
        subject: what it is about: `highlight/<id>`, `usage/<kind>/<period>`.
        ordering_key: events of one key are sent in the order in which they happened; those of
            different keys wait for nothing of each other's. A clip has its highlight's.
        stream_id: the stream it belongs to, if any.
        data: the payload of its type, as JSON.
    """

    id: UUID
    tenant_id: UUID
    type: EventType
    subject: str
    ordering_key: str
    stream_id: UUID | None
    created_at: datetime
    data: dict[str, Any]


def event(
    kind: EventType,
    payload: Payload,
    *,
    tenant_id: UUID,
    subject: str,
    revision: int,
    created_at: datetime,
    stream_id: UUID | None = None,
    ordering_key: str | None = None,
) -> Event:
    """Return an event; the same change always yields the same event.

    Args:
        kind: type of the event.
        payload: payload of that type.
        tenant_id: tenant that the event belongs to.
        subject: what the event is about.
        revision: number of the subject's change.
        created_at: when the change happened.
        stream_id: stream that the event belongs to, if any.
        ordering_key: events with the same key are delivered in order; by default the subject.

    Raises:
        TypeError: the payload belongs to another type.
    """
    if type(payload) is not PAYLOADS[kind]:
        raise TypeError(f"{kind} carries {PAYLOADS[kind].__name__}, not {type(payload).__name__}")
    return Event(
        id=event_id(tenant_id=tenant_id, kind=kind, subject=subject, revision=revision),
        tenant_id=tenant_id,
        type=kind,
        subject=subject,
        ordering_key=ordering_key or subject,
        stream_id=stream_id,
        created_at=created_at,
        data=payload.model_dump(mode="json"),
    )


def of_stream(
    before: StreamStatus, after: StreamStatus, *, has_media: bool
) -> tuple[EventType, ...]:
    """Return the event types that publish a stream's change of status.

    Statuses may be skipped: a stream that is first seen when it has ended has also started.
    """
    if before == after:
        return ()
    told = []
    if before is StreamStatus.STARTING and has_media:
        told.append(EventType.STREAM_STARTED)
    if after is StreamStatus.FAILED:
        told.append(EventType.STREAM_FAILED)
    if after in {StreamStatus.COMPLETED, StreamStatus.CANCELLED}:
        told.append(EventType.STREAM_ENDED)
    return tuple(told)


def of_highlight(before: DecisionStatus | None, after: DecisionStatus) -> EventType | None:
    """Return the event type that publishes a decision; None if there is none.

    The retraction of a highlight that was never shown is not published.
    """
    if before == after:
        return None
    if after is DecisionStatus.RETRACTED and before in {None, *HIDDEN}:
        return None
    return {
        DecisionStatus.PENDING: EventType.HIGHLIGHT_PENDING,
        DecisionStatus.CONFIRMED: EventType.HIGHLIGHT_CONFIRMED,
        DecisionStatus.RETRACTED: EventType.HIGHLIGHT_RETRACTED,
    }.get(after)


def of_clip(before: ClipStatus | None, after: ClipStatus) -> EventType | None:
    """Return the event type that publishes a clip's change of status; None if there is none."""
    if before == after:
        return None
    return {
        ClipStatus.READY: EventType.CLIP_READY,
        ClipStatus.FAILED: EventType.CLIP_FAILED,
    }.get(after)


def of_export(before: ExportStatus, after: ExportStatus) -> EventType | None:
    """Return the event type that publishes an export's change of status; None if there is none."""
    if before == after:
        return None
    return {
        ExportStatus.READY: EventType.EXPORT_READY,
        ExportStatus.FAILED: EventType.EXPORT_FAILED,
    }.get(after)


SUBSCRIBABLE: Final = frozenset(EventType) - {EventType.ENDPOINT_TEST}
"""What an endpoint can ask for; a test goes to the endpoint that is tested, whatever it asks."""


class EndpointStatus(StrEnum):
    """Whether events are sent to an endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why no events are sent to an endpoint."""

    TENANT = "tenant"  # its owner said so
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # a delivery failed to its last attempt, and nothing succeeded meanwhile


class DeliveryStatus(StrEnum):
    """Status of an event's delivery to one endpoint."""

    PENDING = "pending"  # to be sent, for the first time or again
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # its last attempt failed
    CANCELLED = "cancelled"  # its endpoint was disabled before it could be delivered


def wants(subscribed: Collection[str], kind: EventType) -> bool:
    """Return True if an endpoint with the types `subscribed` receives events of type `kind`.

    An endpoint that subscribes to no type receives all.
    """
    return kind in SUBSCRIBABLE and (not subscribed or kind in subscribed)


def should_disable_endpoint(*, failing_since: datetime | None, first_attempt_at: datetime) -> bool:
    """Return True if an endpoint must be disabled after a delivery failed its last attempt.

    Args:
        failing_since: first failed attempt after the endpoint's last success; None if its last
            attempt succeeded.
        first_attempt_at: first attempt of the delivery.
    """
    return failing_since is not None and failing_since <= first_attempt_at
